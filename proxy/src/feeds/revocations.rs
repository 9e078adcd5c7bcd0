//! What our own service took back, as it reaches this gateway: devices, apps, builds, keys, moments of issue.
//!
//! In come signed documents, each with the changes after the number that was asked for; out goes the index that every
//! request asks, or why there is none. A request never waits for a change: the next index is made beside the one in use
//! and swapped in.
//!
//! Proven between, beside what holds for every feed: changes are applied without a gap; a list that is read from its
//! beginning takes the place of the one in use when it is whole, so that nothing is forgotten on the way. Whoever was away
//! for weeks reads it from its beginning, so that nothing which was lifted meanwhile is refused for ever.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use attest_core::feed::{LIFTED_STAYS, RevocationDocument, RevocationKind};
use attest_core::orders::Orders;
use attest_core::revocations::{Index, IndexError};
use attest_core::time::{Clock, UnixTime};
use attest_core::token::claims::Claims;
use attest_core::token::verify::{Facts, Revoked};
use tokio::sync::Notify;

use super::orders::{FILE as ORDERS_FILE, Keep, OwnOrders};
use super::{Feed, FetchRevocations, Fetched, Freshness, NotTaken, Problem};

/// Periods without a success after which what is known no longer counts as new.
const STALE_AFTER_PERIODS: u32 = 3;

/// The feed of one issuer.
pub(crate) struct OwnRevocations {
    clock: Arc<dyn Clock>,
    every: Duration,
    source: Arc<dyn FetchRevocations>,
    current: ArcSwapOption<Index>,
    draft: Mutex<Draft>,
    orders: OwnOrders,
    fresh: Freshness,
    problem: Problem,
    bell: Notify,
}

/// What has arrived so far.
#[derive(Clone, Debug, Default)]
struct Draft {
    index: Index,
    /// Whether it is read from the beginning: until it is whole, it knows less than the index in use.
    anew: bool,
}

impl Draft {
    /// Nothing read yet, and the index in use stays in use until all of it is.
    fn from_the_beginning() -> Self {
        Self { index: Index::default(), anew: true }
    }

    /// Whether so long passed between the last document and this one that something may have been lifted, and forgotten
    /// by the service, of which neither tells. Both dates are the service's own.
    fn may_have_missed(&self, document: &RevocationDocument) -> bool {
        let passed = document.issued().since(self.index.issued());
        self.index.number() != 0 && passed.is_some_and(|passed| passed > LIFTED_STAYS / 2)
    }
}

/// The index as one request sees it.
pub(crate) struct InUse(Guard<Option<Arc<Index>>>);

impl Revoked for InUse {
    fn revokes(&self, claims: &Claims, facts: &Facts, kid: Option<&str>, now: UnixTime) -> Option<RevocationKind> {
        self.0.as_ref()?.revokes(claims, facts, kid, now)
    }
}

impl OwnRevocations {
    /// A feed that is asked every `every`; `clock` tells how old its documents are; what has to outlive the process is kept
    /// in the folder `state`.
    pub(crate) fn new(
        every: Duration,
        source: Arc<dyn FetchRevocations>,
        clock: Arc<dyn Clock>,
        state: Option<&Path>,
    ) -> Self {
        Self {
            orders: OwnOrders::new(state.map(|state| state.join(ORDERS_FILE)), &source.pinned(), clock.now()),
            clock,
            every,
            source,
            current: ArcSwapOption::empty(),
            draft: Mutex::default(),
            fresh: Freshness::never(),
            problem: Problem::default(),
            bell: Notify::new(),
        }
    }

    /// Begins with what another feed of the same publisher has.
    pub(crate) fn adopt(&self, other: &Self) {
        *self.draft() = other.draft().clone();
        self.current.store(other.current.load_full());
        self.orders.adopt(&other.orders);
        self.fresh.adopt(&other.fresh);
    }

    /// Operators' orders, to be asked with the moment of the request. Also while revocations are stale: each order ends by
    /// itself.
    pub(crate) fn orders(&self) -> Guard<Arc<Orders>> {
        self.orders.current()
    }

