//! One sealed secret. In: a clear key with its name, version and bounds. Out: a [`SealedRecord`], and from it the clear
//! key again; proven between: name, version, bounds and format are those it was sealed with.
//!
//! Each secret has its own random data key; the data key is wrapped by a key derived from the key-encryption key. Both
//! seals carry the same associated data, so neither half can be moved to another record.

use std::fmt;
use std::num::NonZeroU32;

use attest_core::random::{NoRandomness, Random, array};
use data_encoding::HEXLOWER;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::api_key::{ApiKey, KeyName};
use crate::bounds::Bounds;
use crate::crypto::{self, Canonical, Key256, NONCE_LEN, TAG_LEN};
use crate::master_key::MasterKey;

/// The format that this build writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Width of a wrapped data key: nonce, key, tag.
pub(crate) const WRAPPED_LEN: usize = NONCE_LEN + 32 + TAG_LEN;

/// One version of one key, sealed.
#[derive(Clone)]
pub struct SealedRecord {
    pub(crate) id: RecordId,
    pub(crate) name: KeyName,
    pub(crate) version: NonZeroU32,
    pub(crate) bounds: Bounds,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) wrapped_key: Vec<u8>,
    pub(crate) sealed: Vec<u8>,
}

/// 16 random bytes: one for all versions of a key, another if the key is removed and put again under the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId(pub(crate) [u8; 16]);

/// The first 8 bytes of HMAC-SHA-256 of the secret under a key derived for this alone: tells two secrets apart in lists
/// and logs, and can't be tested against guesses without the key-encryption key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub(crate) [u8; 8]);

/// Where a version stands in a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// The one that is injected.
    Current,
    /// Put, not yet in use: `assay key rotate` makes it current.
    Next,
    /// Was current before the last rotation: no longer injected, still scrubbed from responses.
    Previous,
}

/// The keys of one store, derived from the key-encryption key under the store's id, one for each use.
pub(crate) struct StoreKeys {
    wrap: Key256,
    fingerprint: Key256,
    pub(crate) manifest: Key256,
}

impl SealedRecord {
    /// The name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The version, counted from 1.
    pub fn version(&self) -> NonZeroU32 {
        self.version
    }

    /// The bounds.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// The fingerprint of the secret.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Seals a secret.
    pub(crate) fn seal(
        about: RecordFacts,
        secret: &ApiKey,
        keys: &StoreKeys,
        random: &dyn Random,
    ) -> Result<Self, SealError> {
        let RecordFacts { id, name, version, bounds } = about;
        let fingerprint = keys.fingerprint_of(secret);
        let mut record = Self { id, name, version, bounds, fingerprint, wrapped_key: Vec::new(), sealed: Vec::new() };
        let about = record.associated_data();
        let data_key = Zeroizing::new(array::<32>(random)?);
        record.wrapped_key =
            crypto::seal(&keys.wrap, array(random)?, &labelled(WRAP_LABEL, &about), data_key.as_slice())?;
        record.sealed =
            crypto::seal(&data_key, array(random)?, &labelled(SECRET_LABEL, &about), secret.expose().as_bytes())?;
        Ok(record)
    }

    /// Unseals the secret.
    pub(crate) fn unseal(&self, keys: &StoreKeys) -> Result<ApiKey, DoesNotUnseal> {
        let about = self.associated_data();
        let opened =
            crypto::open(&keys.wrap, &labelled(WRAP_LABEL, &about), &self.wrapped_key).map_err(|_| DoesNotUnseal)?;
        let mut data_key = Zeroizing::new([0; 32]);
        data_key.copy_from_slice(opened.first_chunk::<32>().filter(|_| opened.len() == 32).ok_or(DoesNotUnseal)?);
        let clear =
            crypto::open(&data_key, &labelled(SECRET_LABEL, &about), &self.sealed).map_err(|_| DoesNotUnseal)?;
        ApiKey::parse(&clear).map_err(|_| DoesNotUnseal).and_then(|key| {
            let whole = key.expose().len() == clear.len() && keys.fingerprint_of(&key) == self.fingerprint;
            if whole { Ok(key) } else { Err(DoesNotUnseal) }
        })
    }

    /// What the manifest holds of this record: SHA-256 over all of it.
    pub(crate) fn hash(&self) -> [u8; 32] {
        self.hash_with(&self.wrapped_key, &self.sealed)
    }

    /// The hash that this record would have with another record's ciphertexts: to tell a swap from a change.
    pub(crate) fn hash_with(&self, wrapped_key: &[u8], sealed: &[u8]) -> [u8; 32] {
        let whole = Canonical::new("assay-keystore-record-hash-v1")
            .field(&self.associated_data())
            .field(wrapped_key)
            .field(sealed);
        crypto::sha256(&whole.bytes())
    }

    /// All that the secret is bound to. Two different records never have the same encoding.
    fn associated_data(&self) -> Vec<u8> {
        let text = self.bounds.to_text();
        let crate::bounds::RecipeText::Header { name, template } = &text.recipe;
        Canonical::new("assay-keystore-record-v1")
            .field(&FORMAT_VERSION.to_be_bytes())
            .field(&self.id.0)
            .field(self.name.as_str().as_bytes())
            .field(&self.version.get().to_be_bytes())
            .list(&text.schemes)
            .list(&text.hosts)
            .list(&text.methods)
            .list(&text.paths)
            .list(&["header", name.as_str(), template.as_str()])
            .field(text.trust.as_bytes())
            .field(&self.fingerprint.0)
            .bytes()
    }
}

