//! What attackers do to the sample app: patch its file, or set a breakpoint in its running image.
//!
//! In: the app's file, or its process id. Out: a patched copy, or a process with one byte of its text changed. Both
//! change the licence constant, which stands in program text and is never reached by the story.

use super::Trouble;
use nix::sys::{ptrace, wait::waitpid};
use nix::unistd::Pid;
use std::path::Path;

/// The constant in the sample app's program text ("ASSAYLIC").
const LICENCE: u64 = 0x4153_5341_594C_4943;

/// `PF_X` of a program header.
const EXECUTABLE: u32 = 1;

/// The breakpoint instruction of x86 (`int3`); of 64-bit ARM (`brk #0`), which takes four bytes.
#[cfg(target_arch = "x86_64")]
const BREAKPOINT: &[u8] = &[0xcc];
#[cfg(not(target_arch = "x86_64"))]
const BREAKPOINT: &[u8] = &[0x00, 0x00, 0x20, 0xd4];

/// Copies the app with one byte of its program text changed. Gives the file offset of that byte.
pub(super) fn patch_file(app: &Path, patched: &Path) -> Result<u64, Trouble> {
    let mut bytes = std::fs::read(app).map_err(|e| Trouble::new(format!("{}: {e}", app.display())))?;
    let (offset, _) = licence_in_text(&bytes)?;
    let byte = bytes.get_mut(offset).ok_or_else(|| Trouble::new("the licence constant lies outside the file"))?;
    *byte ^= 0x01;
    std::fs::write(patched, &bytes).map_err(|e| Trouble::new(format!("{}: {e}", patched.display())))?;
    let mode = std::fs::metadata(app).and_then(|m| std::fs::set_permissions(patched, m.permissions()));
    mode.map_err(|e| Trouble::new(format!("{}: {e}", patched.display())))?;
    Ok(offset as u64)
}

/// Attaches to a waiting app, writes a breakpoint into its text, and lets it go on. Gives the address.
///
/// One thread does all of it: the kernel takes tracing calls from the tracer's thread only.
pub(super) fn set_breakpoint(app: &Path, pid: u32) -> Result<u64, Trouble> {
    let bytes = std::fs::read(app).map_err(|e| Trouble::new(format!("{}: {e}", app.display())))?;
    let (_, vaddr) = licence_in_text(&bytes)?;
    let address = load_base(app, pid)?.wrapping_add(vaddr);
    let pid = Pid::from_raw(i32::try_from(pid).map_err(|_| Trouble::new("a process id out of range"))?);
    let tracing = |what: &str, e: nix::Error| {
        Trouble::new(format!(
            "the tracer can't {what}: {e} (tracing may be forbidden here: kernel.yama.ptrace_scope, seccomp)"
        ))
    };
    ptrace::attach(pid).map_err(|e| tracing("attach", e))?;
    waitpid(pid, None).map_err(|e| tracing("wait for the app", e))?;
    let at = address as ptrace::AddressType;
    let word = ptrace::read(pid, at).map_err(|e| tracing("read the app's text", e))?;
    let mut patched = word.to_ne_bytes();
    for (byte, with) in patched.iter_mut().zip(BREAKPOINT) {
        *byte = *with;
    }
    ptrace::write(pid, at, std::ffi::c_long::from_ne_bytes(patched))
        .map_err(|e| tracing("write into the app's text", e))?;
    ptrace::detach(pid, None).map_err(|e| tracing("let the app go on", e))?;
    Ok(address)
}

/// Where the licence constant stands in an executable segment: file offset and virtual address.
fn licence_in_text(elf: &[u8]) -> Result<(usize, u64), Trouble> {
    let plan = attest_core::measurement::plan(elf).map_err(|e| Trouble::new(format!("the sample app: {e}")))?;
    let wanted = LICENCE.to_le_bytes();
    for segment in plan.segments().iter().filter(|s| s.flags & EXECUTABLE != 0) {
        let from = usize::try_from(segment.offset).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(segment.size).unwrap_or(usize::MAX));
        let found = elf.get(from..to).and_then(|text| text.windows(wanted.len()).position(|w| w == wanted));
        if let Some(at) = found {
            return Ok((from + at, segment.vaddr + at as u64));
        }
    }
    Err(Trouble::new("the sample app's licence constant is not in its program text"))
}

/// What has to be added to a virtual address of the file to find it in the process.
fn load_base(app: &Path, pid: u32) -> Result<u64, Trouble> {
    let path = format!("/proc/{pid}/maps");
    let maps = std::fs::read_to_string(&path).map_err(|e| Trouble::new(format!("{path}: {e}")))?;
    let name = std::fs::canonicalize(app).map_err(|e| Trouble::new(format!("{}: {e}", app.display())))?;
    let first =
        maps.lines().find(|l| l.ends_with(&*name.to_string_lossy()) && l.split_whitespace().nth(2) == Some("00000000"));
    let start = first.and_then(|l| l.split('-').next()).and_then(|s| u64::from_str_radix(s, 16).ok());
    let elf = std::fs::read(app).map_err(|e| Trouble::new(format!("{}: {e}", app.display())))?;
    let plan = attest_core::measurement::plan(&elf).map_err(|e| Trouble::new(format!("the sample app: {e}")))?;
    let lowest = plan.segments().first().map_or(0, |s| s.vaddr);
    start.map(|s| s.wrapping_sub(lowest)).ok_or_else(|| Trouble::new("the app's mappings don't name its file"))
}
