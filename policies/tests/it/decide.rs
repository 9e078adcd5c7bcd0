//! Decisions about real tokens, and what the permits carry.

use std::time::Duration;

use attest_core::evidence_kind::EvidenceKind;
use attest_core::target::{Scheme, Target, TargetOptions};
use attest_core::tier::Tier;
use attest_core::token::verify::{Expect, Verified};
use attest_core::verdict::Verdict;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use policies::{
    Action, Class, Decision, FailSafe, Mode, RequestFacts, ResultPolicy, RouteContext, compile, parse_file,
};

use crate::tokens::{GENUINE, NOW, Token};

pub(crate) fn load(text: &str, about: &RouteContext<'_>) -> ResultPolicy {
    compile(parse_file("t.yaml", text).unwrap(), "t.yaml", about).unwrap_or_else(|problems| panic!("{problems:#?}")).0
}

pub(crate) fn target(path: &str) -> Target {
    let path: PathAndQuery = path.parse().unwrap();
    Target::parse(&Method::GET, Scheme::Https, "api.test", &path, TargetOptions::default()).unwrap()
}

pub(crate) fn facts<'a>(target: &'a Target, headers: &'a HeaderMap, injects: bool) -> RequestFacts<'a> {
    RequestFacts {
        target,
        route: "shop",
        address: [192, 0, 2, 7].into(),
        headers,
        injects,
        fail_safe: FailSafe::Refuse,
        now: NOW,
        caller: None,
        user: None,
        mode: Mode::Normal,
    }
}

fn decide(policy: &ResultPolicy, who: Verified, injects: bool) -> Decision {
    let (target, headers) = (target("/v1/items"), HeaderMap::new());
    policy.decide(who, &facts(&target, &headers, injects))
}

#[track_caller]
fn refused(decision: Decision) -> policies::Refused {
    match decision {
        Decision::Refuse(refused) => refused,
        Decision::Permit(permit) => panic!("permitted: {permit:?}"),
    }
}

#[track_caller]
fn permitted(decision: Decision) -> policies::Permit {
    match decision {
        Decision::Permit(permit) => permit,
        Decision::Refuse(refused) => panic!("refused: {refused:?}"),
    }
}

const GENUINE_ONLY: &str = "policy: shop\ndefault: block\nrules: [{ name: genuine, when: { verdict: attested, app: shop, app_version: { min: \"3.9\" } }, then: { allow: { limits: [{ requests: 5, per: device, window: 1m }] } } }]\n";

#[test]
fn whoever_is_not_attested_gets_no_key_whatever_the_policy_says() {
    let open =
        "default: deprioritize\nenforcement: monitor\nrules: [{ name: all, when: { verdict: any }, then: allow }]\n";
    let policy = load(open, &RouteContext::new("shop"));
    let expired = Token { ends_in: -120, ..GENUINE };
    let failed = Token { passed: false, ..GENUINE };
    for who in [
        Verified::missing(),
        Verified::refused(Verdict::BadSignature, "signature_wrong", false),
        Verified::unverifiable("no_keys"),
        expired.verified(),
        failed.verified(),
    ] {
        let refused = refused(decide(&policy, who.clone(), true));
        assert_eq!(refused.why().action(), Action::Block);
        if who.verdict() != Verdict::Unverifiable {
            assert!(
                permitted(decide(&policy, who, false)).unseal().is_none(),
                "a route without a key has no right to one"
            );
        }
    }
}

#[test]
fn a_genuine_app_gets_a_permit_that_opens_the_key() {
    let about = RouteContext { injects: true, ..RouteContext::new("shop") };
    let permit = permitted(decide(&load(GENUINE_ONLY, &about), GENUINE.verified(), true));
    assert!(permit.unseal().is_some());
    assert_eq!((permit.class(), permit.why().rule(), permit.why().policy()), (Class::Attested, "genuine", "shop"));
    assert_eq!(permit.limits().len(), 1);
    assert_eq!(permit.verified().verdict(), Verdict::Attested);
}

