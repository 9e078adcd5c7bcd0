//! The two documents for gateways: the keys, and what was revoked. Each copy is dated and signed when it is asked for.

use attest_core::{
    feed::{
        FORMAT, FeedError, FeedKey, KeyDocument, KeySetDocument, KeySetEntry, KeyState as Published,
        MAX_REVOCATION_ENTRIES, Order, RevocationDocument, RevocationEntry, RevocationFormat, Revoked, SecretBytes,
        SignedDocument,
    },
    orders::LATE,
    time::UnixTime,
    token::key_set::{Concealment, KeySet, KeySetError},
};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use settings::TokenSettings;

use super::Issuer;
use crate::{
    error::StoreError,
    keys::{KeyState, OpenKey},
    live::Snapshot,
    secrets::Secrets,
};

/// How far ahead `exp` may be: this many lives of a token, so that a shorter life takes effect at gateways without a
/// moment in which good tokens are malformed.
const LIVES: u32 = 2;

/// What the documents are made of.
pub(super) struct Documents {
    pub(super) entry: KeySetEntry,
    pub(super) revoked_kids: Vec<String>,
    pub(super) feed: FeedKey,
}

impl Documents {
    fn document(&self, number: u64, now: UnixTime) -> KeySetDocument {
        KeySetDocument {
            format: FORMAT.to_owned(),
            number,
            issued: now.secs(),
            key_sets: vec![self.entry.clone()],
            revoked: Revoked { kids: self.revoked_kids.clone() },
        }
    }

    pub(super) fn jwks(&self) -> Value {
        let keys: Vec<&Value> = self.entry.keys.iter().filter_map(|key| key.public_jwk.as_ref()).collect();
        json!({ "keys": keys })
    }
}

impl Issuer {
    /// The key set as gateways have it: for trying a token.
    ///
    /// # Errors
    /// `Keys` where they could not use it.
    pub fn key_set(&self) -> Result<KeySet, StoreError> {
        let sets = self.documents.document(0, UnixTime::default()).key_sets().map_err(|error| match error {
            FeedError::KeySet(error) => StoreError::Keys(error),
            other => StoreError::Feed(other),
        })?;
        sets.into_iter().next().ok_or(StoreError::Keys(KeySetError::Empty))
    }

    /// The digest of all that the document of the keys says but its number and date. It covers keys of 32 random bytes and
    /// more, so it tells nothing about them.
    ///
    /// # Errors
    /// `Keys` where gateways could not use them: it is found out here and not there.
    pub(crate) fn content_digest(&self) -> Result<[u8; 32], StoreError> {
        self.key_set()?;
        let payload = self.documents.document(0, UnixTime::default()).to_payload()?;
        digest(&SHA256, &payload).as_ref().try_into().map_err(|_| StoreError::Damaged { what: "a digest" })
    }

    /// The document of the keys, dated and signed at `now`.
    ///
    /// # Errors
    /// `Feed` where it can't be written.
    pub fn key_set_document(&self, snapshot: &Snapshot, now: UnixTime) -> Result<SignedDocument, StoreError> {
        let document = self.documents.document(snapshot.key_set_number, now);
        Ok(self.documents.feed.sign(&document.to_payload()?))
    }

    /// What was revoked after the number `after` (0: all that holds), dated and signed at `now`: as much as fits in one
    /// document. With all orders that hold, where the gateway reads a format that has them.
    ///
    /// # Errors
    /// `Feed` where it can't be written.
    pub fn revocation_document(
        &self,
        snapshot: &Snapshot,
        after: u64,
        format: RevocationFormat,
        now: UnixTime,
    ) -> Result<SignedDocument, StoreError> {
        let latest = snapshot.revocation_number;
        // Whoever knows more than there is begins at the beginning: the store was restored from a backup.
        let from = if after > latest { 0 } else { after };
        // What was lifted is news only to those who knew it before.
        let told = |entry: &&RevocationEntry| from != 0 || !entry.lifted;
        let mut entries = snapshot.revocations.after(from).iter().filter(told);
        let kept: Vec<RevocationEntry> = entries.by_ref().take(MAX_REVOCATION_ENTRIES).cloned().collect();
        let number = match entries.next() {
            Some(_) => kept.last().map_or(from, |entry| entry.number),
            None => latest,
        };
        // One that is over is over at gateways too, which know when it ends.
        let orders = || snapshot.orders.iter().filter(|order| now < order.ends().plus(LATE)).cloned();
        let document = RevocationDocument {
            format: format.name().to_owned(),
            number,
            latest,
            issued: now.secs(),
            from,
            entries: kept,
            orders: (format == RevocationFormat::WithOrders).then(|| orders().collect::<Vec<Order>>()),
        };
        Ok(self.documents.feed.sign_revocations(&document.to_payload()?))
    }
}

/// The key set as gateways get it.
pub(super) fn entry(
    token: &TokenSettings,
    concealment: Concealment,
    keys: &[OpenKey],
    secrets: &Secrets,
) -> Result<KeySetEntry, KeySetError> {
    Ok(KeySetEntry {
        name: token.key_set.clone(),
        issuer: token.issuer.clone(),
        audience: token.audience.clone(),
        concealment: concealment.as_str().to_owned(),
        max_lifetime_secs: token.lifetime.saturating_mul(LIVES).as_secs().max(1),
        verdict_key: SecretBytes::new(&*secrets.verdict),
        keys: keys.iter().map(key_document).collect::<Result<_, _>>()?,
    })
}

fn key_document(key: &OpenKey) -> Result<KeyDocument, KeySetError> {
    let hmac = key.view.algorithm.is_hmac();
    Ok(KeyDocument {
        kid: key.view.kid.clone(),
        alg: key.view.algorithm.as_str().to_owned(),
        state: match key.view.state {
            KeyState::Next => Published::Next,
            KeyState::Active => Published::Active,
            KeyState::Retiring | KeyState::Retired => Published::Retiring,
        },
        secret: hmac.then(|| SecretBytes::new(&key.secret)),
        decoy: key.decoy.as_ref().map(|decoy| SecretBytes::new(decoy)),
        public_jwk: key.signing_key(Concealment::Open)?.public_jwk(),
    })
}
