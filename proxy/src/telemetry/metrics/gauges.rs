//! Figures that are read from the running state when somebody asks.
//!
//! In: the state that all requests share. Out: one number each. Where there is nothing to measure it is -1.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use attest_core::time::UnixTime;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{ClassLabels, ModeLabels, RouteLabels, UpstreamLabels};
use crate::feeds::{OwnFeeds, Staleness};
use crate::generation::Generation;
use crate::reload::LastReload;
use crate::runtime::Runtime;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    generation: Gauge,
    last_reload_ok: Gauge,
    last_reload_at: Gauge,
    taken_at: Gauge,
    pub from_last_good: Gauge,
    key_set_age: Gauge,
    key_set_number: Gauge,
    revocations_age: Gauge,
    revocations_number: Gauge,
    revoked_devices: Gauge,
    revocations_alert: Family<RouteLabels, Gauge>,
    revocations_refused: Family<RouteLabels, Gauge>,
    shared_state_up: Gauge,
    token_cache_entries: Gauge,
    access_log_dropped: Gauge,
    records_dropped: Gauge,
    mode: Family<ModeLabels, Gauge>,
    devices_regressed: Family<RouteLabels, Gauge>,
    guard_tripped: Family<RouteLabels, Gauge>,
    inflight: Family<ClassLabels, Gauge>,
    waiting: Family<UpstreamLabels, Gauge>,
    concurrency_limit: Family<UpstreamLabels, Gauge>,
    streams: Family<UpstreamLabels, Gauge>,
    uploads: Family<UpstreamLabels, Gauge>,
    gradient: Family<UpstreamLabels, Gauge<f64, AtomicU64>>,
    addresses: Family<UpstreamLabels, Gauge>,
}

