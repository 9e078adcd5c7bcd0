//! What all requests share: the running configuration, and the state that outlives it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use attest_core::time::Clock;

use crate::decision_id::DecisionIds;
use crate::generation::Generation;
use crate::limits::Limits;
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

    /// Reads the gauges from the running state.
    pub(crate) fn refresh_gauges(&self) {
        use crate::telemetry::metrics::{ClassLabels, UpstreamLabels};
        let gauges = &self.metrics.gauges;
        let generation = self.generation.load();
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        gauges.generation.set(signed(generation.number));
        gauges.access_log_dropped.set(signed(self.log.dropped()));
        let (attested, failed) = self.tokens.len();
        gauges.token_cache_entries.set(i64::try_from(attested + failed).unwrap_or(i64::MAX));
        if let Some(own) = &generation.own {
            let age = own.key_sets.age(self.clock.steady()).map_or(-1, |age| signed(age.as_secs()));
            gauges.key_set_age.set(age);
            gauges.key_set_number.set(own.key_sets.number().map_or(-1, signed));
        }
        for family in [&gauges.waiting, &gauges.concurrency_limit, &gauges.addresses] {
            family.clear();
        }
        gauges.inflight.clear();
        for upstream in generation.upstreams.values() {
            let labels = UpstreamLabels { upstream: upstream.name.clone() };
            gauges.waiting.get_or_create(&labels).set(upstream.admission.waiting().into());
            gauges.concurrency_limit.get_or_create(&labels).set(upstream.admission.limit().into());
            let addresses = i64::try_from(upstream.addresses().len()).unwrap_or(i64::MAX);
            gauges.addresses.get_or_create(&labels).set(addresses);
            let classes = ["critical", "attested", "partial", "unattested"];
            for (class, inflight) in classes.into_iter().zip(upstream.admission.inflight_by_class()) {
                let labels = ClassLabels { upstream: upstream.name.clone(), class };
                gauges.inflight.get_or_create(&labels).set(inflight.into());
            }
        }
    }
}
