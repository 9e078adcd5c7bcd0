use super::*;
use crate::device_key::DevicePrivateKey;
use crate::envelope::Evidence;
use crate::reference::Platform;

const GOOD: Measurement = Measurement::from_bytes([1; 32]);
const KEY_SET: &str = "default";

fn build(version: &str, measurement: Measurement) -> Build {
    Build {
        app: "shop".into(),
        version: version.into(),
        platform: Platform::Linux,
        label: String::new(),
        measurement: Some(measurement),
        retired: false,
    }
}

fn policy() -> EvidencePolicy {
    EvidencePolicy {
        require: EvidenceKinds::EMPTY.with(EvidenceKind::Measurement),
        danger_affirm_measurement_alone: false,
        findings: FindingCosts::default(),
    }
}

/// A request with a measurement MAC and a signature over T; `change` happens before both.
fn request(measurement: Measurement, change: impl FnOnce(&mut AttestRequest)) -> AttestRequest {
    let key = DevicePrivateKey::generate().unwrap();
    let mut request = AttestRequest {
        challenge: vec![5; 73],
        app: "shop".into(),
        version: "1".into(),
        platform: Platform::Linux,
        build: String::new(),
        device_key: key.public_key().unwrap(),
        device: vec![],
        findings: vec![],
        binding: None,
        evidence: vec![Evidence { kind: EvidenceKind::Measurement, data: vec![] }],
        signature: [0; 64],
    };
    change(&mut request);
    let t = request.transcript(KEY_SET);
    for evidence in &mut request.evidence {
        evidence.data = measurement::mac(&measurement, &request.challenge, &t).to_vec();
    }
    request.signature = key.sign(&t).unwrap();
    request
}

fn result(
    request: &AttestRequest,
    builds: &[Build],
    policy: &EvidencePolicy,
    device: DeviceState,
) -> AttestationResult {
    appraise(request, &request.transcript(KEY_SET), builds, policy, device)
}

fn reasons(request: &AttestRequest, builds: &[Build]) -> Vec<&'static str> {
    let result = result(request, builds, &policy(), DeviceState::Normal);
    assert!(!result.passed && result.tier == Tier::Contraindicated);
    result.reasons.iter_names().collect()
}

#[test]
fn each_fault_fails_with_its_own_reason() {
    let builds = [build("1", GOOD), build("2", Measurement::from_bytes([2; 32]))];
    let good = || request(GOOD, |_| ());
    let retired = Build { retired: true, ..build("1", GOOD) };
    let required = "required_kind_missing";

    assert_eq!(reasons(&good(), &[]), ["unknown_app", "measurement_mismatch", required]);
    assert_eq!(reasons(&good(), &[retired]), ["retired_build", "measurement_mismatch", required]);
    assert_eq!(
        reasons(&request(GOOD, |r| r.version = "9".into()), &builds),
        ["unknown_build", "version_mismatch", required]
    );
    assert_eq!(
        reasons(&request(GOOD, |r| r.platform = Platform::Ios), &builds),
        ["unknown_build", "measurement_mismatch", required]
    );
    assert_eq!(
        reasons(&request(GOOD, |r| r.build = "arm".into()), &builds),
        ["unknown_build", "version_mismatch", required]
    );
    assert_eq!(reasons(&request(GOOD, |r| r.version = "2".into()), &builds), ["version_mismatch", required]);
    let patched = request(Measurement::from_bytes([9; 32]), |_| ());
    assert_eq!(reasons(&patched, &builds), ["measurement_mismatch", required]);
    assert_eq!(reasons(&request(GOOD, |r| r.evidence.clear()), &builds), ["measurement_missing", required]);
    let mut short = good();
    short.evidence[0].data.pop();
    assert_eq!(reasons(&short, &builds), [required, "evidence_malformed"]);
    let mut unsigned = good();
    unsigned.signature = [0; 64];
    assert_eq!(reasons(&unsigned, &builds), ["bad_device_signature"]);
    assert_eq!(reasons(&request(GOOD, |r| r.findings = vec!["tracer:gdb".into()]), &builds), ["tracer"]);
    assert_eq!(
        reasons(&request(GOOD, |r| r.findings = vec!["injected-library".into()]), &builds),
        ["injected_library"]
    );
}

