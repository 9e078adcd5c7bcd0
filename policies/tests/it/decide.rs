//! Decisions about real tokens, and what the permits carry.

use std::time::Duration;

use attest_core::evidence_kind::EvidenceKind;
use attest_core::target::{Scheme, Target, TargetOptions};
use attest_core::tier::Tier;
use attest_core::token::asv::DeviceState;
use attest_core::token::verify::{Expect, Verified};
use attest_core::verdict::Verdict;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use policies::{
    Action, Cause, Class, Decision, FailSafe, Judged, List, Lists, Mode, RequestFacts, ResultPolicy, RouteContext,
    compile, parse_file,
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
    let open = "default: deprioritize\ndanger_allow_everything: true\nenforcement: monitor\nrules: [{ name: all, when: { verdict: any }, then: allow }]\n";
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
    let text = "default: block\nblock_everything: true\nenforcement: monitor\nrules:\n  - { name: seen, when: { verdict: failed }, then: block, mode: monitor }\n  - { name: bad, when: { verdict: failed }, then: block }\n";
    let policy = load(text, &RouteContext::new("shop"));
    let permit = permitted(decide(&policy, Token { passed: false, ..GENUINE }.verified(), false));
    assert_eq!((permit.why().would(), permit.why().rule()), (Some(Action::Block), "bad"));
    assert_eq!(permit.class(), Class::Partial);
    assert!(permit.limits().is_empty());
    assert_eq!(permit.why().monitored().collect::<Vec<_>>(), [("seen", Action::Block)]);
}

#[test]
fn a_bucket_goes_by_device_only_for_tokens_that_we_signed() {
    let text = "default: block\nblock_everything: true\nenforcement: { failed: 50, missing: 50, others: 100 }\n";
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

#[test]
fn what_a_token_says_of_its_device_counts_only_when_it_is_genuine() {
    let device = attest_core::device_key::DeviceId::from_bytes([7; 16]).to_string();
    let mut lists = Lists::new();
    lists.insert("known", List::parse(policies::lists::Kind::Devices, "known", &device).unwrap());
    let about = RouteContext { lists: &lists, ..RouteContext::new("shop") };
    for (condition, other) in [
        ("device_state: forced_pass", Token { state: DeviceState::Normal, ..GENUINE }),
        ("device_age: { min: 24h, below: 72h }", Token { hours: 23, ..GENUINE }),
        ("device_age: { min: 24h }", Token { hours: 0, ..GENUINE }),
        ("device_age: { below: 24h }", Token { hours: 0, ..GENUINE }),
        ("device: { list: known }", Token { device: 8, ..GENUINE }),
        ("annotation: dev", GENUINE),
    ] {
        let is = match condition {
            "device_age: { below: 24h }" => Token { hours: 23, ..GENUINE },
            _ => Token { state: DeviceState::ForcedPass, dev: condition.contains("dev"), ..GENUINE },
        };
        let expect = Expect { allow_dev: true, ..Expect::valid_at(NOW) };
        let is = |passed| Token { passed, dev: condition == "annotation: dev", ..is }.verified_expecting(&expect);
        let text =
            format!("default: block\nrules: [{{ name: r, when: {{ verdict: any, {condition} }}, then: allow }}]\n");
        let policy = load(&text, &about);
        permitted(decide(&policy, is(true), false));
        refused(decide(&policy, other.verified(), false));
        // Whoever failed wears the marks of its device too, and they help nothing: negated neither.
        refused(decide(&policy, is(false), false));
        refused(decide(&policy, Verified::missing(), false));
        let text = format!(
            "default: block\nrules: [{{ name: r, when: {{ verdict: any, not: {{ {condition} }} }}, then: allow }}]\n"
        );
        let negated = load(&text, &about);
        refused(decide(&negated, is(true), false));
        refused(decide(&negated, is(false), false));
        refused(decide(&negated, Verified::missing(), false));
    }
}

#[test]
fn a_lockdown_leaves_attested_requests_and_named_callers_and_says_so() {
    let callers = ["partner".to_owned()];
    let about = RouteContext { callers: &callers, ..RouteContext::new("shop") };
    let text = "default: deprioritize\nenforcement: monitor\nrules:\n  - { name: partners, when: { verdict: missing, caller: partner }, then: allow }\n  - { name: old, when: { verdict: attested, app: other }, then: block }\n";
    let policy = load(text, &about);
    let (target, headers) = (target("/v1/items"), HeaderMap::new());
    let with = |who: Verified, mode: Mode, caller: Option<&str>, injects: bool| {
        policy.decide(
            who,
            &RequestFacts { mode, caller, fail_safe: FailSafe::Deprioritize, ..facts(&target, &headers, injects) },
        )
    };
    let lockdown = |who: Verified, caller| with(who, Mode::Lockdown, caller, false);
    permitted(lockdown(GENUINE.verified(), None));
    permitted(lockdown(Verified::missing(), Some("partner")));
    for who in [Verified::missing(), Token { passed: false, ..GENUINE }.verified(), Verified::unverifiable("no_keys")] {
        let refused = refused(lockdown(who, None));
        assert!(refused.why().locked_down());
        assert_eq!((refused.why().mode(), refused.why().action()), (Mode::Lockdown, Action::Block));
    }
    // Proven, and no rule asks for it.
    refused(lockdown(Verified::missing(), Some("other")));
    refused(with(Verified::missing(), Mode::Lockdown, Some("partner"), true));
    refused(with(Verified::missing(), Mode::Normal, Some("partner"), true));
}

#[test]
fn monitoring_by_order_lets_through_and_gives_no_key() {
    let policy = load(GENUINE_ONLY, &RouteContext::new("shop"));
    let (target, headers) = (target("/v1/items"), HeaderMap::new());
    for cause in [Cause::Panic, Cause::Guard] {
        let with = |who: Verified, injects: bool| {
            policy.decide(who, &RequestFacts { mode: Mode::Monitor(cause), ..facts(&target, &headers, injects) })
        };
        let permit = permitted(with(Verified::missing(), false));
        assert_eq!((permit.why().would(), permit.why().mode()), (Some(Action::Block), Mode::Monitor(cause)));
        assert!(permit.unseal().is_none() && permit.limits().is_empty());
        assert_eq!(permitted(with(GENUINE.verified(), false)).limits().len(), 1, "limits of rules still count");
        refused(with(Verified::missing(), true));
        refused(with(Verified::unverifiable("no_keys"), false));
    }
}

#[test]
fn a_candidate_is_judged_without_a_right_to_go_on() {
    let policy = load(GENUINE_ONLY, &RouteContext::new("shop"));
    let (target, headers) = (target("/v1/items"), HeaderMap::new());
    let what = facts(&target, &headers, false);
    for who in [GENUINE.verified(), Verified::missing(), Verified::unverifiable("no_keys")] {
        let Judged { rule, action, class, would } = policy.judge(&who, &what);
        let decision = policy.decide(who, &what);
        let why = decision.why();
        assert_eq!((why.rule(), why.action(), why.would()), (rule, action, would));
        if let Decision::Permit(permit) = &decision {
            assert_eq!(permit.class(), class);
        }
    }
    assert!(!policy.permits_nothing());
    let closed = load("default: block\nblock_everything: true\n", &RouteContext::new("shop"));
    assert!(closed.permits_nothing());
}
