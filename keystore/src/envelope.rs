//! A sealed box for any small secret. In: a key-encryption key, what the secret belongs to, the secret. Out: bytes that
//! open only with the same key and the same purpose. The attestation service keeps its own keys this way.
//!
//! Layout: version (1 byte, `1`) | salt (16) | nonce (12) | ciphertext | tag (16). Each box has its own key, HKDF-SHA-256
//! of the key-encryption key under the salt, so no number of boxes uses up the nonces of one key.

use attest_core::random::{NoRandomness, Random};
use zeroize::Zeroizing;

use crate::crypto::{self, NONCE_LEN};
use crate::master_key::MasterKey;

/// Seals `plaintext` for the purpose named by `aad` (say, `"attest-service/feed-seed"`).
///
/// # Errors
/// No randomness; a plaintext over 1 MiB.
pub fn seal(master: &MasterKey, aad: &[u8], plaintext: &[u8], random: &dyn Random) -> Result<Vec<u8>, EnvelopeError> {
    if plaintext.len() > MAX_PLAINTEXT {
        return Err(EnvelopeError::TooLong);
    }
    let (mut salt, mut nonce) = ([0; SALT_LEN], [0; NONCE_LEN]);
    random.fill(&mut salt)?;
    random.fill(&mut nonce)?;
    let key = master.derive(&salt, LABEL);
    let sealed = crypto::seal(&key, nonce, aad, plaintext).map_err(|_| EnvelopeError::TooLong)?;
    Ok([&[VERSION], salt.as_slice(), &sealed].concat())
}

/// Opens what [`seal`] made.
///
/// # Errors
/// Another key, another purpose, a changed or shortened box; a version that this build does not know.
pub fn open(master: &MasterKey, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let (version, rest) = sealed.split_first().ok_or(EnvelopeError::DoesNotOpen)?;
    if *version != VERSION {
        return Err(EnvelopeError::UnknownVersion { found: *version });
    }
    let (salt, text) = rest.split_first_chunk::<SALT_LEN>().ok_or(EnvelopeError::DoesNotOpen)?;
    crypto::open(&master.derive(salt, LABEL), aad, text).map_err(|_| EnvelopeError::DoesNotOpen)
}

/// Why a box was not sealed or not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The key, the purpose or the box is another one.
    #[error("the sealed value does not open: another key sealed it, for another purpose, or it was changed")]
    DoesNotOpen,
    /// Made by another build.
    #[error("the sealed value has version {found}; this build knows version {VERSION}")]
    UnknownVersion {
        /// The version byte.
        found: u8,
    },
    /// Over 1 MiB.
    #[error("the value to seal is over 1 MiB")]
    TooLong,
    /// The system gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

const VERSION: u8 = 1;
const SALT_LEN: usize = 16;
const MAX_PLAINTEXT: usize = 1 << 20;
const LABEL: &str = "assay-envelope-v1";

#[cfg(test)]
mod tests {
    use super::*;
    use attest_core::random::SystemRandom;
    use proptest::prelude::*;

    fn master() -> MasterKey {
        MasterKey::generate(&SystemRandom).unwrap()
    }

    #[test]
    fn refuses_another_key_another_purpose_and_every_flipped_bit() {
        let master_key = master();
        let sealed = seal(&master_key, b"feed", b"seed", &SystemRandom).unwrap();
        assert_eq!(open(&master(), b"feed", &sealed), Err(EnvelopeError::DoesNotOpen));
        assert_eq!(open(&master_key, b"arc", &sealed), Err(EnvelopeError::DoesNotOpen));
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&master_key, b"feed", &changed).is_err(), "bit {bit}");
        }
        for cut in 0..sealed.len() {
            assert!(open(&master_key, b"feed", &sealed[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn refuses_to_seal_more_than_a_mebibyte() {
        assert_eq!(seal(&master(), b"", &vec![0; MAX_PLAINTEXT + 1], &SystemRandom), Err(EnvelopeError::TooLong));
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(text in prop::collection::vec(any::<u8>(), 0..300), aad in prop::collection::vec(any::<u8>(), 0..40)) {
            let master = master();
            let sealed = seal(&master, &aad, &text, &SystemRandom).unwrap();
            let opened = open(&master, &aad, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), text.as_slice());
        }
    }
}
