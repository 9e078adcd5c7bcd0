//! One claim of the language each, and what a decision costs.

use std::net::{IpAddr, Ipv4Addr};

use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::target::{Scheme, Target, TargetOptions};
use attest_core::tier::Tier;
use attest_core::time::UnixTime;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};

use super::*;
use crate::lists::{Kind, List, Lists};
use crate::{Mode, RouteContext, compile, explain, parse_file};

const NOW: i64 = 1_800_000_000;

pub(super) fn target(method: &str, host: &str, path: &str) -> Target {
    let path: PathAndQuery = path.parse().unwrap();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    Target::parse(&method, Scheme::Https, host, &path, TargetOptions::default()).unwrap()
}

pub(super) fn facts<'a>(target: &'a Target, headers: &'a HeaderMap) -> RequestFacts<'a> {
    RequestFacts {
        target,
        route: "r1",
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        headers,
        injects: false,
        fail_safe: FailSafe::Refuse,
        now: UnixTime::from_secs(NOW),
        caller: None,
        user: None,
        mode: Mode::Normal,
    }
}

/// Adds the words that a policy needs which lets nothing, or everything, through: these tests are not about them.
pub(super) fn load_for(text: &str, about: &RouteContext<'_>) -> ResultPolicy {
    let load = |text: &str| compile(parse_file("t", text).unwrap(), "t", about);
    let word = match load(text) {
        Ok((policy, _)) => return policy,
        Err(problems) if problems.iter().any(|problem| problem.code == "blocks_everything") => "block_everything",
        Err(problems) if problems.iter().any(|problem| problem.code == "allows_everything") => {
            "danger_allow_everything"
        }
        Err(problems) => panic!("{problems:#?}"),
    };
    // Of one in braces, behind the first of them.
    let text = match text.strip_prefix('{') {
        Some(rest) => format!("{{\"{word}\": true, {rest}"),
        None => format!("{word}: true\n{text}"),
    };
    load(&text).unwrap_or_else(|problems| panic!("{problems:#?}")).0
}

pub(super) fn load(text: &str) -> ResultPolicy {
    load_for(text, &RouteContext::new("r1"))
}

fn judge(policy: &ResultPolicy, verdict: Verdict) -> Judgement {
    let (target, headers) = (target("GET", "h.test", "/a"), HeaderMap::new());
    policy.0.judge(&Subject::supposed(verdict), &facts(&target, &headers), &mut || {})
}

/// How many conditions one decision looks at.
fn looked(policy: &ResultPolicy, method: &str, path: &str, verdict: Verdict) -> usize {
    let (target, headers) = (target(method, "h.test", path), HeaderMap::new());
    let mut count = 0;
    let who = Subject { app: Some("app-500"), device: Some("d1"), ..Subject::supposed(verdict) };
    let what = RequestFacts { caller: Some("partner-500"), ..facts(&target, &headers) };
    let _ = policy.0.judge(&who, &what, &mut || count += 1);
    count
}

