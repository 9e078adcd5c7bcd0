//! Secrets sealed by somebody who can't read the store. In: a public key, a name, a secret, its bounds. Out: a
//! [`PendingRecord`] beside the records, which nothing is injected from until it is accepted by a holder of the
//! key-encryption key, or signed by an operator whom such a holder has listed.
//!
//! Anybody who can write the file can add one: what proves that it is the one a colleague made is its fingerprint, which
//! both sides print, or the signature.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};

use crate::api_key::{ApiKey, KeyName, SecretError};
use crate::bounds::{Bounds, BoundsText};
use crate::crypto::{self, Canonical, DoesNotOpen};
use crate::operator::{OperatorKey, OperatorPublicKey};
use crate::recipient::{self, PublicKey};
use crate::sealed::{FORMAT_VERSION, bounds_encoding};
use crate::store::UnprovenHead;

/// A secret sealed for a store with its public key alone, and not yet part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawPending", into = "RawPending")]
pub struct PendingRecord {
    pub(crate) name: KeyName,
    pub(crate) bounds: Bounds,
    pub(crate) recipient: PublicKey,
    pub(crate) enc: [u8; 32],
    pub(crate) sealed: Vec<u8>,
    pub(crate) signature: Option<OperatorSignature>,
}

/// What a person compares before accepting: the first 16 bytes of the record's SHA-256. Tells nothing of the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PendingFingerprint(pub(crate) [u8; 16]);

/// An operator's word for a pending record: in this store, on top of the document with this manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OperatorSignature {
    pub(crate) operator: OperatorPublicKey,
    pub(crate) manifest: [u8; 32],
    pub(crate) signature: [u8; 64],
}

/// Seals `secret` under `name` for the store with this public key. Nobody but that store reads it, its maker included.
///
/// # Errors
/// The recipe of `bounds` can't use the secret; the cipher refused.
pub fn seal_to(
    public: &PublicKey,
    name: &KeyName,
    secret: &ApiKey,
    bounds: Bounds,
) -> Result<PendingRecord, SealToError> {
    bounds.recipe().credential(secret.expose())?;
    let about = about(public, name, &bounds);
    let (enc, sealed) = public.seal(&about, secret.expose()).map_err(|_| SealToError::Cipher)?;
    Ok(PendingRecord { name: name.clone(), bounds, recipient: *public, enc, sealed, signature: None })
}

impl PendingRecord {
    /// The name that it asks for.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Its bounds, which it is sealed with.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// The public key it is sealed for.
    pub fn recipient(&self) -> PublicKey {
        self.recipient
    }

    /// Who signed it, if anybody; whether the signature is good is found out when the store is opened.
    pub fn signer(&self) -> Option<OperatorPublicKey> {
        self.signature.map(|signature| signature.operator)
    }

    /// What a person compares before accepting it.
    pub fn fingerprint(&self) -> PendingFingerprint {
        PendingFingerprint(*self.hash().first_chunk().unwrap_or(&[0; 16]))
    }

    /// Signs it for the store with this head, as it stands: any later change of the store makes the signature void, so that
    /// nobody can put an old record back.
    ///
    /// The head is unproven, so it is its manifest that is signed for and not its generation: who can write the file can
    /// raise a number, and keep the signature until the store gets there; the MAC of a manifest that is not yet made is
    /// known to nobody.
    #[must_use]
    pub fn signed(mut self, operator: &OperatorKey, head: &UnprovenHead) -> Self {
        let signature = operator.sign(&self.signed_bytes(&head.store, &head.manifest));
        self.signature = Some(OperatorSignature { operator: operator.public(), manifest: head.manifest, signature });
        self
    }

    /// Whether the signature, if there is one, is its operator's over this record in `store`.
    pub(crate) fn is_genuine(&self, signature: &OperatorSignature, store: &[u8; 16]) -> bool {
        signature.operator.has_signed(&self.signed_bytes(store, &signature.manifest), &signature.signature)
    }

