//! Counts that machines share.
//!
//! In come the limits of a permit; out goes that all have room, the first that has none, or that nobody answered. One
//! round trip for all of them, and none while the server is known to be away: whoever is told [`Away`] decides by
//! `shared_state_down`.

use std::num::NonZeroU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use metering::Rate;
use policies::Count;
use prometheus_client::metrics::counter::Counter;
use shared_state::{Away, Counted, Settlement, SharedState};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::breaker::Breaker;
use super::charge::{Part, Place};
use super::count::{Bound, budget, rate};
use super::settling::Settler;

/// Time between two probes of a server that did not answer.
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// What a probe counts: nobody's requests, and a name that is gone in a second.
const PROBE: &[u8] = b"assay probe";

/// The counts of all machines together. One for the life of the process.
pub(crate) struct SharedLimits {
    state: Arc<SharedState>,
    settler: Settler,
    breaker: Breaker,
    opened: Notify,
    failures: Counter,
    random: SystemRandom,
}

impl SharedLimits {
    /// Counts in `state`; `failures` counts questions without an answer, `lost` settlements that found nobody. On the
    /// runtime of the caller.
    pub(crate) fn new(state: Arc<SharedState>, failures: Counter, lost: Counter) -> Arc<Self> {
        let settler = Settler::start(state.clone(), lost);
        let (breaker, opened, random) = (Breaker::default(), Notify::new(), SystemRandom::new());
        Arc::new(Self { state, settler, breaker, opened, failures, random })
    }

    /// Whether it would be asked now.
    pub(crate) fn is_up(&self) -> bool {
        !self.breaker.is_open() && self.state.health()
    }

    /// Counts one request against these limits, or against none; `digest` says whom each counts.
    ///
    /// # Errors
    /// [`Away`] within the time of one call, and at once while nobody asks.
    pub(super) async fn count(
        &self,
        bounds: &[Bound<'_>],
        digest: impl Fn(Bound<'_>) -> [u8; 32],
    ) -> Result<Counted, Away> {
        if self.breaker.is_open() {
            return Err(Away);
        }
        let subjects: Vec<_> = bounds.iter().copied().map(digest).collect();
        let asked: Vec<_> = bounds
            .iter()
            .zip(&subjects)
            .map(|(Bound { limit, .. }, subject)| {
                let asked = match limit.count {
                    Count::Sliding => shared_state::Limit::Rate(rate(limit)),
                    Count::Fixed => shared_state::Limit::Budget(budget(limit), limit.reserve),
                };
                (subject.as_slice(), asked)
            })
            .collect();
        self.heard(self.state.limits(&asked).await)
    }

    /// Charges what a request used, soon; nobody waits.
    pub(super) fn settle(&self, parts: Vec<(shared_state::Held, u64)>) {
        let mut id = [0; 16];
        if self.random.fill(&mut id).is_err() {
            // Two settlements under one id would be one: the reservation stands.
            return;
        }
        self.settler.settle(Settlement::new(id, parts));
    }

    /// Gives back what was reserved for a request that another limit refused.
    pub(super) fn give_back(&self, parts: Vec<Part>) {
        let held = parts.into_iter().filter_map(|part| match part.place {
            Place::Shared(_, held) => Some((held, 0)),
            Place::Here(..) => None,
        });
        let held: Vec<_> = held.collect();
        if !held.is_empty() {
            self.settle(held);
        }
    }

    /// Waits until all that was used is charged, for at most `patience`.
    pub(crate) async fn finish(&self, patience: Duration) {
        self.settler.finish(patience).await;
    }

    fn heard<T>(&self, answer: Result<T, Away>) -> Result<T, Away> {
        match answer {
            Ok(answer) => {
                self.breaker.succeeded();
                Ok(answer)
            }
            Err(Away) => {
                self.failures.inc();
                if self.breaker.failed() {
                    tracing::warn!("the shared state is not asked for limits until it answers again");
                    self.opened.notify_one();
                }
                Err(Away)
            }
        }
    }

    async fn answers(&self) -> bool {
        let probe = Rate::new(NonZeroU64::MAX, Duration::from_secs(1), None);
        self.state.limit(PROBE, probe).await.is_ok()
    }
}

/// Finds out when a server that did not answer does again. Ends with the process.
pub(crate) async fn keep_probing(shared: Weak<SharedLimits>) {
    while let Some(shared) = shared.upgrade() {
        shared.opened.notified().await;
        while !shared.answers().await {
            sleep(PROBE_EVERY).await;
        }
        shared.breaker.close();
        tracing::info!("the shared state answers, and counts limits again");
    }
}
