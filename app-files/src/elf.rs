//! A program for Linux. Comes in: the file, and the names of libraries. Goes out: one build with one measurement.
//! Proven between: the plan is made from the first page alone, as in the running process, so what can be registered
//! can be measured there too.

use std::fs::File;
use std::path::{Path, PathBuf};

use attest_core::measurement::{ElfError, Hasher, Measurement, combine, plan};
use attest_core::reference::{PackageFacts, Platform};

use crate::app_file::{AppFile, FileBuild, Kind};
use crate::error::AppFileError;
use crate::progress::Progress;
use crate::source::Source;

/// What a running program is asked for: one page is mapped whole.
const HEADER_BYTES: usize = 4096;

/// Libraries at most, and bytes of a name at most.
const MAX_LIBRARIES: usize = 64;
const MAX_NAME: usize = 128;

pub(crate) fn read(
    source: &Source<'_>,
    folder: Option<&Path>,
    libraries: &[String],
    progress: &Progress<'_>,
) -> Result<AppFile, AppFileError> {
    let named = named(libraries, folder)?;
    let main = measure(source, "the program", progress)?;
    let mut measured = Vec::new();
    for (name, path) in named {
        let unreadable = |problem: std::io::Error| match problem.kind() {
            std::io::ErrorKind::NotFound => {
                AppFileError::LibraryMissing { name: name.clone(), place: path.display().to_string() }
            }
            _ => AppFileError::Read { what: path.display().to_string(), problem },
        };
        let meta = std::fs::metadata(&path).map_err(unreadable)?;
        if !meta.is_file() {
            return Err(AppFileError::LibraryName { name, problem: "its path is not a file" });
        }
        let file = File::open(&path).map_err(unreadable)?;
        let measurement = measure(&Source::file(&file, meta.len()), &name, progress)?;
        measured.push((name, measurement));
    }
    measured.sort_unstable_by(|(one, _), (two, _)| one.cmp(two));
    let build = FileBuild {
        label: String::new(),
        measurement: Some(combine(&main, &measured)),
        libraries: measured.into_iter().map(|(name, _)| name).collect(),
    };
    Ok(AppFile {
        platform: Platform::Linux,
        kind: Kind::Elf,
        package: PackageFacts::default(),
        version: None,
        builds: vec![build],
        android: None,
        notes: Vec::new(),
    })
}

/// Measures a file without holding it.
fn measure(source: &Source<'_>, what: &str, progress: &Progress<'_>) -> Result<Measurement, AppFileError> {
    let wrong = |problem| AppFileError::Elf { what: what.to_owned(), problem };
    let plan = plan(&source.take_up_to(0, HEADER_BYTES)?).map_err(wrong)?;
    let mut hasher = Hasher::new(&plan);
    for segment in plan.segments() {
        progress.expect(segment.size);
        let end = segment.offset.checked_add(segment.size).filter(|end| *end <= source.len());
        let end = end.ok_or_else(|| wrong(ElfError::Truncated))?;
        source.stream(segment.offset, end, &mut |piece| {
            progress.advance(piece.len() as u64);
            hasher.update(piece).map_err(|_| wrong(ElfError::Truncated))
        })?;
    }
    hasher.finish().map_err(|_| wrong(ElfError::Truncated))
}

/// Each library's name and where its file is.
fn named(libraries: &[String], folder: Option<&Path>) -> Result<Vec<(String, PathBuf)>, AppFileError> {
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for text in libraries {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (name, Some(PathBuf::from(path))),
            None => (text.as_str(), folder.map(|folder| folder.join(text))),
        };
        check_name(name)?;
        let problem = |problem| AppFileError::LibraryName { name: name.to_owned(), problem };
        let path = path.ok_or_else(|| problem("say where its file is: NAME=PATH"))?;
        if found.iter().any(|(other, _)| other == name) {
            return Err(problem("named twice"));
        }
        found.push((name.to_owned(), path));
    }
    if found.len() > MAX_LIBRARIES {
        let name = libraries.last().cloned().unwrap_or_default();
        return Err(AppFileError::LibraryName { name, problem: "more than 64 libraries" });
    }
    Ok(found)
}

/// A file name as a loader and a memory map have it: no folder, nothing that a terminal would act on.
pub(crate) fn check_name(name: &str) -> Result<(), AppFileError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-');
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(fits) && !name.bytes().all(|byte| byte == b'.') {
        return Ok(());
    }
    let problem = "a file name of 1 to 128 of A-Z a-z 0-9 . _ + -, without its folder";
    Err(AppFileError::LibraryName { name: name.to_owned(), problem })
}
