//! One sealed secret. In: a clear key with its name, version and bounds. Out: a [`SealedRecord`], and from it the clear
//! key again; proven between: name, version, bounds and format are those it was sealed with.
//!
//! Each secret has its own random data key; the data key is wrapped by a key derived from the key-encryption key. Both
//! seals carry the same associated data, so neither half can be moved to another record.

#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;

use attest_core::random::{NoRandomness, Random, array};
use data_encoding::HEXLOWER;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::api_key::{ApiKey, KeyName};
use crate::bounds::Bounds;
use crate::crypto::{self, Canonical, NONCE_LEN, TAG_LEN};
use crate::pending::{self, PendingRecord};
use crate::recipient;
use crate::store_keys::StoreKeys;

/// The format that this build writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 2;

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
    pub(crate) body: Body,
}

/// How the secret is sealed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// Under a data key of its own, and that under the wrap key.
    Wrapped {
        /// Nonce, encrypted data key, tag.
        wrapped_key: Vec<u8>,
        /// Nonce, encrypted secret, tag.
        sealed: Vec<u8>,
    },
    /// With the store's public key, as it was pending; stays so until the key-encryption key is rotated.
    Accepted {
        /// The encapsulated key.
        enc: [u8; 32],
        /// Encrypted secret, tag.
        sealed: Vec<u8>,
    },
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
        let fingerprint = keys.fingerprint_of(secret);
        let body = Body::Wrapped { wrapped_key: Vec::new(), sealed: Vec::new() };
        let mut record = Self::new(about, fingerprint, body);
        let about = record.associated_data();
        let data_key = Zeroizing::new(array::<32>(random)?);
        let wrapped_key = crypto::seal(&keys.wrap, array(random)?, &labelled(WRAP_LABEL, &about), data_key.as_slice())?;
        let sealed = crypto::seal(&data_key, array(random)?, &labelled(SECRET_LABEL, &about), secret.expose())?;
        record.body = Body::Wrapped { wrapped_key, sealed };
        Ok(record)
    }

    /// A pending record under the id and version that it was accepted with, its secret sealed as it was.
    pub(crate) fn accept(about: RecordFacts, pending: &PendingRecord, keys: &StoreKeys) -> Result<Self, DoesNotUnseal> {
        let secret = pending.open(&keys.recipient_key).map_err(|_| DoesNotUnseal)?;
        let body = Body::Accepted { enc: pending.enc, sealed: pending.sealed.clone() };
        Ok(Self::new(about, keys.fingerprint_of(&secret), body))
    }

    /// The same record under the keys of another key-encryption key: its data key wrapped anew, or its secret sealed anew
    /// where it was sealed with the public key, which changes too.
    pub(crate) fn rewrap(&self, old: &StoreKeys, new: &StoreKeys, random: &dyn Random) -> Result<Self, RewrapError> {
        match &self.body {
            Body::Wrapped { wrapped_key, sealed } => {
                let about = labelled(WRAP_LABEL, &self.associated_data());
                let data_key = crypto::open(&old.wrap, &about, wrapped_key).map_err(|_| DoesNotUnseal)?;
                let wrapped_key = crypto::seal(&new.wrap, array(random).map_err(SealError::from)?, &about, &data_key)
                    .map_err(SealError::from)?;
                Ok(Self { body: Body::Wrapped { wrapped_key, sealed: sealed.clone() }, ..self.clone() })
            }
            Body::Accepted { .. } => {
                let secret = self.unseal(old)?;
                let Self { id, name, version, bounds, .. } = self.clone();
                Ok(Self::seal(RecordFacts { id, name, version, bounds }, &secret, new, random)?)
            }
        }
    }

    /// Unseals the secret.
    pub(crate) fn unseal(&self, keys: &StoreKeys) -> Result<ApiKey, DoesNotUnseal> {
        self.unseal_about(keys, &self.associated_data())
    }

    /// Unseals the secret, and proves that the record has this hash. For loading: what both are made of is made once.
    pub(crate) fn prove(&self, keys: &StoreKeys, hash: &[u8; 32]) -> Result<(), NotProven> {
        let about = self.associated_data();
        if hash_of(&about, &self.body) != *hash {
            return Err(NotProven::Changed);
        }
        self.unseal_about(keys, &about).map(drop).map_err(|_| NotProven::DoesNotUnseal)
    }

    /// What the manifest holds of this record: SHA-256 over all of it.
    pub(crate) fn hash(&self) -> [u8; 32] {
        self.hash_with(&self.body)
    }

    /// The hash that this record would have with another record's ciphertexts: to tell a swap from a change.
    pub(crate) fn hash_with(&self, body: &Body) -> [u8; 32] {
        hash_of(&self.associated_data(), body)
    }

    fn new(about: RecordFacts, fingerprint: Fingerprint, body: Body) -> Self {
        let RecordFacts { id, name, version, bounds } = about;
        Self { id, name, version, bounds, fingerprint, body }
    }

    fn unseal_about(&self, keys: &StoreKeys, about: &[u8]) -> Result<ApiKey, DoesNotUnseal> {
        let clear = match &self.body {
            Body::Wrapped { wrapped_key, sealed } => {
                let data_key =
                    crypto::open32(&keys.wrap, &labelled(WRAP_LABEL, about), wrapped_key).map_err(|_| DoesNotUnseal)?;
                crypto::open(&data_key, &labelled(SECRET_LABEL, about), sealed).map_err(|_| DoesNotUnseal)?
            }
            Body::Accepted { enc, sealed } => {
                let about = pending::about(&keys.recipient, &self.name, &self.bounds);
                recipient::open(&keys.recipient_key, enc, &about, sealed).map_err(|_| DoesNotUnseal)?
            }
        };
        ApiKey::parse(&clear).map_err(|_| DoesNotUnseal).and_then(|key| {
            let whole = key.expose().len() == clear.len() && keys.fingerprint_of(&key) == self.fingerprint;
            if whole { Ok(key) } else { Err(DoesNotUnseal) }
        })
    }

    /// All that the secret is bound to. Two different records never have the same encoding.
    fn associated_data(&self) -> Vec<u8> {
        let head = Canonical::new("assay-keystore-record-v2")
            .field(&FORMAT_VERSION.to_be_bytes())
            .field(&self.id.0)
            .field(self.name.as_str().as_bytes())
            .field(&self.version.get().to_be_bytes())
            .field(&self.fingerprint.0);
        bounds_encoding(head, &self.bounds).bytes()
    }
}

