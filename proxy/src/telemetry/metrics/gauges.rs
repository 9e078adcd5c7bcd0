//! Figures that are read from the running state when somebody asks.
//!
//! In: the state that all requests share. Out: one number each. Where there is nothing to measure it is -1.

use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{ClassLabels, RouteLabels, UpstreamLabels};
use crate::feeds::{OwnFeeds, Staleness};
use crate::generation::Generation;
use crate::runtime::Runtime;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    generation: Gauge,
    pub last_reload_ok: Gauge,
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
    inflight: Family<ClassLabels, Gauge>,
    waiting: Family<UpstreamLabels, Gauge>,
    concurrency_limit: Family<UpstreamLabels, Gauge>,
    addresses: Family<UpstreamLabels, Gauge>,
}

impl Gauges {
    pub(super) fn register(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            ("config_generation", "Number of the running configuration", &self.generation),
            ("config_last_reload_ok", "1 if the last reload was taken, else 0", &self.last_reload_ok),
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
        ] {
            registry.register(name, help, family.clone());
        }
        for (name, help, family) in [
            ("waiting", "Requests waiting for a seat", &self.waiting),
            ("concurrency_limit", "Seats in all", &self.concurrency_limit),
            ("upstream_addresses", "Addresses that may be dialled now", &self.addresses),
        ] {
            registry.register(name, help, family.clone());
        }
        registry.register("inflight", "Seats in use by class", self.inflight.clone());
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
        self.routes(&generation, steady);
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

    fn upstreams(&self, generation: &Generation) {
        for family in [&self.waiting, &self.concurrency_limit, &self.addresses] {
            family.clear();
        }
        self.inflight.clear();
        for upstream in generation.upstreams.values() {
            let labels = UpstreamLabels { upstream: upstream.name.clone() };
            self.waiting.get_or_create(&labels).set(upstream.admission.waiting().into());
            self.concurrency_limit.get_or_create(&labels).set(upstream.admission.limit().into());
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
