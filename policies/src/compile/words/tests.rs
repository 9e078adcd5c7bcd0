use crate::compile::check_text;
use crate::{RouteContext, Severity};

fn errors(text: &str) -> Vec<&'static str> {
    let told = check_text("t", text, &RouteContext::new("r"));
    told.iter().filter(|problem| problem.severity == Severity::Error).map(|problem| problem.code).collect()
}

fn rules(default: &str, rules: &[&str]) -> String {
    let lines: String = rules.iter().enumerate().map(|(at, rule)| format!("  - {{ name: r{at}, {rule} }}\n")).collect();
    format!("default: {default}\nrules:\n{lines}")
}

const ALLOW: &str = "when: { verdict: attested }, then: allow";

#[test]
fn a_policy_that_refuses_everything_says_so() {
    for rule in [
        "when: { verdict: any }, then: block",
        "when: { verdict: attested }, then: allow, mode: disabled",
        "when: { verdict: attested }, then: allow, mode: monitor",
        "when: { verdict: attested }, then: allow, until: 2020-01-01T00:00:00Z",
        "when: { verdict: attested }, then: allow, until: 2099-01-01T00:00:00Z",
    ] {
        let text = rules("block", &[rule]);
        assert_eq!(errors(&text), ["blocks_everything"], "{rule}");
        assert_eq!(errors(&format!("{text}block_everything: true\n")), [""; 0], "{rule}");
        assert_eq!(errors(&format!("{text}block_everything: false\n")), ["blocks_everything"], "{rule}");
    }
    assert_eq!(errors(&rules("block", &[ALLOW])), [""; 0]);
    assert_eq!(errors(&(rules("block", &[ALLOW]) + "block_everything: true\n")), ["no_effect"]);
    assert_eq!(errors(&rules("deprioritize", &["when: { verdict: failed }, then: block"])), [""; 0]);
}

#[test]
fn a_policy_that_allows_everything_says_so() {
    let all = "when: { verdict: any }, then: allow";
    // The same in more words.
    let whole = "when: { verdict: any, path: \"/**\" }, then: allow";
    let rest =
        "when: { verdict: [missing, expired, not_yet_valid, failed, revoked, invalid], percentage: 100 }, then: allow";
    for (default, list) in [
        ("block", vec![all]),
        ("block", vec![whole]),
        ("block", vec![ALLOW, rest]),
        ("deprioritize", vec![ALLOW, all, "when: { verdict: any }, then: block"]),
    ] {
        let text = rules(default, &list);
        assert_eq!(errors(&text), ["allows_everything"], "{text}");
        assert_eq!(errors(&format!("{text}danger_allow_everything: true\n")), [""; 0], "{text}");
    }
    let open = rules("allow", &[ALLOW]) + "danger_default_allow: true\n";
    assert_eq!(errors(&open), ["allows_everything"]);
    assert_eq!(errors(&format!("{open}danger_allow_everything: true\n")), [""; 0]);
    for tightened in [
        rules("block", &["when: { verdict: failed }, then: block", all]),
        rules(
            "block",
            &["when: { verdict: any }, then: { allow: { limits: [{ requests: 5, per: address, window: 1m }] } }"],
        ),
        rules("block", &["when: { verdict: any, path: /open }, then: allow"]),
        rules("block", &[ALLOW, &rest.replace("revoked, ", "")]),
        rules("block", &[ALLOW, &rest.replace("100", "99")]),
        rules("deprioritize", &[ALLOW]),
        rules("block", &["when: { verdict: any }, then: allow, until: 2099-01-01T00:00:00Z", ALLOW]),
    ] {
        assert_eq!(errors(&tightened), [""; 0], "{tightened}");
        assert_eq!(errors(&format!("{tightened}danger_allow_everything: true\n")), ["no_effect"], "{tightened}");
    }
}