#[test]
fn evidence_moved_to_another_key_version_or_binding_does_not_hold() {
    let builds = [build("1", GOOD), build("2", GOOD)];
    let stolen = request(GOOD, |_| ());
    let moves: [fn(&mut AttestRequest); 4] = [
        |r| r.binding = Some([1; 32]),
        |r| r.version = "2".into(),
        |r| r.challenge = vec![6; 73],
        |r| r.device = vec![("os".into(), "x".into())],
    ];
    for change in moves {
        let mut moved = stolen.clone();
        change(&mut moved);
        assert!(reasons(&moved, &builds).contains(&"bad_device_signature"));
    }
    // The thief signs with his own key, and keeps the measurement's MAC.
    let key = DevicePrivateKey::generate().unwrap();
    let mut moved = stolen;
    moved.device_key = key.public_key().unwrap();
    moved.signature = key.sign(&moved.transcript(KEY_SET)).unwrap();
    assert_eq!(reasons(&moved, &builds), ["measurement_mismatch", "required_kind_missing"]);
}

#[test]
fn a_measurement_alone_is_a_warning_unless_the_danger_is_taken() {
    let builds = [build("1", GOOD)];
    let good = request(GOOD, |_| ());
    let plain = result(&good, &builds, &policy(), DeviceState::Normal);
    assert!(plain.passed && plain.tier == Tier::Warning && plain.reasons.is_empty());
    assert!(plain.kinds.contains(EvidenceKind::Measurement));
    let affirm = EvidencePolicy { danger_affirm_measurement_alone: true, ..policy() };
    assert_eq!(result(&good, &builds, &affirm, DeviceState::Normal).tier, Tier::Affirming);
    let rooted = request(GOOD, |r| r.findings = vec!["root".into(), "sees ghosts".into()]);
    let rooted = result(&rooted, &builds, &affirm, DeviceState::Normal);
    assert!(rooted.passed && rooted.tier == Tier::Warning);
    assert_eq!(rooted.reasons, Reasons::ROOT | Reasons::OTHER_FINDING);
}

#[test]
fn a_required_kind_is_not_outweighed_and_nothing_required_is_not_nothing_needed() {
    let good = request(GOOD, |_| ());
    let platform = EvidencePolicy { require: EvidenceKinds::EMPTY.with(EvidenceKind::AndroidKey), ..policy() };
    assert!(!result(&good, &[build("1", GOOD)], &platform, DeviceState::Normal).passed);
    let empty = EvidencePolicy { require: EvidenceKinds::EMPTY, ..policy() };
    let bare = request(GOOD, |r| r.evidence.clear());
    let unmeasured = Build { measurement: None, ..build("1", GOOD) };
    assert!(!result(&bare, &[unmeasured], &empty, DeviceState::Normal).passed);
}

#[test]
fn an_operators_word_settles_it_but_not_for_a_stolen_name() {
    let builds = [build("1", GOOD)];
    let good = request(GOOD, |_| ());
    let bad = request(Measurement::from_bytes([9; 32]), |_| ());
    assert!(!result(&good, &builds, &policy(), DeviceState::Banned).passed);
    assert!(!result(&good, &builds, &policy(), DeviceState::ForcedFail).passed);
    let forced = result(&bad, &builds, &policy(), DeviceState::ForcedPass);
    assert!(forced.passed && forced.tier == Tier::Warning && forced.device_state == DeviceState::ForcedPass);
    let mut unsigned = bad;
    unsigned.signature = [0; 64];
    assert!(!result(&unsigned, &builds, &policy(), DeviceState::ForcedPass).passed);
}
