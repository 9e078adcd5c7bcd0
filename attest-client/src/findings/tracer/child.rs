//! The self-check's children. In: a process's number. Out: whether a child could trace it, and whether it could trace
//! another child. A library can't fork safely from a program with threads, nor run that program a second time; so the
//! child is a program of 80 bytes, kept in memory. It does one thing and ends; nobody is stopped.

/// What the kernel let the child do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answers {
    /// Trace a child that nobody else can be tracing: else the system forbids it altogether.
    pub(super) other: bool,
    /// Trace this process.
    pub(super) us: bool,
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(super) fn answers(_: u32) -> Option<Answers> {
    None
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(super) use linux::answers;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod linux {
    use std::fs::File;
    use std::io::{self, Write};
    use std::os::fd::AsRawFd;
    use std::process::{Child, Command, Stdio};

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::Answers;

    /// Asks. `None`: no child could be started, or it did not end as it should.
    pub(in super::super) fn answers(us: u32) -> Option<Answers> {
        let program = program().ok()?;
        let start = |argument: Option<u32>| -> io::Result<Child> {
            Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
                .args(argument.map(|pid| pid.to_string()))
                .env_clear()
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        };
        let can_trace = |pid: u32| match start(Some(pid)).ok()?.wait().ok()?.code()? {
            0 => Some(true),
            EPERM => Some(false),
            _ => None,
        };
        // Without an argument it waits for the end of its input, which `wait` closes.
        let mut other = start(None).ok()?;
        let answers = can_trace(other.id()).zip(can_trace(us)).map(|(other, us)| Answers { other, us });
        other.wait().ok()?;
        answers
    }

    /// The program, open to be read: one that is open to be written can't be run.
    fn program() -> io::Result<File> {
        let file = File::from(memfd_create("assay-self-check", MemfdFlags::CLOEXEC)?);
        (&file).write_all(&[&headers()[..], &CODE].concat())?;
        File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
    }

    /// An ELF header and one program header: the whole file, readable and executable, at `BASE`.
    fn headers() -> Vec<u8> {
        const BASE: u64 = 0x10000;
        const HEADERS: u64 = 64 + 56;
        let size = (HEADERS + CODE.len() as u64).to_le_bytes();
        let half = |number: u16| number.to_le_bytes();
        let mut out = b"\x7fELF\x02\x01\x01".to_vec();
        out.resize(16, 0);
        // ET_EXEC, EM_X86_64, version 1; entry, program headers, no sections, no flags; sizes and counts.
        [half(2), half(62), half(1), half(0)].iter().for_each(|field| out.extend(field));
        [BASE + HEADERS, 64, 0].iter().for_each(|field| out.extend(field.to_le_bytes()));
        [0, 0, 64, 56, 1, 64, 0, 0].into_iter().map(half).for_each(|field| out.extend(field));
        // PT_LOAD, R and X; offset, addresses, sizes, alignment.
        [1_u32, 5].iter().for_each(|field| out.extend(field.to_le_bytes()));
        [0, BASE, BASE].iter().for_each(|field| out.extend(field.to_le_bytes()));
        [size, size, 4096_u64.to_le_bytes()].iter().for_each(|field| out.extend(field));
        out
    }

    const EPERM: i32 = 1;

    #[rustfmt::skip]
    const CODE: [u8; 80] = [
        0x48, 0x83, 0x3c, 0x24, 0x02,             //       cmp   qword [rsp], 2        argc
        0x7c, 0x30,                               //       jl    wait
        0x48, 0x8b, 0x7c, 0x24, 0x10,             //       mov   rdi, [rsp+16]         argv[1]
        0x31, 0xf6,                               //       xor   esi, esi
        0x0f, 0xb6, 0x07,                         // next: movzx eax, byte [rdi]
        0x83, 0xe8, 0x30,                         //       sub   eax, '0'
        0x72, 0x0a,                               //       jb    trace
        0x6b, 0xf6, 0x0a,                         //       imul  esi, esi, 10
        0x01, 0xc6,                               //       add   esi, eax
        0x48, 0xff, 0xc7,                         //       inc   rdi
        0xeb, 0xee,                               //       jmp   next
        0xb8, 0x65, 0x00, 0x00, 0x00,             // trace: mov  eax, 101              ptrace
        0xbf, 0x06, 0x42, 0x00, 0x00,             //       mov   edi, 0x4206           PTRACE_SEIZE: does not stop it
        0x31, 0xd2,                               //       xor   edx, edx
        0x45, 0x31, 0xd2,                         //       xor   r10d, r10d
        0x0f, 0x05,                               //       syscall
        0xf7, 0xd8,                               //       neg   eax                   0, or errno
        0x89, 0xc7,                               //       mov   edi, eax
        0xeb, 0x12,                               //       jmp   end
        0x31, 0xc0,                               // wait: xor   eax, eax              read
        0x31, 0xff,                               //       xor   edi, edi
        0x48, 0x8d, 0x74, 0x24, 0xc0,             //       lea   rsi, [rsp-64]
        0xba, 0x01, 0x00, 0x00, 0x00,             //       mov   edx, 1
        0x0f, 0x05,                               //       syscall
        0x31, 0xff,                               //       xor   edi, edi
        0xb8, 0x3c, 0x00, 0x00, 0x00,             // end:  mov   eax, 60               exit: lets go of whom it traced
        0x0f, 0x05,                               //       syscall
    ];
}
