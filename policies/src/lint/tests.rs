use attest_core::target::PathGlob;
use attest_core::time::UnixTime;

use crate::compile::check_text;
use crate::lists::{Kind, List, Lists};
use crate::{Problem, RouteContext, Severity};

fn told_for(rules: &[&str], about: &RouteContext<'_>) -> Vec<Problem> {
    let lines: String = rules.iter().enumerate().map(|(at, rule)| format!("  - {{ name: r{at}, {rule} }}\n")).collect();
    check_text(
        "t",
        &format!(
            "default: block\nrules:\n{lines}  - {{ name: g, when: {{ verdict: attested, app: x }}, then: allow }}\n"
        ),
        about,
    )
}

fn codes(rules: &[&str]) -> Vec<&'static str> {
    told_for(rules, &RouteContext { trusts_proxies: true, ..RouteContext::new("r") })
        .iter()
        .map(|one| one.code)
        .collect()
}

#[test]
fn rules_behind_a_list_that_holds_them_are_unreachable() {
    let mut lists = Lists::new();
    for (name, kind, text) in [
        ("wide", Kind::Networks, "10.0.0.0/8\n203.0.113.0/24\n"),
        ("narrow", Kind::Networks, "10.1.0.0/16\n"),
        ("shelf", Kind::Paths, "/v1/**\n"),
        ("items", Kind::Paths, "/v1/items\n/v1/a/*\n"),
        ("stolen", Kind::Devices, "d1\nd2\n"),
        ("one", Kind::Devices, "d1\n"),
    ] {
        lists.insert(name, List::parse(kind, name, text).unwrap());
    }
    let about = RouteContext { lists: &lists, trusts_proxies: true, ..RouteContext::new("r") };
    let unreachable = |above: &str, below: &str| {
        let rule = |when: &str| format!("when: {{ verdict: attested, {when} }}, then: block");
        told_for(&[&rule(above), &rule(below)], &about)
            .iter()
            .any(|one| one.code == "unreachable_rule" && one.message.contains("r1"))
    };
    for (above, below) in [
        ("network: { list: wide }", "network: { list: narrow }"),
        ("network: { list: wide }", "network: [10.2.0.0/16, { list: narrow }]"),
        ("network: 10.0.0.0/8", "network: { list: narrow }"),
        ("path: { list: shelf }", "path: [/v1/b/*, { list: items }]"),
        ("device: { list: stolen }", "device: { list: one }"),
    ] {
        assert!(unreachable(above, below), "{above} then {below}");
        assert!(!unreachable(below, above), "{below} then {above}");
    }
    assert!(!unreachable("network: { list: narrow }", "path: { list: items }"));
}

#[test]
fn wildcards_that_are_wider_or_narrower_than_they_look_are_told() {
    let rule = |when: &str, then: &str| format!("when: {{ verdict: missing, {when} }}, then: {then}");
    let of = |when: &str, then: &str| -> Vec<&'static str> {
        codes(&[&rule(when, then)]).into_iter().filter(|code| matches!(*code, "wide_wildcard" | "bare_host")).collect()
    };
    assert_eq!(of("path: \"/v1*\"", "block"), ["wide_wildcard"]);
    assert_eq!(of("path: [\"/a/v1*\", /b]", "deprioritize"), ["wide_wildcard"]);
    assert_eq!(of("not: { path: \"/v1*\" }", "block"), ["wide_wildcard"]);
    for fine in ["path: \"/v1/**\"", "path: \"/img-*\"", "path: \"/v1/*\"", "path: \"/a/*.png\"", "path: \"/v1*/x\""] {
        assert_eq!(of(fine, "block"), [""; 0], "{fine}");
    }
    assert_eq!(of("host: \"*.example.com\"", "block"), ["bare_host"]);
    assert_eq!(of("host: [example.com, \"*.example.com\"]", "block"), [""; 0]);
    assert_eq!(of("host: \"*.example.com\"", "deprioritize"), [""; 0], "it lets less through than it looks");

    let route = PathGlob::parse("/v1/**").unwrap();
    let about = RouteContext { path: Some(&route), ..RouteContext::new("r") };
    let wide = |path: &str| {
        told_for(&[&rule(&format!("path: \"{path}\""), "block")], &about).iter().any(|one| one.code == "wide_wildcard")
    };
    assert!(wide("/**") && !wide("/v1/**") && !wide("/v1/items/**") && !wide("/v2/**"));
}

