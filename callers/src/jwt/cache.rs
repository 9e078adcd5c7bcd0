//! JWTs seen before: what follows from a text and a key set, and nothing else.
//!
//! In: a text and the keys that judge it. Out: the earlier result. Time, issuer and audience are not in it. An entry is
//! believed only if keys and text are the same byte for byte; only genuine ones are kept, so whoever makes them up fills
//! nothing. Bounded in bytes; the least useful goes first, and its text is wiped.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use zeroize::Zeroizing;

use super::VerifiedJwt;

/// Bytes for all of them.
const BYTES: u64 = 16 << 20;
/// What an entry takes beside text and claims.
const ENTRY_BYTES: u64 = 1024;
/// Bytes of a token's end that its place follows from: its signature tells it from others.
const SIGNATURE_END: usize = 64;

/// The results of JWTs whose signature was one of their issuer's.
pub struct JwtCache {
    hasher: RandomState,
    seen: Cache<u64, Arc<Seen>, ByText>,
}

struct Seen {
    keys: u64,
    text: Zeroizing<Box<[u8]>>,
    result: Arc<VerifiedJwt>,
}

#[derive(Clone)]
struct ByText;

impl Weighter<u64, Arc<Seen>> for ByText {
    fn weight(&self, _: &u64, seen: &Arc<Seen>) -> u64 {
        // The text; about as much for the claims as they came; and their tree, of which each member has a price.
        ENTRY_BYTES + 8 * u64::try_from(seen.text.len()).unwrap_or(u64::MAX / 16)
    }
}

impl JwtCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        let items = usize::try_from(BYTES / (4 * ENTRY_BYTES)).unwrap_or(1024);
        Self { hasher: RandomState::new(), seen: Cache::with_weighter(items, BYTES, ByText) }
    }

    /// Entries held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    pub(super) fn find(&self, keys: u64, text: &[u8]) -> Option<Arc<VerifiedJwt>> {
        let seen = self.seen.get(&self.place(keys, text))?;
        (seen.keys == keys && **seen.text == *text).then(|| seen.result.clone())
    }

    pub(super) fn keep(&self, keys: u64, text: &[u8], result: Arc<VerifiedJwt>) {
        let seen = Seen { keys, text: Zeroizing::new(text.into()), result };
        self.seen.insert(self.place(keys, text), Arc::new(seen));
    }

    fn place(&self, keys: u64, text: &[u8]) -> u64 {
        let end = text.last_chunk::<SIGNATURE_END>().map_or(text, |end| end);
        self.hasher.hash_one((keys, text.len(), end))
    }
}

impl Default for JwtCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for JwtCache {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "JwtCache({})", self.len())
    }
}
