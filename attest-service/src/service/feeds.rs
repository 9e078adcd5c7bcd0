//! What gateways fetch: the keys to verify with, and what was taken back. In: the snapshot in use. Out: documents signed
//! with the feed key, dated now, numbered by the database, so that every replica says the same. And what gateways tell of
//! themselves, on its way to the database.

use attest_core::feed::{GatewayFacts, RevocationFormat, SignedDocument};
use attest_store::{KeyState, StoreError};

use super::Service;
use crate::metrics::Feed;

impl Service {
    /// The signed key-set document.
    ///
    /// # Errors
    /// Where it can't be signed.
    pub(crate) fn key_set_document(&self) -> Result<SignedDocument, StoreError> {
        let snapshot = self.live.snapshot();
        snapshot.issuer.key_set_document(&snapshot, self.clock.now())
    }

    /// The signed revocations since number `after`; all of them where the gateway has none, or is too far behind. With
    /// operators' orders, where it reads a format that has them.
    ///
    /// # Errors
    /// Where it can't be signed.
    pub(crate) fn revocation_document(
        &self,
        after: u64,
        format: RevocationFormat,
    ) -> Result<SignedDocument, StoreError> {
        let snapshot = self.live.snapshot();
        snapshot.issuer.revocation_document(&snapshot, after, format, self.clock.now())
    }

    /// Notes what a gateway tells of itself.
    pub(crate) fn gateway_reported(&self, facts: GatewayFacts) {
        self.live.gateway(facts, self.clock.now());
    }

    /// The public keys, for any JWT library; nothing where the key set conceals something.
    pub(crate) fn jwks(&self) -> Option<serde_json::Value> {
        self.live.snapshot().issuer.jwks()
    }

    /// Counts a document that a gateway took.
    pub(crate) fn fetched(&self, document: &'static str) {
        self.metrics.feeds.get_or_create(&Feed { document }).inc();
    }

    /// Signing keys by state.
    pub(super) fn signing_keys(&self) -> [(&'static str, usize); 3] {
        let snapshot = self.live.snapshot();
        let count = |state| snapshot.keys.keys.iter().filter(|key| key.state == state).count();
        [("next", count(KeyState::Next)), ("active", count(KeyState::Active)), ("retiring", count(KeyState::Retiring))]
    }
}
