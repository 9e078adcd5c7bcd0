use super::*;
use crate::compile::check_text;
use crate::{ResultPolicy, Severity, compile, parse_file};

const CALLERS: &[String] = &[];

fn text(when: &str, limit: &str) -> String {
    format!(
        "default: block\nrules:\n  - {{ name: r, when: {{ {when} }}, then: {{ allow: {{ limits: [{{ {limit} }}] }} }} }}\n"
    )
}

fn codes_for(when: &str, limit: &str, about: &RouteContext<'_>) -> Vec<&'static str> {
    let told = check_text("t", &text(when, limit), about);
    told.iter().filter(|problem| problem.severity == Severity::Error).map(|problem| problem.code).collect()
}

fn codes(limit: &str) -> Vec<&'static str> {
    codes_for("verdict: attested", limit, &RouteContext { callers: CALLERS, ..RouteContext::new("r") })
}

fn load(limit: &str) -> Limit {
    let about = RouteContext { injects: true, ..RouteContext::new("r") };
    let raw = parse_file("t", &text("verdict: attested", limit)).unwrap();
    let policy: ResultPolicy = compile(raw, "t", &about).unwrap_or_else(|problems| panic!("{problems:#?}")).0;
    policy.limits().next().unwrap().clone()
}

#[test]
fn zero_is_never_unlimited_and_what_can_never_be_had_is_refused() {
    for (limit, code) in [
        ("requests: 0, per: device, window: 1m", "wrong_number"),
        ("bytes: 0, per: device, window: 1d", "wrong_number"),
        ("bytes: 0KiB, per: device, window: 1d", "wrong_number"),
        ("tokens: 0, per: device, window: 1d, reserve: 1", "wrong_number"),
        ("tokens: 100, per: device, window: 1d, reserve: 0", "wrong_number"),
        ("tokens: 100, per: device, window: 1d, reserve: 101", "wrong_number"),
        ("tokens: 100, per: device, window: 1d", "missing_field"),
        ("requests: 5, per: device, window: 1m, burst: 0", "wrong_number"),
        ("requests: 5, per: device, window: 1m, burst: 6", "wrong_number"),
        ("requests: 5, per: device, window: 1m, reserve: 2", "no_effect"),
        ("requests: 5, per: device, window: 1m, count: fixed, burst: 2", "no_effect"),
        ("bytes: 1MiB, per: device, window: 1d, burst: 2", "no_effect"),
        ("bytes: 1MiB, per: device, window: 1d, count: sliding", "wrong_count"),
        ("bytes: 1MiB, per: device, window: 7h", "wrong_window"),
        ("bytes: 1MiB, per: device, window: 36h", "wrong_window"),
        ("bytes: 1MiB, per: device, window: 1500ms", "wrong_window"),
        ("requests: 5, per: device, window: 999ms", "wrong_window"),
        ("requests: 5, per: device, window: 32d", "wrong_window"),
        ("per: device, window: 1m", "missing_field"),
        ("requests: 5, bytes: 5, per: device, window: 1m", "missing_field"),
        ("tokens: 9007199254740993, per: device, window: 1d, reserve: 1", "wrong_number"),
        ("bytes: 10MB, per: device, window: 1d", "wrong_number"),
        ("requests: 1_000, per: device, window: 1m", "wrong_number"),
        ("requests: 5, per: device, window: 12:30", "bad_duration"),
        ("requests: 5, per: ip, window: 1m", "unknown_word"),
    ] {
        assert_eq!(codes(limit), [code], "{limit}");
    }
}

#[test]
fn whoever_is_counted_is_known_wherever_the_rule_applies() {
    let callers = ["p1".to_owned()];
    let about = RouteContext { callers: &callers, user: true, ..RouteContext::new("r") };
    let per = |when: &str, per: &str| codes_for(when, &format!("requests: 5, per: {per}, window: 1m"), &about);
    for who in ["device", "app", "token"] {
        assert_eq!(per("verdict: [attested, missing]", who), ["no_device"], "{who}");
        assert!(per("verdict: [attested, expired]", who).is_empty(), "{who}");
    }
    assert_eq!(per("verdict: any", "caller"), ["no_caller"]);
    assert_eq!(per("verdict: any, not: { caller: any }", "caller"), ["no_caller"]);
    assert!(per("verdict: any, caller: any", "caller").is_empty());
    assert!(per("verdict: any, caller: p1", "caller").is_empty());
    assert_eq!(per("verdict: attested", "user"), ["no_user"]);
    assert_eq!(per("verdict: attested, user: { present: false }", "user"), ["no_user"]);
    assert!(per("verdict: attested, user: { present: true }", "user").is_empty());
    assert!(per("verdict: attested, user: { issuer: i }", "user").is_empty());
    assert_eq!(per("verdict: attested", "key"), ["no_key"]);
}

#[test]
fn budgets_and_rates_are_what_they_say() {
    let rate = load("requests: 60, per: device, window: 1m, burst: 10");
    assert_eq!((rate.amount.get(), rate.unit, rate.count, rate.reserve), (60, Unit::Requests, Count::Sliding, 1));
    assert_eq!(rate.burst.map(std::num::NonZeroU32::get), Some(10));
    let bytes = load("bytes: 10MiB, per: key, window: 1d");
    assert_eq!(
        (bytes.amount.get(), bytes.unit, bytes.count, bytes.reserve),
        (10 << 20, Unit::Bytes, Count::Fixed, 64 << 10)
    );
    assert_eq!(load("bytes: 100, per: route, window: 7d").reserve, 100, "no more than there is");
    let tokens = load("tokens: 20000, per: device, window: 1d, reserve: 2000");
    assert_eq!(
        (tokens.amount.get(), tokens.unit, tokens.count, tokens.reserve),
        (20_000, Unit::Tokens, Count::Fixed, 2_000)
    );
    assert_eq!(load("requests: 5, per: token, window: 1h, count: fixed").count, Count::Fixed);
}