#[test]
fn a_thousand_rules_that_cannot_match_are_not_looked_at() {
    let callers: Vec<String> = (0..1_000).map(|number| format!("partner-{number}")).collect();
    let mut lists = Lists::new();
    let far: String =
        (0..100_000_u32).map(|number| format!("{}\n", Ipv4Addr::from(0x0a00_0000 + number * 2))).collect();
    lists.insert("far", List::parse(Kind::Networks, "far", &far).unwrap());
    lists.insert("other-paths", List::parse(Kind::Paths, "paths", "/z/**\n/y/*/x\n").unwrap());
    lists.insert("stolen", List::parse(Kind::Devices, "stolen", "d9\n").unwrap());
    let with = |rules: usize, when: &dyn Fn(usize) -> String| {
        let mut text = String::from("default: block\nrules:\n");
        for number in 0..rules {
            text.push_str(&format!("  - {{ name: r{number}, when: {{ {} }}, then: block }}\n", when(number)));
        }
        load_for(&text, &RouteContext { lists: &lists, callers: &callers, ..RouteContext::new("r1") })
    };
    let mut kinds: Vec<(&str, &dyn Fn(usize) -> String)> = vec![
        ("verdict", &|n| format!("verdict: failed, header: {{ X-N: \"{n}\" }}")),
        ("method", &|n| format!("verdict: any, method: DELETE, header: {{ X-N: \"{n}\" }}")),
        ("exact path", &|n| format!("verdict: any, path: /v1/items/{n}")),
        ("two exact paths", &|n| format!("verdict: any, path: [/v1/items/{n}, /v2/items/{n}], method: GET")),
        ("beginning", &|n| format!("verdict: any, path: \"/t{n}/**\"")),
        ("deep beginning", &|n| format!("verdict: any, path: \"/v1/a/b/c/d{n}/*/x\"")),
        ("host", &|n| format!("verdict: any, path: \"/**\", host: h{n}.test")),
        ("route", &|n| format!("verdict: any, path: \"/v1/**\", route: other{n}")),
        ("app", &|n| format!("verdict: attested, app: app-{n}")),
    ];
    kinds.extend([
        ("network", (&|n: usize| format!("verdict: any, network: 10.{}.{}.0/24", n / 250, n % 250)) as &dyn Fn(usize) -> String),
        ("networks", &|n| format!("verdict: any, network: [10.{}.{}.0/24, \"2001:db8:{n:x}::/48\"], header: {{ X-N: {{ present: true }} }}", n / 250, n % 250)),
        ("caller", &|n| format!("verdict: any, caller: partner-{n}")),
        ("list of networks", &|n| format!("verdict: any, network: {{ list: far }}, header: {{ X-N: \"{n}\" }}")),
        ("list of paths", &|n| format!("verdict: any, path: {{ list: other-paths }}, percentage: {}", n % 99 + 1)),
        ("list of devices", &|n| format!("verdict: attested, device: {{ list: stolen }}, header: {{ X-N: \"{n}\" }}")),
    ]);
    for (kind, when) in kinds {
        let (ten, thousand) = (with(10, when), with(1_000, when));
        for (method, path) in [("GET", "/v1/items/500"), ("POST", "/v1/a/b/c/d500/y/z"), ("GET", "/")] {
            let (few, many) =
                (looked(&ten, method, path, Verdict::Attested), looked(&thousand, method, path, Verdict::Attested));
            assert!(many <= 4, "{kind}: {many} conditions for {method} {path} with 1,000 rules, {few} with 10");
        }
    }
}

#[test]
fn a_client_cannot_make_a_decision_dear_with_a_long_path() {
    let mut text = String::from("default: block\nrules:\n");
    for number in 0..20 {
        text.push_str(&format!("  - {{ name: r{number}, when: {{ verdict: any, path: \"/a/b/c/d/e/f/g/h/i/j/k{number}/**\" }}, then: block }}\n"));
    }
    let policy = load(&text);
    let long = format!("/a/b/c/d/e/f/g/h/i/j/k7{}", "/x".repeat(4_000));
    let (target, headers) = (target("GET", "h.test", &long), HeaderMap::new());
    let judged = policy.0.judge(&Subject::supposed(Verdict::Missing), &facts(&target, &headers), &mut || {});
    assert_eq!(policy.0.name_of(judged.rule), "r7");
}

#[test]
fn classes_are_given_as_the_language_says() {
    let text = "default: block\nrules:\n  - { name: a, when: { verdict: [attested, missing] }, then: allow }\n  - { name: d, when: { verdict: any }, then: deprioritize }\n";
    let policy = load(text);
    assert_eq!(judge(&policy, Verdict::Attested).class, Class::Attested);
    assert_eq!(judge(&policy, Verdict::Missing).class, Class::Partial);
    assert_eq!(judge(&policy, Verdict::Failed).class, Class::Unattested);
    let only = load("default: block\nrules: [{ name: d, when: { verdict: attested }, then: deprioritize }]\n");
    assert_eq!(judge(&only, Verdict::Attested).class, Class::Partial);
    let written = load(
        "default: block\nrules: [{ name: d, when: { verdict: missing }, then: { allow: { class: critical } } }]\n",
    );
    assert_eq!(judge(&written, Verdict::Missing).class, Class::Critical);
}

