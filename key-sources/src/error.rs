//! Why a store was not opened or not changed. Each reason says which part it is about, and nothing of a secret.

use crate::unlock::UnlockError;

/// Why a store was not opened or not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// What the keystore says of the document.
    #[error(transparent)]
    Store(#[from] keystore::StoreError),
    /// The document can't be read or locked.
    #[error("{place}: {why}")]
    Document {
        /// Where the store is.
        place: String,
        /// Why not.
        why: keystore::document::DocumentError,
    },
    /// The key-encryption key can't be had.
    #[error("keys.unlock: {0}")]
    Unlock(#[from] UnlockError),
    /// The database can't be set up: its URL or its roots.
    #[error("keys.store.database: {why}")]
    Database {
        /// What is wrong with it.
        why: String,
    },
}
