//! Configurations that ran, on disk, for a start with files that are bad.
//!
//! In comes the text of each configuration that was taken; out come the last five, newest first. Proven of one that is read: nothing is
//! missing, no bit is changed, nobody else could have written it. It is loaded by the same loader as the files are, with the secrets
//! that are where it says now: none is kept here.
//!
//! A generation is written beside its name, brought to the disk and renamed, and the folder after it. Killed at any moment,
//! a gateway leaves the old ones or the old ones and the new one. What can't be read is passed over with a warning, and the one before
//! it is tried.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use attest_core::time::UnixTime;
use settings::{Bundle, Overrides, Settings};

use crate::reload::{FromLastGood, LoadError};
use crate::whole_file;

pub(crate) mod keeper;
mod place;

use place::state_dirs;

/// How many are kept.
const KEPT: usize = 5;
/// In the state folder.
const FOLDER: &str = "generations";
const SUFFIX: &str = ".bundle";
/// Bytes of one; a bundle is at most 64 MiB of text, and names.
const LARGEST: u64 = 96 << 20;

/// The kept generations of one state folder.
#[derive(Clone, Debug)]
pub struct LastGood {
    folder: PathBuf,
}

/// One of them.
#[derive(Debug)]
pub struct Kept {
    /// When it was taken.
    pub taken: UnixTime,
    /// Rises with each that is kept.
    pub number: u64,
    path: PathBuf,
}

/// A configuration to start with although its files are bad.
#[derive(Debug)]
pub struct Resumed {
    /// What was running.
    pub settings: Settings,
    /// Since when.
    pub taken: UnixTime,
}

/// What to start with instead of a file that does not load: what ran before, if it is kept and loads. `report`: what is wrong with the
/// file.
#[must_use]
pub fn instead(configuration: &Path, overrides: &Overrides, report: LoadError) -> Option<(Settings, FromLastGood)> {
    let kept = state_dirs(configuration)
        .into_iter()
        .find_map(|state| LastGood::of(&state).resume(configuration, overrides).next())?;
    Some((kept.settings, FromLastGood { taken: kept.taken, report }))
}

impl LastGood {
    /// The generations in this state folder. Nothing is made or read yet.
    #[must_use]
    pub fn of(state_dir: &Path) -> Self {
        Self { folder: state_dir.join(FOLDER) }
    }

    /// Keeps `bundle`, unless it is what was kept last. True: it was written.
    ///
    /// # Errors
    /// What the file system says; those that were kept before are as they were.
    pub fn keep(&self, bundle: &Bundle, now: UnixTime) -> io::Result<bool> {
        let kept = self.kept();
        let bytes = bundle.to_bytes();
        if kept.first().is_some_and(|newest| newest.bytes().is_ok_and(|same| same == bytes)) {
            return Ok(false);
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let number = kept.first().map_or(0, |newest| newest.number).saturating_add(1);
        let path = self.folder.join(name(number, now));
        whole_file::replace(&path, &bytes)?;
        for old in kept.iter().skip(KEPT - 1) {
            // A leftover is no fault: it is tried again with the next one.
            let _ = fs::remove_file(&old.path);
        }
        Ok(true)
    }

    /// What is there, newest first; nothing is read yet.
    #[must_use]
    pub fn kept(&self) -> Vec<Kept> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut kept: Vec<Kept> = entries
            .filter_map(|entry| {
                let name = entry.file_name();
                let (number, taken) = parse(name.to_str()?)?;
                Some(Kept { taken, number, path: entry.path() })
            })
            .collect();
        kept.sort_by_key(|one| std::cmp::Reverse(one.number));
        kept
    }

    /// The configurations that load, the newest first; each is read when it is asked for. `configuration`: where its file would be, for
    /// relative names.
    pub fn resume(&self, configuration: &Path, overrides: &Overrides) -> impl Iterator<Item = Resumed> {
        self.kept().into_iter().filter_map(move |kept| match kept.load(configuration, overrides) {
            Ok(settings) => Some(Resumed { settings, taken: kept.taken }),
            Err(why) => {
                tracing::warn!(file = %kept.path.display(), "a kept configuration is passed over: {why}");
                None
            }
        })
    }
}

impl Kept {
    /// The settings it makes today.
    ///
    /// # Errors
    /// Why it can't be used, in words.
    pub fn load(&self, configuration: &Path, overrides: &Overrides) -> Result<Settings, String> {
        let bytes = self.bytes().map_err(|why| why.to_string())?;
        let bundle = Bundle::from_bytes(&bytes).map_err(|why| why.to_string())?;
        let loaded = settings::load_bundle(configuration, &bundle, overrides).map_err(|report| report.to_string())?;
        Ok(loaded.settings)
    }

    fn bytes(&self) -> io::Result<Vec<u8>> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&self.path)?;
        let meta = file.metadata()?;
        // A bundle's digest tells damage, not authorship: only the file system tells that.
        if !meta.is_file() || meta.mode() & 0o022 != 0 {
            return Err(io::Error::other("others may write it"));
        }
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// `0000000000017-1795358400000.bundle`: names sort as numbers do.
fn name(number: u64, taken: UnixTime) -> String {
    format!("{number:013}-{}{SUFFIX}", taken.millis())
}

fn parse(name: &str) -> Option<(u64, UnixTime)> {
    let (number, taken) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    Some((number.parse().ok()?, UnixTime::from_millis(taken.parse().ok()?)))
}

#[cfg(test)]
mod tests;
