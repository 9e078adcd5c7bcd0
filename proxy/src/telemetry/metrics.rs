//! The figures under `/metrics`, all with the prefix `assay_`.
//!
//! In come events of requests, each one atomic addition on a handle found beforehand; out goes text
//! in the Prometheus format. Labels are names from the configuration and fixed words, never what a
//! client sent, so their number is bounded. Gauges are read from the running state when asked.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::feeds::FetchFailures;

mod gauges;
mod histogram;
mod labels;
mod lazy;
mod listeners;

pub(crate) use gauges::Gauges;
pub(crate) use histogram::Histogram;
pub(crate) use labels::{
    AnswerLabels, CeilingLabels, ClassLabels, DifferenceLabels, KeyAnswerLabels, KeyLabels, LimitLabels, MintLabels,
    ModeLabels, RequestLabels, RouteLabels, RuleLabels, ShedLabels, UnitLabels, UpstreamLabels, WhyLabels,
};
pub(crate) use lazy::{ByStatus, ByVerdict, Lazy};
pub(crate) use listeners::Listeners;

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
    pub ceiling_reached: Family<CeilingLabels, Counter>,
    pub shed: Family<ShedLabels, Counter>,
    pub key_uses: Family<KeyLabels, Counter>,
    pub key_answers: Family<KeyAnswerLabels, Counter>,
    pub key_reloads: Family<WhyLabels, Counter>,
    pub key_audit_dropped: Counter,
    pub token_mints: Family<MintLabels, Counter>,
    pub bad_requests: Family<WhyLabels, Counter>,
    pub reloads: Family<WhyLabels, Counter>,
    pub candidate_differences: Family<DifferenceLabels, Counter>,
    pub guard_trips: Family<RouteLabels, Counter>,
    pub state_write_failures: Family<WhyLabels, Counter>,
    pub fetch_failures: FetchFailures,
    pub traces_dropped: Family<WhyLabels, Counter>,
    pub shared_state_failures: Counter,
    pub counted_locally: Family<RouteLabels, Counter>,
    pub budget_charged: Family<UnitLabels, Counter>,
    pub usage_unknown: Family<RouteLabels, Counter>,
    pub settlements_lost: Counter,
    pub token_cache_hits: Counter,
    pub token_cache_misses: Counter,
    /// Counts of the listeners, once there are any.
    pub listeners: std::sync::Arc<Listeners>,
    pub gateway_seconds: std::sync::Arc<Histogram>,
    pub first_byte_seconds: std::sync::Arc<Histogram>,
    pub gauges: Gauges,
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
            ceiling_reached: Family::default(),
            shed: Family::default(),
            key_uses: Family::default(),
            key_answers: Family::default(),
            key_reloads: Family::default(),
            key_audit_dropped: Counter::default(),
            token_mints: Family::default(),
            bad_requests: Family::default(),
            reloads: Family::default(),
            candidate_differences: Family::default(),
            guard_trips: Family::default(),
            state_write_failures: Family::default(),
            fetch_failures: FetchFailures::default(),
            traces_dropped: Family::default(),
            shared_state_failures: Counter::default(),
            counted_locally: Family::default(),
            budget_charged: Family::default(),
            usage_unknown: Family::default(),
            settlements_lost: Counter::default(),
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
        registry.register("ceiling_reached", "Requests over the ceiling of a key", self.ceiling_reached.clone());
        registry.register("shed", "Requests that got no seat", self.shed.clone());
        registry.register("key_uses", "Requests that a key was added to", self.key_uses.clone());
        registry.register("key_answers", "Answers of APIs to requests with a key", self.key_answers.clone());
        registry.register(
            "key_audit_dropped",
            "Requests with a key that the audit log had no room for",
            self.key_audit_dropped.clone(),
        );
        registry.register("key_reloads", "Changes of the key store, taken or refused", self.key_reloads.clone());
        registry.register("token_mints", "Questions to token endpoints by what came of them", self.token_mints.clone());
        registry.register("bad_requests", "Requests refused for their form", self.bad_requests.clone());
        registry.register("reloads", "Reloads of the configuration", self.reloads.clone());
        registry.register(
            "candidate_differences",
            "Requests that a candidate policy would have decided otherwise",
            self.candidate_differences.clone(),
        );
        registry.register(
            "guard_trips",
            "Times that a policy stopped being enforced because it refused devices that the one before let through",
            self.guard_trips.clone(),
        );
        registry.register(
            "state_write_failures",
            "Files of the state folder that could not be written",
            self.state_write_failures.clone(),
        );
        let failures = &self.fetch_failures;
        registry.register("keyset_fetch_failures", "Fetches of the key set that failed", failures.key_sets.clone());
        registry.register(
            "revocations_fetch_failures",
            "Fetches of revocations that failed",
            failures.revocations.clone(),
        );
        registry.register(
            "shared_state_failures",
            "Questions to the shared state without an answer in time",
            self.shared_state_failures.clone(),
        );
        registry.register(
            "limits_counted_locally",
            "Requests whose limits were counted by this gateway alone, because the shared state was away",
            self.counted_locally.clone(),
        );
        registry.register("budget_charged", "Units charged to budgets", self.budget_charged.clone());
        registry.register(
            "budget_usage_unknown",
            "Requests charged as they were reserved, because the API did not tell what they used",
            self.usage_unknown.clone(),
        );
        registry.register(
            "budget_settlements_lost",
            "Requests whose usage did not reach the shared state: their reservations stand",
            self.settlements_lost.clone(),
        );
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
        self.gauges.register(registry);
        registry.register_collector(Box::new(self.listeners.clone()));
        registry.register_collector(Box::new(self.gateway_seconds.clone()));
        registry.register_collector(Box::new(self.first_byte_seconds.clone()));
    }

    /// Counts and tells a file of the state folder that could not be written; what it is for goes on without it.
    pub(crate) fn count_write(&self, what: &'static str, written: std::io::Result<()>) {
        if let Err(why) = written {
            self.state_write_failures.get_or_create(&WhyLabels { why: what }).inc();
            tracing::error!(what, "the state folder can't be written: {why}");
        }
    }

    /// The text for a scraper.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
