//! In: the keys in hand, and the devices that are banned. Out: the signed document from which gateways verify offline.
//! What is proven: its number rises whenever its content changes, across restarts too (the number and the content's
//! digest are in the database), and each copy is dated, so that a gateway can tell fresh from stale.

use attest_core::{
    b64u,
    feed::{
        FORMAT, FeedError, FeedKey, FeedPublicKey, KeyDocument, KeySetDocument, KeySetEntry, KeyState, Revoked,
        SecretBytes, SignedDocument, concealment_name,
    },
    time::UnixTime,
    token::key_set::{KeySet, KeySetError},
};
use aws_lc_rs::digest::{SHA256, digest};
use settings::TokenSettings;

use crate::{
    secrets::{Secrets, StoredKey},
    signer,
    store::{ContentDigest, Snapshot},
};

/// How far ahead `exp` may be: this many lives of a token, so that a shorter life takes effect at gateways without a
/// moment in which good tokens are malformed.
const LIVES: u32 = 2;

/// Makes the document.
pub(crate) struct KeySets {
    entry: KeySetEntry,
    feed: FeedKey,
}

impl KeySets {
    /// The document's maker, of the keys in hand.
    ///
    /// # Errors
    /// Where gateways could not use the keys: it is found out here and not there.
    pub(crate) fn new(token: &TokenSettings, secrets: &Secrets, feed: FeedKey) -> Result<Self, KeySetError> {
        key_set(token, secrets)?;
        Ok(Self { entry: entry(token, secrets)?, feed })
    }

    /// The half that gateways pin.
    ///
    /// # Errors
    /// Where it can't be derived.
    pub(crate) fn feed_public_key(&self) -> Result<FeedPublicKey, FeedError> {
        self.feed.public_key()
    }

    /// The digest of all that a document says but its number and date. It covers keys of 32 random bytes and more, so it
    /// tells nothing about them.
    pub(crate) fn content_digest(&self) -> ContentDigest {
        let entry = self.entry.clone();
        Box::new(move |snapshot| {
            let document = document(&entry, 0, UnixTime::from_secs(0), banned(snapshot));
            // A document that can't be written has the digest of nothing; signing it then fails aloud.
            let payload = document.to_payload().unwrap_or_default();
            digest(&SHA256, &payload).as_ref().try_into().unwrap_or([0; 32])
        })
    }

    /// The document of `snapshot`, dated and signed at `now`.
    ///
    /// # Errors
    /// Where it can't be written.
    pub(crate) fn sign(&self, snapshot: &Snapshot, now: UnixTime) -> Result<SignedDocument, FeedError> {
        let payload = document(&self.entry, snapshot.key_set_number, now, banned(snapshot)).to_payload()?;
        Ok(self.feed.sign(&payload))
    }
}

/// The key set as gateways will have it.
///
/// # Errors
/// Where it could not be used.
pub(crate) fn key_set(token: &TokenSettings, secrets: &Secrets) -> Result<KeySet, KeySetError> {
    let document = document(&entry(token, secrets)?, 0, UnixTime::from_secs(0), Vec::new());
    match document.key_sets() {
        Ok(key_sets) => key_sets.into_iter().next().ok_or(KeySetError::Empty),
        Err(FeedError::KeySet(error)) => Err(error),
        Err(_) => Err(KeySetError::Invalid),
    }
}

fn entry(token: &TokenSettings, secrets: &Secrets) -> Result<KeySetEntry, KeySetError> {
    Ok(KeySetEntry {
        name: token.key_set.clone(),
        issuer: token.issuer.clone(),
        audience: token.audience.clone(),
        concealment: concealment_name(token.concealment).to_owned(),
        max_lifetime_secs: token.lifetime.saturating_mul(LIVES).as_secs().max(1),
        verdict_key: SecretBytes::new(&*secrets.verdict),
        keys: secrets.signing.iter().map(document_of).collect::<Result<_, _>>()?,
    })
}

fn document(entry: &KeySetEntry, number: u64, now: UnixTime, devices: Vec<String>) -> KeySetDocument {
    KeySetDocument {
        format: FORMAT.to_owned(),
        number,
        issued: now.secs(),
        key_sets: vec![entry.clone()],
        revoked: Revoked { devices, kids: Vec::new() },
    }
}

fn banned(snapshot: &Snapshot) -> Vec<String> {
    snapshot.banned().iter().map(|device| b64u::encode(device)).collect()
}

fn document_of(key: &StoredKey) -> Result<KeyDocument, KeySetError> {
    let algorithm = key.algorithm;
    let hmac = algorithm.is_hmac();
    Ok(KeyDocument {
        kid: key.kid.clone(),
        alg: algorithm.as_str().to_owned(),
        state: if key.active { KeyState::Active } else { KeyState::Retiring },
        secret: hmac.then(|| SecretBytes::new(&key.secret)),
        decoy: key.decoy.as_ref().map(|decoy| SecretBytes::new(decoy)),
        public_jwk: signer::signing_key(key, &key.secret)?.public_jwk(),
    })
}
