//! The key store: one document, opened whole or not at all. In: a document, the key-encryption key, what this machine
//! remembers. Out: [`Keystore`]; proven between: every record is the one that was sealed, none is missing, added or
//! swapped, the format is this one, and no later generation was seen here.

mod contents;
mod editor;
mod error;
mod file;
mod in_place;
mod info;
mod manifest;
mod pending;
mod read;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tests_support;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use attest_core::random::Random;
use zeroize::Zeroizing;

use contents::Contents;
pub use editor::{Editor, Put, Rotated};
pub use error::StoreError;
pub use in_place::{KekRotated, rotate_kek_in_place};
pub use info::{Disabled, KeyInfo, UnprovenHead, VersionInfo};
pub use pending::{PendingInfo, PendingState, SignedIn};

use crate::document::{FileDocument, SealedDocument};
use crate::generation::GenerationMemory;
use crate::handle::KeyHandle;
use crate::kek::KekHeader;
use crate::master_key::MasterKey;
use crate::operator::OperatorPublicKey;
use crate::pending::PendingRecord;
use crate::recipient::PublicKey;
use crate::sealed::SealedRecord;
pub use crate::sealed::VersionState;

/// Versions of keys in one store.
pub const MAX_RECORDS: usize = 32_768;
/// Pending records beside them.
pub const MAX_PENDING: usize = 256;
/// Operators whose signature counts.
pub const MAX_OPERATORS: usize = 64;

/// An opened key store. Holds no clear key: each is unsealed by the first request that may have it.
pub struct Keystore {
    id: [u8; 16],
    generation: u64,
    kek: KekHeader,
    public_key: PublicKey,
    operators: Vec<(String, OperatorPublicKey)>,
    keys: BTreeMap<String, KeyHandle>,
    list: Vec<KeyInfo>,
    pending: Vec<PendingInfo>,
    signed_in: Vec<SignedIn>,
    audit: Zeroizing<[u8; 32]>,
}

impl Keystore {
    /// Opens a store in a file and remembers its generation.
    ///
    /// Every record is unsealed once, to prove that it will, and wiped again.
    ///
    /// # Errors
    /// [`StoreError`] names what is wrong: the key, the file, one record, or its age.
    pub fn open(path: &Path, master: &MasterKey, memory: &GenerationMemory) -> Result<Self, StoreError> {
        Self::open_document(&FileDocument::to_read(path), master, memory)
    }

    /// Opens a store wherever it is kept, as [`Keystore::open`] does.
    ///
    /// # Errors
    /// As [`Keystore::open`].
    pub fn open_document(
        document: &dyn SealedDocument,
        master: &MasterKey,
        memory: &GenerationMemory,
    ) -> Result<Self, StoreError> {
        let place = document.place();
        let bytes = document.read().map_err(StoreError::at(&place))?;
        Self::open_bytes(&place, &bytes, master, memory)
    }

    /// Opens a document that was read already, as [`Keystore::open`] does; `place` is for the messages.
    ///
    /// # Errors
    /// As [`Keystore::open`].
    pub fn open_bytes(
        place: &str,
        bytes: &[u8],
        master: &MasterKey,
        memory: &GenerationMemory,
    ) -> Result<Self, StoreError> {
        let contents = read::open(place, bytes, master, memory)?;
        memory.remember(&contents.head.store, contents.head.generation)?;
        Ok(Self::new(&contents))
    }

    /// Opens a store as [`Keystore::open`] does, and remembers nothing: for commands that only look, which may run as
    /// another user than the gateway, or before its state directory exists.
    ///
    /// # Errors
    /// As [`Keystore::open`].
    pub fn inspect(path: &Path, master: &MasterKey, memory: &GenerationMemory) -> Result<Self, StoreError> {
        Self::inspect_document(&FileDocument::to_read(path), master, memory)
    }

    /// As [`Keystore::inspect`], wherever the store is kept.
    ///
    /// # Errors
    /// As [`Keystore::open`].
    pub fn inspect_document(
        document: &dyn SealedDocument,
        master: &MasterKey,
        memory: &GenerationMemory,
    ) -> Result<Self, StoreError> {
        let place = document.place();
        let bytes = document.read().map_err(StoreError::at(&place))?;
        read::open(&place, &bytes, master, memory).map(|contents| Self::new(&contents))
    }

    /// Opens a store in a file to change it. Until the [`Editor`] is committed or dropped nobody else can.
    ///
    /// # Errors
    /// As [`Keystore::open`]; `Busy` when another writer holds the store.
    pub fn edit(path: &Path, master: &MasterKey, memory: &GenerationMemory) -> Result<Editor, StoreError> {
        let document = FileDocument::to_write(path).map_err(StoreError::at(&path.display().to_string()))?;
        Self::edit_document(Box::new(document), master, memory)
    }

    /// Opens a store to change it, wherever it is kept. Who commits second is refused.
    ///
    /// # Errors
    /// As [`Keystore::open`].
    pub fn edit_document(
        document: Box<dyn SealedDocument>,
        master: &MasterKey,
        memory: &GenerationMemory,
    ) -> Result<Editor, StoreError> {
        Editor::open(document, master, memory)
    }

