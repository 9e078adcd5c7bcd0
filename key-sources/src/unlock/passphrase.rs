//! A key from a passphrase. In: a file with one line, and parameters from the store's head. Out: 32 bytes by Argon2id.
//!
//! # Source
//! RFC 9106: section 3.1 for what goes in, section 4 for the second recommended choice (64 MiB, 3 passes, 4 lanes).

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use attest_core::random::{Random, array};
use data_encoding::BASE64URL_NOPAD;
use keystore::MasterKey;
use keystore::kek::Argon2id;
use zeroize::Zeroizing;

use super::UnlockError;
use crate::private_file;

/// Parameters for a new store, with a new salt.
pub(super) fn new_parameters(random: &dyn Random) -> Result<Argon2id, UnlockError> {
    let salt = BASE64URL_NOPAD.encode(&array::<16>(random)?);
    Ok(Argon2id { version: 0x13, memory_kib: 64 * 1024, passes: 3, lanes: 4, salt })
}

/// The key that the passphrase in `path` gives under `parameters`.
pub(super) async fn master_key(path: &Path, parameters: &Argon2id) -> Result<MasterKey, UnlockError> {
    let (path, parameters) = (path.to_path_buf(), parameters.clone());
    // A tenth of a second and up: not on a thread that serves requests.
    let stretched = tokio::task::spawn_blocking(move || {
        let passphrase = private_file::read_line(&path, MOST_BYTES)
            .map_err(|source| UnlockError::Secret { path: path.clone(), source })?;
        if !(16..=1024).contains(&passphrase.chars().count()) {
            return Err(UnlockError::Passphrase { path });
        }
        stretch(&passphrase, &parameters)
    });
    stretched.await.map_err(|_| UnlockError::Argon2 { why: "shutting down".to_owned() })?
}

fn stretch(passphrase: &str, parameters: &Argon2id) -> Result<MasterKey, UnlockError> {
    let salt = parameters.salt()?;
    let failed = |why: argon2::Error| UnlockError::Argon2 { why: why.to_string() };
    let costs = Params::new(parameters.memory_kib, parameters.passes, parameters.lanes, Some(32)).map_err(failed)?;
    let mut key = Zeroizing::new([0; 32]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, costs);
    argon2.hash_password_into(passphrase.as_bytes(), &salt, key.as_mut_slice()).map_err(failed)?;
    MasterKey::from_bytes(key).map_err(|_| UnlockError::NotAKey { at: "the passphrase".to_owned() })
}

/// 1,024 characters of four bytes each, and a line ending.
const MOST_BYTES: usize = 4098;

#[cfg(test)]
mod tests {
    use super::*;
    use attest_core::random::SystemRandom;

    /// As OpenSSL computes it: `openssl kdf -keylen 32 -kdfopt pass:'seven words that nobody has put together' -kdfopt
    /// salt:0123456789abcdef -kdfopt iter:2 -kdfopt memcost:19456 -kdfopt lanes:1 ARGON2ID`.
    #[test]
    fn it_is_argon2id_as_others_compute_it() {
        let salt = BASE64URL_NOPAD.encode(b"0123456789abcdef");
        let parameters = Argon2id { version: 0x13, memory_kib: 19_456, passes: 2, lanes: 1, salt };
        let key = stretch("seven words that nobody has put together", &parameters).unwrap();
        let mut same = [0; 32];
        let expected = data_encoding::HEXLOWER.decode(REFERENCE.as_bytes()).unwrap();
        same.copy_from_slice(&expected);
        assert_eq!(key.id(), MasterKey::from_bytes(Zeroizing::new(same)).unwrap().id());
    }

    const REFERENCE: &str = "e078c660aaa88885dc957632764a96beaa19a5c84592511036dd9daeb56198e5";

    #[test]
    fn another_salt_or_passphrase_is_another_key_and_weak_costs_are_refused() {
        let cheap = |salt: &[u8; 16], passes| Argon2id {
            version: 0x13,
            memory_kib: 19_456,
            passes,
            lanes: 1,
            salt: BASE64URL_NOPAD.encode(salt),
        };
        let id = |passphrase, parameters: &Argon2id| stretch(passphrase, parameters).unwrap().id();
        let one = id("a passphrase of some words", &cheap(&[1; 16], 1));
        assert_eq!(one, id("a passphrase of some words", &cheap(&[1; 16], 1)));
        assert_ne!(one, id("a passphrase of some words", &cheap(&[2; 16], 1)));
        assert_ne!(one, id("a passphrase of other words", &cheap(&[1; 16], 1)));
        assert!(matches!(stretch("a passphrase of some words", &cheap(&[1; 16], 0)), Err(UnlockError::Head(_))));
        let new = new_parameters(&SystemRandom).unwrap();
        assert_ne!(new.salt, new_parameters(&SystemRandom).unwrap().salt);
        assert!(new.salt().is_ok());
    }
}
