//! What a file says of the app in it. Comes in: a path. Goes out: package, version, signers, and one build for each
//! image that runs on its own.
//! Proven between: the measurements are of this file's own bytes; what an APK says of its signers was signed by them.

use std::fs::File;
use std::path::Path;

use attest_core::measurement::Measurement;
use attest_core::reference::{PackageFacts, Platform};

use crate::error::AppFileError;
use crate::progress::Progress;
use crate::source::Source;
use crate::zip::Archive;
use crate::{apk, elf, ipa};

/// The largest file that is read: what archives without 64-bit fields can be, and what stores take.
const MOST_BYTES: u64 = 4 << 30;

/// What to read, and whom to tell how far it is.
pub struct Options<'a> {
    /// The libraries to measure.
    ///
    /// ELF: beside the program, `NAME` (in the program's own folder) or `NAME=PATH`. APK: which of the native
    /// libraries, by name; none: all of them. At most 64.
    pub libraries: Vec<String>,
    /// Called as reading goes on, with the bytes done and the bytes in all (which may grow).
    pub progress: &'a dyn Fn(u64, u64),
}

impl<'a> Options<'a> {
    /// No libraries named.
    #[must_use]
    pub fn new(progress: &'a dyn Fn(u64, u64)) -> Self {
        Self { libraries: Vec::new(), progress }
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Options").field("libraries", &self.libraries).finish_non_exhaustive()
    }
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A program for Linux.
    Elf,
    /// An Android package.
    Apk,
    /// An iOS app archive.
    Ipa,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppFile {
    /// The platform that runs it.
    pub platform: Platform,
    /// The kind of file.
    pub kind: Kind,
    /// Its package or bundle name, team, and the SHA-256 of each certificate that signed it, the newest scheme's
    /// first. Empty for an ELF program, which says nothing of the kind.
    pub package: PackageFacts,
    /// The version that the file names (`versionName`, `CFBundleShortVersionString`), where it names one.
    pub version: Option<String>,
    /// One for each image that runs on its own: the program, or the native code of each ABI. At least one.
    pub builds: Vec<FileBuild>,
    /// What only an APK has.
    pub android: Option<AndroidFacts>,
    /// What the operator should know: a sentence each, such as what of the file was not measured and why.
    pub notes: Vec<String>,
}

/// What an Android manifest says besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AndroidFacts {
    /// `versionCode`, with `versionCodeMajor` in its upper half.
    pub version_code: Option<u64>,
    /// `minSdkVersion`.
    pub min_sdk: Option<u32>,
}

/// One build in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileBuild {
    /// The ABI (`arm64-v8a`), or empty where there is only one.
    pub label: String,
    /// What it measures to; `None` where nothing in it can be measured.
    pub measurement: Option<Measurement>,
    /// The libraries in the measurement, sorted. The app's SDK must be told the same names.
    pub libraries: Vec<String>,
}

/// Reads the file at `path`.
///
/// # Errors
/// [`AppFileError`], which says what is wrong with the file and what to do.
pub fn read(path: &Path, options: &Options<'_>) -> Result<AppFile, AppFileError> {
    let unreadable = |problem| AppFileError::Read { what: path.display().to_string(), problem };
    // Asked before it is opened: opening a pipe would wait for its writer.
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() {
        return Err(unreadable(std::io::Error::other("not a file")));
    }
    let file = File::open(path).map_err(unreadable)?;
    let len = file.metadata().map_err(unreadable)?.len();
    read_source(&Source::file(&file, len), path.parent(), options)
}

/// Reads a file that is in memory. Libraries of an ELF program are found by `NAME=PATH` only.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: &[u8], options: &Options<'_>) -> Result<AppFile, AppFileError> {
    read_source(&Source::memory(bytes), None, options)
}

fn read_source(source: &Source<'_>, folder: Option<&Path>, options: &Options<'_>) -> Result<AppFile, AppFileError> {
    if source.len() > MOST_BYTES {
        return Err(AppFileError::TooLarge { what: "the file".into(), most: MOST_BYTES });
    }
    let progress = Progress::new(options.progress);
    let magic = source.take_up_to(0, 4)?;
    if magic == *b"\x7fELF" {
        return elf::read(source, folder, &options.libraries, &progress);
    }
    if magic != *b"PK\x03\x04" {
        return Err(AppFileError::NotAnApp);
    }
    let archive = Archive::open(source)?;
    let has = |name: &str| archive.entry(name).is_some();
    if has(apk::MANIFEST) {
        return apk::read(&archive, &options.libraries, &progress);
    }
    if has("BundleConfig.pb") || has("base/manifest/AndroidManifest.xml") {
        return Err(AppFileError::AppBundle);
    }
    if archive.entries().iter().any(|entry| entry.name.starts_with("Payload/")) {
        return ipa::read(&archive, &options.libraries, &progress);
    }
    if archive.entries().iter().any(|entry| entry.name.ends_with(".apk")) {
        return Err(AppFileError::SplitApks);
    }
    Err(AppFileError::NotAnApp)
}