/// A record is not the one that the manifest names, or is, and does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotProven {
    Changed,
    DoesNotUnseal,
}

fn hash_of(about: &[u8], body: &Body) -> [u8; 32] {
    let whole = Canonical::new("assay-keystore-record-hash-v2").field(about);
    let whole = match body {
        Body::Wrapped { wrapped_key, sealed } => whole.field(b"wrapped").field(wrapped_key).field(sealed),
        Body::Accepted { enc, sealed } => whole.field(b"accepted").field(enc).field(sealed),
    };
    crypto::sha256(&whole.bytes())
}

/// Appends all bounds. The recipe goes in whole, as canonical JSON: its token endpoint, claims and algorithms with it.
pub(crate) fn bounds_encoding(head: Canonical, bounds: &Bounds) -> Canonical {
    let text = bounds.to_text();
    // A recipe is text and numbers: it always serializes. Were it not so, the record would not open.
    let recipe = crypto::canonical_json(&text.recipe).unwrap_or_default();
    head.list(&text.schemes)
        .list(&text.hosts)
        .list(&text.methods)
        .list(&text.paths)
        .field(&recipe)
        .field(text.trust.as_bytes())
}

/// What a record says in the clear.
pub(crate) struct RecordFacts {
    pub(crate) id: RecordId,
    pub(crate) name: KeyName,
    pub(crate) version: NonZeroU32,
    pub(crate) bounds: Bounds,
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

/// A record could not be moved to another key-encryption key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RewrapError {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    DoesNotUnseal(#[from] DoesNotUnseal),
}

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

const WRAP_LABEL: &str = "assay-keystore-wrapped-key-v2";
const SECRET_LABEL: &str = "assay-keystore-secret-v2";

/// The associated data of one of the two seals.
fn labelled(label: &str, about: &[u8]) -> Vec<u8> {
    Canonical::new(label).field(about).bytes()
}