#[test]
fn a_bad_token_whose_class_is_worse_than_none_is_told() {
    let text = "default: deprioritize\nrules:\n  - { name: known-bad, when: { verdict: [failed, revoked, invalid] }, then: block }\n";
    let told = check_text("t", text, &RouteContext::new("r"));
    assert_eq!(told.iter().map(|one| one.code).collect::<Vec<_>>(), ["worse_than_missing"]);
    let classes = "default: block\nrules:\n  - { name: open, when: { verdict: missing }, then: { deprioritize: { class: partial } } }\n  - { name: bad, when: { verdict: [failed, revoked, invalid] }, then: deprioritize }\n";
    let told = check_text("t", classes, &RouteContext::new("r"));
    assert!(told.iter().any(|one| one.code == "worse_than_missing"), "{told:#?}");
}

#[test]
fn rules_that_end_or_should_are_told() {
    let now = UnixTime::from_secs(1_800_000_000);
    let about = RouteContext { now: Some(now), ..RouteContext::new("r") };
    let of = |rest: &str| {
        let rule = format!("when: {{ verdict: missing }}, then: block, {rest}");
        told_for(&[&rule], &about).into_iter().map(|one| (one.code, one.severity)).collect::<Vec<_>>()
    };
    assert_eq!(of("mode: monitor"), [("monitored_without_end", Severity::Note)]);
    assert_eq!(of("mode: monitor, until: 2027-01-20T00:00:00Z"), [("rule_ends_soon", Severity::Warning)]);
    assert_eq!(of("mode: monitor, until: 2027-01-01T00:00:00Z"), [("rule_ended", Severity::Warning)]);
    assert_eq!(of("mode: monitor, until: 2028-01-01T00:00:00Z"), []);
    assert_eq!(of("until: 2028-01-01T00:00:00Z"), [("until_on_block", Severity::Error)]);
}

#[test]
fn shares_and_percentages_that_do_nothing_are_told() {
    assert_eq!(codes(&["when: { verdict: any, percentage: 0 }, then: block"]), ["unreachable_rule"]);
    assert_eq!(codes(&["when: { verdict: any, percentage: 100 }, then: block"]), ["no_effect"]);
    let halves = [
        "when: { verdict: attested, percentage: 50 }, then: allow",
        "when: { verdict: attested, percentage: 50 }, then: deprioritize",
    ];
    assert_eq!(codes(&halves), ["percentages_do_not_add"]);
    assert_eq!(codes(&["when: { verdict: any, percentage: 10 }, then: block"]), [""; 0]);
    let shares = |written: &str| -> Vec<&'static str> {
        let text = format!(
            "default: block\nenforcement: {written}\nrules: [{{ name: g, when: {{ verdict: attested }}, then: allow }}]\n"
        );
        check_text("t", &text, &RouteContext::new("r")).iter().map(|one| one.code).collect()
    };
    assert_eq!(shares("{ failed: 100, others: 100 }"), ["shares_all_alike"]);
    assert_eq!(shares("{ others: 0 }"), ["shares_all_alike"]);
    assert_eq!(shares("{ failed: 10, others: 100 }"), [""; 0]);
    assert_eq!(shares("monitor"), [""; 0]);
}

#[test]
fn rules_on_lists_of_networks_need_to_know_the_client_s_address() {
    let mut lists = Lists::new();
    lists.insert("far", List::parse(Kind::Networks, "far", "203.0.113.0/24").unwrap());
    let about = RouteContext { lists: &lists, ..RouteContext::new("r") };
    for when in ["network: { list: far }", "not: { network: { list: far } }"] {
        let rule = format!("when: {{ verdict: attested, {when} }}, then: block");
        assert!(told_for(&[&rule], &about).iter().any(|one| one.code == "network_of_peer"), "{when}");
    }
}