impl Gauges {
    pub(super) fn register(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            ("config_generation", "Number of the running configuration", &self.generation),
            ("config_last_reload_ok", "1 if the last reload was taken, else 0", &self.last_reload_ok),
            ("config_last_reload_timestamp_seconds", "When the last reload was, since 1970", &self.last_reload_at),
            ("config_taken_timestamp_seconds", "When the running configuration was taken, since 1970", &self.taken_at),
            (
                "config_from_last_good",
                "1 while a kept configuration runs because the files were bad at the start, else 0",
                &self.from_last_good,
            ),
            ("records_dropped", "Records of decisions that did not reach their file", &self.records_dropped),
            ("keyset_age_seconds", "Seconds since the key set was last confirmed", &self.key_set_age),
            ("keyset_number", "Number of the key set in use", &self.key_set_number),
            ("revocations_age_seconds", "Seconds since revocations were last heard of", &self.revocations_age),
            ("revocations_number", "Number of the last revocation that is known", &self.revocations_number),
            ("revoked_devices", "Devices whose tokens are refused", &self.revoked_devices),
            ("shared_state_up", "1 if the shared state answers, else 0", &self.shared_state_up),
            ("token_cache_entries", "Tokens in the cache", &self.token_cache_entries),
            (
                "access_log_dropped",
                "Access log lines dropped because their reader was too slow",
                &self.access_log_dropped,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        for (name, help, family) in [
            ("revocations_alert", "1 if older than revocations.alert_after", &self.revocations_alert),
            ("revocations_refused", "1 if older than revocations.refuse_after", &self.revocations_refused),
            (
                "devices_regressed",
                "Devices within the guard's window that the policy refuses and the one before let through",
                &self.devices_regressed,
            ),
            ("guard_tripped", "1 while refusals take no effect because of the guard, else 0", &self.guard_tripped),
        ] {
            registry.register(name, help, family.clone());
        }
        for (name, help, family) in [
            ("waiting", "Requests waiting for a seat", &self.waiting),
            ("concurrency_limit", "Seats in all", &self.concurrency_limit),
            ("streams", "Answers on their way that have given their seat back", &self.streams),
            ("uploads", "Requests at the upstream whose bodies are on their way", &self.uploads),
            ("upstream_addresses", "Addresses that may be dialled now", &self.addresses),
        ] {
            registry.register(name, help, family.clone());
        }
        registry.register("mode", "1 for the mode that a route is in", self.mode.clone());
        registry.register("inflight", "Seats in use by class", self.inflight.clone());
        let help = "Usual time to the head of an answer to the time seen last, 0.5 to 1; 1 where the limit is fixed";
        registry.register("concurrency_gradient", help, self.gradient.clone());
    }

    /// Reads them all.
    pub(crate) fn refresh(&self, runtime: &Runtime) {
        let (generation, steady) = (runtime.generation.load(), runtime.clock.steady());
        self.generation.set(signed(generation.number));
        self.access_log_dropped.set(signed(runtime.log.dropped()));
        let (attested, failed) = runtime.tokens.len();
        self.token_cache_entries.set(sized(attested + failed));
        self.shared_state_up.set(runtime.shared.as_ref().map_or(-1, |shared| shared.is_up().into()));
        self.feeds(generation.own.as_deref(), steady);
        self.taken_at.set(generation.taken.secs());
        self.records_dropped.set(signed(runtime.observed.recorder.dropped()));
        self.routes(&generation, steady);
        self.modes(&generation, runtime.clock.now(), steady);
        self.upstreams(&generation);
    }

    fn feeds(&self, own: Option<&OwnFeeds>, steady: Duration) {
        let age = |age: Option<Duration>| age.map_or(-1, |age| signed(age.as_secs()));
        let key_sets = own.map(|own| &own.key_sets);
        self.key_set_age.set(age(key_sets.and_then(|key_sets| key_sets.age(steady))));
        self.key_set_number.set(key_sets.and_then(|key_sets| key_sets.number()).map_or(-1, signed));
        let revocations = own.map(|own| &own.revocations);
        self.revocations_age.set(age(revocations.and_then(|revocations| revocations.age(steady))));
        let known = revocations.and_then(|revocations| revocations.known());
        self.revocations_number.set(known.map_or(-1, |(number, _)| signed(number)));
        self.revoked_devices.set(known.map_or(-1, |(_, devices)| sized(devices)));
    }

    fn routes(&self, generation: &Generation, steady: Duration) {
        for family in [&self.revocations_alert, &self.revocations_refused] {
            family.clear();
        }
        for route in &generation.routes {
            let (labels, staleness) = (RouteLabels { route: route.name.clone() }, Staleness::at(route, steady));
            self.revocations_alert.get_or_create(&labels).set((staleness != Staleness::Fine).into());
            self.revocations_refused.get_or_create(&labels).set((staleness == Staleness::Refused).into());
        }
    }

    /// How a reload went.
    pub(crate) fn reloaded(&self, last: &LastReload) {
        self.last_reload_ok.set(last.ok.into());
        self.last_reload_at.set(last.at.secs());
    }

    fn modes(&self, generation: &Generation, now: UnixTime, steady: Duration) {
        self.mode.clear();
        for family in [&self.devices_regressed, &self.guard_tripped] {
            family.clear();
        }
        for route in &generation.routes {
            let mode = route.watch.mode(now).mode.as_str();
            self.mode.get_or_create(&ModeLabels { route: route.name.clone(), mode }).set(1);
            let guard = &route.watch.guard;
            self.guard_tripped.get_or_create(&route.watch.labels).set(guard.is_tripped().into());
            self.devices_regressed.get_or_create(&route.watch.labels).set(signed(guard.counted(steady).0));
        }
    }

    fn upstreams(&self, generation: &Generation) {
        for family in [&self.waiting, &self.concurrency_limit, &self.addresses, &self.streams, &self.uploads] {
            family.clear();
        }
        self.inflight.clear();
        self.gradient.clear();
        for upstream in generation.upstreams.values() {
            let labels = UpstreamLabels { upstream: upstream.name.clone() };
            self.waiting.get_or_create(&labels).set(upstream.admission.waiting().into());
            self.concurrency_limit.get_or_create(&labels).set(upstream.admission.limit().into());
            self.streams.get_or_create(&labels).set(upstream.admission.streams().into());
            self.uploads.get_or_create(&labels).set(upstream.admission.uploads().into());
            self.gradient.get_or_create(&labels).set(upstream.admission.gradient());
            self.addresses.get_or_create(&labels).set(sized(upstream.addresses().len()));
            let classes = ["critical", "attested", "partial", "unattested"];
            for (class, inflight) in classes.into_iter().zip(upstream.admission.inflight_by_class()) {
                let labels = ClassLabels { upstream: upstream.name.clone(), class };
                self.inflight.get_or_create(&labels).set(inflight.into());
            }
        }
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn sized(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
