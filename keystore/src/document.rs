//! Where a store is kept. In: whole documents. Out: whole documents; what a [`SealedDocument`] has to keep is that one
//! takes the other's place at once or not at all, and only where the one that was read still stands.
//!
//! The proofs are in the document itself: a place that lies about it is found out when the store is opened.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::atomic::{self, Lock};
use crate::crypto;

/// A place that keeps one store: a file ([`FileDocument`]), a row of a database.
pub trait SealedDocument: fmt::Debug + Send + Sync {
    /// The place in words, for messages: a path, or a database and a name.
    fn place(&self) -> String;

    /// The document that stands there now: at most [`MAX_DOCUMENT_BYTES`].
    ///
    /// # Errors
    /// [`DocumentError::Absent`], or it can't be read.
    fn read(&self) -> Result<Vec<u8>, DocumentError>;

    /// Puts a first document there.
    ///
    /// # Errors
    /// [`DocumentError::Exists`]; what stands there stays as it is.
    fn create(&self, document: &[u8], generation: u64) -> Result<(), DocumentError>;

    /// Puts `document` in the place of the one that was read, whole or not at all; when it returns, it lasts.
    ///
    /// # Errors
    /// [`DocumentError::Changed`] when another document stands there by now.
    fn replace(&self, read: &Revision, document: &[u8], generation: u64) -> Result<(), DocumentError>;
}

/// Which document was read, to notice that another stands in its place by now. The hash alone decides: a pending record is
/// added without a new generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// Its generation.
    pub generation: u64,
    /// The SHA-256 of all of its bytes.
    pub sha256: [u8; 32],
}

impl Revision {
    /// Whether it is this document that was read.
    pub fn is_of(&self, document: &[u8]) -> bool {
        crypto::sha256(document) == self.sha256
    }

    pub(crate) fn of(document: &[u8], generation: u64) -> Self {
        Self { generation, sha256: crypto::sha256(document) }
    }
}

/// Why a document was not read or not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// There is none.
    #[error("there is no key store")]
    Absent,
    /// There is one already.
    #[error("there is a key store already")]
    Exists,
    /// Another writer holds it.
    #[error("another process is changing it")]
    Busy,
    /// Another writer changed it since it was read.
    #[error("it was changed by another writer since it was read")]
    Changed,
    /// Larger than any store.
    #[error("over {} MiB", MAX_DOCUMENT_BYTES >> 20)]
    TooLarge,
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The database is away or said no.
    #[error("{why}")]
    Away {
        /// What it said.
        why: String,
    },
}

/// Largest document, in bytes: 32,768 keys of usual size have under 48 MiB.
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024 * 1024;

/// A store in a file.
#[derive(Debug)]
pub struct FileDocument {
    path: PathBuf,
    lock: Option<Lock>,
}

impl FileDocument {
    /// The file at `path`, to be read.
    pub fn to_read(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), lock: None }
    }

    /// The file at `path`, to be changed: nobody else can until this is dropped.
    ///
    /// # Errors
    /// `Busy` when another writer holds it; the lock's file can't be made.
    pub fn to_write(path: &Path) -> Result<Self, DocumentError> {
        // A link is followed once and for all: the rename must replace the file, not the link.
        let path = match fs::canonicalize(path) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
            Err(error) => return Err(error.into()),
        };
        match Lock::take(&path) {
            Ok(lock) => Ok(Self { path, lock: Some(lock) }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(DocumentError::Busy),
            Err(error) => Err(error.into()),
        }
    }

    fn locked(&self) -> Result<(), DocumentError> {
        if self.lock.is_some() { Ok(()) } else { Err(DocumentError::Busy) }
    }
}

impl SealedDocument for FileDocument {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn read(&self) -> Result<Vec<u8>, DocumentError> {
        let limit = u64::try_from(MAX_DOCUMENT_BYTES + 1).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        match atomic::open_regular(&self.path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            Ok(_) if bytes.len() > MAX_DOCUMENT_BYTES => Err(DocumentError::TooLarge),
            Ok(_) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DocumentError::Absent),
            Err(error) => Err(error.into()),
        }
    }

    fn create(&self, document: &[u8], _generation: u64) -> Result<(), DocumentError> {
        self.locked()?;
        match atomic::create(&self.path, document) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(DocumentError::Exists),
            done => Ok(done?),
        }
    }

    fn replace(&self, read: &Revision, document: &[u8], _generation: u64) -> Result<(), DocumentError> {
        self.locked()?;
        // The lock keeps out other writers of ours; a checkout from Git takes none.
        if !read.is_of(&self.read()?) {
            return Err(DocumentError::Changed);
        }
        Ok(atomic::replace(&self.path, document)?)
    }
}