    /// Opens the secret.
    pub(crate) fn open(&self, private: &[u8; 32]) -> Result<ApiKey, DoesNotOpen> {
        let about = about(&self.recipient, &self.name, &self.bounds);
        let clear = recipient::open(private, &self.enc, &about, &self.sealed)?;
        let key = ApiKey::parse(&clear).map_err(|_| DoesNotOpen)?;
        if key.expose().len() == clear.len() { Ok(key) } else { Err(DoesNotOpen) }
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        let about = about(&self.recipient, &self.name, &self.bounds);
        crypto::sha256(
            &Canonical::new("assay-keystore-pending-hash-v2")
                .field(&about)
                .field(&self.enc)
                .field(&self.sealed)
                .bytes(),
        )
    }

    fn signed_bytes(&self, store: &[u8; 16], manifest: &[u8; 32]) -> Vec<u8> {
        Canonical::new("assay-keystore-operator-v2").field(store).field(manifest).field(&self.hash()).bytes()
    }
}

/// All that the secret is bound to while it is pending, and after it was accepted until it is sealed anew.
pub(crate) fn about(recipient: &PublicKey, name: &KeyName, bounds: &Bounds) -> Vec<u8> {
    let head = Canonical::new("assay-keystore-pending-v2")
        .field(&FORMAT_VERSION.to_be_bytes())
        .field(&recipient.0)
        .field(name.as_str().as_bytes());
    bounds_encoding(head, bounds).bytes()
}

impl PendingFingerprint {
    /// Reads 32 hex digits; case, spaces and dashes between them do not count, as people copy them.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String =
            text.chars().filter(|c| !matches!(c, ' ' | '-' | ':')).collect::<String>().to_ascii_lowercase();
        HEXLOWER.decode(digits.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for PendingFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// Why a secret was not sealed for a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealToError {
    /// The recipe can't use it.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The public key is none that anything can be sealed for.
    #[error("nothing can be sealed for this public key")]
    Cipher,
}

/// As it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPending {
    name: String,
    bounds: BoundsText,
    recipient: String,
    enc: String,
    sealed: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<RawSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSignature {
    operator: String,
    manifest: String,
    signature: String,
}

impl TryFrom<RawPending> for PendingRecord {
    type Error = &'static str;

    fn try_from(raw: RawPending) -> Result<Self, &'static str> {
        let bounds = Bounds::parse(&raw.bounds).map_err(|_| "the \"bounds\" of a pending record are none")?;
        if bounds.to_text() != raw.bounds {
            return Err("the \"bounds\" of a pending record are not in canonical form");
        }
        let sealed = BASE64URL_NOPAD.decode(raw.sealed.as_bytes()).map_err(|_| "a \"sealed\" is not base64url")?;
        Ok(Self {
            name: KeyName::parse(&raw.name).map_err(|_| "the \"name\" of a pending record is none")?,
            bounds,
            recipient: crypto::fixed(&raw.recipient)
                .map(PublicKey)
                .ok_or("a \"recipient\" is not 32 bytes of base64url")?,
            enc: crypto::fixed(&raw.enc).ok_or("an \"enc\" is not 32 bytes of base64url")?,
            sealed: Some(sealed)
                .filter(|sealed| sealed.len() <= ApiKey::MAX_BYTES + crypto::TAG_LEN)
                .ok_or("the \"sealed\" of a pending record is too long")?,
            signature: raw.signature.map(OperatorSignature::try_from).transpose()?,
        })
    }
}

impl TryFrom<RawSignature> for OperatorSignature {
    type Error = &'static str;

    fn try_from(raw: RawSignature) -> Result<Self, &'static str> {
        Ok(Self {
            operator: crypto::fixed(&raw.operator)
                .map(OperatorPublicKey)
                .ok_or("an \"operator\" is not 32 bytes of base64url")?,
            manifest: crypto::fixed(&raw.manifest).ok_or("a signature's \"manifest\" is not 32 bytes of base64url")?,
            signature: crypto::fixed(&raw.signature).ok_or("a \"signature\" is not 64 bytes of base64url")?,
        })
    }
}

impl From<PendingRecord> for RawPending {
    fn from(record: PendingRecord) -> Self {
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        Self {
            name: record.name.to_string(),
            bounds: record.bounds.to_text(),
            recipient: encode(&record.recipient.0),
            enc: encode(&record.enc),
            sealed: encode(&record.sealed),
            signature: record.signature.map(|signature| RawSignature {
                operator: encode(&signature.operator.0),
                manifest: encode(&signature.manifest),
                signature: encode(&signature.signature),
            }),
        }
    }
}
