//! Changing a store. In: a lock, the proven contents, changes. Out: the next generation on disk, whole; a change that is
//! not committed never happened. Nothing here overwrites a secret without saying so.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs, io};

use attest_core::random::{Random, array};

use super::manifest::Manifest;
use super::{Contents, Keystore, StoreError, file, read};
use crate::api_key::{ApiKey, KeyName};
use crate::atomic::{self, Lock, StepHook};
use crate::bounds::Bounds;
use crate::generation::GenerationMemory;
use crate::master_key::MasterKey;
use crate::sealed::{Fingerprint, RecordFacts, RecordId, SealError, SealedRecord, StoreKeys, VersionState};

/// A store being changed, by nobody else meanwhile. Dropped without [`Editor::commit`], nothing has changed.
pub struct Editor {
    path: PathBuf,
    contents: Contents,
    _lock: Lock,
}

/// What a `put` made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The new version.
    pub version: NonZeroU32,
    /// `Current` for a new name. `Next` for one that exists: it waits for `rotate`, and what is in use stays in use.
    pub state: VersionState,
    /// The fingerprint of the secret.
    pub fingerprint: Fingerprint,
}

/// What a rotation changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The version that is injected from now on.
    pub current: NonZeroU32,
    /// The one that was, kept so that it is still scrubbed from answers.
    pub previous: NonZeroU32,
    /// The one that was previous before, now gone.
    pub dropped: Option<NonZeroU32>,
}

impl Editor {
    pub(super) fn open(path: &Path, master: &MasterKey, memory: &GenerationMemory) -> Result<Self, StoreError> {
        // A link is followed once and for all: the rename must replace the file, not the link.
        let path = fs::canonicalize(path).map_err(|source| StoreError::Io { path: path.to_path_buf(), source })?;
        let lock = lock(&path)?;
        let contents = read::open(&path, master, memory)?;
        Ok(Self { path, contents, _lock: lock })
    }

