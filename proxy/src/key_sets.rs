//! The key set of our own issuer, as it reaches this gateway.
//!
//! In come signed documents from the service, in this process or over HTTPS; out goes the edition to
//! verify with, or why there is none. Proven between: the document was signed by the pinned key, and
//! its number is the same as or higher than the last one's, so nobody can serve an old one with a
//! retired key or without last week's revocation.
//!
//! Silence is stale, not empty: the last edition stays in use for the route's `keys_stale` (24 h), then
//! tokens are `unverifiable`. A document counts from its own date, so a copy played again is silence too. Nothing is written to disk. When no fetch succeeded for three periods the
//! service counts as down, and the grace for expired tokens applies until one does.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use attest_core::feed::{FeedError, KeySetDocument, Revocations};
use attest_core::time::Clock;
use attest_core::token::claims::Claims;
use attest_core::token::key_set::KeySet;
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::token_cache::KeySetId;

mod source;

pub use source::{FetchKeySets, Fetched};
pub(crate) use source::{NoMetadata, Remote, RemoteError};

/// Periods without a success after which the service counts as down.
const DOWN_AFTER_PERIODS: u32 = 3;
/// Clocks may differ by so much before a document's date is held against it.
const LENIENCE: Duration = Duration::from_secs(60);
/// Age that stands for "never".
const NEVER: i64 = i64::MIN;

/// One edition of the key set.
#[derive(Debug)]
pub(crate) struct Edition {
    /// Rises with every change.
    pub number: u64,
    /// The keys.
    pub key_set: Arc<KeySet>,
    revocations: Revocations,
}

impl Edition {
    /// Whether the service took back what this token says. (Tokens of a revoked key have no key left.)
    pub(crate) fn revokes(&self, claims: &Claims) -> bool {
        self.revocations.contain(claims)
    }
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

/// Why a document was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// It couldn't be fetched.
    #[error("the key set can't be fetched: {0}")]
    Fetch(String),
    /// It was not signed by the pinned key, or is not one.
    #[error("the key set is not what our service signs: {0}")]
    NotOurs(#[from] FeedError),
    /// Older than the one in use.
    #[error("the key set has number {got}, and {have} was seen before")]
    Older {
        /// Its number.
        got: u64,
        /// The one in use.
        have: u64,
    },
    /// It doesn't hold the configured key set.
    #[error("the service has no key set named {0}")]
    NoSuchSet(String),
}

/// The feed of one issuer.
pub(crate) struct OwnKeySets {
    id: u64,
    clock: Arc<dyn Clock>,
    name: String,
    refresh: Duration,
    source: Arc<dyn FetchKeySets>,
    epoch: Instant,
    current: ArcSwapOption<Edition>,
    /// Milliseconds from the epoch to when the edition in use was last right; negative before it.
    confirmed: AtomicI64,
    problem: Mutex<Option<String>>,
}

impl OwnKeySets {
    /// A feed of the key set `name`, asked every `refresh`; `clock` tells how old its documents are.
    pub(crate) fn new(name: String, refresh: Duration, source: Arc<dyn FetchKeySets>, clock: Arc<dyn Clock>) -> Self {
        static FEEDS: AtomicU64 = AtomicU64::new(0);
        Self {
            id: FEEDS.fetch_add(1, Ordering::Relaxed),
            clock,
            name,
            refresh,
            source,
            epoch: Instant::now(),
            current: ArcSwapOption::empty(),
            confirmed: AtomicI64::new(NEVER),
            problem: Mutex::default(),
        }
    }

    /// Identity of this edition of its keys in the token cache. Two feeds may number their editions alike.
    pub(crate) fn id(&self, edition: &Edition) -> KeySetId {
        // Even: named issuers have odd ones.
        KeySetId { issuer: self.id.wrapping_mul(2), number: edition.number }
    }

