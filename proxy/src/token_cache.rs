//! Tokens seen before: what follows from a token's bytes and a key set, and nothing else.
//!
//! In comes a token's text with the key set that judges it; out goes the earlier
//! [`Authenticated`], if there was one. Time, revocation, audience, binding and replay are *not* in
//! it: they are checked on every request. An entry is found by a hash under a key that is new at each
//! start, and believed only if key set and text are the same byte for byte: a rotated key set never
//! finds an entry of its predecessor, and nobody can make two tokens share one.
//!
//! Genuine and failed tokens live apart, so that a flood of one can't evict the other. A token with a
//! bad signature isn't kept at all: whoever sends it can change a character for free, and so would
//! only fill the cache. Both are bounded in bytes; the least useful goes first, and its text is wiped.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use attest_core::token::verify::{Authenticated, Outcome};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use zeroize::Zeroizing;

/// Identity of a key set in the cache: which issuer, and which edition of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeySetId {
    /// Own key set: an even number for each feed. Named issuers: an odd hash of name and all files, so that a
    /// reload changes it.
    pub issuer: u64,
    /// The number of the feed's edition, for our own; 0 for named issuers.
    pub number: u64,
}

/// Bytes for genuine tokens, and for failed ones.
const ATTESTED_BYTES: u64 = 32 << 20;
const FAILED_BYTES: u64 = 4 << 20;
/// What an entry takes beside the token's text: the parsed claims, two hash table slots.
const ENTRY_BYTES: u64 = 1024;
/// Bytes of a token's end that its place follows from: more than the whole signature of HS256 has.
const SIGNATURE_END: usize = 64;

/// The results of tokens whose signature was made by one of our keys.
pub(crate) struct TokenCache {
    hasher: RandomState,
    attested: Cache<u64, Entry, ByText>,
    failed: Cache<u64, Entry, ByText>,
}

/// A result and what it is the result of.
#[derive(Clone)]
struct Entry(Arc<Seen>);

struct Seen {
    keys: KeySetId,
    text: Zeroizing<Box<[u8]>>,
    result: Arc<Authenticated>,
}

#[derive(Clone)]
struct ByText;

impl Weighter<u64, Entry> for ByText {
    fn weight(&self, _: &u64, entry: &Entry) -> u64 {
        // The text, and about as much twice for the claims.
        ENTRY_BYTES + 3 * u64::try_from(entry.0.text.len()).unwrap_or(u64::MAX / 4)
    }
}

impl TokenCache {
    /// An empty cache.
    pub(crate) fn new() -> Self {
        let of = |bytes: u64| {
            let items = usize::try_from(bytes / (2 * ENTRY_BYTES)).unwrap_or(1024);
            Cache::with_weighter(items, bytes, ByText)
        };
        Self { hasher: RandomState::new(), attested: of(ATTESTED_BYTES), failed: of(FAILED_BYTES) }
    }

    /// The earlier result for this token under these keys.
    pub(crate) fn find(&self, keys: KeySetId, text: &[u8]) -> Option<Arc<Authenticated>> {
        let place = self.place(keys, text);
        let seen = self.attested.get(&place).or_else(|| self.failed.get(&place))?.0;
        (seen.keys == keys && **seen.text == *text).then(|| seen.result.clone())
    }

    /// Keeps a result for later.
    pub(crate) fn keep(&self, keys: KeySetId, text: &[u8], result: Arc<Authenticated>) {
        let cache = match result.outcome() {
            Outcome::Genuine(_) => &self.attested,
            Outcome::Failed(_) => &self.failed,
        };
        let place = self.place(keys, text);
        cache.insert(place, Entry(Arc::new(Seen { keys, text: Zeroizing::new(text.into()), result })));
    }

    /// Where a token's result is. The end of its signature tells tokens apart: of those that share it only one was
    /// signed, and what is found is compared as a whole.
    fn place(&self, keys: KeySetId, text: &[u8]) -> u64 {
        let end = text.last_chunk::<SIGNATURE_END>().map_or(text, |end| end);
        self.hasher.hash_one((keys, text.len(), end))
    }

    /// Entries held: genuine, failed.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.attested.len(), self.failed.len())
    }
}
