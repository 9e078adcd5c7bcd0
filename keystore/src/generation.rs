//! What a machine remembers of stores it opened. In: a store's id and generation. Out: whether an older one was put
//! back; an old file is valid in itself (a rotated, leaked key in it too), so only a memory outside can tell.
//!
//! A fresh machine can't know: its first store is taken as it comes, unless the configuration pins the lowest generation.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::atomic::{self, Lock};

/// The highest generation seen of each store, and the lowest that is taken.
#[derive(Debug)]
pub struct GenerationMemory {
    place: Place,
    least: u64,
}

/// How old a store is, next to what is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// As new as any that was seen, and new enough.
    Fresh,
    /// A later one was seen here.
    RolledBack { seen: u64 },
    /// Older than the configuration takes, even on a machine that has seen none.
    BelowMinimum { least: u64 },
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Process(Mutex<BTreeMap<String, u64>>),
}

impl GenerationMemory {
    /// A memory in a file, say `keystore-generations.json` in the gateway's state directory. The file is made when there is
    /// something to remember; its directory has to exist then.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::File(path.into()), least: 0 }
    }

    /// A memory that ends with the process: for checks and tests.
    pub fn in_process() -> Self {
        Self { place: Place::Process(Mutex::default()), least: 0 }
    }

    /// The same memory, which takes no generation below `least` whatever it has seen: what the configuration pins as
    /// `min_generation`, since a fresh machine has seen none.
    #[must_use]
    pub fn at_least(self, least: u64) -> Self {
        Self { least, ..self }
    }

    /// How old this generation of a store is.
    ///
    /// # Errors
    /// As [`GenerationMemory::seen`].
    pub(crate) fn age_of(&self, store: &[u8; 16], generation: u64) -> Result<Age, MemoryError> {
        if generation < self.least {
            return Ok(Age::BelowMinimum { least: self.least });
        }
        match self.seen(store)? {
            Some(seen) if seen > generation => Ok(Age::RolledBack { seen }),
            _ => Ok(Age::Fresh),
        }
    }

    /// The highest generation seen of this store.
    ///
    /// # Errors
    /// The file is there and can't be read: that is not the same as having seen nothing.
    pub(crate) fn seen(&self, store: &[u8; 16]) -> Result<Option<u64>, MemoryError> {
        let store = BASE64URL_NOPAD.encode(store);
        match &self.place {
            Place::File(path) => Ok(read(path)?.seen.get(&store).copied()),
            Place::Process(seen) => Ok(seen.lock().unwrap_or_else(PoisonError::into_inner).get(&store).copied()),
        }
    }

    /// Remembers a generation, unless a higher one was seen.
    pub(crate) fn remember(&self, store: &[u8; 16], generation: u64) -> Result<(), MemoryError> {
        self.update(store, |seen| seen.is_none_or(|seen| seen < generation).then_some(generation))
    }

    /// Remembers this generation in place of a higher one: whoever says so has looked at the store, and knows why it is
    /// an old one.
    pub(crate) fn accept(&self, store: &[u8; 16], generation: u64) -> Result<(), MemoryError> {
        self.update(store, |seen| (seen != Some(generation)).then_some(generation))
    }

    /// Writes what `next` makes of what was seen, if it makes anything.
    fn update(&self, store: &[u8; 16], next: impl Fn(Option<u64>) -> Option<u64>) -> Result<(), MemoryError> {
        let store = BASE64URL_NOPAD.encode(store);
        match &self.place {
            Place::Process(seen) => {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(generation) = next(seen.get(&store).copied()) {
                    seen.insert(store, generation);
                }
                Ok(())
            }
            Place::File(path) => {
                let cannot = |source| MemoryError::Io { path: path.clone(), source };
                if next(read(path)?.seen.get(&store).copied()).is_none() {
                    return Ok(());
                }
                // A gateway and a command may both come here: read again under the lock.
                let _lock = Lock::wait_for(path).map_err(cannot)?;
                let mut memory = read(path)?;
                let Some(generation) = next(memory.seen.get(&store).copied()) else { return Ok(()) };
                memory.seen.insert(store, generation);
                let mut text = serde_json::to_vec_pretty(&memory).map_err(|error| cannot(error.into()))?;
                text.push(b'\n');
                atomic::replace(path, &text).map_err(cannot)
            }
        }
    }
}

/// Why it can't be told what was seen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The file can't be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what this crate writes.
    #[error("{}: not a memory of generations; if it was damaged, remove it: the next start takes the key store as it comes", .path.display())]
    NotAMemory {
        /// Which file.
        path: PathBuf,
    },
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    format: String,
    seen: BTreeMap<String, u64>,
}

const FORMAT: &str = "assay-keystore-generations-v1";
/// Room for hundreds of stores; a machine opens one or two.
const MAX_BYTES: usize = 64 * 1024;

fn read(path: &Path) -> Result<Memory, MemoryError> {
    let most = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    match atomic::open_regular(path).and_then(|file| file.take(most).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Memory { format: FORMAT.to_owned(), seen: BTreeMap::new() });
        }
        Err(source) => return Err(MemoryError::Io { path: path.to_path_buf(), source }),
    }
    let memory = Some(bytes).filter(|bytes| bytes.len() <= MAX_BYTES);
    let memory = memory.and_then(|bytes| serde_json::from_slice::<Memory>(&bytes).ok());
    memory.filter(|memory| memory.format == FORMAT).ok_or_else(|| MemoryError::NotAMemory { path: path.to_path_buf() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_damaged_memory_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("generations.json");
        for bad in [
            "",
            "{",
            "{}",
            r#"{"format":"other","seen":{}}"#,
            r#"{"format":"assay-keystore-generations-v1","seen":{"a":-1}}"#,
        ] {
            fs::write(&path, bad).unwrap();
            let memory = GenerationMemory::file(&path);
            assert!(matches!(memory.seen(&[1; 16]), Err(MemoryError::NotAMemory { .. })), "{bad}");
            assert!(memory.remember(&[1; 16], 1).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_highest_generation_is_remembered_and_each_store_for_itself() {
        let dir = tempfile::tempdir().unwrap();
        for memory in [GenerationMemory::file(dir.path().join("generations.json")), GenerationMemory::in_process()] {
            assert_eq!(memory.seen(&[1; 16]).unwrap(), None);
            memory.remember(&[1; 16], 7).unwrap();
            memory.remember(&[1; 16], 3).unwrap();
            memory.remember(&[2; 16], 1).unwrap();
            assert_eq!((memory.seen(&[1; 16]).unwrap(), memory.seen(&[2; 16]).unwrap()), (Some(7), Some(1)));
        }
    }

    #[test]
    fn an_absent_directory_is_named() {
        let memory = GenerationMemory::file("/nonexistent/state/generations.json");
        assert_eq!(memory.seen(&[1; 16]).unwrap(), None);
        assert!(memory.remember(&[1; 16], 1).unwrap_err().to_string().contains("/nonexistent/state"));
    }
}