#[test]
fn enforcement_spares_the_share_outside_and_tells_what_would_have_been() {
    let policy =
        load("default: block\nenforcement: { failed: 10, missing: 0, invalid: 0, malformed: 100, others: 100 }\n");
    let missing = judge(&policy, Verdict::Missing);
    assert_eq!(
        (missing.action, missing.would, missing.class, missing.bucket),
        (Action::Allow, Some(Action::Block), Class::Partial, None)
    );
    assert_eq!(judge(&policy, Verdict::BadSignature).action, Action::Allow);
    assert_eq!(judge(&policy, Verdict::Malformed).action, Action::Block, "a verdict overrules its group");
    assert_eq!(judge(&policy, Verdict::Expired).action, Action::Block);
    let monitor = load("default: block\nenforcement: monitor\n");
    assert_eq!(judge(&monitor, Verdict::Failed).would, Some(Action::Block));
    assert_eq!(judge(&load("default: block\n"), Verdict::Failed).would, None);
}

#[test]
fn a_bucket_stays_the_same_and_the_share_is_about_what_was_written() {
    let policy = load("default: block\nenforcement: { failed: 10, others: 100 }\n");
    let (target, headers) = (target("GET", "h.test", "/a"), HeaderMap::new());
    let refused = |who: &Subject<'_>, address: IpAddr| {
        let what = RequestFacts { address, ..facts(&target, &headers) };
        let judged = policy.0.judge(who, &what, &mut || {});
        (judged.action == Action::Block, judged.bucket.unwrap())
    };
    let anonymous = Subject::supposed(Verdict::Failed);
    let mut hit = 0;
    for number in 0..2_000_u32 {
        let address = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number));
        let (blocked, bucket) = refused(&anonymous, address);
        assert_eq!(blocked, bucket < 10);
        assert_eq!(refused(&anonymous, address).1, bucket);
        hit += u32::from(blocked);
    }
    assert!((120..300).contains(&hit), "{hit} of 2,000");
    let bucket = |text: &str| refused(&anonymous, text.parse().unwrap()).1;
    assert_eq!(bucket("2001:db8:1:2::1"), bucket("2001:db8:1:2:ffff::9"), "one /64 is one sender");
    assert_eq!(bucket("::ffff:10.0.0.1"), bucket("10.0.0.1"));
    let device = Subject { own_device: Some(b"device-1"), ..anonymous };
    assert_eq!(refused(&device, "10.0.0.1".parse().unwrap()), refused(&device, "10.9.9.9".parse().unwrap()));
}

#[test]
fn unverifiable_never_reaches_a_rule() {
    let policy =
        load("default: allow\ndanger_default_allow: true\nrules: [{ name: r, when: { verdict: any }, then: allow }]\n");
    let (target, headers) = (target("GET", "h.test", "/a"), HeaderMap::new());
    let who = Subject::supposed(Verdict::Unverifiable);
    let what = facts(&target, &headers);
    let judged = policy.0.judge(&who, &what, &mut || panic!("a condition was looked at"));
    assert_eq!((judged.action, judged.rule), (Action::Block, Chosen::FailSafe));
    let what = RequestFacts { fail_safe: FailSafe::Deprioritize, ..what };
    let judged = policy.0.judge(&who, &what, &mut || {});
    assert_eq!((judged.action, judged.class), (Action::Deprioritize, Class::Unattested));
    let judged = policy.0.judge(&who, &RequestFacts { injects: true, ..what }, &mut || {});
    assert_eq!(judged.action, Action::Block);
}

#[test]
fn on_a_route_with_a_key_only_a_rule_lets_through_and_only_who_may_unseal() {
    let about = RouteContext { injects: true, ..RouteContext::new("r1") };
    let policy = load_for(
        "default: block\nenforcement: monitor\nrules: [{ name: r, when: { verdict: attested }, then: allow }]\n",
        &about,
    );
    for verdict in Verdict::ALL {
        let judged = judge(&policy, verdict);
        let expected = if verdict == Verdict::Attested { Action::Allow } else { Action::Block };
        assert_eq!((judged.action, judged.would), (expected, None), "{verdict}");
    }
    let (target, headers) = (target("GET", "h.test", "/a"), HeaderMap::new());
    let outlived = Subject { may_unseal: false, ..Subject::supposed(Verdict::Attested) };
    let judged = policy.0.judge(&outlived, &facts(&target, &headers), &mut || {});
    assert_eq!((judged.action, judged.key_withheld), (Action::Block, true));
    // Compiled for a route without a key, and asked about one with a key all the same.
    let open = load(
        "default: deprioritize\nenforcement: monitor\nrules: [{ name: r, when: { verdict: missing }, then: allow }]\n",
    );
    let what = RequestFacts { injects: true, ..facts(&target, &headers) };
    for verdict in [Verdict::Missing, Verdict::Failed] {
        let judged = open.0.judge(&Subject::supposed(verdict), &what, &mut || {});
        assert_eq!((judged.action, judged.key_withheld), (Action::Block, true), "{verdict}");
    }
}

