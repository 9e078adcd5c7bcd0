//! Tokens seen before: what follows from a token's bytes and a key set, and nothing else.
//!
//! In comes a token's text with the key set that judges it; out goes the earlier
//! [`Authenticated`], if there was one. Time, revocation, audience, binding and replay are *not* in
//! it: they are checked on every request. The key is a SHA-256 over the key set's identity and
//! number and the token, so a rotated key set never finds an entry of its predecessor.
//!
//! Genuine and failed tokens live apart, so that a flood of one can't evict the other. A token with a
//! bad signature isn't kept at all: whoever sends it can change a character for free, and so would
//! only fill the cache. Both are bounded in bytes; the least useful goes first.

use std::sync::Arc;

use attest_core::token::verify::{Authenticated, Outcome};
use aws_lc_rs::digest;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Identity of a key set in the cache: which issuer, and which edition of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeySetId {
    /// Own key set: 0. Named issuers: a hash of name and keys, so that a reload changes it.
    pub issuer: u64,
    /// The feed's number, for our own; 0 for named issuers.
    pub number: u64,
}

/// Where a token's result is found; made once a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey([u8; 32]);

impl CacheKey {
    /// The place of `token` under `keys`.
    pub(crate) fn of(keys: KeySetId, token: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&keys.issuer.to_be_bytes());
        context.update(&keys.number.to_be_bytes());
        context.update(token);
        let mut key = [0; 32];
        // SHA-256 is 32 bytes long; a shorter slice would leave zeros and only miss the cache.
        for (to, from) in key.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(key)
    }
}

/// Bytes for genuine tokens, and for failed ones.
const ATTESTED_BYTES: u64 = 32 << 20;
const FAILED_BYTES: u64 = 4 << 20;
/// What an entry takes beside the token's text: the parsed claims, two hash table slots.
const ENTRY_BYTES: u64 = 1024;

/// The results of tokens whose signature was made by one of our keys.
pub(crate) struct TokenCache {
    attested: Cache<CacheKey, Entry, ByText>,
    failed: Cache<CacheKey, Entry, ByText>,
}

#[derive(Clone)]
struct Entry {
    result: Arc<Authenticated>,
    text_bytes: u32,
}

#[derive(Clone)]
struct ByText;

impl Weighter<CacheKey, Entry> for ByText {
    fn weight(&self, _: &CacheKey, entry: &Entry) -> u64 {
        // The claims keep about as much as the text, twice.
        ENTRY_BYTES + 2 * u64::from(entry.text_bytes)
    }
}

impl TokenCache {
    /// An empty cache.
    pub(crate) fn new() -> Self {
        let of = |bytes: u64| {
            let items = usize::try_from(bytes / (2 * ENTRY_BYTES)).unwrap_or(1024);
            Cache::with_weighter(items, bytes, ByText)
        };
        Self { attested: of(ATTESTED_BYTES), failed: of(FAILED_BYTES) }
    }

    /// The earlier result for this token under these keys.
    pub(crate) fn find(&self, key: &CacheKey) -> Option<Arc<Authenticated>> {
        self.attested.get(key).or_else(|| self.failed.get(key)).map(|entry| entry.result)
    }

    /// Keeps a result for later.
    pub(crate) fn keep(&self, key: CacheKey, text_bytes: usize, result: Arc<Authenticated>) {
        let cache = match result.outcome() {
            Outcome::Genuine(_) => &self.attested,
            Outcome::Failed(_) => &self.failed,
        };
        let text_bytes = u32::try_from(text_bytes).unwrap_or(u32::MAX);
        cache.insert(key, Entry { result, text_bytes });
    }

    /// Entries held: genuine, failed.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.attested.len(), self.failed.len())
    }
}