#[test]
fn a_token_that_outlived_its_time_opens_no_key_unless_the_route_says_so() {
    let about = RouteContext { injects: true, ..RouteContext::new("shop") };
    let policy = load(GENUINE_ONLY, &about);
    let old = Token { ends_in: -120, ..GENUINE };
    let mut expect = Expect { accept_expired: Duration::from_secs(600), ..Expect::valid_at(NOW) };
    let refused = refused(decide(&policy, old.verified_expecting(&expect), true));
    assert!(refused.why().key_withheld());
    assert_eq!(refused.why().rule(), "genuine");
    expect.accept_expired_may_unseal = true;
    assert!(permitted(decide(&policy, old.verified_expecting(&expect), true)).unseal().is_some());
}

#[test]
fn measurement_alone_does_not_pass_where_platform_evidence_is_asked_for() {
    let text = "default: block\nrules: [{ name: strong, when: { verdict: attested, tier: affirming, evidence: platform }, then: allow }]\n";
    let policy = load(text, &RouteContext::new("shop"));
    let forged = Token { kind: EvidenceKind::Measurement, ..GENUINE };
    assert_eq!(refused(decide(&policy, forged.verified(), false)).why().rule(), "default");
    let weak = Token { tier: Tier::Warning, ..GENUINE };
    refused(decide(&policy, weak.verified(), false));
    permitted(decide(&policy, GENUINE.verified(), false));
}

#[test]
fn unverifiable_is_our_fault_and_told_as_such() {
    let policy = load(GENUINE_ONLY, &RouteContext::new("shop"));
    let refused = refused(decide(&policy, Verified::unverifiable("no_keys"), false));
    assert!(refused.cannot_verify());
    assert_eq!(refused.why().rule(), "cannot_verify");
}

#[test]
fn a_monitored_policy_lets_through_without_limits_and_tells_what_would_have_been() {
    let text = "default: block\nenforcement: monitor\nrules:\n  - { name: seen, when: { verdict: failed }, then: block, mode: monitor }\n  - { name: bad, when: { verdict: failed }, then: block }\n";
    let policy = load(text, &RouteContext::new("shop"));
    let permit = permitted(decide(&policy, Token { passed: false, ..GENUINE }.verified(), false));
    assert_eq!((permit.why().would(), permit.why().rule()), (Some(Action::Block), "bad"));
    assert_eq!(permit.class(), Class::Partial);
    assert!(permit.limits().is_empty());
    assert_eq!(permit.why().monitored().collect::<Vec<_>>(), [("seen", Action::Block)]);
}

#[test]
fn a_bucket_goes_by_device_only_for_tokens_that_we_signed() {
    let text = "default: block\nenforcement: { failed: 50, missing: 50, others: 100 }\n";
    let policy = load(text, &RouteContext::new("shop"));
    let (target, headers) = (target("/v1/items"), HeaderMap::new());
    let bucket = |who: Verified, address: [u8; 4]| {
        let what = RequestFacts { address: address.into(), ..facts(&target, &headers, false) };
        policy.decide(who, &what).why().bucket().unwrap()
    };
    let device = |device| Token { passed: false, device, ..GENUINE }.verified();
    let here_and_there =
        |who: &dyn Fn() -> Verified| (0..16_u8).map(|n| bucket(who(), [10, 0, 0, n])).collect::<Vec<_>>();
    assert!(here_and_there(&|| device(1)).windows(2).all(|pair| pair[0] == pair[1]));
    assert!(here_and_there(&Verified::missing).windows(2).any(|pair| pair[0] != pair[1]));
    let devices: Vec<_> = (0..16).map(|n| bucket(device(n), [10, 0, 0, 1])).collect();
    assert!(devices.windows(2).any(|pair| pair[0] != pair[1]));
}
