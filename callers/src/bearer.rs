//! A partner's bearer token, of which only the SHA-256 is kept.
//!
//! In: what a request shows. Out: whether its hash is one of those kept. The comparison takes the same time whichever it
//! is, and the hashes in a configuration are of no use to whoever reads it, as long as the token was random: a token of
//! 32 random bytes can't be found from its hash, a password can.

use std::fmt;

use aws_lc_rs::digest;
use subtle::{Choice, ConstantTimeEq};

/// Tokens of one caller that may be good at once: the one in use, and those that are being rolled in or out.
pub const MAX_HASHES: usize = 16;

/// The longest token that is hashed, in bytes.
pub const MAX_BEARER_BYTES: usize = 1024;

/// The hashes of one caller.
#[derive(Clone)]
pub struct BearerHashes(Box<[[u8; 32]]>);

/// None, or more than [`MAX_HASHES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("between 1 and {MAX_HASHES} hashes of tokens belong here")]
pub struct WrongNumberOfHashes;

impl BearerHashes {
    /// Keeps these hashes.
    ///
    /// # Errors
    /// [`WrongNumberOfHashes`]: none would let nobody in and look as if it did.
    pub fn new(hashes: Vec<[u8; 32]>) -> Result<Self, WrongNumberOfHashes> {
        if hashes.is_empty() || hashes.len() > MAX_HASHES { Err(WrongNumberOfHashes) } else { Ok(Self(hashes.into())) }
    }

    /// Whether this token is one of the caller's.
    #[must_use]
    pub fn know(&self, shown: &[u8]) -> bool {
        if shown.len() > MAX_BEARER_BYTES {
            return false;
        }
        let shown = sha256(shown);
        // Each is compared, also after one fitted.
        self.0.iter().fold(Choice::from(0), |found, kept| found | kept.ct_eq(&shown)).into()
    }
}

impl fmt::Debug for BearerHashes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The hash of a weak token is worth hiding.
        write!(out, "BearerHashes({})", self.0.len())
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_none_at_all_and_more_than_one_keeps_track_of() {
        assert_eq!(BearerHashes::new(vec![]).unwrap_err(), WrongNumberOfHashes);
        assert_eq!(BearerHashes::new(vec![sha256(b"a"); 17]).unwrap_err(), WrongNumberOfHashes);
    }

    #[test]
    fn knows_each_of_its_tokens_and_nothing_near_them() {
        // SHA-256 of "abc" (FIPS 180-2, B.1).
        let published = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hash = data_encoding::HEXLOWER.decode(published.as_bytes()).unwrap().try_into().unwrap();
        let hashes = BearerHashes::new(vec![hash, sha256(b"next")]).unwrap();
        assert!(hashes.know(b"abc") && hashes.know(b"next"));
        for other in [&b"abd"[..], b"ab", b"", b"abc ", published.as_bytes(), &hash, &[b'a'; MAX_BEARER_BYTES + 1]] {
            assert!(!hashes.know(other));
        }
        assert_eq!(format!("{hashes:?}"), "BearerHashes(2)");
    }
}
