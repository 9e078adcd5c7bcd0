//! The measurement of the running program. Comes in: this process's own memory. Goes out: the digest that
//! registration computed from the file, or why there is none.
//! Proven between: every byte came from memory as it is *now*. A breakpoint that a tracer wrote, or a patch that
//! was applied after loading, sits in a private copy of the page and is seen; the clean file on disk is not asked.

mod image;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use attest_core::measurement::{ElfError, Measurement, NotAsPlanned, measure_file};

use crate::procfs;

/// Measures the executable and read-only segments of the running main program.
///
/// Takes time in proportion to the program's size (about a millisecond for each MiB without SHA instructions) and
/// touches each of its pages: call it off the threads that must not wait. It is never cached: a digest from a minute
/// ago says nothing about the image of now.
///
/// # Errors
/// [`MeasureError`]: `/proc` is not there or closed to us (a process that is not dumpable), or the program in
/// memory is not a 64-bit little-endian ELF image. Started as an argument of the dynamic loader
/// (`ld.so ./app`), the main program is the loader, and its measurement is what comes out.
///
/// # Source
/// proc(5) `/proc/pid/mem`, getauxval(3) `AT_PHDR`, elf(5).
pub fn self_image() -> Result<Measurement, MeasureError> {
    let auxv = procfs::read("/proc/self/auxv")?;
    let maps = procfs::read_text("/proc/self/maps")?;
    let (address, program_headers) = image::header_address(&auxv, &maps)?;
    let memory = OwnMemory(File::open("/proc/self/mem")?);
    let plan = image::plan_in_memory(&memory, address, program_headers)?;
    image::measure(&memory, address, &plan)
}

/// Measures an executable file, as registration does.
///
/// # Errors
/// [`MeasureError`]: the file can't be read, or is not a 64-bit little-endian ELF file.
pub fn file(path: impl Into<PathBuf>) -> Result<Measurement, MeasureError> {
    Ok(measure_file(&std::fs::read(path.into())?)?)
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The process's own memory or memory map can't be read.
    #[error("cannot read the program's own memory: {0}")]
    Read(#[from] io::Error),
    /// The kernel did not say where the program headers are.
    #[error("the auxiliary vector names no program headers")]
    NoAuxiliaryVector,
    /// No mapping holds the program headers.
    #[error("the program headers are not in the memory map")]
    NotMapped,
    /// The ELF header in memory does not belong to the program headers that the kernel used.
    #[error("the ELF header in memory does not match the program that was started")]
    HeaderMoved,
    /// Not an image that can be measured.
    #[error("not a measurable program: {0}")]
    Elf(#[from] ElfError),
    /// The program in memory is not as long as its own headers say.
    #[error("the program in memory is not as its headers say")]
    Length(#[from] NotAsPlanned),
}

/// `/proc/self/mem`: reads pages as the processor would fetch them, and fails where nothing is mapped, so that no
/// pointer is ever followed.
struct OwnMemory(File);

impl image::Memory for OwnMemory {
    fn read_exact_at(&self, out: &mut [u8], address: u64) -> io::Result<()> {
        self.0.read_exact_at(out, address)
    }
}
