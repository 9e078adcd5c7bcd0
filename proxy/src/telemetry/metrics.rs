//! The figures under `/metrics`, all with the prefix `assay_`.
//!
//! In come events of requests, each one atomic addition on a handle found beforehand; out goes text
//! in the Prometheus format. Labels are names from the configuration and fixed words, never what a
//! client sent, so their number is bounded. Gauges are read from the running state when asked.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use attest_core::verdict::Verdict;
use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::connection::ConnectionStats;

/// A fixed word or a name from the configuration.
type Word = std::sync::Arc<str>;

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($label:ident: $kind:ty),+ })+) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub(crate) struct $name { $(pub $label: $kind),+ }
    )+ };
}

labels! {
    /// What was decided.
    RequestLabels { route: Word, verdict: &'static str, action: &'static str }
    /// Which rule matched and what came of it.
    RuleLabels { route: Word, rule: Word, outcome: &'static str }
    /// How it ended for the client.
    AnswerLabels { route: Word, answered_by: &'static str, status: u16 }
    /// One route.
    RouteLabels { route: Word }
    /// One limit of a route.
    LimitLabels { route: Word, limit: Word }
    /// One upstream.
    UpstreamLabels { upstream: Word }
    /// One class of an upstream.
    ClassLabels { upstream: Word, class: &'static str }
    /// Why a class got no seat.
    ShedLabels { upstream: Word, class: &'static str, why: &'static str }
    /// One key.
    KeyLabels { key: Word }
    /// A reason of ours.
    WhyLabels { why: &'static str }
}

/// Every figure there is. One for the life of the process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub requests: Family<RequestLabels, Counter>,
    pub rule_hits: Family<RuleLabels, Counter>,
    pub answers: Family<AnswerLabels, Counter>,
    pub scrubbed: Family<RouteLabels, Counter>,
    pub accepted_expired: Family<RouteLabels, Counter>,
    pub limited: Family<LimitLabels, Counter>,
    pub shed: Family<ShedLabels, Counter>,
    pub key_uses: Family<KeyLabels, Counter>,
    pub bad_requests: Family<WhyLabels, Counter>,
    pub reloads: Family<WhyLabels, Counter>,
    pub fetch_failures: Counter,
    pub traces_dropped: Family<WhyLabels, Counter>,
    pub token_cache_hits: Counter,
    pub token_cache_misses: Counter,
    /// Counts of the listeners, once there are any.
    pub listeners: std::sync::Arc<Listeners>,
    pub gateway_seconds: std::sync::Arc<Histogram>,
    pub first_byte_seconds: std::sync::Arc<Histogram>,
    pub gauges: Gauges,
}

/// Figures that are read from the running state when somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub generation: Gauge,
    pub last_reload_ok: Gauge,
    pub key_set_age: Gauge,
    pub key_set_number: Gauge,
    pub token_cache_entries: Gauge,
    pub access_log_dropped: Gauge,
    pub inflight: Family<ClassLabels, Gauge>,
    pub waiting: Family<UpstreamLabels, Gauge>,
    pub concurrency_limit: Family<UpstreamLabels, Gauge>,
    pub addresses: Family<UpstreamLabels, Gauge>,
}

impl Metrics {
    /// All figures at zero.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("assay"),
            requests: Family::default(),
            rule_hits: Family::default(),
            answers: Family::default(),
            scrubbed: Family::default(),
            accepted_expired: Family::default(),
            limited: Family::default(),
            shed: Family::default(),
            key_uses: Family::default(),
            bad_requests: Family::default(),
            reloads: Family::default(),
            fetch_failures: Counter::default(),
            traces_dropped: Family::default(),
            token_cache_hits: Counter::default(),
            token_cache_misses: Counter::default(),
            listeners: std::sync::Arc::default(),
            gateway_seconds: Histogram::new(
                "gateway_seconds",
                "Time from a request's head to its hand-over, without waiting for a seat",
            ),
            first_byte_seconds: Histogram::new(
                "upstream_first_byte_seconds",
                "Time from the hand-over to the head of the upstream's answer",
            ),
            gauges: Gauges::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let gauges = &self.gauges;
        registry.register("requests", "Requests by verdict and action", self.requests.clone());
        registry.register("rule_hits", "Rules that matched", self.rule_hits.clone());
        registry.register("answers", "Answers by who gave them", self.answers.clone());
        registry.register("scrubbed", "Places where a key was masked in a response", self.scrubbed.clone());
        registry.register(
            "accepted_expired",
            "Expired tokens accepted while none can be renewed",
            self.accepted_expired.clone(),
        );
        registry.register("limited", "Requests over a limit", self.limited.clone());
        registry.register("shed", "Requests that got no seat", self.shed.clone());
        registry.register("key_uses", "Requests that a key was added to", self.key_uses.clone());
        registry.register("bad_requests", "Requests refused for their form", self.bad_requests.clone());
        registry.register("reloads", "Reloads of the configuration", self.reloads.clone());
        registry.register("keyset_fetch_failures", "Fetches of the key set that failed", self.fetch_failures.clone());
        registry.register(
            "traces_dropped",
            "Traced requests that the collector was not told of",
            self.traces_dropped.clone(),
        );
        registry.register(
            "token_cache_hits",
            "Tokens whose signature had been checked before",
            self.token_cache_hits.clone(),
        );
        registry.register(
            "token_cache_misses",
            "Tokens whose signature had to be checked",
            self.token_cache_misses.clone(),
        );
        registry.register("config_generation", "Number of the running configuration", gauges.generation.clone());
        registry.register(
            "config_last_reload_ok",
            "1 if the last reload was taken, else 0",
            gauges.last_reload_ok.clone(),
        );
        registry.register(
            "keyset_age_seconds",
            "Seconds since the key set was last confirmed",
            gauges.key_set_age.clone(),
        );
        registry.register("keyset_number", "Number of the key set in use", gauges.key_set_number.clone());
        registry.register("token_cache_entries", "Tokens in the cache", gauges.token_cache_entries.clone());
        registry.register(
            "access_log_dropped",
            "Access log lines dropped because their reader was too slow",
            gauges.access_log_dropped.clone(),
        );
        registry.register("inflight", "Seats in use by class", gauges.inflight.clone());
        registry.register("waiting", "Requests waiting for a seat", gauges.waiting.clone());
        registry.register("concurrency_limit", "Seats in all", gauges.concurrency_limit.clone());
        registry.register("upstream_addresses", "Addresses that may be dialled now", gauges.addresses.clone());
        registry.register_collector(Box::new(self.listeners.clone()));
        registry.register_collector(Box::new(self.gateway_seconds.clone()));
        registry.register_collector(Box::new(self.first_byte_seconds.clone()));
    }

    /// The text for a scraper.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

/// A counter that is found on first use and kept: a later use is one atomic addition.
#[derive(Debug, Default)]
pub(crate) struct Lazy(OnceLock<Counter>);

impl Lazy {
    /// Counts one.
    pub(crate) fn count<L>(&self, family: &Family<L, Counter>, labels: impl FnOnce() -> L)
    where
        L: Clone + std::hash::Hash + Eq,
    {
        self.count_by(1, family, labels);
    }

    /// Counts several.
    pub(crate) fn count_by<L>(&self, n: u64, family: &Family<L, Counter>, labels: impl FnOnce() -> L)
    where
        L: Clone + std::hash::Hash + Eq,
    {
        self.0.get_or_init(|| family.get_or_create(&labels()).clone()).inc_by(n);
    }
}

/// A counter for each verdict and action of one route.
#[derive(Debug)]
pub(crate) struct ByVerdict([[Lazy; 5]; Verdict::ALL.len()]);

impl Default for ByVerdict {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Default::default()))
    }
}

