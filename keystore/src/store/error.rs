//! Why a store was not opened or not changed. Each refusal has its own name, and where an operator can do something, the
//! message says what.

use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;

use crate::api_key::KeyName;
use crate::generation::MemoryError;
use crate::sealed::SealError;

/// Why a store was not opened or not changed. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file can't be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file ends before it is complete.
    #[error("{}: truncated: the file ends before it is complete; restore it from your backup or from Git", .path.display())]
    Truncated {
        /// Which file.
        path: PathBuf,
    },
    /// Not a key store, or one with a damaged place.
    #[error("{}:{line}:{column}: not a key store: {what}", .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Line, from 1; 0 when it is the whole.
        line: usize,
        /// Column, from 1; 0 when it is the whole.
        column: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// A format older than this build reads: nobody writes it, so somebody put it there.
    #[error("{}: format version {found} is older than {oldest}, the oldest this build reads: a downgraded file", .path.display())]
    DowngradedFormat {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// The oldest that is read.
        oldest: u32,
    },
    /// A format newer than this build.
    #[error("{}: format version {found} is newer than {newest}, the newest this build reads: update assay", .path.display())]
    NewerFormat {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// The newest that is read.
        newest: u32,
    },
    /// The key-encryption key is not the store's.
    #[error("{}: wrong key: the store is locked with key-encryption key {locked_with}, and {given} was given", .path.display())]
    WrongKey {
        /// Which file.
        path: PathBuf,
        /// The id of the store's key.
        locked_with: String,
        /// The id of the key that was given.
        given: String,
    },
    /// The manifest's authentication does not fit: the list of records, the generation or the id was changed.
    #[error("{}: the manifest was changed by somebody without the key-encryption key; restore the file from your backup or from Git", .path.display())]
    ManifestChanged {
        /// Which file.
        path: PathBuf,
    },
    /// The manifest is authentic, yet no store of ours would have it.
    #[error("{}: the manifest contradicts itself: {what}", .path.display())]
    Inconsistent {
        /// Which file.
        path: PathBuf,
        /// How.
        what: &'static str,
    },
    /// A record that the manifest names is not there.
    #[error("{}: a record was dropped: key \"{name}\" version {version}; restore the file from your backup or from Git", .path.display())]
    RecordDropped {
        /// Which file.
        path: PathBuf,
        /// Which key.
        name: KeyName,
        /// Which version.
        version: NonZeroU32,
    },
    /// A record that the manifest does not name.
    #[error("{}: a record was added: key \"{name}\" version {version} is not in the manifest; restore the file from your backup or from Git", .path.display())]
    RecordAdded {
        /// Which file.
        path: PathBuf,
        /// Which key.
        name: KeyName,
        /// Which version.
        version: NonZeroU32,
    },
    /// A record is not the one the manifest names: a bound, a name, or the ciphertext.
    #[error("{}: a record was changed: key \"{name}\" version {version}; restore the file from your backup or from Git", .path.display())]
    RecordChanged {
        /// Which file.
        path: PathBuf,
        /// Which key.
        name: KeyName,
        /// Which version.
        version: NonZeroU32,
    },
    /// Two records stand in each other's place, whole or with their ciphertexts.
    #[error("{}: records were swapped: key \"{name}\" version {version} has what belongs to key \"{with}\"", .path.display())]
    RecordsSwapped {
        /// Which file.
        path: PathBuf,
        /// Which key.
        name: KeyName,
        /// Which version.
        version: NonZeroU32,
        /// Whose content it has.
        with: KeyName,
    },
    /// A record is authentic, yet does not unseal.
    #[error("{}: key \"{name}\" version {version} does not unseal; restore the file from your backup or from Git", .path.display())]
    DoesNotUnseal {
        /// Which file.
        path: PathBuf,
        /// Which key.
        name: KeyName,
        /// Which version.
        version: NonZeroU32,
    },
    /// A later generation was seen on this machine: an old file was put back.
    #[error("{}: rolled back: this is generation {found}, and this machine has opened generation {seen} before", .path.display())]
    RolledBack {
        /// Which file.
        path: PathBuf,
        /// The file's generation.
        found: u64,
        /// The highest opened here.
        seen: u64,
    },
    /// What this machine has seen can't be told.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Another writer holds the store.
    #[error("{}: another process is changing this store; try again when it is done", .path.display())]
    Busy {
        /// Which file.
        path: PathBuf,
    },
    /// `create` where there is a file.
    #[error("{}: exists already", .path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// No room for one more.
    #[error("the store is full: it has room for {most} versions of keys")]
    Full {
        /// How many there is room for.
        most: usize,
    },
    /// No key of this name.
    #[error("there is no key \"{name}\" in the store; `assay key list` shows those there are")]
    NoSuchKey {
        /// The name that was asked for.
        name: KeyName,
    },
    /// There is a next version already.
    #[error(
        "key \"{name}\" has a next version ({version}) already: `assay key rotate {name}` puts it into use, `assay key remove {name}` starts over"
    )]
    NextExists {
        /// Which key.
        name: KeyName,
        /// The version that waits.
        version: NonZeroU32,
    },
    /// The same secret is stored under this name already.
    #[error("key \"{name}\" has this very secret already, as version {version}")]
    SameSecret {
        /// Which key.
        name: KeyName,
        /// The version that has it.
        version: NonZeroU32,
    },
    /// Nothing to rotate to.
    #[error("key \"{name}\" has no next version to rotate to: put the new secret first (`assay key put {name} ...`)")]
    NoNext {
        /// Which key.
        name: KeyName,
    },
    /// A secret could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}