/// What a record says in the clear.
pub(crate) struct RecordFacts {
    pub(crate) id: RecordId,
    pub(crate) name: KeyName,
    pub(crate) version: NonZeroU32,
    pub(crate) bounds: Bounds,
}

impl StoreKeys {
    pub(crate) fn new(master: &MasterKey, store: &[u8; 16]) -> Self {
        Self {
            wrap: master.derive(store, "assay-keystore-wrap-v1"),
            fingerprint: master.derive(store, "assay-keystore-fingerprint-v1"),
            manifest: master.derive(store, "assay-keystore-manifest-v1"),
        }
    }

    pub(crate) fn fingerprint_of(&self, secret: &ApiKey) -> Fingerprint {
        let mac = crypto::mac(&self.fingerprint, secret.expose().as_bytes());
        Fingerprint(*mac.first_chunk().unwrap_or(&[0; 8]))
    }
}

/// A secret could not be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The system gave no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// Past the limits of the cipher, which no secret of at most 8 KiB reaches.
    #[error("the cipher refused the secret")]
    Cipher,
}

impl From<crypto::DoesNotOpen> for SealError {
    fn from(_: crypto::DoesNotOpen) -> Self {
        Self::Cipher
    }
}

/// A record does not unseal: its bounds, its name, its version or its ciphertext are not those it was sealed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record does not open with what it says of itself")]
pub struct DoesNotUnseal;

impl fmt::Debug for SealedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedRecord({} version {})", self.name, self.version)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl VersionState {
    /// `current`, `next` or `previous`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Next => "next",
            Self::Previous => "previous",
        }
    }

    /// Reads a state; no other text is one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Current, Self::Next, Self::Previous].into_iter().find(|state| state.as_str() == text)
    }
}

impl fmt::Display for VersionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const WRAP_LABEL: &str = "assay-keystore-wrapped-key-v1";
const SECRET_LABEL: &str = "assay-keystore-secret-v1";

/// The associated data of one of the two seals.
fn labelled(label: &str, about: &[u8]) -> Vec<u8> {
    Canonical::new(label).field(about).bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use attest_core::random::SystemRandom;

    fn facts() -> RecordFacts {
        let bounds = Bounds::parse(&crate::store::tests_support::bounds("api.example.com")).unwrap();
        RecordFacts { id: RecordId([9; 16]), name: KeyName::parse("vendor").unwrap(), version: NonZeroU32::MIN, bounds }
    }

    fn keys() -> StoreKeys {
        StoreKeys::new(&MasterKey::generate(&SystemRandom).unwrap(), &[1; 16])
    }

    #[test]
    fn a_change_of_any_bound_makes_the_record_unusable() {
        let keys = keys();
        let secret = ApiKey::parse(b"sk-0123456789abcdef").unwrap();
        let record = SealedRecord::seal(facts(), &secret, &keys, &SystemRandom).unwrap();
        assert_eq!(record.unseal(&keys).unwrap().expose(), secret.expose());

        let with_bounds = |change: &dyn Fn(&mut crate::BoundsText)| {
            let mut text = record.bounds.to_text();
            change(&mut text);
            SealedRecord { bounds: Bounds::parse(&text).unwrap(), ..record.clone() }
        };
        let changed = [
            with_bounds(&|text| text.hosts = vec!["evil.example".into()]),
            with_bounds(&|text| text.hosts.push("evil.example".into())),
            with_bounds(&|text| text.methods.push("DELETE".into())),
            with_bounds(&|text| text.paths = vec!["/**".into()]),
            with_bounds(&|text| text.trust = format!("sha256:{}", "0".repeat(64))),
            with_bounds(&|text| {
                text.recipe = crate::bounds::RecipeText::Header { name: "x-other".into(), template: "{key}".into() };
            }),
            SealedRecord { name: KeyName::parse("other").unwrap(), ..record.clone() },
            SealedRecord { version: NonZeroU32::new(2).unwrap(), ..record.clone() },
            SealedRecord { id: RecordId([8; 16]), ..record.clone() },
            SealedRecord { fingerprint: Fingerprint([0; 8]), ..record.clone() },
        ];
        for other in changed {
            assert_eq!(other.unseal(&keys).unwrap_err(), DoesNotUnseal, "{other:?}");
            assert_ne!(other.hash(), record.hash());
        }
    }

    #[test]
    fn halves_of_two_records_do_not_fit_together() {
        let keys = keys();
        let secret = ApiKey::parse(b"sk-0123456789abcdef").unwrap();
        let one = SealedRecord::seal(facts(), &secret, &keys, &SystemRandom).unwrap();
        let other = SealedRecord::seal(facts(), &secret, &keys, &SystemRandom).unwrap();
        assert!(SealedRecord { wrapped_key: other.wrapped_key.clone(), ..one.clone() }.unseal(&keys).is_err());
        assert!(SealedRecord { sealed: other.sealed.clone(), ..one.clone() }.unseal(&keys).is_err());
        assert!(one.unseal(&self::keys()).is_err(), "another key-encryption key");
    }
}