#[test]
fn danger_inject_unattested_gives_the_key_by_a_rule_and_never_by_monitoring() {
    let about = RouteContext { injects: true, danger_inject_unattested: true, ..RouteContext::new("r1") };
    let text = "default: block\nenforcement: monitor\nrules: [{ name: r, when: { verdict: missing }, then: { deprioritize: { limits: [{ requests: 5, per: route, window: 1m }] } } }]\n";
    let policy = load_for(text, &about);
    let judged = judge(&policy, Verdict::Missing);
    assert_eq!((judged.action, judged.key), (Action::Deprioritize, KeyRight::Danger));
    assert_eq!(judge(&policy, Verdict::Failed).action, Action::Block);
}

#[test]
fn tier_affirming_by_platform_evidence_can_be_asked_for() {
    let policy = load(
        "default: block\nrules: [{ name: strong, when: { verdict: attested, tier: affirming, evidence: platform }, then: allow }]\n",
    );
    let (target, headers) = (target("GET", "h.test", "/a"), HeaderMap::new());
    let with = |tier, kind| {
        let who = Subject { tier, kinds: EvidenceKinds::EMPTY.with(kind), ..Subject::supposed(Verdict::Attested) };
        policy.0.judge(&who, &facts(&target, &headers), &mut || {}).action
    };
    assert_eq!(with(Tier::Affirming, EvidenceKind::Measurement), Action::Block);
    assert_eq!(with(Tier::Warning, EvidenceKind::AndroidKey), Action::Block);
    assert_eq!(with(Tier::Affirming, EvidenceKind::AppleAppAttest), Action::Allow);
}

#[test]
fn a_condition_on_a_claim_is_false_without_a_genuine_signature_negated_or_not() {
    let text = "default: block\nrules:\n  - { name: yes, when: { verdict: any, app: shop }, then: allow }\n  - { name: no, when: { verdict: any, not: { path: /other, app: evil } }, then: allow }\n";
    let policy = load(text);
    let (target, headers) = (target("GET", "h.test", "/a"), HeaderMap::new());
    let fate = |who: &Subject<'_>| {
        let judged = policy.0.judge(who, &facts(&target, &headers), &mut || {});
        policy.0.name_of(judged.rule).to_owned()
    };
    for verdict in [Verdict::Missing, Verdict::BadSignature, Verdict::Malformed, Verdict::UnknownKey] {
        assert_eq!(fate(&Subject { app: Some("shop"), ..Subject::supposed(verdict) }), "default", "{verdict}");
    }
    assert_eq!(fate(&Subject { app: Some("shop"), ..Subject::supposed(Verdict::Attested) }), "yes");
    assert_eq!(fate(&Subject { app: Some("other"), ..Subject::supposed(Verdict::Attested) }), "no");
    assert_eq!(fate(&Subject::supposed(Verdict::Attested)), "default", "an absent claim is not known either");
}

#[test]
fn explains_each_rule_in_words() {
    let text = "policy: shop\ndefault: block\nrules:\n  - { name: a, when: { verdict: attested, method: POST }, then: allow }\n  - { name: m, when: { verdict: any }, then: block, mode: monitor }\n  - { name: e, when: { verdict: any }, then: allow, until: 2026-12-01T00:00:00Z }\n  - { name: b, when: { verdict: any, path: \"/a/**\" }, then: deprioritize }\n  - { name: c, when: { verdict: any }, then: block }\n";
    let policy = load(text);
    let (target, headers) = (target("GET", "h.test", "/a"), HeaderMap::new());
    let told = explain(&policy, &Subject::supposed(Verdict::Attested), &facts(&target, &headers));
    assert_eq!((told.rule.as_str(), told.action, told.class), ("b", "deprioritize", Some("partial")));
    let why: Vec<_> = told.trace.iter().map(|step| step.why.as_str()).collect();
    assert_eq!(
        why,
        [
            "method is GET, the rule wants POST",
            "matches, but is only monitored: counted as `block`, then treated as absent",
            "it has ended (`until`)",
            "matches: deprioritize",
            "not reached: a rule above decided",
        ]
    );
}
