use super::*;
use crate::device_key::DevicePrivateKey;
use crate::envelope::{Evidence, PreviousKey};
use crate::measurement::{self, Measurement};
use crate::reference::{PackageFacts, Platform};

const GOOD: Measurement = Measurement::from_bytes([1; 32]);
const KEY_SET: &str = "default";

fn build(version: &str, measurement: Measurement) -> Build {
    Build {
        number: 1,
        app: "shop".into(),
        version: version.into(),
        platform: Platform::Linux,
        label: String::new(),
        measurement: Some(measurement),
        package: PackageFacts::default(),
        libraries: vec![],
        retired: false,
    }
}

fn policy() -> EvidencePolicy {
    EvidencePolicy { require: EvidenceKinds::EMPTY.with(EvidenceKind::Measurement), ..EvidencePolicy::default() }
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
        previous: None,
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
    let device = DeviceFacts { state: device, ..DeviceFacts::default() };
    appraise(request, &request.transcript(KEY_SET), builds, policy, device)
}

fn reasons(request: &AttestRequest, builds: &[Build]) -> Vec<&'static str> {
    let result = result(request, builds, &policy(), DeviceState::Normal);
    assert!(!result.passed && result.tier == Tier::Contraindicated);
    result.reasons.iter_names().collect()
}

