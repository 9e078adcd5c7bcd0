//! The key set of our own issuer, as it reaches this gateway.
//!
//! In come signed documents; out goes the edition to verify with, or why there is none. Proven between, beside what holds
//! for every feed: the set has the configured name, and the concealment that the configuration says where this very
//! process serves it.
//!
//! The last edition stays in use for the route's `key_sets.refuse_after` (24 h), then tokens are `unverifiable`. When no
//! fetch succeeded for three periods the service counts as down, and the grace for expired tokens applies until one does.
//!
//! A token that names a key which is not in the edition has the service asked once more: one fetch in each period, one
//! request that waits for it. What the client wrote into its token costs nobody else anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use attest_core::feed::KeySetDocument;
use attest_core::time::Clock;
use attest_core::token::key_set::{Concealment, KeySet};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::freshness::millis;
use super::{Feed, FetchKeySets, Fetched, Freshness, NotTaken, Problem};
use crate::token_cache::KeySetId;

/// Periods without a success after which the service counts as down.
const DOWN_AFTER_PERIODS: u32 = 3;
/// The least time between two fetches that tokens with unknown keys ask for.
const LEAST_BETWEEN: Duration = Duration::from_secs(1);
/// The longest that a request waits for such a fetch.
const LOOK_AGAIN_PATIENCE: Duration = Duration::from_secs(1);

/// One edition of the key set.
#[derive(Debug)]
pub(crate) struct Edition {
    /// Rises with every change.
    pub number: u64,
    /// The keys.
    pub key_set: Arc<KeySet>,
}

/// What there is to verify with.
#[derive(Debug)]
pub(crate) enum Usable {
    /// Keys.
    Keys {
        /// The edition to use.
        edition: Arc<Edition>,
        /// Whether no token can be renewed right now.
        service_down: bool,
    },
    /// None, for this reason of ours.
    Nothing(&'static str),
}

/// Which key set, and how often to ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its name.
    pub name: String,
    /// Time between two fetches.
    pub refresh: Duration,
    /// What it must be, where this process serves it.
    pub concealment: Option<Concealment>,
}

/// The feed of one issuer.
pub(crate) struct OwnKeySets {
    id: u64,
    clock: Arc<dyn Clock>,
    wanted: Wanted,
    source: Arc<dyn FetchKeySets>,
    current: ArcSwapOption<Edition>,
    fresh: Freshness,
    problem: Problem,
    bell: Notify,
    /// Counts fetches that the bell asked for.
    answered: watch::Sender<u64>,
    /// Milliseconds of steady time before which the bell stays silent.
    next_look: AtomicI64,
}

impl OwnKeySets {
    /// A feed of `wanted`; `clock` tells how old its documents are.
    pub(crate) fn new(wanted: Wanted, source: Arc<dyn FetchKeySets>, clock: Arc<dyn Clock>) -> Self {
        static FEEDS: AtomicU64 = AtomicU64::new(0);
        Self {
            id: FEEDS.fetch_add(1, Ordering::Relaxed),
            clock,
            wanted,
            source,
            current: ArcSwapOption::empty(),
            fresh: Freshness::never(),
            problem: Problem::default(),
            bell: Notify::new(),
            answered: watch::Sender::new(0),
            next_look: AtomicI64::new(0),
        }
    }

    /// Begins with what another feed of the same publisher has.
    pub(crate) fn adopt(&self, other: &Self) {
        self.current.store(other.current.load_full());
        self.fresh.adopt(&other.fresh);
    }

    /// Identity of this edition of its keys in the token cache. Two feeds may number their editions alike.
    pub(crate) fn id(&self, edition: &Edition) -> KeySetId {
        // Even: named issuers have odd ones.
        KeySetId { issuer: self.id.wrapping_mul(2), number: edition.number }
    }

    /// What to verify with at this moment of steady time, if nothing older than `stale_after` may be used.
    pub(crate) fn usable(&self, stale_after: Duration, steady: Duration) -> Usable {
        let Some(age) = self.age(steady) else { return Usable::Nothing("no_key_set_yet") };
        if age > stale_after {
            return Usable::Nothing("key_set_stale");
        }
        match self.current.load_full() {
            Some(edition) => {
                let service_down = age > self.wanted.refresh.saturating_mul(DOWN_AFTER_PERIODS);
                Usable::Keys { edition, service_down }
            }
            None => Usable::Nothing("no_key_set_yet"),
        }
    }

    /// Time since the service last confirmed the edition in use.
    pub(crate) fn age(&self, steady: Duration) -> Option<Duration> {
        self.fresh.age(steady)
    }

    /// Number of the edition in use.
    pub(crate) fn number(&self) -> Option<u64> {
        self.current.load().as_ref().map(|edition| edition.number)
    }

    /// Has the service asked at once, because a token names a key that is not in edition `seen`; tells whether there is
    /// another edition now. Whoever is not the first in this period is answered at once.
    pub(crate) async fn look_again(&self, seen: Option<u64>, steady: Duration) -> bool {
        if !self.may_look_again(steady) {
            return self.number() != seen;
        }
        let mut answered = self.answered.subscribe();
        self.bell.notify_one();
        // A service that is away or slow costs this request a second, and the next ones nothing.
        let _ = timeout(LOOK_AGAIN_PATIENCE, answered.changed()).await;
        self.number() != seen
    }

    fn may_look_again(&self, steady: Duration) -> bool {
        let now = millis(steady);
        let due = self.next_look.load(Ordering::Relaxed);
        let next = now.saturating_add(millis(self.wanted.refresh.max(LEAST_BETWEEN)));
        now >= due && self.next_look.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Judges a document and, if it is good, uses it from now on.
    fn take(&self, fetched: &Fetched) -> Result<(), NotTaken> {
        let payload = Zeroizing::new(fetched.pinned.verify(&fetched.document)?);
        let document = KeySetDocument::parse(&payload)?;
        if let Some(have) = self.number().filter(|have| document.number < *have) {
            return Err(NotTaken::Older { got: document.number, have });
        }
        if self.number() != Some(document.number) {
            let edition = self.edition(&document)?;
            self.current.store(Some(Arc::new(edition)));
        }
        self.fresh.confirm(document.issued(), &*self.clock);
        Ok(())
    }

    fn edition(&self, document: &KeySetDocument) -> Result<Edition, NotTaken> {
        let Wanted { name, concealment, .. } = &self.wanted;
        let mut key_sets = document.key_sets()?.into_iter();
        let key_set =
            key_sets.find(|key_set| key_set.name() == name).ok_or_else(|| NotTaken::NoSuchSet(name.clone()))?;
        match *concealment {
            Some(configured) if key_set.concealment() != configured => {
                Err(NotTaken::Concealment { got: key_set.concealment(), configured })
            }
            _ => Ok(Edition { number: document.number, key_set: Arc::new(key_set) }),
        }
    }
}

impl Feed for OwnKeySets {
    fn what(&self) -> &'static str {
        "key set"
    }

    fn every(&self) -> Duration {
        self.wanted.refresh
    }

    fn bell(&self) -> &Notify {
        &self.bell
    }

    fn problem(&self) -> &Problem {
        &self.problem
    }

    async fn fetch(&self) -> Result<(), NotTaken> {
        let fetched = self.source.fetch().await.map_err(NotTaken::Fetch)?;
        self.take(&fetched)
    }

    fn answered_bell(&self) {
        self.answered.send_modify(|count| *count = count.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests;
