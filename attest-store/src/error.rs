//! Why the store did not do what it was asked. Whatever the error, nothing was half-written. No variant holds a secret or
//! a client's text.

use std::{io, path::PathBuf};

use attest_core::{feed::FeedError, random::NoRandomness, token::key_set::KeySetError};
use keystore::envelope::EnvelopeError;

use crate::{actor::Role, page::Revision};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder or a file can't be made, opened or read.
    #[error("cannot use {}: {source}", path.display())]
    Path {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Something else stands where the database is, or it was damaged.
    #[error("{} is not a database that Assay can read: restore it from your backup, or move it away to begin anew", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// A newer Assay has written the database.
    #[error("the database has format {version}, which a newer Assay has written: run that one, or restore a backup")]
    FromTheFuture {
        /// Its format.
        version: i64,
    },
    /// The URL of the PostgreSQL database.
    #[error("the database's URL: {why}")]
    BadUrl {
        /// What is wrong; nothing of the URL.
        why: &'static str,
    },
    /// The file of roots for the database's certificate.
    #[error("{} holds no certificates in PEM form", path.display())]
    BadRoots {
        /// The file.
        path: PathBuf,
    },
    /// The database can't be reached, or did not answer in time. A change that was being committed may have been made.
    #[error("the database is away: {why}")]
    Away {
        /// What it or the system says.
        why: String,
    },
    /// Other writers kept the database too long.
    #[error("the database is busy: try again")]
    Busy,
    /// No room on the database's disk.
    #[error("the database's disk is full: nothing was changed")]
    Full,
    /// The database can't be written to.
    #[error("the database is read-only: nothing was changed")]
    ReadOnly,
    /// Any other error of the database.
    #[error("the database failed: {why}")]
    Database {
        /// What it says.
        why: String,
    },
    /// A row can't be read.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// Which value.
        what: &'static str,
    },
    /// A sealed secret does not open, or can't be sealed.
    #[error("the secret {name} in the database: {source}")]
    Sealed {
        /// Its name.
        name: String,
        /// What the envelope says.
        source: EnvelopeError,
    },
    /// The system gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The stored keys can't be used under this configuration.
    #[error("attestation.token: {0}")]
    Keys(#[from] KeySetError),
    /// A signed document can't be made.
    #[error(transparent)]
    Feed(#[from] FeedError),

    /// A name that no request could carry.
    #[error("{field} has to be {} of the characters A-Z a-z 0-9 . _ + -", lengths(*.may_be_empty))]
    NotAName {
        /// Which field, such as `app`.
        field: &'static str,
        /// Whether the empty name is one.
        may_be_empty: bool,
    },
    /// A text for people that is too long or can't be printed.
    #[error("{field} has to be 1 to {max} printable characters")]
    NotAText {
        /// Which field, such as `reason`.
        field: &'static str,
        /// Characters at most.
        max: usize,
    },
    /// A moment outside its bounds.
    #[error("{field} has to be in the future, and at most {max_days} days ahead")]
    NotAnEnd {
        /// Which field, such as `until`.
        field: &'static str,
        /// Days at most.
        max_days: u32,
    },
    /// A list that is longer than is kept.
    #[error("at most {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        max: usize,
    },
    /// A live build of this name has another measurement or package.
    #[error(
        "{app} {version} for {platform} (label {label:?}) is registered already, with another measurement or package: give \
         this build its own version or label, or retire the old one first"
    )]
    AnotherMeasurement {
        /// The app.
        app: String,
        /// Its version.
        version: String,
        /// Its platform.
        platform: &'static str,
        /// The build's label.
        label: String,
    },
    /// Nothing live has this name.
    #[error("no live build of {app} {version} is registered")]
    NothingToRetire {
        /// The app.
        app: String,
        /// The version.
        version: String,
    },
    /// There is no such thing.
    #[error("there is no such {what}")]
    NotFound {
        /// Of what, such as `device`.
        what: &'static str,
    },
    /// The name is taken.
    #[error("there is a {what} of this name already")]
    Exists {
        /// Of what.
        what: &'static str,
    },
    /// Somebody else changed it since it was read.
    #[error("it was changed since it was read: read it again")]
    Conflict {
        /// Its revision now.
        current: Revision,
    },
    /// The actor's role, or its apps, do not go so far.
    #[error("this takes the role {} for the app in question", needs.as_str())]
    Forbidden {
        /// The least role that may.
        needs: Role,
    },
    /// What must be undone first.
    #[error("{why}")]
    Refused {
        /// Why, and what to do instead.
        why: &'static str,
    },
}

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The unlock key is another one than at the first start.
    #[error(
        "the unlock key {} (id {given}) is not the one that sealed this state (id {sealed_with}): point \
         attestation.serve.unlock at that key; without it this state can't be opened, and a new state folder means new keys",
        path.display()
    )]
    WrongUnlockKey {
        /// The file the key was read from.
        path: PathBuf,
        /// The id of the key that was given.
        given: String,
        /// The id of the key that sealed the secrets.
        sealed_with: String,
    },
    /// Anything else.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const fn lengths(may_be_empty: bool) -> &'static str {
    if may_be_empty { "0 to 64" } else { "1 to 64" }
}
