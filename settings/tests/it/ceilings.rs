//! `ceilings:` of routes with a key.

use policies::{Count, Per, Unit};
use settings::RouteSettings;

use crate::folder::{Folder, GOOD, with};

const OLD: &str = "ceilings: { device: { requests: 60/1h }, key: { requests: 10000/1d } }";

fn chat(ceilings: &str) -> RouteSettings {
    let loaded = Folder::new().load(with(OLD, ceilings)).unwrap_or_else(|report| panic!("{report}"));
    loaded.settings.routes.into_iter().find(|route| route.name == "chat").unwrap()
}

/// Name, amount, reservation, window in seconds.
fn limits(ceilings: &str) -> Vec<(String, u64, u64, u64)> {
    let limits = chat(ceilings).ceilings.into_iter();
    limits.map(|limit| (limit.name.into(), limit.amount.get(), limit.reserve, limit.window.as_secs())).collect()
}

#[track_caller]
fn refuses(ceilings: &str, code: &str, remedy: &str) {
    let report = Folder::new().load(with(OLD, ceilings)).err().unwrap_or_else(|| panic!("taken: {ceilings}"));
    let told: Vec<_> =
        report.problems.iter().map(|problem| (problem.code, problem.hint.as_deref().unwrap_or(""))).collect();
    assert_eq!(told.len(), 1, "{report}");
    assert!(told[0].0 == code && told[0].1.contains(remedy), "{report}");
}

#[test]
fn what_bounds_nothing_is_refused() {
    refuses("ceilings: { }", "does_nothing", "key: { tokens: 2000000/1d }");
    refuses("ceilings: { reserve: { tokens: 5 }, key: { requests: 5/1d } }", "does_nothing", "take the line out");
    refuses("ceilings: { device: { } }", "does_nothing", "requests: 60/1h");
    refuses("ceilings: { device: { requests: 0/1h } }", "invalid_value", "zero would let nothing pass");
    refuses("ceilings: { device: { requests: 60 } }", "invalid_value", "60/1h");
    refuses("ceilings: { user: { requests: 60/1h }, key: { requests: 60/1h } }", "unknown_field", "`device`");
}

#[test]
fn a_ceiling_without_a_key_is_refused() {
    let text =
        GOOD.replacen("    upstream: shop\n", "    upstream: shop\n    ceilings: { key: { requests: 5/1h } }\n", 1);
    let report = Folder::new().load(&text).err().unwrap();
    assert_eq!(report.problems[0].code, "does_nothing", "{report}");
    assert!(report.to_string().contains("this route has none"), "{report}");
}

#[test]
fn windows_are_parts_of_a_day_or_whole_days() {
    for window in ["7h", "1500ms", "36h", "32d", "250ms"] {
        refuses(&format!("ceilings: {{ key: {{ tokens: 100/{window} }} }}"), "wrong_window", "1h, 6h, 1d or 7d");
    }
    for (window, secs) in [("1s", 1), ("90m", 5_400), ("24h", 86_400), ("31d", 31 * 86_400)] {
        assert_eq!(limits(&format!("ceilings: {{ key: {{ requests: 5/{window} }} }}"))[0].3, secs);
    }
}

#[test]
fn one_request_fits_into_every_ceiling() {
    let tokens = |reserve: &str| {
        format!(
            "ceilings: {{ reserve: {{ tokens: {reserve} }}, device: {{ tokens: 500/1h }}, key: {{ tokens: 9000/1d }} }}"
        )
    };
    refuses(&tokens("501"), "wrong_number", "at most 500");
    refuses(&tokens("0"), "wrong_number", "what a request costs at most");
    let name = |name: &str| name.to_owned();
    assert_eq!(
        limits(&tokens("500")),
        [(name("ceiling.device.tokens"), 500, 500, 3_600), (name("ceiling.key.tokens"), 9_000, 500, 86_400)]
    );
    refuses("ceilings: { key: { requests: 4294967296/1d } }", "wrong_number", "");
}

