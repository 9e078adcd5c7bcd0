//! The measurement of the running program. Comes in: a process's own memory. Goes out: the digest that registration
//! computed from the files, or why there is none.
//! Proven between: every byte came from memory as it is *now*. A breakpoint that a tracer wrote, or a patch that
//! was applied after loading, sits in a private copy of the page and is seen; the clean file on disk is not asked.

mod image;
mod library;

use std::io;
use std::path::PathBuf;

use attest_core::measurement::{ElfError, Measurement, NotAsPlanned, combine, measure_file};

use crate::procfs::{self, Process, parse_maps};

/// Measures the executable and read-only segments of the running main program.
///
/// Takes time in proportion to the program's size (about a millisecond of processor time for each MiB) and touches
/// each of its pages: call it off the threads that must not wait. It is never cached: a digest from a minute ago says
/// nothing about the image of now.
///
/// # Errors
/// [`MeasureError`]: `/proc` is not there or closed to us (on Linux also a process that is not dumpable, whose auxiliary
/// vector can't be read; an Android app's libraries can be measured all the same), or the program in memory is not a 64-bit little-endian ELF image. Started as an argument of the dynamic loader
/// (`ld.so ./app`), the main program is the loader, and its measurement is what comes out.
///
/// # Source
/// proc(5) `/proc/pid/mem`, getauxval(3) `AT_PHDR`, elf(5).
pub fn self_image() -> Result<Measurement, MeasureError> {
    self_image_with::<&str>(&[])
}

/// The same, with the loaded libraries of these names: those that the registration named, in any order.
///
/// A name is the file's name as it was loaded (`libshop.so`), or what the library calls itself (`DT_SONAME`), which is
/// how a library is found that Android maps out of the APK. On Android the app's process is started by the system's own
/// program: there the main image is the first by name of these libraries, and at least one must be named.
///
/// # Errors
/// As [`self_image`]; [`MeasureError::NotLoaded`] and [`MeasureError::LoadedTwice`].
pub fn self_image_with<Name: AsRef<str>>(libraries: &[Name]) -> Result<Measurement, MeasureError> {
    measure(&Process::current(), libraries, MAIN)
}

/// Measures another process, as it would measure itself. For supervisors and tests: it needs the right to trace the
/// process, and what comes out is only as good as the kernel between the two.
///
/// # Errors
/// As [`self_image_with`].
pub fn process_image<Name: AsRef<str>>(pid: u32, libraries: &[Name]) -> Result<Measurement, MeasureError> {
    measure(&Process::of(pid), libraries, MAIN)
}

/// Measures an executable file, as registration does.
///
/// # Errors
/// [`MeasureError`]: the file can't be read, or is not a 64-bit little-endian ELF file.
pub fn file(path: impl Into<PathBuf>) -> Result<Measurement, MeasureError> {
    Ok(measure_file(&std::fs::read(path.into())?)?)
}

/// What the main image is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Main {
    /// The program that the kernel started.
    Program,
    /// The first of the libraries: an app on Android.
    FirstLibrary,
}

const MAIN: Main = if cfg!(target_os = "android") { Main::FirstLibrary } else { Main::Program };

fn measure<Name: AsRef<str>>(process: &Process, libraries: &[Name], main: Main) -> Result<Measurement, MeasureError> {
    let maps = process.text("maps")?;
    let maps = parse_maps(&maps);
    let memory = process.memory()?;
    let mut names: Vec<&str> = libraries.iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    names.dedup();
    let mut measured = Vec::new();
    for name in names {
        let (address, plan) = library::find(&memory, &maps, name)?;
        measured.push((name.to_owned(), image::measure(&memory, address, &plan)?));
    }
    if main == Main::FirstLibrary {
        let ((_, main), others) = measured.split_first().ok_or(MeasureError::NoLibrary)?;
        return Ok(combine(main, others));
    }
    let (address, program_headers) = image::header_address(&process.read("auxv")?, &maps)?;
    let plan = image::plan_in_memory(&memory, address, program_headers)?;
    Ok(combine(&image::measure(&memory, address, &plan)?, &measured))
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
    /// A library that is to be measured is not in memory (yet).
    #[error("library {name} is not loaded: load it before the first fetch")]
    NotLoaded {
        /// The library.
        name: String,
    },
    /// Two libraries of one name are in memory, and it can't be told which is meant.
    #[error("library {name} is loaded twice, from two places")]
    LoadedTwice {
        /// The library.
        name: String,
    },
    /// On Android a library must be named.
    #[error("name the app's native library with measure_library: the process's own program is the system's")]
    NoLibrary,
}

impl image::Memory for procfs::Memory {
    fn read_exact_at(&self, out: &mut [u8], address: u64) -> io::Result<()> {
        Self::read_exact_at(self, out, address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_android_app_is_measured_by_its_libraries_alone() {
        let process = Process::current();
        let none: [&str; 0] = [];
        assert!(matches!(measure(&process, &none, Main::FirstLibrary), Err(MeasureError::NoLibrary)));
        let maps = process.text("maps").unwrap();
        let maps = parse_maps(&maps);
        let libc = maps.iter().find(|mapping| mapping.file_name().starts_with("libc.so")).unwrap();
        let on_disk = file(libc.path).unwrap();
        assert_eq!(measure(&process, &[libc.file_name()], Main::FirstLibrary).unwrap(), on_disk);
    }
    const NOT_DUMPABLE: &str = "ASSAY_TEST_IS_NOT_DUMPABLE";

    /// As every released app on Android is. The child is a user of no rights: root would be let in all the same.
    #[test]
    fn a_process_that_is_not_dumpable_is_measured_too() {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        use std::os::unix::{fs::PermissionsExt, process::CommandExt};

        if std::env::var_os(NOT_DUMPABLE).is_some() {
            set_dumpable_behavior(DumpableBehavior::NotDumpable).unwrap();
            assert!(matches!(Process::current().memory().unwrap(), procfs::Memory::Own));
            return an_android_app_is_measured_by_its_libraries_alone();
        }
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("tests");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        for path in [folder.path(), &program] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut child = std::process::Command::new(program);
        child.args(["--exact", "measure::tests::a_process_that_is_not_dumpable_is_measured_too"]);
        child.env(NOT_DUMPABLE, "1").current_dir("/");
        if rustix::process::geteuid().is_root() {
            child.uid(65_534).gid(65_534);
        }
        let output = child.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
}
