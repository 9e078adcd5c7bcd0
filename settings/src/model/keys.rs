//! `keys:` the sealed keystore.

use std::path::PathBuf;

/// Where third-party keys are, and what opens them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysSettings {
    /// The sealed store; ciphertext only.
    pub store: PathBuf,
    /// `unlock.file:` the key-encryption key, not readable by others.
    pub unlock: PathBuf,
}
