//! The key store: one file, opened whole or not at all. In: a path, the key-encryption key, what this machine remembers.
//! Out: [`Keystore`]; proven between: every record is the one that was sealed, none is missing, added or swapped, the
//! format is this one, and no later generation was seen here.

mod editor;
mod error;
mod file;
mod manifest;
mod read;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tests_support;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

pub use editor::{Editor, Put, Rotated};
pub use error::StoreError;

use crate::bounds::BoundsText;
use crate::generation::GenerationMemory;
use crate::handle::KeyHandle;
use crate::master_key::MasterKey;
pub use crate::sealed::VersionState;
use crate::sealed::{SealedRecord, StoreKeys};

/// An opened key store. Holds no clear key: each is unsealed by the first request that may have it.
pub struct Keystore {
    id: [u8; 16],
    generation: u64,
    keys: BTreeMap<String, KeyHandle>,
    list: Vec<KeyInfo>,
}

/// One key in a list: all that is known of it, but for its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Its name.
    pub name: String,
    /// Its versions, oldest first.
    pub versions: Vec<VersionInfo>,
}

/// One version of a key in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionInfo {
    /// The version, counted from 1.
    pub version: NonZeroU32,
    /// Where it stands in a rotation.
    pub state: VersionState,
    /// The fingerprint of its secret: 16 hex digits.
    pub fingerprint: String,
    /// Its bounds.
    pub bounds: BoundsText,
}

impl Keystore {
    /// Opens a store and remembers its generation.
    ///
    /// Every record is unsealed once, to prove that it will, and wiped again.
    ///
    /// # Errors
    /// [`StoreError`] names what is wrong: the key, the file, one record, or its age.
    pub fn open(path: &Path, master: &MasterKey, memory: &GenerationMemory) -> Result<Self, StoreError> {
        let contents = read::open(path, master, memory)?;
        memory.remember(&contents.id, contents.generation)?;
        Ok(Self::new(&contents))
    }

    /// Opens a store as [`Keystore::open`] does, and remembers nothing: for commands that only look, which may run as
    /// another user than the gateway, or before its state directory exists.
    ///
    /// # Errors
    /// As [`Keystore::open`].
    pub fn inspect(path: &Path, master: &MasterKey, memory: &GenerationMemory) -> Result<Self, StoreError> {
        read::open(path, master, memory).map(|contents| Self::new(&contents))
    }

    /// Opens a store to change it. Until the [`Editor`] is committed or dropped nobody else can.
    ///
    /// # Errors
    /// As [`Keystore::open`]; `Busy` when another writer holds the store.
    pub fn edit(path: &Path, master: &MasterKey, memory: &GenerationMemory) -> Result<Editor, StoreError> {
        Editor::open(path, master, memory)
    }

    /// Makes a new, empty store.
    ///
    /// # Errors
    /// `Exists` when there is something at `path`, which stays as it is; the file can't be written; no randomness.
    pub fn create(
        path: &Path,
        master: &MasterKey,
        memory: &GenerationMemory,
        random: &dyn attest_core::random::Random,
    ) -> Result<Self, StoreError> {
        Editor::create(path, master, memory, random)
    }

    /// The key of this name; `None` when there is none.
    pub fn key(&self, name: &str) -> Option<KeyHandle> {
        self.keys.get(name).cloned()
    }

    /// All keys, by name. Never a value.
    pub fn list(&self) -> &[KeyInfo] {
        &self.list
    }

    /// How often the store was changed; the first is 1.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The store's id, random, made with it: in base64url.
    pub fn id(&self) -> String {
        data_encoding::BASE64URL_NOPAD.encode(&self.id)
    }

    fn new(contents: &Contents) -> Self {
        let mut by_name: BTreeMap<String, Vec<(VersionState, SealedRecord)>> = BTreeMap::new();
        for (state, record) in &contents.records {
            by_name.entry(record.name().to_string()).or_default().push((*state, record.clone()));
        }
        let list = by_name.iter().map(|(name, versions)| KeyInfo::new(name, versions)).collect();
        let handles =
            by_name.into_iter().filter_map(|(name, versions)| Some((name, KeyHandle::new(&versions, &contents.keys)?)));
        Self { id: contents.id, generation: contents.generation, keys: handles.collect(), list }
    }
}

impl KeyInfo {
    fn new(name: &str, versions: &[(VersionState, SealedRecord)]) -> Self {
        let mut versions: Vec<_> = versions.iter().map(|(state, record)| VersionInfo::new(*state, record)).collect();
        versions.sort_by_key(|info| info.version);
        Self { name: name.to_owned(), versions }
    }
}

impl VersionInfo {
    fn new(state: VersionState, record: &SealedRecord) -> Self {
        Self {
            version: record.version(),
            state,
            fingerprint: record.fingerprint().to_string(),
            bounds: record.bounds().to_text(),
        }
    }
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keystore({} keys, generation {})", self.keys.len(), self.generation)
    }
}

/// What a file holds once it is proven, and what is written into the next one.
struct Contents {
    id: [u8; 16],
    kek_id: String,
    generation: u64,
    /// In the order of the file: by name, then version.
    records: Vec<(VersionState, SealedRecord)>,
    keys: Arc<StoreKeys>,
}
