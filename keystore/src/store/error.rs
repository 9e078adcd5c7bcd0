//! Why a store was not opened or not changed. Each refusal has its own name, and where an operator can do something, the
//! message says what.

use std::io;
use std::num::NonZeroU32;

use super::PendingState;
use crate::api_key::{KeyName, SecretError};
use crate::document::{DocumentError, MAX_DOCUMENT_BYTES};
use crate::generation::MemoryError;
use crate::master_key::MasterKeyError;
use crate::recipient::PublicKey;
use crate::sealed::SealError;

/// Why a store was not opened or not changed. Nothing was written, but where [`StoreError::may_stand`] says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no store.
    #[error("{place}: there is no key store")]
    Absent {
        /// Where it was looked for.
        place: String,
    },
    /// The file can't be read or written.
    #[error("{place}: {source}")]
    Io {
        /// Where it is kept.
        place: String,
        /// What the system said.
        source: io::Error,
    },
    /// Larger than any store.
    #[error("{place}: over {} MiB: no key store", MAX_DOCUMENT_BYTES >> 20)]
    TooLarge {
        /// Where it is kept.
        place: String,
    },
    /// Another writer changed it since it was read, without the lock: a checkout from Git, say.
    #[error("{place}: it was changed by another writer meanwhile; nothing was written: try again")]
    ChangedMeanwhile {
        /// Where it is kept.
        place: String,
    },
    /// The database is away, or said no.
    #[error("{place}: {why}")]
    Away {
        /// Where it is kept.
        place: String,
        /// What was said.
        why: String,
    },
    /// The file ends before it is complete.
    #[error("{place}: truncated: the file ends before it is complete; restore it from your backup or from Git")]
    Truncated {
        /// Where it is kept.
        place: String,
    },
    /// Not a key store, or one with a damaged place.
    #[error("{place}:{line}:{column}: not a key store: {what}")]
    Malformed {
        /// Where it is kept.
        place: String,
        /// Line, from 1; 0 when it is the whole.
        line: usize,
        /// Column, from 1; 0 when it is the whole.
        column: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// A format older than this build reads. No release wrote it: somebody put it there, or a build from before the first
    /// release did.
    #[error(
        "{place}: downgraded: format version {found} is older than {oldest}, the oldest this build reads; make a new store and put the keys again"
    )]
    DowngradedFormat {
        /// Where it is kept.
        place: String,
        /// What it says.
        found: u32,
        /// The oldest that is read.
        oldest: u32,
    },
    /// A format newer than this build.
    #[error("{place}: format version {found} is newer than {newest}, the newest this build reads: update assay")]
    NewerFormat {
        /// Where it is kept.
        place: String,
        /// What it says.
        found: u32,
        /// The newest that is read.
        newest: u32,
    },
    /// The key-encryption key is not the store's.
    #[error("{place}: wrong key: the store is locked with key-encryption key {locked_with}, and {given} was given")]
    WrongKey {
        /// Where it is kept.
        place: String,
        /// The id of the store's key.
        locked_with: String,
        /// The id of the key that was given.
        given: String,
    },
    /// The manifest's authentication does not fit: the list of records, the generation or the id was changed.
    #[error(
        "{place}: the manifest was changed by somebody without the key-encryption key; restore the file from your backup or from Git"
    )]
    ManifestChanged {
        /// Where it is kept.
        place: String,
    },
    /// The manifest is authentic, yet no store of ours would have it.
    #[error("{place}: the manifest contradicts itself: {what}")]
    Inconsistent {
        /// Where it is kept.
        place: String,
        /// How.
        what: &'static str,
    },
    /// A record that the manifest names is not there.
    #[error(
        "{place}: a record was dropped: key \"{name}\" version {version}; restore the file from your backup or from Git"
    )]
    RecordDropped {
        /// Where it is kept.
        place: String,
        /// Which key.
        name: KeyName,
        /// Which version.
        version: NonZeroU32,
    },
    /// A record that the manifest does not name.
    #[error(
        "{place}: a record was added: key \"{name}\" version {version} is not in the manifest; restore the file from your backup or from Git"
    )]
    RecordAdded {
        /// Where it is kept.
        place: String,
        /// Which key.
        name: KeyName,
        /// Which version.
        version: NonZeroU32,
    },
    /// A record is not the one the manifest names: a bound, a name, or the ciphertext.
    #[error(
        "{place}: a record was changed: key \"{name}\" version {version}; restore the file from your backup or from Git"
    )]
    RecordChanged {
        /// Where it is kept.
        place: String,
        /// Which key.
        name: KeyName,
        /// Which version.
        version: NonZeroU32,
    },
    /// Two records stand in each other's place, whole or with their ciphertexts.
    #[error("{place}: records were swapped: key \"{name}\" version {version} has what belongs to key \"{with}\"")]
    RecordsSwapped {
        /// Where it is kept.
        place: String,
        /// Which key.
        name: KeyName,
        /// Which version.
        version: NonZeroU32,
        /// Whose content it has.
        with: KeyName,
    },
    /// A record is authentic, yet does not unseal.
    #[error("{place}: key \"{name}\" version {version} does not unseal; restore the file from your backup or from Git")]
    DoesNotUnseal {
        /// Where it is kept.
        place: String,
        /// Which key.
        name: KeyName,
        /// Which version.
        version: NonZeroU32,
    },
    /// A later generation was seen on this machine: an old file was put back.
    #[error("{place}: rolled back: this is generation {found}, and this machine has opened generation {seen} before")]
    RolledBack {
        /// Where it is kept.
        place: String,
        /// The file's generation.
        found: u64,
        /// The highest opened here.
        seen: u64,
    },
    /// The configuration pins a higher generation than this.
    #[error(
        "{place}: below the minimum: this is generation {found}, and the configuration asks for {least} at least (min_generation)"
    )]
    BelowMinimum {
        /// Where it is kept.
        place: String,
        /// The store's generation.
        found: u64,
        /// The lowest that is taken.
        least: u64,
    },
    /// What this machine has seen can't be told.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Another writer holds the store.
    #[error("{place}: another process is changing this store; try again when it is done")]
    Busy {
        /// Where it is kept.
        place: String,
    },
    /// `create` where there is a file.
    #[error("{place}: exists already")]
    Exists {
        /// Where it is kept.
        place: String,
    },
    /// No room for one more.
    #[error("the store is full: it has room for {most} {what}")]
    Full {
        /// What there is no more room for.
        what: &'static str,
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
        "key \"{name}\" has a next version ({version}) already: `assay key rotate {name}` puts it into use, `assay key remove {name} --next` throws it away"
    )]
    NextExists {
        /// Which key.
        name: KeyName,
        /// The version that waits.
        version: NonZeroU32,
    },
    /// The same secret is stored under this name already, with the same bounds.
    #[error(
        "key \"{name}\" has this very secret already, as version {version} with the same bounds: `assay key list` shows which version is in use"
    )]
    SameSecret {
        /// Which key.
        name: KeyName,
        /// The version that has it.
        version: NonZeroU32,
    },
    /// Nothing to rotate to.
    #[error("key \"{name}\" has no version that waits as next: put the new secret first (`assay key put {name} ...`)")]
    NoNext {
        /// Which key.
        name: KeyName,
    },
    /// Nothing to go back to.
    #[error(
        "key \"{name}\" has no previous version to go back to: put the secret that is to be used (`assay key put {name} ...`)"
    )]
    NoPrevious {
        /// Which key.
        name: KeyName,
    },
    /// The recipe can't use the secret.
    #[error("key \"{name}\": {why}")]
    SecretRefused {
        /// Which key.
        name: KeyName,
        /// Why not.
        why: SecretError,
    },
    /// No pending record of this name, or none with this fingerprint.
    #[error("no record of key \"{name}\" with that fingerprint is pending; `assay key pending` shows those that are")]
    NoSuchPending {
        /// The name that was asked for.
        name: KeyName,
    },
    /// Several, and no word which.
    #[error("{count} records of key \"{name}\" are pending; say which with --fingerprint")]
    WhichPending {
        /// The name.
        name: KeyName,
        /// How many there are.
        count: usize,
    },
    /// A pending record that can't become part of the store.
    #[error("the pending record of key \"{name}\" can't be accepted: {why}")]
    NotAcceptable {
        /// The name.
        name: KeyName,
        /// What stands in its way.
        why: PendingState,
    },
    /// Sealed with the public key of another store, or of this one before its key-encryption key was rotated.
    #[error("{place}: the record is sealed for {sealed_for}, and this store's public key is {own}")]
    OtherRecipient {
        /// Where the store is kept.
        place: String,
        /// What it is sealed for.
        sealed_for: PublicKey,
        /// What it would have to be sealed for.
        own: PublicKey,
    },
    /// The key-encryption key can't be rotated while records are pending: their public key would be gone.
    #[error(
        "{count} records are pending, sealed with the public key that goes with this rotation: accept or reject them first (`assay key pending`)"
    )]
    PendingInTheWay {
        /// How many.
        count: usize,
    },
    /// An operator's name or key that is there already.
    #[error("operator \"{name}\" is listed already, or another one with the same key")]
    OperatorExists {
        /// The name.
        name: KeyName,
    },
    /// No operator of this name.
    #[error("there is no operator \"{name}\" in the store")]
    NoSuchOperator {
        /// The name that was asked for.
        name: KeyName,
    },
    /// The head that was given names another key than the key that was given.
    #[error("the new head is for key-encryption key {head}, and {given} was given")]
    OtherKek {
        /// The key of the head.
        head: String,
        /// The key that was given.
        given: String,
    },
    /// The new key-encryption key is the one in use.
    #[error("the store is locked with this key-encryption key already ({id})")]
    SameKek {
        /// Its id.
        id: String,
    },
    /// The key-encryption key's file.
    #[error(transparent)]
    Master(#[from] MasterKeyError),
    /// A secret could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl StoreError {
    pub(super) fn at(place: &str) -> impl FnOnce(DocumentError) -> Self {
        let place = place.to_owned();
        move |error| match error {
            DocumentError::Absent => Self::Absent { place },
            DocumentError::Exists => Self::Exists { place },
            DocumentError::Busy => Self::Busy { place },
            DocumentError::Changed => Self::ChangedMeanwhile { place },
            DocumentError::TooLarge => Self::TooLarge { place },
            DocumentError::Io(source) => Self::Io { place, source },
            DocumentError::Away { why } => Self::Away { place, why },
        }
    }

    /// Whether a change that ended so may stand nevertheless: the file was replaced and its directory not written through, a
    /// database was asked and gave no answer, or this machine can't remember the new generation.
    pub fn may_stand(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Away { .. } | Self::Memory(_) | Self::Master(MasterKeyError::Io { .. }))
    }

    /// A stable name for each reason, for scripts and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Absent { .. } => "absent",
            Self::Io { .. } | Self::Away { .. } => "unreachable",
            Self::Truncated { .. } => "truncated",
            Self::TooLarge { .. } | Self::Malformed { .. } => "not_a_key_store",
            Self::ChangedMeanwhile { .. } | Self::Busy { .. } => "busy",
            Self::DowngradedFormat { .. } => "downgraded",
            Self::NewerFormat { .. } => "newer_format",
            Self::WrongKey { .. } => "wrong_key",
            Self::ManifestChanged { .. } => "manifest_changed",
            Self::Inconsistent { .. } => "inconsistent",
            Self::RecordDropped { .. } => "record_dropped",
            Self::RecordAdded { .. } => "record_added",
            Self::RecordChanged { .. } => "record_changed",
            Self::RecordsSwapped { .. } => "records_swapped",
            Self::DoesNotUnseal { .. } => "does_not_unseal",
            Self::RolledBack { .. } => "rolled_back",
            Self::BelowMinimum { .. } => "below_minimum",
            Self::Memory(_) => "memory",
            Self::Exists { .. } => "exists",
            Self::Full { .. } => "full",
            Self::NoSuchKey { .. } => "no_such_key",
            Self::NextExists { .. } => "next_exists",
            Self::SameSecret { .. } => "same_secret",
            Self::NoNext { .. } => "no_next",
            Self::NoPrevious { .. } => "no_previous",
            Self::SecretRefused { .. } => "secret_refused",
            Self::NoSuchPending { .. } => "no_such_pending",
            Self::WhichPending { .. } => "which_pending",
            Self::NotAcceptable { .. } => "not_acceptable",
            Self::OtherRecipient { .. } => "other_recipient",
            Self::PendingInTheWay { .. } => "pending_in_the_way",
            Self::OperatorExists { .. } => "operator_exists",
            Self::NoSuchOperator { .. } => "no_such_operator",
            Self::OtherKek { .. } => "other_kek",
            Self::SameKek { .. } => "same_kek",
            Self::Master(_) => "master_key",
            Self::Seal(_) => "not_sealed",
        }
    }
}
