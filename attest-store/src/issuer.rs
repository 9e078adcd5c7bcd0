//! D. In: an Attestation Result. Out: the result token, and the documents that gateways verify with.

use std::{fmt, net::IpAddr, sync::Arc};

use attest_core::{
    appraisal::AttestationResult,
    device_key::DeviceId,
    envelope::AttestRequest,
    feed::{FeedKey, FeedPublicKey, SignedDocument},
    random::Random,
    time::UnixTime,
    token::arc::ArcKey,
    verdict::Verdict,
};
use serde_json::Value;
use settings::TokenSettings;

use crate::{error::StoreError, keys::KeyRing, live::Snapshot, secrets::Secrets};

/// Signs result tokens of one key set, and the documents about it.
pub struct Issuer {
    arc_key: ArcKey,
    feed: FeedKey,
    keys: Arc<KeyRing>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Issuer").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// A signed answer.
#[derive(Debug)]
pub struct Signed {
    /// The token; absent for a failed app of a set that conceals nothing.
    pub token: Option<String>,
    /// The support code inside.
    pub arc: String,
}

/// No token can be signed; the fault is ours.
#[derive(Debug, thiserror::Error)]
#[error("no token can be signed")]
pub struct CannotSign;

/// Who the token is for.
pub struct Bearer<'a> {
    /// What the client said; echoed, never appraised.
    pub request: &'a AttestRequest,
    /// The id derived from that key.
    pub device: DeviceId,
    /// Where it asked from.
    pub address: IpAddr,
}

/// A marked token for tests.
#[derive(Clone, Debug)]
pub struct DevToken {
    /// The app it names.
    pub app: String,
    /// The version it names.
    pub version: String,
    /// What a gateway is to find.
    pub as_verdict: Verdict,
}

impl Issuer {
    /// The issuer of the keys in hand.
    pub(crate) fn new(_token: &TokenSettings, secrets: &Secrets, keys: &Arc<KeyRing>) -> Result<Self, StoreError> {
        Ok(Self {
            arc_key: ArcKey::new(*secrets.arc),
            feed: FeedKey::from_seed(&secrets.feed)?,
            keys: Arc::clone(keys),
        })
    }

    /// The digest of all that a key-set document says but its number and date.
    pub(crate) fn content_digest(&self) -> Result<[u8; 32], StoreError> {
        Ok([0; 32])
    }

    /// The token that says `result`, issued at `now`.
    ///
    /// # Errors
    /// [`CannotSign`].
    pub fn sign(
        &self,
        _result: &AttestationResult,
        _bearer: &Bearer<'_>,
        _now: UnixTime,
        _random: &dyn Random,
    ) -> Result<Signed, CannotSign> {
        Err(CannotSign)
    }

    /// A marked token for tests.
    ///
    /// # Errors
    /// [`CannotSign`].
    pub fn issue_dev(&self, _what: &DevToken, _now: UnixTime, _random: &dyn Random) -> Result<String, CannotSign> {
        Err(CannotSign)
    }

    /// The key-set document of `snapshot`, dated and signed at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn key_set_document(&self, _snapshot: &Snapshot, _now: UnixTime) -> Result<SignedDocument, StoreError> {
        Ok(self.feed.sign(&[]))
    }

    /// The revocations after the number `after`, dated and signed at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn revocation_document(
        &self,
        _snapshot: &Snapshot,
        _after: u64,
        _now: UnixTime,
    ) -> Result<SignedDocument, StoreError> {
        Ok(self.feed.sign_revocations(&[]))
    }

    /// The public keys, for sets that conceal nothing.
    #[must_use]
    pub fn jwks(&self) -> Option<Value> {
        None
    }

    /// The key of support codes.
    #[must_use]
    pub fn arc_key(&self) -> &ArcKey {
        &self.arc_key
    }

    /// The half that gateways pin.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn feed_public_key(&self) -> Result<FeedPublicKey, StoreError> {
        Ok(self.feed.public_key()?)
    }
}
