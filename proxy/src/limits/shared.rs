//! Counts that machines share.
//!
//! In come the limits of a permit; out goes that all have room, the first that has none, or that nobody answered. One
//! round trip for all of them, and none while the server is known to be away: whoever is told [`Away`] decides by
//! `shared_state_down`.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, Weak};
use std::time::Duration;

use policies::Permit;
use prometheus_client::metrics::counter::Counter;
use shared_state::{Away, Counted, Limit, MAX_LIMITS, SharedState};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::breaker::Breaker;
use super::{Rate, Subject};
use crate::refusal::Limited;
use crate::route::Route;

/// Time between two probes of a server that did not answer.
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// What a probe counts: nobody's requests, and a name that is gone in a second.
const PROBE: &[u8] = b"assay probe";

/// The counts of all machines together. One for the life of the process.
pub(crate) struct SharedLimits {
    state: Arc<SharedState>,
    breaker: Breaker,
    opened: Notify,
    failures: Counter,
}

impl SharedLimits {
    /// Counts in `state`; `failures` counts questions without an answer.
    pub(crate) fn new(state: Arc<SharedState>, failures: Counter) -> Arc<Self> {
        Arc::new(Self { state, breaker: Breaker::default(), opened: Notify::new(), failures })
    }

    /// Whether it would be asked now.
    pub(crate) fn is_up(&self) -> bool {
        !self.breaker.is_open() && self.state.health()
    }

    /// Counts one request against all limits of its permit, or against none; gives back the first without room.
    ///
    /// # Errors
    /// [`Away`] within the time of one call, and at once while nobody asks.
    pub(crate) async fn used_up(
        &self,
        permit: &Permit,
        route: &Route,
        address: Option<IpAddr>,
    ) -> Result<Option<Limited>, Away> {
        if self.breaker.is_open() {
            return Err(Away);
        }
        // One round, but for a rule with more limits than any has.
        for limits in permit.limits().chunks(MAX_LIMITS) {
            let keys: Vec<_> =
                limits.iter().map(|limit| Subject::of(limit.per, permit, route, address).shared_key(limit)).collect();
            let asked = limits
                .iter()
                .zip(&keys)
                .map(|(limit, key)| (key.as_slice(), Limit { requests: requests(limit.amount), window: limit.window }));
            let counted = self.heard(self.state.limits(&asked.collect::<Vec<_>>()).await)?;
            if let Counted::Exceeded { index, retry_after } = counted
                && let Some(limit) = limits.get(index)
            {
                let rate = Rate::new(requests(limit.amount).get(), limit.window);
                return Ok(Some(Limited { name: limit.name.clone(), rate, retry_after }));
            }
        }
        Ok(None)
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
        let probe = Limit { requests: NonZeroU32::MAX, window: Duration::from_secs(1) };
        self.state.limit(PROBE, probe).await.is_ok()
    }
}

/// What does not fit is far beyond what is ever counted.
fn requests(amount: NonZeroU64) -> NonZeroU32 {
    amount.try_into().unwrap_or(NonZeroU32::MAX)
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