    /// What to verify with at `now`, if nothing older than `stale_after` may be used.
    pub(crate) fn usable(&self, stale_after: Duration, now: Instant) -> Usable {
        let Some(age) = self.age(now) else { return Usable::Nothing("no_key_set_yet") };
        if age > stale_after {
            return Usable::Nothing("key_set_stale");
        }
        match self.current.load_full() {
            Some(edition) => {
                let service_down = age > self.refresh.saturating_mul(DOWN_AFTER_PERIODS);
                Usable::Keys { edition, service_down }
            }
            None => Usable::Nothing("no_key_set_yet"),
        }
    }

    /// Time since the service last confirmed the edition in use.
    pub(crate) fn age(&self, now: Instant) -> Option<Duration> {
        match self.confirmed.load(Ordering::Acquire) {
            NEVER => None,
            confirmed => {
                let now = millis(now.saturating_duration_since(self.epoch));
                Some(Duration::from_millis(u64::try_from(now.saturating_sub(confirmed)).unwrap_or(0)))
            }
        }
    }

    /// Number of the edition in use.
    pub(crate) fn number(&self) -> Option<u64> {
        self.current.load().as_ref().map(|edition| edition.number)
    }

    /// What was wrong with the last fetch.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the service once.
    pub(crate) async fn fetch(&self) -> Result<(), NotTaken> {
        let fetched = match self.source.fetch().await {
            Ok(fetched) => self.take(&fetched, Instant::now()),
            Err(why) => Err(NotTaken::Fetch(why)),
        };
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = fetched.as_ref().err().map(ToString::to_string);
        fetched
    }

    /// Judges a document and, if it is good, uses it from `now` on.
    fn take(&self, fetched: &Fetched, now: Instant) -> Result<(), NotTaken> {
        let payload = Zeroizing::new(fetched.pinned.verify(&fetched.document)?);
        let document = KeySetDocument::parse(&payload)?;
        if let Some(have) = self.number().filter(|have| document.number < *have) {
            return Err(NotTaken::Older { got: document.number, have });
        }
        if self.number() != Some(document.number) {
            let edition = edition(&document, &self.name)?;
            self.current.store(Some(Arc::new(edition)));
        }
        let old = self.clock.now().since(document.issued()).unwrap_or_default().saturating_sub(LENIENCE);
        let right_at = millis(now.saturating_duration_since(self.epoch)).saturating_sub(millis(old));
        // A copy that was played again takes nothing back that was confirmed later.
        self.confirmed.fetch_max(right_at, Ordering::AcqRel);
        Ok(())
    }
}

/// Asks again and again, a little irregularly so that many gateways don't ask together. Ends when the
/// configuration that uses the feed is gone.
pub(crate) async fn keep_fetched(key_sets: std::sync::Weak<OwnKeySets>, failed: impl Fn() + Send) {
    let mut round = 0_u32;
    loop {
        let refresh = match key_sets.upgrade() {
            Some(feed) => feed.refresh,
            None => return,
        };
        round = round.wrapping_add(1);
        // 90 to 100 % of the period, in a fixed pattern: no need for chance here.
        sleep(refresh.mul_f64(0.9 + f64::from(round % 5) * 0.025)).await;
        let Some(feed) = key_sets.upgrade() else { return };
        let before = feed.problem();
        if let Err(problem) = feed.fetch().await {
            failed();
            if before.is_none() {
                tracing::warn!(key_set = %feed.name, "{problem}; tokens are checked with the last one");
            }
        } else if before.is_some() {
            tracing::info!(key_set = %feed.name, "the key set can be fetched again");
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn edition(document: &KeySetDocument, name: &str) -> Result<Edition, NotTaken> {
    let mut key_sets = document.key_sets()?.into_iter();
    let key_set =
        key_sets.find(|key_set| key_set.name() == name).ok_or_else(|| NotTaken::NoSuchSet(name.to_owned()))?;
    Ok(Edition { number: document.number, key_set: Arc::new(key_set), revocations: document.revocations() })
}

#[cfg(test)]
mod tests;
