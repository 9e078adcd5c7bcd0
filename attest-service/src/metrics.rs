//! In: what happened. Out: the text that Prometheus reads. Every label comes from a fixed set of words of ours, so no
//! client can grow the tables. Outcomes are counted by the recorder, after their answers have left.

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The counters of one service.
#[derive(Default)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Challenges issued.
    pub(crate) challenges: Counter,
    /// Attestations appraised.
    pub(crate) attestations: Family<Appraised, Counter>,
    /// Reasons seen, several for one attestation.
    pub(crate) reasons: Family<Reason, Counter>,
    /// Requests answered by a problem.
    pub(crate) refusals: Family<Code, Counter>,
    /// What became of challenges that came back.
    pub(crate) spends: Family<Spent, Counter>,
    /// Answers given again for the same transcript.
    pub(crate) answers_repeated: Counter,
    /// Those of them that lay in the shared store.
    pub(crate) answers_shared: Counter,
    /// Documents fetched by gateways.
    pub(crate) feeds: Family<Feed, Counter>,
    /// Answers that left more than one quantum after arrival.
    pub(crate) quantum_overruns: Counter,
    /// Outcomes that were not logged and counted because the log was slow.
    pub(crate) outcomes_dropped: Counter,
    /// Challenges remembered as used.
    challenges_held: Gauge,
    /// Generation of the registry in use.
    registry_generation: Gauge,
    /// Number of the key-set document.
    key_set_number: Gauge,
    /// Number of the revocations.
    revocation_number: Gauge,
    /// Signing keys by state.
    signing_keys: Family<KeyStateLabel, Gauge>,
    /// 1 while the shared store answers; absent without one.
    shared_state_up: Gauge,
    /// 1 while the clock can be trusted.
    clock_steady: Gauge,
    /// 1 while the database can be read.
    store_readable: Gauge,
    /// Device counts dropped because the database was slow.
    device_counts_dropped: Gauge<i64>,
}

/// Labels of an appraisal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Appraised {
    /// `linux`, `android`, `ios`.
    pub(crate) platform: &'static str,
    /// `passed` or `failed`.
    pub(crate) outcome: &'static str,
    /// The first reason, `none` where there is none.
    pub(crate) reason: &'static str,
}

/// Label of a reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Reason {
    /// Its name.
    pub(crate) reason: &'static str,
}

/// Label of a challenge that came back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Spent {
    /// `first`, `spent`, `over`, `full`, `away`.
    pub(crate) result: &'static str,
}

/// Label of a document for gateways.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Feed {
    /// `keysets`, `revocations`.
    pub(crate) document: &'static str,
}

/// Label of a signing key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyStateLabel {
    /// `next`, `active`, `retiring`.
    state: &'static str,
}

/// Label of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Code {
    /// Its stable code.
    pub(crate) code: &'static str,
}

/// What is measured only when somebody reads.
pub(crate) struct Levels {
    /// Challenges remembered as used.
    pub(crate) challenges_held: usize,
    /// Generation of the registry in use.
    pub(crate) registry_generation: i64,
    /// Number of the key-set document.
    pub(crate) key_set_number: u64,
    /// Number of the revocations.
    pub(crate) revocation_number: u64,
    /// Signing keys: next, active, retiring.
    pub(crate) signing_keys: [(&'static str, usize); 3],
    /// Whether the database can be read.
    pub(crate) store_readable: bool,
    /// Whether the shared store answers; nothing where there is none.
    pub(crate) shared_state_up: Option<bool>,
    /// Whether the clock can be trusted.
    pub(crate) clock_steady: bool,
    /// Sightings of devices dropped.
    pub(crate) device_counts_dropped: u64,
}

impl Metrics {
    /// All counters at zero, registered under their names.
    ///
    /// `shared`: whether there is a shared store to tell of.
    pub(crate) fn new(shared: bool) -> Self {
        let mut metrics = Self::default();
        let mut registry = Registry::with_prefix("assay");
        let r = &mut registry;
        r.register("challenges", "Challenges issued", metrics.challenges.clone());
        r.register("attestations", "Attestations appraised", metrics.attestations.clone());
        r.register("attestation_reasons", "Reasons found in appraisals", metrics.reasons.clone());
        r.register("attest_refusals", "Requests answered by a problem", metrics.refusals.clone());
        r.register("challenges_spent", "Challenges that came back, by what became of them", metrics.spends.clone());
        r.register("answers_shared", "Answers given again from the shared store", metrics.answers_shared.clone());
        r.register("feed_fetches", "Documents fetched by gateways", metrics.feeds.clone());
        r.register("answers_repeated", "Answers given again for one transcript", metrics.answers_repeated.clone());
        r.register("quantum_overruns", "Answers later than one quantum", metrics.quantum_overruns.clone());
        r.register("outcomes_dropped", "Outcomes not logged: the log was slow", metrics.outcomes_dropped.clone());
        r.register("challenges_held", "Used challenges remembered", metrics.challenges_held.clone());
        r.register("registry_generation", "Generation of the registry in use", metrics.registry_generation.clone());
        r.register("key_set_number", "Number of the key-set document", metrics.key_set_number.clone());
        r.register("store_readable", "1 while the database can be read", metrics.store_readable.clone());
        r.register("revocation_number", "Number of the revocations", metrics.revocation_number.clone());
        r.register("signing_keys", "Signing keys by state", metrics.signing_keys.clone());
        r.register("clock_steady", "1 while the clock can be trusted", metrics.clock_steady.clone());
        if shared {
            r.register("service_shared_state_up", "1 while the shared store answers", metrics.shared_state_up.clone());
        }
        r.register("device_counts_dropped", "Device counts not written", metrics.device_counts_dropped.clone());
        metrics.registry = registry;
        metrics
    }

    /// The exposition text (OpenMetrics), levels taken over first.
    pub(crate) fn text(&self, levels: &Levels) -> String {
        self.challenges_held.set(saturating(levels.challenges_held as u64));
        self.registry_generation.set(levels.registry_generation);
        self.key_set_number.set(saturating(levels.key_set_number));
        self.store_readable.set(i64::from(levels.store_readable));
        self.revocation_number.set(saturating(levels.revocation_number));
        for (state, keys) in levels.signing_keys {
            self.signing_keys.get_or_create(&KeyStateLabel { state }).set(saturating(keys as u64));
        }
        self.shared_state_up.set(i64::from(levels.shared_state_up.unwrap_or(false)));
        self.clock_steady.set(i64::from(levels.clock_steady));
        self.device_counts_dropped.set(saturating(levels.device_counts_dropped));
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

fn saturating(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_documented() {
        let metrics = Metrics::new(true);
        metrics.challenges.inc();
        metrics
            .attestations
            .get_or_create(&Appraised { platform: "linux", outcome: "failed", reason: "unknown_app" })
            .inc();
        let levels = Levels {
            challenges_held: 3,
            registry_generation: 2,
            key_set_number: 1,
            revocation_number: 9,
            signing_keys: [("next", 1), ("active", 1), ("retiring", 0)],
            store_readable: true,
            shared_state_up: Some(true),
            clock_steady: false,
            device_counts_dropped: 0,
        };
        let text = metrics.text(&levels);
        for line in [
            "assay_challenges_total 1",
            "assay_attestations_total{platform=\"linux\",outcome=\"failed\",reason=\"unknown_app\"} 1",
            "assay_challenges_held 3",
            "assay_store_readable 1",
            "assay_revocation_number 9",
            "assay_signing_keys{state=\"next\"} 1",
            "assay_service_shared_state_up 1",
            "assay_clock_steady 0",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
