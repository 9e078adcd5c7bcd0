//! What all requests share: the running configuration, and the state that outlives it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use attest_core::time::Clock;

use crate::decision_id::DecisionIds;
use crate::generation::Generation;
use crate::limits::{Limits, SharedLimits};
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Traces;
use crate::token_cache::TokenCache;

/// One for the life of the process.
pub(crate) struct Runtime {
    /// Now, for tokens and log lines.
    pub clock: Arc<dyn Clock>,
    /// When the process began.
    pub epoch: Instant,
    /// The configuration in use.
    pub generation: ArcSwap<Generation>,
    /// Tokens seen before.
    pub tokens: TokenCache,
    /// Counts of the policies' limits.
    pub limits: Limits,
    /// Counts that machines share, where they do.
    pub shared: Option<Arc<SharedLimits>>,
    /// All figures.
    pub metrics: Metrics,
    /// One line a request.
    pub log: AccessLog,
    /// Spans of some requests, where they are wanted.
    pub traces: Option<Traces>,
    /// Makes the ids of requests.
    pub ids: DecisionIds,
    device_hash: RandomState,
    draining: AtomicBool,
}

impl Runtime {
    /// Fresh state around a first configuration.
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        epoch: Instant,
        generation: Generation,
        shared: Option<Arc<SharedLimits>>,
        metrics: Metrics,
        log: AccessLog,
        traces: Option<Traces>,
    ) -> Self {
        Self {
            clock,
            epoch,
            generation: ArcSwap::from_pointee(generation),
            tokens: TokenCache::new(),
            limits: Limits::new(epoch),
            shared,
            metrics,
            log,
            traces,
            ids: DecisionIds::new(),
            device_hash: RandomState::new(),
            draining: AtomicBool::new(false),
        }
    }

    /// A device in the log: the same for all its requests to this process, and no way back to its id.
    pub(crate) fn device_in_log(&self, device: &str) -> u64 {
        self.device_hash.hash_one(device)
    }

    /// From now on connections are closed after the answer in hand, and `/readyz` is red.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the process is about to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}
