//! The device key. Comes in: the transcript's hash. Goes out: a P-256 signature over it.
//! Proven between: whoever asks for a token holds the private key of the device id in it. Hardware keys come in
//! through [`DeviceKey`]; [`SoftwareKey`] serves where there is none; [`mod@format`] turns what keystores give into
//! what the wire wants.

pub mod format;
mod software;

use std::io;
use std::path::PathBuf;

pub use self::software::SoftwareKey;

/// A P-256 key that can sign. Implement it over Android Keystore, the Secure Enclave, a TPM or a PKCS#11 token.
///
/// Called on a thread that may block.
pub trait DeviceKey: Send + Sync {
    /// The public key: SEC 1, uncompressed (`04 || x || y`). The same for the life of the installation.
    ///
    /// # Errors
    /// [`DeviceKeyError`] when the key can't be reached (a locked keystore).
    fn public_key(&self) -> Result<[u8; 65], DeviceKeyError>;

    /// ECDSA with SHA-256 over the 32 bytes of `transcript` as the message (they are hashed once more: that is what
    /// keystores offer), as `r || s`, each 32 bytes big-endian (not DER).
    ///
    /// # Errors
    /// [`DeviceKeyError`] when the key can't be reached or refuses.
    fn sign(&self, transcript: &[u8; 32]) -> Result<[u8; 64], DeviceKeyError>;

    /// The same over a message of more than 32 bytes, for [`crate::Client::sign`]. By itself a key refuses.
    ///
    /// # Errors
    /// As [`DeviceKey::sign`].
    fn sign_message(&self, message: &[u8]) -> Result<[u8; 64], DeviceKeyError> {
        let _ = message;
        Err(DeviceKeyError::Unusable("this device key signs nothing but attestations".into()))
    }

    /// Called once the service has taken this key in place of the one before
    /// ([`crate::Client::rotate_device_key`]): the place to forget the old one.
    ///
    /// # Errors
    /// [`DeviceKeyError`]; this key is in use all the same, until the process ends.
    fn settled(&self) -> Result<(), DeviceKeyError> {
        Ok(())
    }
}

/// Why a device key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceKeyError {
    /// The file or its folder.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        problem: io::Error,
    },
    /// Others can read the file: what they can read they may have copied.
    #[error("{}: readable by others (mode {mode:o}); make it 0600, or remove it for a new key", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no P-256 private key.
    #[error("{}: not a device key; remove it for a new one (the device id changes)", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// Messages of up to 32 bytes are not signed: a transcript is 32 bytes.
    #[error("messages of up to 32 bytes are not signed")]
    TooShort,
    /// The key itself, in the words of whoever holds it.
    #[error("{0}")]
    Unusable(String),
}