    pub(super) fn create(
        path: &Path,
        master: &MasterKey,
        memory: &GenerationMemory,
        random: &dyn Random,
    ) -> Result<Keystore, StoreError> {
        let id = array(random).map_err(SealError::from)?;
        let keys = Arc::new(StoreKeys::new(master, &id));
        let contents = Contents { id, kek_id: master.id(), generation: 1, records: Vec::new(), keys };
        let lock = lock(path)?;
        let bytes = encoded(path, &contents)?;
        match atomic::create(path, &bytes) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(StoreError::Exists { path: path.to_path_buf() })
            }
            Err(source) => Err(StoreError::Io { path: path.to_path_buf(), source }),
            Ok(()) => {
                memory.remember(&id, contents.generation)?;
                drop(lock);
                Ok(Keystore::new(&contents))
            }
        }
    }

    /// Seals a secret. Under a new name it is current at once; under a name that exists it waits as `next`, whatever its
    /// bounds, until [`Editor::rotate`].
    ///
    /// # Errors
    /// `NextExists` when one waits already, `SameSecret` when the key has this secret, `Full`, or no randomness.
    pub fn put(
        &mut self,
        name: &KeyName,
        secret: &ApiKey,
        bounds: Bounds,
        random: &dyn Random,
    ) -> Result<Put, StoreError> {
        if self.contents.records.len() >= MAX_RECORDS {
            return Err(StoreError::Full { most: MAX_RECORDS });
        }
        if let Some(next) = self.version_of(name, VersionState::Next) {
            return Err(StoreError::NextExists { name: name.clone(), version: next });
        }
        let fingerprint = self.contents.keys.fingerprint_of(secret);
        if let Some(same) = self.records_of(name).find(|record| record.fingerprint == fingerprint) {
            return Err(StoreError::SameSecret { name: name.clone(), version: same.version });
        }
        let newest =
            self.records_of(name).max_by_key(|record| record.version).map(|record| (record.id, record.version));
        let (id, version, state) = match newest {
            Some((id, version)) => (id, version.saturating_add(1), VersionState::Next),
            None => (RecordId(array(random).map_err(SealError::from)?), NonZeroU32::MIN, VersionState::Current),
        };
        let facts = RecordFacts { id, name: name.clone(), version, bounds };
        let record = SealedRecord::seal(facts, secret, &self.contents.keys, random)?;
        self.contents.records.push((state, record));
        self.contents
            .records
            .sort_by(|(_, one), (_, other)| one.name.cmp(&other.name).then(one.version.cmp(&other.version)));
        Ok(Put { version, state, fingerprint })
    }

    /// Puts the next version into use: `next` becomes `current`, `current` becomes `previous`, the old `previous` goes.
    ///
    /// # Errors
    /// `NoSuchKey`, or `NoNext` when nothing waits.
    pub fn rotate(&mut self, name: &KeyName) -> Result<Rotated, StoreError> {
        let Some(previous) = self.version_of(name, VersionState::Current) else {
            return Err(StoreError::NoSuchKey { name: name.clone() });
        };
        let Some(current) = self.version_of(name, VersionState::Next) else {
            return Err(StoreError::NoNext { name: name.clone() });
        };
        let dropped = self.version_of(name, VersionState::Previous);
        self.contents.records.retain(|(state, record)| record.name != *name || *state != VersionState::Previous);
        for (state, _) in self.contents.records.iter_mut().filter(|(_, record)| record.name == *name) {
            *state = if *state == VersionState::Next { VersionState::Current } else { VersionState::Previous };
        }
        Ok(Rotated { current, previous, dropped })
    }

    /// Removes a key with all its versions.
    ///
    /// # Errors
    /// `NoSuchKey`.
    pub fn remove(&mut self, name: &KeyName) -> Result<(), StoreError> {
        let before = self.contents.records.len();
        self.contents.records.retain(|(_, record)| record.name != *name);
        if self.contents.records.len() == before { Err(StoreError::NoSuchKey { name: name.clone() }) } else { Ok(()) }
    }

    /// Writes the next generation and lets go of the store. A kill at any moment leaves this generation or the one before.
    ///
    /// # Errors
    /// The file or the memory can't be written. When it is the memory, the new generation is on disk.
    pub fn commit(self, memory: &GenerationMemory) -> Result<Keystore, StoreError> {
        self.commit_step_by_step(memory, &mut |_| {})
    }

    pub(super) fn commit_step_by_step(
        mut self,
        memory: &GenerationMemory,
        step: StepHook<'_>,
    ) -> Result<Keystore, StoreError> {
        self.contents.generation = self.contents.generation.saturating_add(1);
        let bytes = encoded(&self.path, &self.contents)?;
        atomic::replace(&self.path, &bytes, step)
            .map_err(|source| StoreError::Io { path: self.path.clone(), source })?;
        memory.remember(&self.contents.id, self.contents.generation)?;
        Ok(Keystore::new(&self.contents))
    }

    fn records_of(&self, name: &KeyName) -> impl Iterator<Item = &SealedRecord> {
        self.contents.records.iter().map(|(_, record)| record).filter(move |record| record.name == *name)
    }

    fn version_of(&self, name: &KeyName, state: VersionState) -> Option<NonZeroU32> {
        let found = self.contents.records.iter().find(|(other, record)| record.name == *name && *other == state);
        found.map(|(_, record)| record.version)
    }
}

impl fmt::Debug for Editor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Editor({}, generation {})", self.path.display(), self.contents.generation)
    }
}

/// Versions of keys in one store.
const MAX_RECORDS: usize = 1024;

fn lock(path: &Path) -> Result<Lock, StoreError> {
    Lock::take(path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => StoreError::Busy { path: path.to_path_buf() },
        _ => StoreError::Io { path: path.to_path_buf(), source: error },
    })
}

fn encoded(path: &Path, contents: &Contents) -> Result<Vec<u8>, StoreError> {
    file::write(contents, &Manifest::of(contents))
        .map_err(|error| StoreError::Io { path: path.to_path_buf(), source: error.into() })
}