#[test]
fn the_live_build_of_a_version_passes_however_often_that_was_retired() {
    let retired = |byte: u8| Build { retired: true, ..build("1", Measurement::from_bytes([byte; 32])) };
    let mut builds: Vec<Build> = (100..200).map(retired).collect();
    builds.push(build("1", GOOD));
    assert!(result(&request(GOOD, |_| ()), &builds, &policy(), DeviceState::Normal).passed);
    assert_eq!(reasons(&request(Measurement::from_bytes([150; 32]), |_| ()), &builds)[0], "measurement_mismatch");
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

#[test]
fn a_swapped_key_binding_app_version_finding_or_kind_fails_under_otherwise_valid_evidence() {
    let builds = [build("1", GOOD), build("2", GOOD), Build { app: "bank".into(), ..build("1", GOOD) }];
    let honest = request(GOOD, |r| r.findings = vec!["root:su".into()]);
    assert!(result(&honest, &builds, &policy(), DeviceState::Normal).passed);
    let thief = DevicePrivateKey::generate().unwrap();
    type Swap = fn(&mut AttestRequest, &DevicePrivateKey);
    let swaps: [(&str, Swap); 8] = [
        ("device key", |r, thief| r.device_key = thief.public_key().unwrap()),
        ("binding", |r, _| r.binding = Some([1; 32])),
        ("app", |r, _| r.app = "bank".into()),
        ("version", |r, _| r.version = "2".into()),
        ("findings dropped", |r, _| r.findings.clear()),
        ("findings added", |r, _| r.findings.push("emulator".into())),
        ("kind dropped", |r, _| r.evidence[0].kind = EvidenceKind::DeviceKey),
        ("kind added", |r, _| r.evidence.push(Evidence { kind: EvidenceKind::PlayIntegrity, data: vec![] })),
    ];
    for (what, swap) in swaps {
        let mut swapped = honest.clone();
        swap(&mut swapped, &thief);
        assert!(!result(&swapped, &builds, &policy(), DeviceState::Normal).passed, "{what}");
        // Signed anew by a key of the thief's own, the Evidence is still for another transcript.
        swapped.device_key = thief.public_key().unwrap();
        swapped.signature = thief.sign(&swapped.transcript(KEY_SET)).unwrap();
        assert!(!result(&swapped, &builds, &policy(), DeviceState::Normal).passed, "{what}, signed anew");
    }
}

fn facts(request: &AttestRequest, builds: &[Build], policy: &EvidencePolicy, facts: DeviceFacts) -> AttestationResult {
    appraise(request, &request.transcript(KEY_SET), builds, policy, facts)
}

#[test]
fn an_enrolled_device_passes_marked_and_an_operators_word_outranks_it() {
    let debug = request(Measurement::from_bytes([9; 32]), |r| r.findings = vec!["tracer".into()]);
    let enrolled = DeviceFacts { enrolled: true, ..DeviceFacts::default() };
    let passed = facts(&debug, &[], &policy(), enrolled);
    assert!(passed.passed && passed.tier == Tier::Warning && passed.reasons.contains(Reasons::ENROLLED_DEV));
    assert_eq!((passed.annotations, passed.asv_block().annotations), (annotations::DEV, annotations::DEV));
    let mut stolen = debug.clone();
    stolen.signature = [0; 64];
    assert!(!facts(&stolen, &[], &policy(), enrolled).passed);
    for state in [DeviceState::Banned, DeviceState::ForcedFail] {
        assert!(!facts(&debug, &[], &policy(), DeviceFacts { state, ..enrolled }).passed);
    }
    let forced = facts(&debug, &[], &policy(), DeviceFacts { state: DeviceState::ForcedPass, ..enrolled });
    assert!(forced.passed && forced.annotations == 0);
}

#[test]
fn a_renewed_key_is_proven_by_the_one_before_it() {
    let builds = [build("1", GOOD)];
    let old = DevicePrivateKey::generate().unwrap();
    let renewed_from = Some(DeviceId::from_bytes([1; 16]));
    let marks = DeviceFacts { state: DeviceState::ForcedPass, renewed_from, ..DeviceFacts::default() };
    let named = |r: &mut AttestRequest| {
        r.previous = Some(PreviousKey { device_key: old.public_key().unwrap(), signature: [0; 64] });
    };
    let mut renewed = request(GOOD, named);
    // Unproven, the good name is not inherited, and claiming it is held against the app.
    let thief = facts(&renewed, &builds, &policy(), marks);
    assert!(!thief.passed && thief.renewed_from.is_none());
    let t = renewed.transcript(KEY_SET);
    renewed.previous.as_mut().unwrap().signature = old.sign(&t).unwrap();
    let proven = facts(&renewed, &builds, &policy(), marks);
    assert!(proven.passed && proven.renewed_from == renewed_from);
    // Its signature is over this transcript alone, and can't be left out of it.
    let mut moved = renewed.clone();
    moved.binding = Some([2; 32]);
    assert!(!facts(&moved, &builds, &policy(), marks).passed);
    let mut dropped = renewed;
    dropped.previous = None;
    assert!(!facts(&dropped, &builds, &policy(), DeviceFacts::default()).passed);
}

#[test]
fn an_old_version_fails_and_so_does_one_that_has_no_order() {
    let at_least = |least: &str| EvidencePolicy { min_version: Some(least.into()), ..policy() };
    let passes = |version: &str, least: &str| {
        let builds = [build(version, GOOD)];
        let result =
            facts(&request(GOOD, |r| r.version = version.into()), &builds, &at_least(least), DeviceFacts::default());
        assert_eq!(result.passed, !result.reasons.contains(Reasons::BELOW_MIN_VERSION));
        result.passed
    };
    assert!(passes("3.10", "3.9") && passes("3.9", "3.9.0"));
    assert!(!passes("3.9", "3.10") && !passes("3.10-beta", "3.10") && !passes("nightly", "1"));
    assert!(!passes("3.9", "newest"));
}

#[test]
fn a_kind_that_is_not_accepted_or_worth_nothing_lets_nobody_pass() {
    let builds = [build("1", GOOD)];
    let good = request(GOOD, |_| ());
    let measurement = EvidenceKinds::EMPTY.with(EvidenceKind::Measurement);
    let nothing = facts(&good, &builds, &EvidencePolicy::default(), DeviceFacts::default());
    assert!(!nothing.passed && nothing.kinds.is_empty() && nothing.reasons.contains(Reasons::KIND_NOT_ACCEPTED));
    let accepted = EvidencePolicy { accept: measurement, ..EvidencePolicy::default() };
    assert!(facts(&good, &builds, &accepted, DeviceFacts::default()).passed);
    let capped = |tier| EvidencePolicy {
        caps: TierCaps::default().with(EvidenceKind::Measurement, tier),
        danger_affirm_measurement_alone: true,
        ..policy()
    };
    assert_eq!(facts(&good, &builds, &capped(Tier::Warning), DeviceFacts::default()).tier, Tier::Warning);
    assert!(!facts(&good, &builds, &capped(Tier::None), DeviceFacts::default()).passed);
    // Anyone can make a device key: it holds, and vouches for nothing by itself.
    let key = EvidenceKinds::EMPTY.with(EvidenceKind::DeviceKey);
    let key_alone = EvidencePolicy { require: key, danger_affirm_measurement_alone: true, ..EvidencePolicy::default() };
    let unmeasured = [Build { measurement: None, ..build("1", GOOD) }];
    let bare = facts(&request(GOOD, |r| r.evidence.clear()), &unmeasured, &key_alone, DeviceFacts::default());
    assert!(!bare.passed && bare.kinds.contains(EvidenceKind::DeviceKey));
    let both = EvidencePolicy { require: key.union(measurement), ..policy() };
    assert!(facts(&good, &builds, &both, DeviceFacts::default()).passed);
}

#[test]
fn what_a_finding_costs_is_the_policys_to_say() {
    let builds = [build("1", GOOD)];
    let traced = request(GOOD, |r| r.findings = vec!["tracer:gdb".into(), "repackaged".into()]);
    let costs = |tracer, repackaged| EvidencePolicy {
        danger_affirm_measurement_alone: true,
        findings: FindingCosts { tracer, repackaged, ..FindingCosts::default() },
        ..policy()
    };
    use FindingCost::{Fail, Ignore, Warn};
    let judged = |tracer, repackaged| {
        let result = facts(&traced, &builds, &costs(tracer, repackaged), DeviceFacts::default());
        assert!(result.reasons.contains(Reasons::TRACER | Reasons::REPACKAGED), "they are reported in any case");
        (result.passed, result.tier)
    };
    assert_eq!(judged(Ignore, Ignore), (true, Tier::Affirming));
    assert_eq!(judged(Ignore, Warn), (true, Tier::Warning));
    assert_eq!(judged(Fail, Ignore), (false, Tier::Contraindicated));
    assert!(!facts(&traced, &builds, &policy(), DeviceFacts::default()).passed);
}

#[test]
fn the_number_is_that_of_the_build_that_it_is_else_of_the_one_it_says_it_is() {
    let numbered = |number, version: &str, byte, retired| Build {
        number,
        retired,
        ..build(version, Measurement::from_bytes([byte; 32]))
    };
    let builds =
        [numbered(4, "2", 4, false), numbered(3, "1", 3, false), numbered(2, "1", 1, false), numbered(1, "0", 1, true)];
    let number = |r: &AttestRequest| facts(r, &builds, &policy(), DeviceFacts::default()).build;
    assert_eq!(number(&request(GOOD, |_| ())), 2);
    assert_eq!(number(&request(Measurement::from_bytes([9; 32]), |_| ())), 3);
    assert_eq!(number(&request(GOOD, |r| r.version = "0".into())), 1);
    assert_eq!(number(&request(GOOD, |r| r.version = "7".into())), 0);
}
