//! In: how attestations ended. Out: the operator's log line, the counters, the device's tally. What is proven: nothing
//! that depends on an outcome is done before its answer has left: outcomes of equal size go down a queue, and a thread
//! of its own does the rest, some at a time. Never logged: token, Evidence, signature.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        mpsc::{self, SyncSender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use attest_core::{appraisal::AttestationResult, device_key::DeviceId, reference::Platform, time::UnixTime};
use attest_store::{Live, Seen};
use tracing::dispatcher::{self, Dispatch};

use crate::metrics::{Appraised, Metrics, Reason};

/// Outcomes on their way to the log; more are dropped and counted.
const QUEUE: usize = 8192;
/// How long an outcome waits for company. Waking a thread for each would cost an attestation a sixth of its time.
const GATHER: Duration = Duration::from_millis(10);

/// How one attestation ended.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// What the app said of itself; the wire's character set, so nothing in it can break a log line.
    pub(crate) app: String,
    /// Its version, as it said.
    pub(crate) version: String,
    /// Its build, as it said; may be empty.
    pub(crate) build: String,
    /// Its platform, as it said.
    pub(crate) platform: Platform,
    /// The id derived from its device key.
    pub(crate) device: DeviceId,
    /// What the app found about its surroundings, as it said.
    pub(crate) findings: Vec<String>,
    /// What the appraisal found.
    pub(crate) result: AttestationResult,
    /// The support code that the token carries.
    pub(crate) arc: String,
    /// When.
    pub(crate) at: UnixTime,
}

/// Takes outcomes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recorder {
    queue: SyncSender<Outcome>,
    metrics: Arc<Metrics>,
}

impl Recorder {
    /// Starts the thread. It logs to the subscriber that is in force here, and ends when every clone is dropped.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(crate) fn start(
        metrics: Arc<Metrics>,
        live: Arc<Live>,
        explain: bool,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, inbox) = mpsc::sync_channel::<Outcome>(QUEUE);
        let log = dispatcher::get_default(Dispatch::clone);
        let counters = Arc::clone(&metrics);
        let thread = thread::Builder::new().name("assay-recorder".to_owned()).spawn(move || {
            dispatcher::with_default(&log, || {
                while let Ok(first) = inbox.recv() {
                    gather();
                    let outcomes: Vec<Outcome> = std::iter::once(first).chain(inbox.try_iter().take(QUEUE)).collect();
                    for outcome in &outcomes {
                        outcome.count(&counters);
                        outcome.log(explain);
                    }
                    // One after the other, so that the store's thread wakes once for all of them.
                    outcomes.into_iter().for_each(|outcome| live.seen(outcome.into_sighting()));
                }
            });
        })?;
        Ok((Self { queue, metrics }, thread))
    }

    /// Keeps `outcome` until the returned value is dropped: then, and not before, it goes to the log.
    pub(crate) fn hold(&self, outcome: Outcome) -> Held {
        Held { recorder: self.clone(), outcome: Some(outcome) }
    }
}

#[expect(clippy::disallowed_methods, reason = "there is no event to wait for: that more may come is the point")]
fn gather() {
    thread::sleep(GATHER);
}

/// An outcome whose answer has not left yet. Dropping it records it: also when the client has gone and the request was
/// cancelled.
pub(crate) struct Held {
    recorder: Recorder,
    outcome: Option<Outcome>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome.take()
            && self.recorder.queue.try_send(outcome).is_err()
        {
            self.recorder.metrics.outcomes_dropped.inc();
        }
    }
}

impl Outcome {
    fn word(&self) -> &'static str {
        if self.result.passed { "passed" } else { "failed" }
    }

    /// What the device's row is told.
    fn into_sighting(self) -> Seen {
        Seen {
            device: self.device,
            app: self.app,
            version: self.version,
            platform: self.platform,
            passed: self.result.passed,
            reasons: self.result.reasons,
            findings: self.findings,
            renewed_from: self.result.renewed_from,
            at: self.at,
        }
    }

    fn count(&self, metrics: &Metrics) {
        let reason = self.result.reasons.iter_names().next().unwrap_or("none");
        let labels = Appraised { platform: self.platform.as_str(), outcome: self.word(), reason };
        metrics.attestations.get_or_create(&labels).inc();
        for reason in self.result.reasons.iter_names() {
            metrics.reasons.get_or_create(&Reason { reason }).inc();
        }
    }

    fn log(&self, explain: bool) {
        let mut reasons = String::new();
        for name in self.result.reasons.iter_names() {
            if !reasons.is_empty() {
                reasons.push(',');
            }
            reasons.push_str(name);
        }
        let mut kinds = String::new();
        for kind in self.result.kinds.iter() {
            let separator = if kinds.is_empty() { "" } else { "," };
            let _ = write!(kinds, "{separator}{}", kind.as_str());
        }
        tracing::info!(
            target: "assay::attest",
            outcome = self.word(),
            tier = self.result.tier.as_str(),
            reasons,
            kinds,
            arc = self.arc,
            app = self.app,
            version = self.version,
            build = self.build,
            platform = self.platform.as_str(),
            device = %self.device,
            device_state = self.result.device_state.as_str(),
            "attestation"
        );
        if explain {
            let text = self.explanation();
            tracing::info!(target: "assay::attest", "{text}");
        }
    }

    /// The outcome in a sentence a person reads.
    fn explanation(&self) -> String {
        let mut text = format!("{} {} on {} ", self.app, self.version, self.platform.as_str());
        text.push_str(self.word());
        let mut separator = ": ";
        for name in self.result.reasons.iter_names() {
            let _ = write!(text, "{separator}{}", sentence(name));
            separator = "; ";
        }
        text
    }
}

/// What a reason means, and what to do about it. A reason without a sentence is shown by its name.
fn sentence(reason: &'static str) -> &'static str {
    match reason {
        "unknown_app" => "no such app: it is not under attestation.apps, or not on this platform",
        "unknown_build" => "this version is not registered: assay app register",
        "retired_build" => "this build was retired",
        "version_mismatch" => "the measurement is that of another registered version",
        "measurement_mismatch" => "the running image differs from the registered file",
        "measurement_missing" => "no measurement came",
        "required_kind_missing" => "a required kind of Evidence is absent or did not hold",
        "bad_device_signature" => "the device key did not sign this request",
        "evidence_malformed" => "a piece of Evidence could not be read",
        "evidence_not_bound" => "a piece of Evidence was made for another request",
        "tracer" => "a debugger or tracer is attached",
        "injected_library" => "a library that does not belong is loaded",
        "repackaged" => "the app's package is not the one that was registered",
        "emulator" => "it runs in an emulator",
        "root" => "the device is rooted",
        "banned" => "the device is banned",
        "forced_fail" => "an operator made this device fail",
        "forced_pass" => "an operator made this device pass",
        "below_min_version" => "this version is below the app's min_version",
        "kind_not_accepted" => "a kind of Evidence came that this app's settings do not accept",
        "enrolled_dev" => "the device is enrolled for development: assay device enrol",
        "other_finding" => "the app reported something that this service has no name for",
        other => other,
    }
}