    /// Makes a new, empty store in a file, whose key-encryption key stands in a file too.
    ///
    /// # Errors
    /// `Exists` when there is something at `path`, which stays as it is; the file can't be written; no randomness.
    pub fn create(
        path: &Path,
        master: &MasterKey,
        memory: &GenerationMemory,
        random: &dyn Random,
    ) -> Result<Self, StoreError> {
        let document = FileDocument::to_write(path).map_err(StoreError::at(&path.display().to_string()))?;
        Self::create_document(&document, KekHeader::file(master), master, memory, random)
    }

    /// Makes a new, empty store for `master`, which `kek` describes.
    ///
    /// # Errors
    /// As [`Keystore::create`]; `OtherKek` when `kek` describes another key.
    pub fn create_document(
        document: &dyn SealedDocument,
        kek: KekHeader,
        master: &MasterKey,
        memory: &GenerationMemory,
        random: &dyn Random,
    ) -> Result<Self, StoreError> {
        editor::create(document, kek, master, memory, random)
    }

    /// What a store says of itself in the clear.
    ///
    /// # Errors
    /// It can't be read, or its syntax is not right.
    pub fn head(document: &dyn SealedDocument) -> Result<UnprovenHead, StoreError> {
        let place = document.place();
        let bytes = document.read().map_err(StoreError::at(&place))?;
        Self::head_of_bytes(&place, &bytes)
    }

    /// As [`Keystore::head`], of a document that was read already.
    ///
    /// # Errors
    /// As [`Keystore::head`].
    pub fn head_of_bytes(place: &str, bytes: &[u8]) -> Result<UnprovenHead, StoreError> {
        file::parse_head(place, bytes)
    }

    /// Adds a pending record to a store, without any key. It waits there until it is accepted.
    ///
    /// # Errors
    /// `OtherRecipient` when it is sealed for another store, `Full`, or the document can't be read or written.
    pub fn append_pending(document: &dyn SealedDocument, record: PendingRecord) -> Result<(), StoreError> {
        editor::append_pending(document, record)
    }

    /// Takes a store as it is although a later generation was seen here, and remembers its generation in place of that:
    /// for an operator who put an old one back and knows why. Its generation, and the one that was seen. It takes the document
    /// that he looked at, not whatever stands in its place by now.
    ///
    /// # Errors
    /// As [`Keystore::open`], but for `RolledBack`. `BelowMinimum` stays: that is for the configuration to say.
    pub fn accept_rollback(
        place: &str,
        bytes: &[u8],
        master: &MasterKey,
        memory: &GenerationMemory,
    ) -> Result<(u64, Option<u64>), StoreError> {
        editor::accept_rollback(place, bytes, master, memory)
    }

    /// The key of this name; `None` when there is none.
    pub fn key(&self, name: &str) -> Option<KeyHandle> {
        self.keys.get(name).cloned()
    }

    /// All keys, by name. Never a value.
    pub fn list(&self) -> &[KeyInfo] {
        &self.list
    }

    /// What is pending, in the order in which it came. What an operator's signature has taken in is in the list instead.
    pub fn pending(&self) -> &[PendingInfo] {
        &self.pending
    }

    /// What operators have signed in since the last change: in the list, and part of the store for good with the next one.
    pub fn signed_in(&self) -> &[SignedIn] {
        &self.signed_in
    }

    /// The operators whose signature takes a pending record in, by name.
    pub fn operators(&self) -> &[(String, OperatorPublicKey)] {
        &self.operators
    }

    /// The public key that others seal with: see [`crate::seal_to`].
    pub fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// The key-encryption key, and where it comes from.
    pub fn kek(&self) -> &KekHeader {
        &self.kek
    }

    /// How often the store was changed; the first is 1.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The store's id, random, made with it: in base64url.
    pub fn id(&self) -> String {
        data_encoding::BASE64URL_NOPAD.encode(&self.id)
    }

    /// The key of the audit chain that belongs to this store. It stays the same when the key-encryption key is rotated.
    pub fn audit_key(&self) -> Zeroizing<[u8; 32]> {
        self.audit.clone()
    }

    fn new(contents: &Contents) -> Self {
        let head = &contents.head;
        let by_name = || contents.records.chunk_by(|(_, one), (_, other)| one.name() == other.name());
        let named =
            |versions: &[(VersionState, SealedRecord)]| versions.first().map(|(_, record)| record.name().clone());
        let list = by_name().filter_map(|versions| {
            let name = named(versions)?;
            Some(KeyInfo::new(name.as_str(), versions, head.disabled.get(&name).copied()))
        });
        let keys = by_name().filter_map(|versions| {
            let name = named(versions)?;
            let handle = KeyHandle::new(versions, &contents.keys, head.disabled.get(&name).copied())?;
            Some((name.to_string(), handle))
        });
        Self {
            id: head.store,
            generation: head.generation,
            kek: head.kek.clone(),
            public_key: contents.keys.recipient,
            operators: head.operators.iter().map(|(name, key)| (name.to_string(), *key)).collect(),
            keys: keys.collect(),
            list: list.collect(),
            pending: contents.pending.iter().map(|(state, record)| PendingInfo::new(*state, record)).collect(),
            signed_in: contents.signed_in.clone(),
            audit: contents.keys.audit(),
        }
    }
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keystore({} keys, generation {})", self.keys.len(), self.generation)
    }
}
