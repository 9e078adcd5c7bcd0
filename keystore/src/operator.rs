//! The keys of operators: who may add a key to a store that he can't read. In: a private key in a file of the operator's
//! own. Out: signatures over pending records, and [`OperatorPublicKey`], which a holder of the key-encryption key lists in
//! the store's head; proven between: only listed keys count, and only over that store in that generation.

use std::fmt;
use std::path::Path;

use attest_core::random::Random;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use zeroize::Zeroizing;

use crate::crypto;
use crate::master_key::{self, MasterKeyError};

/// The private half: an Ed25519 key, RFC 8032.
pub struct OperatorKey(Ed25519KeyPair);

/// The public half: 32 bytes, written `assay-operator-` and base64url of them with four bytes of their SHA-256, which find
/// slips of typing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorPublicKey(pub(crate) [u8; 32]);

impl OperatorKey {
    /// Makes a key and writes it to a new file, mode 0600, as one line of base64.
    ///
    /// # Errors
    /// There is a file already; it can't be written; no randomness.
    pub fn create_file(path: &Path, random: &dyn Random) -> Result<Self, MasterKeyError> {
        master_key::create_secret_file(path, random).and_then(|seed| Self::from_seed(&seed, path))
    }

    /// Reads a key from a file that nobody else may read: 32 raw bytes, or their base64.
    ///
    /// # Errors
    /// As [`crate::MasterKey::from_file`].
    pub fn from_file(path: &Path) -> Result<Self, MasterKeyError> {
        master_key::read_secret_file(path).and_then(|seed| Self::from_seed(&seed, path))
    }

    /// The public half.
    pub fn public(&self) -> OperatorPublicKey {
        let mut key = [0; 32];
        key.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        OperatorPublicKey(key)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.iter_mut().zip(self.0.sign(message).as_ref()).for_each(|(to, from)| *to = *from);
        signature
    }

    fn from_seed(seed: &Zeroizing<[u8; 32]>, path: &Path) -> Result<Self, MasterKeyError> {
        Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .map(Self)
            .map_err(|_| MasterKeyError::NotAKey { path: path.to_path_buf() })
    }
}

impl OperatorPublicKey {
    /// Parses the text form.
    ///
    /// # Errors
    /// Another prefix or length, or a slip: the check bytes do not fit.
    pub fn parse(text: &str) -> Result<Self, NotAPublicKey> {
        parse_checked(PREFIX, text).map(Self)
    }

    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }

    /// A short name for lists: the first 8 bytes of its SHA-256, as 16 hex digits.
    pub fn id(&self) -> String {
        HEXLOWER.encode(crypto::sha256(&self.0).first_chunk::<8>().unwrap_or(&[0; 8]))
    }
}

impl fmt::Display for OperatorPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&checked_text(PREFIX, &self.0))
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorKey({})", self.public().id())
    }
}

/// A text is not a public key of the kind that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a public key: one begins with \"{prefix}\" and has 48 characters after it, the last few of which check the others"
)]
pub struct NotAPublicKey {
    prefix: &'static str,
}

const PREFIX: &str = "assay-operator-";

/// A public key as people copy it: its kind, its bytes, and four bytes of their hash.
pub(crate) fn checked_text(prefix: &str, key: &[u8; 32]) -> String {
    let check = crypto::sha256(key);
    let bytes = [key.as_slice(), check.first_chunk::<4>().unwrap_or(&[0; 4])].concat();
    format!("{prefix}{}", BASE64URL_NOPAD.encode(&bytes))
}

/// Reads what [`checked_text`] wrote.
pub(crate) fn parse_checked(prefix: &'static str, text: &str) -> Result<[u8; 32], NotAPublicKey> {
    let wrong = NotAPublicKey { prefix };
    let bytes = text.trim().strip_prefix(prefix).and_then(|rest| BASE64URL_NOPAD.decode(rest.as_bytes()).ok());
    let bytes: [u8; 36] = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(wrong)?;
    let key = *bytes.first_chunk::<32>().ok_or(wrong)?;
    if checked_text(prefix, &key) == text.trim() { Ok(key) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attest_core::random::SystemRandom;

    #[test]
    fn refuses_every_slip_in_a_public_key() {
        let dir = tempfile::tempdir().unwrap();
        let key = OperatorKey::create_file(&dir.path().join("operator.key"), &SystemRandom).unwrap().public();
        let text = key.to_string();
        assert_eq!(OperatorPublicKey::parse(&format!("{text}\n")), Ok(key));
        for at in PREFIX.len()..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(OperatorPublicKey::parse(&String::from_utf8(changed).unwrap()).is_err(), "{at}");
            assert!(OperatorPublicKey::parse(&text[..at]).is_err(), "cut at {at}");
        }
        assert!(OperatorPublicKey::parse(&text.replace(PREFIX, "assay-seal-")).is_err());
    }

    #[test]
    fn only_the_key_that_signed_has_signed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.key");
        let made = OperatorKey::create_file(&path, &SystemRandom).unwrap();
        let other = OperatorKey::create_file(&dir.path().join("other.key"), &SystemRandom).unwrap();
        let signature = made.sign(b"message");
        assert_eq!(OperatorKey::from_file(&path).unwrap().public(), made.public());
        assert!(made.public().has_signed(b"message", &signature));
        assert!(!made.public().has_signed(b"massage", &signature));
        assert!(!other.public().has_signed(b"message", &signature));
        assert!(!format!("{made:?}").contains("seed"));
    }
}
