//! C: Evidence against Reference Values, under a policy.
//!
//! In: a parsed request, its transcript, the registered builds of its app, the policy and what is known about the
//! device. Out: an [`AttestationResult`]. Every check is made whatever the others found; nothing ends early.

mod builds;
mod policy;

use crate::device_key::DeviceId;
use crate::envelope::AttestRequest;
use crate::evidence_kind::{EvidenceKind, EvidenceKinds};
use crate::reasons::Reasons;
use crate::reference::Build;
use crate::tier::Tier;
use crate::token::asv::{AsvBlock, annotations};
use crate::transcript::TranscriptHash;

pub use crate::token::asv::DeviceState;
pub use policy::{EvidencePolicy, FindingCost, FindingCosts, TierCaps};

/// What is known about the device whose key signed the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceFacts {
    /// What an operator said about it.
    pub state: DeviceState,
    /// Whether it is enrolled for development just now.
    pub enrolled: bool,
    /// Hours since it was first seen, at most as many as fit; 0: not known.
    pub age_hours: u16,
    /// Where the request names a previous key: its device, whose marks are part of these facts.
    pub renewed_from: Option<DeviceId>,
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
    /// Annotations, one bit each ([`annotations`]).
    pub annotations: u16,
    /// Hours since the device was first seen; 0: not known.
    pub device_age_hours: u16,
    /// The registry's number of the build that it is, or says that it is; 0: of none.
    pub build: u32,
    /// The device whose key proved that this one takes over from it.
    pub renewed_from: Option<DeviceId>,
}

impl AttestationResult {
    /// The block that the token carries sealed.
    #[must_use]
    pub const fn asv_block(&self) -> AsvBlock {
        let Self { passed, tier, kinds, device_state, annotations, device_age_hours, build, .. } = *self;
        AsvBlock { passed, tier, kinds, device_state, annotations, device_age_hours, build }
    }
}

/// Appraises one request.
///
/// `transcript`: of this request, for the key set of its challenge; the challenge has been verified and consumed.
/// `builds`: those registered for the app it names, newest first; empty for an unknown app. `policy`: what that app
/// must bring on this platform. `device`: what is known of the device, and of the one before it where the request names
/// one.
///
/// # Source
/// RFC 9334, sections 8.1 to 8.5.
#[must_use]
pub fn appraise(
    request: &AttestRequest,
    transcript: &TranscriptHash,
    builds: &[Build],
    policy: &EvidencePolicy,
    device: DeviceFacts,
) -> AttestationResult {
    let renewal_signed =
        request.previous.as_ref().map(|previous| previous.device_key.verify(transcript, &previous.signature).is_ok());
    // Whoever names a previous key and can't prove it is a thief of its good name.
    let signed = request.device_key.verify(transcript, &request.signature).is_ok() & (renewal_signed != Some(false));
    let measured = builds::compare(request, transcript, builds);
    let (findings, cost) = weigh_findings(&request.findings, &policy.findings);
    let too_old = policy.is_below_min_version(&request.version);

    let accepted = policy.accept.union(policy.require);
    let offered: EvidenceKinds = request.evidence.iter().map(|evidence| evidence.kind).collect();
    let mut kinds = EvidenceKinds::EMPTY;
    if measured.good && accepted.contains(EvidenceKind::Measurement) {
        kinds.insert(EvidenceKind::Measurement);
    }
    if signed && accepted.contains(EvidenceKind::DeviceKey) {
        kinds.insert(EvidenceKind::DeviceKey);
    }
    let worth = policy.worth(kinds);
    let required_hold = kinds.contains_all(policy.require) && worth >= Tier::Warning;
    let mut reasons = (measured.reasons | findings)
        .and_if(!signed, Reasons::BAD_DEVICE_SIGNATURE)
        .and_if(!required_hold, Reasons::REQUIRED_KIND_MISSING)
        .and_if(!accepted.contains_all(offered), Reasons::KIND_NOT_ACCEPTED)
        .and_if(too_old, Reasons::BELOW_MIN_VERSION);
    let mut passed = signed && measured.known && required_hold && cost != FindingCost::Fail && !too_old;
    let mut annotations = 0;
    match device.state {
        DeviceState::Normal if device.enrolled => {
            reasons.insert(Reasons::ENROLLED_DEV);
            annotations = annotations::DEV;
            passed = signed;
        }
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
    let best = if cost == FindingCost::Ignore { worth } else { worth.min(Tier::Warning) };
    let tier = if passed { best.max(Tier::Warning) } else { Tier::Contraindicated };
    AttestationResult {
        passed,
        tier,
        kinds,
        reasons,
        device_state: device.state,
        annotations,
        device_age_hours: device.age_hours,
        build: measured.build,
        renewed_from: device.renewed_from.filter(|_| signed && renewal_signed == Some(true)),
    }
}

fn weigh_findings(findings: &[String], costs: &FindingCosts) -> (Reasons, FindingCost) {
    findings.iter().fold((Reasons::NONE, FindingCost::Ignore), |(reasons, worst), finding| {
        let (reason, cost) = match finding.split(':').next().unwrap_or_default() {
            "tracer" => (Reasons::TRACER, costs.tracer),
            "injected-library" => (Reasons::INJECTED_LIBRARY, costs.injected_library),
            "repackaged" => (Reasons::REPACKAGED, costs.repackaged),
            "emulator" => (Reasons::EMULATOR, costs.emulator),
            "root" => (Reasons::ROOT, costs.root),
            _ => (Reasons::OTHER_FINDING, costs.other),
        };
        (reasons | reason, worst.max(cost))
    })
}

#[cfg(test)]
mod tests;
