//! Who can be asked for signed documents: the service in this process, or the one elsewhere ([`super::Remote`]).

use async_trait::async_trait;
use attest_core::feed::{FeedPublicKey, GatewayFacts, SignedDocument};

/// A document as it arrived, and the key that has to have signed it.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The signed document.
    pub document: SignedDocument,
    /// The public half of the service's feed key.
    pub pinned: FeedPublicKey,
}

/// Something that can be asked for the current key sets.
#[async_trait]
pub trait FetchKeySets: Send + Sync {
    /// The signed document as it is now.
    ///
    /// # Errors
    /// Why there is none, for the operator; it holds no secret.
    async fn fetch(&self) -> Result<Fetched, String>;
}

/// Something that can be asked for revocations.
#[async_trait]
pub trait FetchRevocations: Send + Sync {
    /// What changed after number `after`, as a signed document; or all that holds now, where the service can't tell the
    /// difference or `after` is 0.
    ///
    /// # Errors
    /// Why there is none, for the operator; it holds no secret.
    async fn fetch(&self, after: u64) -> Result<Fetched, String>;

    /// The key that has to have signed what it gives: for a document that was kept from before.
    fn pinned(&self) -> FeedPublicKey;

    /// Tells the service how this gateway is.
    ///
    /// # Errors
    /// Why it was not told, for the operator.
    async fn report(&self, facts: &GatewayFacts) -> Result<(), String>;
}
