//! C: Evidence against Reference Values, under a policy.
//!
//! In: a parsed request, its transcript, the registered builds of its app, the policy and what is known about the
//! device. Out: an [`AttestationResult`]. Every check is made whatever the others found; nothing ends early.

use crate::device_key::DevicePublicKey;
use crate::envelope::AttestRequest;
use crate::evidence_kind::{EvidenceKind, EvidenceKinds};
use crate::measurement::{self, Measurement};
use crate::reasons::Reasons;
use crate::reference::Build;
use crate::tier::Tier;
use crate::token::asv::AsvBlock;
use crate::transcript::TranscriptHash;

pub use crate::token::asv::DeviceState;

/// Builds that one appraisal compares with, at most: those of the claimed version first.
const MAX_COMPARED: usize = 32;

/// What a finding does. It moves the tier down, never up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingCost {
    /// At most tier `warning`.
    Warn,
    /// The app fails.
    Fail,
}

/// What each finding costs. Clean findings count for nothing: they are the app's own testimony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingCosts {
    /// `tracer`: a debugger or tracer is attached.
    pub tracer: FindingCost,
    /// `injected-library`: a library that does not belong.
    pub injected_library: FindingCost,
    /// `emulator`
    pub emulator: FindingCost,
    /// `root`: the device is rooted.
    pub root: FindingCost,
    /// Any finding that has no name here.
    pub other: FindingCost,
}

impl Default for FindingCosts {
    fn default() -> Self {
        Self {
            tracer: FindingCost::Fail,
            injected_library: FindingCost::Fail,
            emulator: FindingCost::Warn,
            root: FindingCost::Warn,
            other: FindingCost::Warn,
        }
    }
}

/// What an app must bring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvidencePolicy {
    /// Kinds that must be there and hold; nothing outweighs one that does not.
    pub require: EvidenceKinds,
    /// Let a measurement alone reach tier `affirming`, although whoever holds the app's file can compute it.
    pub danger_affirm_measurement_alone: bool,
    /// What findings cost.
    pub findings: FindingCosts,
}

/// The outcome of an appraisal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttestationResult {
    /// Whether the app is what it claims.
    pub passed: bool,
    /// How much that is worth.
    pub tier: Tier,
    /// The kinds of Evidence that held.
    pub kinds: EvidenceKinds,
    /// What speaks against it.
    pub reasons: Reasons,
    /// What an operator said about the device.
    pub device_state: DeviceState,
}

impl AttestationResult {
    /// The block that the token carries sealed.
    #[must_use]
    pub const fn asv_block(&self) -> AsvBlock {
        let Self { passed, tier, kinds, device_state, .. } = *self;
        AsvBlock { passed, tier, kinds, device_state, annotations: 0 }
    }
}

/// Appraises one request.
///
/// `transcript`: of this request, for the key set of its challenge; the challenge has been verified and consumed.
/// `builds`: those registered for the app it names, newest first; empty for an unknown app. `policy`: what that app
/// must bring on this platform.
///
/// # Source
/// RFC 9334, sections 8.1 to 8.5.
#[must_use]
pub fn appraise(
    request: &AttestRequest,
    transcript: &TranscriptHash,
    builds: &[Build],
    policy: &EvidencePolicy,
    device: DeviceState,
) -> AttestationResult {
    let signed = signed_by_device_key(&request.device_key, transcript, &request.signature);
    let measured = compare_builds(request, transcript, builds);
    let (findings, findings_fail) = weigh_findings(&request.findings, &policy.findings);

    let mut kinds = EvidenceKinds::EMPTY;
    if measured.good {
        kinds.insert(EvidenceKind::Measurement);
    }
    let required_hold = kinds.contains_all(policy.require) && !kinds.is_empty();
    let mut reasons = (measured.reasons | findings)
        .and_if(!signed, Reasons::BAD_DEVICE_SIGNATURE)
        .and_if(!required_hold, Reasons::REQUIRED_KIND_MISSING);
    let mut passed = signed && measured.known && required_hold && !findings_fail;
    match device {
        DeviceState::Normal => {}
        // Even then the sender must own the device key that the operator meant.
        DeviceState::ForcedPass => {
            reasons.insert(Reasons::FORCED_PASS);
            passed = signed;
        }
        DeviceState::ForcedFail => {
            reasons.insert(Reasons::FORCED_FAIL);
            passed = false;
        }
        DeviceState::Banned => {
            reasons.insert(Reasons::BANNED);
            passed = false;
        }
    }
    let vouched_for = kinds.has_platform() || (measured.good && policy.danger_affirm_measurement_alone);
    let tier = match (passed, vouched_for && findings.is_empty()) {
        (false, _) => Tier::Contraindicated,
        (true, true) => Tier::Affirming,
        (true, false) => Tier::Warning,
    };
    AttestationResult { passed, tier, kinds, reasons, device_state: device }
}

