//! What a gateway makes of the documents, and tokens for it to judge.

use std::sync::Arc;

use attest_core::{
    appraisal::{AttestationResult, DeviceState},
    device_key::{DeviceId, DevicePrivateKey},
    envelope::AttestRequest,
    evidence_kind::EvidenceKinds,
    feed::{KeySetDocument, RevocationDocument, RevocationFormat},
    random::SystemRandom,
    reasons::Reasons,
    reference::Platform,
    tier::Tier,
    time::UnixTime,
    token::{
        key_set::KeySet,
        verify::{Expect, Verified, authenticate, check},
    },
    verdict::Verdict,
};
use attest_store::{Bearer, Live, Signed};

/// The keys as a gateway has them that fetches at `now`.
pub(crate) fn keys(live: &Live, now: UnixTime) -> KeySet {
    document(live, now).key_sets().unwrap().remove(0)
}

pub(crate) fn document(live: &Live, now: UnixTime) -> KeySetDocument {
    let snapshot = live.snapshot();
    let signed = snapshot.issuer.key_set_document(&snapshot, now).unwrap();
    let pinned = snapshot.issuer.feed_public_key().unwrap();
    let document = KeySetDocument::parse(&pinned.verify(&signed).unwrap()).unwrap();
    assert_eq!((document.number, document.issued()), (snapshot.key_set_number, UnixTime::from_secs(now.secs())));
    document
}

pub(crate) fn revocations(live: &Live, after: u64, now: UnixTime) -> RevocationDocument {
    let snapshot = live.snapshot();
    let signed = snapshot.issuer.revocation_document(&snapshot, after, RevocationFormat::WithOrders, now).unwrap();
    let pinned = snapshot.issuer.feed_public_key().unwrap();
    RevocationDocument::parse(&pinned.verify_revocations(&signed).unwrap()).unwrap()
}

/// How the appraisal of an app ended.
pub(crate) fn result(passed: bool) -> AttestationResult {
    AttestationResult {
        passed,
        tier: if passed { Tier::Warning } else { Tier::Contraindicated },
        kinds: EvidenceKinds::EMPTY,
        reasons: if passed { Reasons::NONE } else { Reasons::TRACER },
        device_state: DeviceState::Normal,
        annotations: 0,
        device_age_hours: 0,
        build: 3,
        renewed_from: None,
    }
}

pub(crate) fn request() -> AttestRequest {
    AttestRequest {
        challenge: vec![5; 73],
        app: "shop".to_owned(),
        version: "1.0".to_owned(),
        platform: Platform::Linux,
        build: String::new(),
        device_key: DevicePrivateKey::generate().unwrap().public_key().unwrap(),
        device: Vec::new(),
        findings: Vec::new(),
        binding: Some([9; 32]),
        evidence: Vec::new(),
        signature: [0; 64],
        previous: None,
    }
}

pub(crate) fn signed(live: &Live, passed: bool, now: UnixTime) -> Signed {
    let (request, device) = (request(), DeviceId::from_bytes([7; 16]));
    let bearer = Bearer { request: &request, device, address: "192.0.2.7".parse().unwrap() };
    live.snapshot().issuer.sign(&result(passed), &bearer, now, &SystemRandom).unwrap()
}

pub(crate) fn token(live: &Live, passed: bool, now: UnixTime) -> String {
    signed(live, passed, now).token.unwrap()
}

pub(crate) fn verdict(token: &str, keys: &KeySet, now: UnixTime) -> (Verdict, &'static str) {
    match judge(token, keys, now, false) {
        Ok(verified) => (verified.verdict(), verified.reason()),
        Err(refusal) => refusal,
    }
}

pub(crate) fn judge(
    token: &str,
    keys: &KeySet,
    now: UnixTime,
    allow_dev: bool,
) -> Result<Verified, (Verdict, &'static str)> {
    let authenticated = Arc::new(authenticate(token.as_bytes(), keys)?);
    let expect = Expect {
        issuer: keys.issuer(),
        audience: keys.audience(),
        max_lifetime: keys.max_lifetime(),
        allow_dev,
        ..Expect::valid_at(now)
    };
    Ok(check(&authenticated, &expect))
}
