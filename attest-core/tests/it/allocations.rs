//! The decision path allocates nothing: judging a token seen before, and the canonical target of a usual request.

use std::sync::Arc;

use allocation_counter::measure;
use attest_core::device_key::DeviceId;
use attest_core::feed::{RevocationEntry, RevocationKind};
use attest_core::revocations::Index;
use attest_core::target::{PathGlob, Scheme, Target, TargetOptions};
use attest_core::time::UnixTime;
use attest_core::token::verify::{BindingStyle, BindingValue, Expect, authenticate, check};
use attest_core::verdict::Verdict;
use http::Method;
use http::uri::PathAndQuery;

use crate::lifetime;

#[test]
fn judging_a_token_that_was_authenticated_allocates_nothing() {
    let values: [&[u8]; 2] = [b"Bearer session", b"device"];
    let pay = attest_core::token::binding::pay_text(&attest_core::token::verify::binding_hash(
        &values,
        BindingStyle::LengthPrefixed,
    ));
    let did = DeviceId::from_bytes([7; 16]).to_string();
    let payload = serde_json::json!({"exp": 2000, "iss": "them", "aud": ["api"], "pay": pay, "did": did}).to_string();
    let token = lifetime::sign(br#"{"alg":"HS256"}"#, payload.as_bytes());
    let auth = Arc::new(authenticate(token.as_bytes(), &lifetime::key_set()).unwrap());
    let entry =
        |number, kind, value: String| RevocationEntry { number, kind, value, since: 0, until: None, lifted: false };
    let another = DeviceId::from_bytes([8; 16]).to_string();
    let revoked = Index::of(&[
        entry(1, RevocationKind::Device, another),
        entry(2, RevocationKind::App, "shop".into()),
        entry(3, RevocationKind::Build, "9".into()),
        entry(4, RevocationKind::Kid, "k9".into()),
    ])
    .unwrap();
    let expect = Expect {
        revoked: &revoked,
        issuer: Some("them"),
        audience: Some("api"),
        binding: Some(BindingValue::Present { values: &values, style: BindingStyle::LengthPrefixed }),
        ..Expect::valid_at(UnixTime::from_secs(1_000))
    };
    let mut verdict = Verdict::Missing;
    let count = measure(|| {
        let verified = check(&auth, &expect);
        let _ = (verified.claims(), verified.tier(), verified.kinds(), verified.device(), verified.unseal_right());
        verdict = verified.verdict();
    });
    assert_eq!((verdict, count.count_total), (Verdict::Attested, 0));
}

#[test]
fn a_target_that_is_canonical_already_allocates_nothing() {
    let path = PathAndQuery::try_from(String::from("/v1/catalogue/items?page=2")).unwrap();
    let glob: PathGlob = "/v1/catalogue/**".parse().unwrap();
    let parse = |path: &PathAndQuery| {
        Target::parse(&Method::GET, Scheme::Https, "API.example.com:8443", path, TargetOptions::default())
    };
    // The first clone of a path may turn its buffer into a shared one.
    drop(parse(&path));
    let mut matched = false;
    let count = measure(|| {
        let target = parse(&path);
        matched = target.is_ok_and(|target| glob.matches(target.path()) && target.host() == "api.example.com");
    });
    assert_eq!((matched, count.count_total), (true, 0));
}