fn signed_by_device_key(key: &DevicePublicKey, transcript: &TranscriptHash, signature: &[u8; 64]) -> bool {
    key.verify(transcript, signature).is_ok()
}

struct Measured {
    /// A build of this version, platform and label is registered and not retired, and it is known by what the request
    /// brought.
    known: bool,
    /// The measurement is that build's.
    good: bool,
    reasons: Reasons,
}

fn compare_builds(request: &AttestRequest, transcript: &TranscriptHash, builds: &[Build]) -> Measured {
    let offered = request.evidence(EvidenceKind::Measurement);
    let mac: Option<[u8; 32]> = offered.and_then(|data| data.try_into().ok());
    let compare = |measurement: &Measurement| {
        let fits = measurement::verify_mac(measurement, &request.challenge, transcript, &mac.unwrap_or_default());
        fits && mac.is_some()
    };
    let of_app = |build: &&Build| build.app == request.app && build.platform == request.platform;
    let claimed =
        |build: &&Build| build.version == request.version && (request.build.is_empty() || build.label == request.build);

    let (mut found, mut retired, mut unmeasured, mut good) = (false, false, false, false);
    let mut compared = 0;
    for build in builds.iter().filter(of_app).filter(claimed).take(MAX_COMPARED) {
        found |= !build.retired;
        retired |= build.retired;
        unmeasured |= !build.retired && build.measurement.is_none();
        if let Some(measurement) = &build.measurement {
            good |= compare(measurement) && !build.retired;
            compared += 1;
        }
    }
    let mut another = false;
    let others =
        builds.iter().filter(of_app).filter(|build| !claimed(build)).filter_map(|build| build.measurement.as_ref());
    for measurement in others.take(MAX_COMPARED - compared) {
        another |= compare(measurement);
        compared += 1;
    }
    if compared == 0 {
        // An unknown app costs what a known one does.
        let _ = compare(&Measurement::from_bytes([0; 32]));
    }

    let known_app = builds.iter().any(|build| build.app == request.app);
    let reasons = Reasons::NONE
        .and_if(!known_app, Reasons::UNKNOWN_APP)
        .and_if(known_app && !found && !retired, Reasons::UNKNOWN_BUILD)
        .and_if(known_app && !found && retired, Reasons::RETIRED_BUILD)
        .and_if(offered.is_some() && mac.is_none(), Reasons::EVIDENCE_MALFORMED)
        .and_if(offered.is_none() && found && !unmeasured, Reasons::MEASUREMENT_MISSING)
        .and_if(mac.is_some() && !good && another, Reasons::VERSION_MISMATCH)
        .and_if(mac.is_some() && !good && !another, Reasons::MEASUREMENT_MISMATCH);
    // A build that has a measurement is known by it alone; one without is known by other Evidence, which `require`
    // names.
    Measured { known: good || (unmeasured && mac.is_none()), good, reasons }
}

fn weigh_findings(findings: &[String], costs: &FindingCosts) -> (Reasons, bool) {
    findings.iter().fold((Reasons::NONE, false), |(reasons, fail), finding| {
        let (reason, cost) = match finding.split(':').next().unwrap_or_default() {
            "tracer" => (Reasons::TRACER, costs.tracer),
            "injected-library" => (Reasons::INJECTED_LIBRARY, costs.injected_library),
            "emulator" => (Reasons::EMULATOR, costs.emulator),
            "root" => (Reasons::ROOT, costs.root),
            _ => (Reasons::OTHER_FINDING, costs.other),
        };
        (reasons | reason, fail | (cost == FindingCost::Fail))
    })
}

#[cfg(test)]
mod tests;