impl ByVerdict {
    /// The counter of `verdict` and the action with this index.
    pub(crate) fn of(&self, verdict: Verdict, action: usize) -> Option<&Lazy> {
        self.0.get(verdict as usize)?.get(action)
    }
}

/// A counter for each status, by whether it was our answer. Made at a route's first answer: many routes
/// of a large configuration never see one.
#[derive(Debug, Default)]
pub(crate) struct ByStatus(OnceLock<Box<[[Lazy; 2]]>>);

impl ByStatus {
    /// The counter of a status from 100 to 599.
    pub(crate) fn of(&self, status: StatusCode, ours: bool) -> Option<&Lazy> {
        let at = usize::from(status.as_u16()).checked_sub(100)?;
        let counters = self.0.get_or_init(|| (100..600).map(|_| Default::default()).collect());
        counters.get(at)?.get(usize::from(ours))
    }
}

/// A histogram of times without a lock: one addition for the bucket, one for the sum.
#[derive(Debug)]
pub(crate) struct Histogram {
    name: &'static str,
    help: &'static str,
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// Upper bounds in microseconds: 10 us to 30 s.
const BOUNDS: [u64; 16] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 30_000_000,
];

impl Histogram {
    fn new(name: &'static str, help: &'static str) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self { name, help, buckets: Default::default(), nanos: AtomicU64::new(0) })
    }

    /// Counts one observation.
    pub(crate) fn observe(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Relaxed);
        }
        self.nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl Collector for Histogram {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|bucket| bucket.load(Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, n)| n).sum();
        let sum = self.nanos.load(Relaxed) as f64 / 1e9;
        encoder
            .encode_descriptor(self.name, self.help, None, MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

/// What the listeners count: connections that never became a request have no other place to be seen.
#[derive(Debug, Default)]
pub(crate) struct Listeners(OnceLock<std::sync::Arc<ConnectionStats>>);

impl Listeners {
    /// Begins to tell these counts.
    pub(crate) fn watch(&self, stats: std::sync::Arc<ConnectionStats>) {
        // There is one edge in the life of a process.
        let _ = self.0.set(stats);
    }

    /// Open connections of clients.
    pub(crate) fn open(&self) -> u64 {
        self.0.get().map_or(0, |stats| stats.open.get())
    }
}

impl Collector for Listeners {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(stats) = self.0.get() else { return Ok(()) };
        let open = ConstGauge::new(stats.open.get());
        open.encode(encoder.encode_descriptor("connections", "Open client connections", None, open.metric_type())?)?;
        let accepted = ConstCounter::new(stats.accepted.get());
        let help = "Client connections accepted";
        accepted.encode(encoder.encode_descriptor("connections_accepted", help, None, accepted.metric_type())?)?;
        let help = "Connections that ended without a request, by reason";
        let mut family = encoder.encode_descriptor("connections_ended", help, None, MetricType::Counter)?;
        for (why, count) in [
            ("limit", &stats.refused),
            ("head_timeout", &stats.head_timeout),
            ("head_too_large", &stats.head_too_large),
            ("malformed", &stats.malformed),
            ("tls", &stats.tls_failed),
            ("panic", &stats.panicked),
        ] {
            ConstCounter::new(count.get()).encode(family.encode_family(&WhyLabels { why })?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_holds_every_figure_once_with_its_prefix() {
        let metrics = Metrics::new();
        let lazy = Lazy::default();
        for _ in 0..3 {
            lazy.count(&metrics.requests, || RequestLabels {
                route: "shop".into(),
                verdict: "attested",
                action: "allow",
            });
        }
        metrics.gateway_seconds.observe(Duration::from_micros(30));
        metrics.gateway_seconds.observe(Duration::from_secs(60));
        let text = metrics.text();
        assert!(
            text.contains("assay_requests_total{route=\"shop\",verdict=\"attested\",action=\"allow\"} 3"),
            "{text}"
        );
        assert!(text.contains("assay_gateway_seconds_bucket{le=\"0.00005\"} 1"), "{text}");
        assert!(text.contains("assay_gateway_seconds_bucket{le=\"+Inf\"} 2"), "{text}");
        assert!(text.contains("assay_gateway_seconds_count 2"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
