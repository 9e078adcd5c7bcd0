//! Files of `/proc`, read whole and bounded. Comes in: whose, and which. Goes out: bytes, or the error.
//! Read through the kernel's own door where there is one for us (on Linux, not on Android): a preloaded library that
//! wraps the C library's `open` and `read` does not see it.

mod maps;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

pub(crate) use maps::{Mapping, parse_maps};

/// More than any memory map of a sane process; a longer file is refused rather than cut.
const MAX_BYTES: usize = 16 * 1024 * 1024;
const PIECE: usize = 64 * 1024;
/// Enough for any app; the bound is for a process that somebody filled with threads.
const MAX_THREADS: usize = 4_096;

/// A process's folder in `/proc`.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    folder: PathBuf,
    is_this: bool,
}

impl Process {
    /// This one.
    pub(crate) fn current() -> Self {
        Self { folder: "/proc/self".into(), is_this: true }
    }

    /// Another, by its number.
    pub(crate) fn of(pid: u32) -> Self {
        Self { folder: format!("/proc/{pid}").into(), is_this: false }
    }

    /// One file of it, such as `auxv`.
    pub(crate) fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        read(self.folder.join(file))
    }

    /// The same as text; bytes that are not UTF-8 (file names may hold them) are replaced.
    pub(crate) fn text(&self, file: &str) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&self.read(file)?).into_owned())
    }

    /// Its memory. A process that is not dumpable, as every released app on Android is, may not open the file for its own
    /// memory, but may ask the kernel to copy from it.
    pub(crate) fn memory(&self) -> io::Result<Memory> {
        match open(self.folder.join("mem"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => Ok(Memory::File(file)),
            Err(Errno::ACCESS | Errno::PERM)
                if self.is_this && cfg!(any(target_os = "linux", target_os = "android")) =>
            {
                Ok(Memory::Own)
            }
            Err(problem) => Err(problem.into()),
        }
    }

    /// The `status` of each of its threads.
    pub(crate) fn threads(&self) -> Vec<String> {
        let Ok(threads) = std::fs::read_dir(self.folder.join("task")) else { return Vec::new() };
        let status = |thread: std::fs::DirEntry| read(thread.path().join("status")).ok();
        threads
            .flatten()
            .take(MAX_THREADS)
            .filter_map(status)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }
}

/// The whole file.
///
/// # Errors
/// As the system said; `FileTooLarge` beyond 16 MiB.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = open(path.as_ref(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        match rustix::io::read(&file, &mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(Errno::INTR) => {}
            Err(problem) => return Err(problem.into()),
        }
        if bytes.len() > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

/// The value of a line `Name:\tvalue` of a `status` file.
pub(crate) fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Memory by address: pages as the processor would fetch them, and an error where nothing is mapped, so that no pointer is
/// ever followed.
#[derive(Debug)]
pub(crate) enum Memory {
    /// `/proc/pid/mem`
    File(OwnedFd),
    /// This process's own, by `process_vm_readv`.
    Own,
}

impl Memory {
    /// Fills `out` with what lies at `address`.
    pub(crate) fn read_exact_at(&self, out: &mut [u8], address: u64) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let address = address.wrapping_add(done as u64);
            let read = match self {
                Self::File(file) => rustix::io::pread(file, rest, address),
                Self::Own => read_own(rest, address),
            };
            match read {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(problem) => return Err(problem.into()),
            }
        }
        Ok(())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn read_own(out: &mut [u8], address: u64) -> Result<usize, Errno> {
    use nix::sys::uio::{RemoteIoVec, process_vm_readv};
    let base = usize::try_from(address).map_err(|_| Errno::FAULT)?;
    let from = [RemoteIoVec { base, len: out.len() }];
    process_vm_readv(nix::unistd::Pid::this(), &mut [io::IoSliceMut::new(out)], &from)
        .map_err(|problem| Errno::from_raw_os_error(problem as i32))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn read_own(_: &mut [u8], _: u64) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}
