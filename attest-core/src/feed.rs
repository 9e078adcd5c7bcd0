//! Key sets and revocations on their way to the gateways: signed, numbered, dated.
//!
//! In: a [`KeySetDocument`] at the service. Out: at the gateway the same document, proven to come from the service
//! whose public key was pinned, and from it [`KeySet`]s that passed every check. That the number rises is for the
//! gateway to prove.

mod document;
mod gateway;
mod orders;
mod revocations;

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::b64u;
use crate::token::key_set::KeySetError;

pub use document::{FORMAT, KeyDocument, KeySetDocument, KeySetEntry, KeyState, Revoked, SecretBytes};
pub use gateway::{GatewayCounts, GatewayFacts, MAX_REPORT_BYTES, MAX_REPORTED_ROUTES, NotFacts, is_gateway_name};
pub use orders::{
    MAX_EXTENSION, MAX_ORDER_LASTS, MAX_ORDER_ROUTES, MAX_ORDERS, NotAnOrderKind, Order, OrderKind, is_route_name,
};
pub use revocations::{
    FEED_FORMAT_HEADER, LIFTED_STAYS, MAX_REVOCATION_ENTRIES, REVOCATIONS_FORMAT, REVOCATIONS_FORMAT_1,
    RevocationDocument, RevocationEntry, RevocationFormat, RevocationKind,
};

#[cfg(doc)]
use crate::token::key_set::KeySet;

/// Bytes of a signed document at most.
pub const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;

const DOMAIN: &[u8] = b"assay-feed-v1\0";
const REVOCATIONS_DOMAIN: &[u8] = b"assay-revocations-v1\0";

/// Why a document is not taken. Holds nothing of it.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum FeedError {
    /// No key of the right form.
    #[error("not a feed key: `ed25519:` and 43 characters of base64url")]
    NotAKey,
    /// Not a signed document.
    #[error("not a signed document")]
    NotADocument,
    /// Signed by another key, or changed since.
    #[error("the document is not signed by the pinned feed key")]
    BadSignature,
    /// A format of another version, or not one of ours.
    #[error("not a document of format {FORMAT} or {REVOCATIONS_FORMAT}")]
    UnknownFormat,
    /// A key set in it can't be used.
    #[error("a key set in the document: {0}")]
    KeySet(#[from] KeySetError),
}

/// The service's half: signs documents. Its `Debug` shows nothing.
pub struct FeedKey(Ed25519KeyPair);

impl FeedKey {
    /// The key of 32 random bytes (an Ed25519 seed).
    ///
    /// # Errors
    /// [`FeedError::NotAKey`] when the cryptography refuses it.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, FeedError> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| FeedError::NotAKey)
    }

    /// The half that gateways pin.
    ///
    /// # Errors
    /// [`FeedError::NotAKey`] when it can't be derived.
    pub fn public_key(&self) -> Result<FeedPublicKey, FeedError> {
        FeedPublicKey::from_bytes(self.0.public_key().as_ref())
    }

    /// Signs the payload of a key set document.
    #[must_use]
    pub fn sign(&self, payload: &[u8]) -> SignedDocument {
        self.sign_in(DOMAIN, payload)
    }

    /// Signs the payload of a revocation document: such a signature is good for nothing else.
    #[must_use]
    pub fn sign_revocations(&self, payload: &[u8]) -> SignedDocument {
        self.sign_in(REVOCATIONS_DOMAIN, payload)
    }

    fn sign_in(&self, domain: &[u8], payload: &[u8]) -> SignedDocument {
        let signature = self.0.sign(&[domain, payload].concat());
        SignedDocument { payload: b64u::encode(payload), signature: b64u::encode(signature.as_ref()) }
    }
}

impl fmt::Debug for FeedKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("FeedKey([redacted])")
    }
}

/// A payload and the service's signature over it: `{"payload": base64url, "signature": base64url}`. It may carry
/// secrets; `Debug` shows its length.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedDocument {
    payload: String,
    signature: String,
}

impl SignedDocument {
    /// Parses the JSON of a signed document, at most [`MAX_DOCUMENT_BYTES`].
    ///
    /// # Errors
    /// [`FeedError::NotADocument`].
    pub fn parse(text: &[u8]) -> Result<Self, FeedError> {
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(FeedError::NotADocument);
        }
        serde_json::from_slice(text).map_err(|_| FeedError::NotADocument)
    }

    /// Its JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Two texts of base64url need no escape.
        format!(r#"{{"payload":"{}","signature":"{}"}}"#, self.payload, self.signature)
    }
}

impl fmt::Debug for SignedDocument {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SignedDocument({} bytes)", self.payload.len())
    }
}

/// The gateway's half: pinned at enrolment. As text: `ed25519:` and 43 characters.
#[derive(Clone)]
pub struct FeedPublicKey {
    bytes: [u8; 32],
    parsed: ParsedPublicKey,
}

impl FeedPublicKey {
    /// Parses the pinned text; white space around it is ignored, as files end with a line.
    ///
    /// # Errors
    /// [`FeedError::NotAKey`].
    pub fn parse(text: &str) -> Result<Self, FeedError> {
        let encoded = text.trim().strip_prefix("ed25519:").ok_or(FeedError::NotAKey)?;
        let bytes: [u8; 32] = b64u::decode_array(encoded.as_bytes()).map_err(|_| FeedError::NotAKey)?;
        Self::from_bytes(&bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, FeedError> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| FeedError::NotAKey)?;
        let parsed = ParsedPublicKey::new(&ED25519, bytes).map_err(|_| FeedError::NotAKey)?;
        Ok(Self { bytes, parsed })
    }

    /// The payload of a key set document that this key signed.
    ///
    /// # Errors
    /// [`FeedError::NotADocument`], [`FeedError::BadSignature`].
    pub fn verify(&self, document: &SignedDocument) -> Result<Vec<u8>, FeedError> {
        self.verify_in(DOMAIN, document)
    }

    /// The payload of a revocation document that this key signed.
    ///
    /// # Errors
    /// [`FeedError::NotADocument`], [`FeedError::BadSignature`].
    pub fn verify_revocations(&self, document: &SignedDocument) -> Result<Vec<u8>, FeedError> {
        self.verify_in(REVOCATIONS_DOMAIN, document)
    }

    fn verify_in(&self, domain: &[u8], document: &SignedDocument) -> Result<Vec<u8>, FeedError> {
        let decode =
            |text: &str| b64u::decode(text.as_bytes(), MAX_DOCUMENT_BYTES).map_err(|_| FeedError::NotADocument);
        let (payload, signature) = (decode(&document.payload)?, decode(&document.signature)?);
        let message = [domain, &payload].concat();
        self.parsed.verify_sig(&message, &signature).map_err(|_| FeedError::BadSignature)?;
        Ok(payload)
    }
}

impl fmt::Display for FeedPublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ed25519:{}", b64u::encode(&self.bytes))
    }
}

impl fmt::Debug for FeedPublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "FeedPublicKey({self})")
    }
}

impl FromStr for FeedPublicKey {
    type Err = FeedError;

    fn from_str(text: &str) -> Result<Self, FeedError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