#[test]
fn what_is_reserved_where_nothing_is_said() {
    let limits = limits(
        "ceilings: { device: { requests: 60/1h, tokens: 20000/1d, bytes: 10MiB/1d }, key: { tokens: 2000000/1d } }",
    );
    let told: Vec<_> = limits.iter().map(|(name, amount, reserve, _)| (name.as_str(), *amount, *reserve)).collect();
    assert_eq!(
        told,
        [
            ("ceiling.device.requests", 60, 1),
            ("ceiling.device.tokens", 20_000, 2_000),
            ("ceiling.device.bytes", 10 << 20, 64 << 10),
            ("ceiling.key.tokens", 2_000_000, 2_000),
        ]
    );
    assert_eq!(self::limits("ceilings: { device: { tokens: 700/1d }, key: { tokens: 9000/1d } }")[1].2, 700);
}

#[test]
fn every_ceiling_is_a_budget_of_a_device_or_of_the_key() {
    let route = chat("ceilings: { device: { requests: 60/1h }, key: { bytes: 1GiB/30d } }");
    let kinds: Vec<_> = route.ceilings.iter().map(|limit| (limit.per, limit.unit, limit.count, limit.burst)).collect();
    assert_eq!(kinds, [(Per::Device, Unit::Requests, Count::Fixed, None), (Per::Key, Unit::Bytes, Count::Fixed, None)]);
}

#[test]
fn a_key_that_nothing_bounds_is_told() {
    let folder = Folder::new();
    let (_, warnings) = folder.takes(with(&format!("    {OLD}\n"), ""));
    assert_eq!(warnings, ["key_without_ceiling"]);
    let policy =
        "policy: { default: block, rules: [{ name: genuine, when: { verdict: attested }, then: allow }] }\nlog:";
    let limit = |limit: &str| {
        let with_limit = policy.replace("then: allow", &format!("then: {{ allow: {{ limits: [{limit}] }} }}"));
        let text = with(&format!("    {OLD}\n"), "");
        folder.takes(text.replacen(policy, &with_limit, 1)).1
    };
    assert_eq!(limit("{ requests: 60, per: device, window: 1m }"), ["key_without_ceiling"], "a rate bounds no bill");
    assert_eq!(limit("{ requests: 60, count: fixed, per: device, window: 1d }"), [""; 0]);
}

#[test]
fn routes_that_share_the_ceiling_of_a_key_have_the_same_one() {
    let other = |amount: &str| {
        let images = format!(
            "  images:\n    match: {{ host: api.example.com, path: \"/images/**\" }}\n    rewrite: {{ strip: /images }}\n    upstream: openai\n    key: openai\n    operations: [{{ call: GET /v1/images }}]\n    ceilings: {{ key: {{ requests: {amount} }} }}\n    policy: {{ default: block, rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}] }}\nlog: {{"
        );
        Folder::new().takes(with("log: {", &images)).1
    };
    assert_eq!(other("10000/1d"), [""; 0]);
    assert_eq!(other("10/1h"), [""; 0], "another window is another count");
    assert_eq!(other("10/1d"), ["shared_count"]);
}

#[test]
fn ceilings_that_each_gateway_counts_alone_are_told() {
    let folder = Folder::new();
    let shared = with("state: { dir: state }", "state: { dir: state, shared: { url: redis://127.0.0.1:6379 } }");
    assert_eq!(folder.takes(&shared).1, [""; 0], "by default nobody has the key then");
    let locally = format!("{OLD}\n    our_faults: {{ shared_state_down: count_locally }}");
    assert_eq!(folder.takes(shared.replace(OLD, &locally)).1, ["ceiling_counted_locally"]);
}

#[test]
fn a_cap_on_the_answer_is_reserved_and_a_smaller_reservation_is_told() {
    let capped = |ceilings: &str| {
        let body = "body: { limit: 64KiB, type: json, cap: { /max_completion_tokens: 4096, /n: 9000 } }";
        with(OLD, ceilings).replacen("body: { limit: 256KiB }", body, 1)
    };
    let folder = Folder::new();
    let (settings, warnings) = folder.takes(capped("ceilings: { key: { tokens: 20000/1d } }"));
    let chat = settings.routes.iter().find(|route| route.name == "chat").unwrap();
    assert_eq!((chat.ceilings[0].reserve, warnings), (4096, vec![]));
    let told = |reserve: &str| {
        folder
            .takes(capped(&format!("ceilings: {{ reserve: {{ tokens: {reserve} }}, key: {{ tokens: 20000/1d }} }}")))
            .1
    };
    assert_eq!(told("4095"), ["reserve_below_cap"]);
    assert_eq!(told("4096"), [""; 0]);
}
