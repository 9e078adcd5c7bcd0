//! Native code. Comes in: the archive, and which libraries to measure. Goes out: one build for each ABI.
//! An app's process on Android is started by the system's own program, so its main image is a library: the first by
//! name of those that are measured. The SDK sorts them alike.

use std::collections::{BTreeMap, BTreeSet};

use attest_core::measurement::{ElfError, Measurement, combine, measure_file};

use crate::app_file::FileBuild;
use crate::elf::check_name;
use crate::error::AppFileError;
use crate::progress::Progress;
use crate::zip::{Archive, Entry};

/// The largest library that is unpacked.
const MAX_LIBRARY: u64 = 512 << 20;
/// Libraries of one ABI, and ABIs.
const MAX_LIBRARIES: usize = 256;
const MAX_ABIS: usize = 16;

/// What there is to register.
pub(super) struct Native {
    pub(super) builds: Vec<FileBuild>,
    pub(super) notes: Vec<String>,
}

pub(super) fn measure(
    archive: &Archive<'_>,
    wanted: &[String],
    progress: &Progress<'_>,
) -> Result<Native, AppFileError> {
    let wanted = names(wanted)?;
    let mut abis: BTreeMap<&str, BTreeMap<&str, &Entry>> = BTreeMap::new();
    for entry in archive.entries() {
        let Some((abi, name)) = place(&entry.name) else { continue };
        abis.entry(abi).or_default().insert(name, entry);
    }
    let too_many = abis.len() > MAX_ABIS || abis.values().any(|libraries| libraries.len() > MAX_LIBRARIES);
    if too_many {
        return Err(AppFileError::Archive("it has more than 16 ABIs, or more than 256 libraries for one"));
    }
    if let (Some(name), true) = (wanted.first(), abis.is_empty()) {
        return Err(AppFileError::LibraryMissing { name: (*name).to_owned(), place: format!("lib/*/{name}") });
    }
    let mut native = Native { builds: Vec::new(), notes: Vec::new() };
    for (abi, libraries) in abis {
        let chosen: Vec<(&str, &Entry)> = if wanted.is_empty() {
            libraries.into_iter().collect()
        } else {
            let mut chosen = Vec::new();
            for name in &wanted {
                let entry = libraries.get(name).copied().ok_or_else(|| AppFileError::LibraryMissing {
                    name: (*name).to_owned(),
                    place: format!("lib/{abi}/{name}"),
                })?;
                chosen.push((*name, entry));
            }
            chosen
        };
        native.builds.push(build(archive, abi, &chosen, progress, &mut native.notes)?);
    }
    if native.builds.is_empty() {
        native.builds.push(FileBuild { label: String::new(), measurement: None, libraries: Vec::new() });
        native.notes.push("no native libraries: nothing of this app can be measured".into());
    }
    Ok(native)
}

/// The names asked for, each once, sorted.
fn names(wanted: &[String]) -> Result<Vec<&str>, AppFileError> {
    let mut names = BTreeSet::new();
    for name in wanted {
        let problem = |problem| AppFileError::LibraryName { name: name.clone(), problem };
        if name.contains('=') {
            return Err(problem("is in the APK: name it without a path"));
        }
        check_name(name)?;
        if !names.insert(name.as_str()) {
            return Err(problem("named twice"));
        }
    }
    Ok(names.into_iter().collect())
}

/// ABI and library of `lib/<abi>/<name>.so`.
fn place(path: &str) -> Option<(&str, &str)> {
    let (abi, name) = path.strip_prefix("lib/")?.split_once('/')?;
    let is_abi = abi.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    (is_abi && abi.len() <= 32 && name.ends_with(".so") && !name.contains('/')).then_some((abi, name))
}

fn build(
    archive: &Archive<'_>,
    abi: &str,
    chosen: &[(&str, &Entry)],
    progress: &Progress<'_>,
    notes: &mut Vec<String>,
) -> Result<FileBuild, AppFileError> {
    chosen.iter().for_each(|(_, entry)| progress.expect(entry.size));
    let mut measured: Vec<(String, Measurement)> = Vec::new();
    for (name, entry) in chosen {
        check_name(name)?;
        let bytes = archive.unpack(entry, MAX_LIBRARY)?;
        progress.advance(entry.size);
        match measure_file(&bytes) {
            Ok(measurement) => measured.push(((*name).to_owned(), measurement)),
            // `EI_CLASS` 1: what 32-bit processors run.
            Err(ElfError::NotElf) if bytes.starts_with(b"\x7fELF\x01") => {
                notes.push(format!("{abi}: 32-bit libraries are not measured"));
                return Ok(FileBuild { label: abi.to_owned(), measurement: None, libraries: Vec::new() });
            }
            Err(problem) => return Err(AppFileError::Elf { what: entry.name.clone(), problem }),
        }
    }
    let libraries = measured.iter().map(|(name, _)| name.clone()).collect();
    let measurement = measured.split_first().map(|((_, main), others)| combine(main, others));
    Ok(FileBuild { label: abi.to_owned(), measurement, libraries })
}
