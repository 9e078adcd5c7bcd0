//! What all requests share: the running configuration, and the state that outlives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use attest_core::time::Clock;
use callers::deliveries::Deliveries;
use callers::jwt::JwtCache;

use crate::decision_id::DecisionIds;
use crate::generation::Generation;
use crate::keys::Tokens;
use crate::limits::{Limits, SharedLimits};
use crate::observed::Observed;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::key_audit::KeyAudit;
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
    /// JWTs of users and partners seen before.
    pub jwts: JwtCache,
    /// Deliveries of webhooks that were accepted.
    pub deliveries: Deliveries,
    /// Tokens that were minted with keys.
    pub minted: Tokens,
    /// Counts of the policies' limits.
    pub limits: Limits,
    /// Counts that machines share, where they do.
    pub shared: Option<Arc<SharedLimits>>,
    /// All figures.
    pub metrics: Metrics,
    /// One line a request.
    pub log: AccessLog,
    /// One entry a request with a key.
    pub key_audit: KeyAudit,
    /// Spans of some requests, where they are wanted.
    pub traces: Option<Traces>,
    /// What is remembered of decisions.
    pub observed: Observed,
    /// Makes the ids of requests.
    pub ids: DecisionIds,
    draining: AtomicBool,
}

/// Where all that happens is told.
pub(crate) struct Telling {
    pub(crate) metrics: Metrics,
    pub(crate) log: AccessLog,
    pub(crate) key_audit: KeyAudit,
    pub(crate) traces: Option<Traces>,
    pub(crate) observed: Observed,
}

impl Runtime {
    /// Fresh state around a first configuration.
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        epoch: Instant,
        generation: Generation,
        shared: Option<Arc<SharedLimits>>,
        telling: Telling,
    ) -> Self {
        let Telling { metrics, log, key_audit, traces, observed } = telling;
        Self {
            clock,
            epoch,
            generation: ArcSwap::from_pointee(generation),
            tokens: TokenCache::new(),
            jwts: JwtCache::new(),
            deliveries: Deliveries::new(),
            minted: Tokens::default(),
            limits: Limits::new(epoch),
            shared,
            metrics,
            log,
            key_audit,
            traces,
            observed,
            ids: DecisionIds::new(),
            draining: AtomicBool::new(false),
        }
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