    /// Who is asked.
    pub(crate) fn source(&self) -> &Arc<dyn FetchRevocations> {
        &self.source
    }

    /// What to hold tokens against at this moment of steady time, if nothing older than `refuse_after` may be used.
    ///
    /// # Errors
    /// The reason for which no token can be judged.
    pub(crate) fn usable(&self, refuse_after: Duration, steady: Duration) -> Result<InUse, &'static str> {
        let age = self.age(steady).ok_or("no_revocations_yet")?;
        if age > refuse_after {
            return Err("revocations_stale");
        }
        Ok(InUse(self.current.load()))
    }

    /// Whether what is known no longer counts as new.
    pub(crate) fn is_stale(&self, steady: Duration) -> bool {
        self.age(steady).is_none_or(|age| age > self.every.saturating_mul(STALE_AFTER_PERIODS))
    }

    /// Time since the service last said that this is all.
    pub(crate) fn age(&self, steady: Duration) -> Option<Duration> {
        self.fresh.age(steady)
    }

    /// Number reached and devices revoked.
    pub(crate) fn known(&self) -> Option<(u64, usize)> {
        self.current.load().as_ref().map(|index| (index.number(), index.devices()))
    }

    /// Judges a document, takes its orders, and applies it; tells whether there is nothing after it.
    fn take(&self, fetched: &Fetched) -> (Result<bool, NotTaken>, Option<Keep>) {
        let judged = fetched.pinned.verify_revocations(&fetched.document);
        let document = match judged.and_then(|payload| RevocationDocument::parse(&payload)) {
            Ok(document) => document,
            Err(why) => return (Err(why.into()), None),
        };
        // Whole in every document, so that they wait for no list to be read to its end.
        let keep = self.orders.take(&document, &fetched.document, self.clock.now());
        (self.apply(&document), keep)
    }

    /// Applies a document; tells whether there is nothing after it.
    fn apply(&self, document: &RevocationDocument) -> Result<bool, NotTaken> {
        let mut draft = self.draft();
        let seen = self.known().map_or(0, |(number, _)| number);
        if document.latest < seen {
            return Err(NotTaken::Older { got: document.latest, have: seen });
        }
        let mut next = draft.clone();
        if document.from == 0 {
            // The service no longer tells what changed, or nothing was known: all of it, from the beginning.
            next = Draft::from_the_beginning();
        } else if draft.may_have_missed(document) {
            *draft = Draft::from_the_beginning();
            return Ok(false);
        }
        let before = next.index.number();
        if let Err(why) = next.index.apply(document) {
            if why == IndexError::TooMany {
                // What is over stays in an index that only hears of changes: read anew, the list has what holds.
                *draft = Draft::from_the_beginning();
            }
            return Err(why.into());
        }
        let whole = next.index.is_complete();
        if !whole && next.index.number() == before {
            return Err(NotTaken::NoProgress);
        }
        if whole || !next.anew {
            next.anew = false;
            self.current.store(Some(Arc::new(next.index.clone())));
        }
        *draft = next;
        drop(draft);
        if whole {
            self.fresh.confirm(document.issued(), &*self.clock);
        }
        Ok(whole)
    }

    fn draft(&self) -> MutexGuard<'_, Draft> {
        self.draft.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed for OwnRevocations {
    fn what(&self) -> &'static str {
        "list of revocations"
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn bell(&self) -> &Notify {
        &self.bell
    }

    fn problem(&self) -> &Problem {
        &self.problem
    }

    async fn fetch(&self) -> Result<(), NotTaken> {
        // Ends: each document but the last brings the number further, or back to the beginning, once.
        loop {
            let reached = self.draft().index.number();
            let fetched = self.source.fetch(reached).await.map_err(NotTaken::Fetch)?;
            let (whole, keep) = self.take(&fetched);
            if let Some(keep) = keep
                && !keep.write().await
            {
                self.orders.not_kept();
            }
            if whole? {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
