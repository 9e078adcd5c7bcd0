//! Files of cases: what is refused, what differs, what is covered.

use proptest::prelude::*;

use super::*;
use crate::compile::NoIncludes;
use crate::problem::Severity;

const POLICY: &str = r#"
policy: shop
default: block
enforcement: { missing: 0, others: 100 }
rules:
  - name: partner
    when: { verdict: missing, caller: [acme] }
    then: { allow: { class: critical } }
  - name: genuine
    when: { verdict: attested, app_version: { min: "3.2" } }
    then: { allow: { limits: [{ requests: 60, per: device, window: 1m, name: calls }] } }
  - name: datacentres
    when: { verdict: missing, network: { list: datacentres } }
    then: block
    mode: monitor
  - name: catalogue
    when: { verdict: [missing, expired], path: "/v1/catalogue/**", header: { X-Beta: { equals: "1" } } }
    then: deprioritize
"#;

const HEAD: &str = "callers: [acme]\nlists: { datacentres: { networks: [203.0.113.0/24] } }\n";

fn refused(text: &str) -> Vec<Problem> {
    CaseFile::parse("cases.yaml", text, &NoIncludes).unwrap_err()
}

fn parsed(cases: &str) -> CaseFile {
    CaseFile::parse("cases.yaml", &format!("{HEAD}{cases}"), &NoIncludes)
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn policy(file: &CaseFile) -> ResultPolicy {
    let raw = crate::parse_file("shop.yaml", POLICY).unwrap();
    crate::compile(raw, "shop.yaml", &file.context("shop", &NoIncludes))
        .unwrap_or_else(|problems| panic!("{problems:?}"))
        .0
}

fn tried(cases: &str) -> (Tried, Coverage) {
    let file = parsed(cases);
    let policy = policy(&file);
    let mut coverage = Coverage::new(&policy);
    let setting =
        Setting { route: None, injects: false, fail_safe: FailSafe::Refuse, now: UnixTime::from_secs(1_800_000_000) };
    (file.run(&policy, &setting, &mut coverage), coverage)
}

#[test]
fn refuses_what_could_be_a_case_that_tests_nothing() {
    for (text, code) in [
        ("cases: []", "empty_list"),
        ("{}", "missing_field"),
        ("cases: [{ name: a, given: { verdict: attested } }]", "missing_field"),
        ("cases: [{ name: a, given: { verdict: attested }, expect: {} }]", "empty_map"),
        ("cases: [{ name: a, given: { path: / }, expect: { action: block } }]", "missing_field"),
        ("cases: [{ name: a, given: { verdict: any }, expect: { action: block } }]", "unknown_word"),
        ("cases: [{ name: a, given: { verdict: missing, app: shop }, expect: { action: block } }]", "no_effect"),
        ("cases: [{ name: a, given: { verdict: attested, path: /a/../b }, expect: { action: block } }]", "bad_target"),
        (
            "cases: [{ name: a, given: { verdict: attested, address: 10.0.0.0/8 }, expect: { action: block } }]",
            "bad_address",
        ),
        (
            "cases: [{ name: a, given: { verdict: attested, app_version: 3.10 }, expect: { action: block } }]",
            "wrong_type",
        ),
        (
            "lists: { a: { networks: [x], devices: [y] } }\ncases: [{ name: a, given: { verdict: missing }, expect: { action: block } }]",
            "bad_list",
        ),
        (
            "lists: { a: { networks: no.txt } }\ncases: [{ name: a, given: { verdict: missing }, expect: { action: block } }]",
            "unreadable_file",
        ),
    ] {
        let problems = refused(text);
        assert!(problems.iter().any(|problem| problem.code == code), "{text}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.file == "cases.yaml"), "{problems:?}");
    }
}

#[test]
fn two_cases_of_one_name_and_all_other_mistakes_are_told_at_once() {
    let problems = refused(
        "cases:\n  - name: a\n    given: { verdikt: attested }\n    expect: { action: blok }\n  - name: a\n    given: { verdict: missing }\n    expect: { rul: x, action: block }\n",
    );
    let found: Vec<_> = problems.iter().map(|problem| (problem.line, problem.code)).collect();
    for wanted in [(3, "unknown_field"), (4, "unknown_word"), (5, "duplicate_name"), (7, "unknown_field")] {
        assert!(found.contains(&wanted), "{found:?}");
    }
    assert!(problems.iter().any(|problem| problem.hint.as_deref() == Some("did you mean `verdict`?")), "{problems:?}");
}

#[test]
fn a_mistake_that_all_cases_share_is_told_once() {
    let problems = refused(
        "given: { method: get }\ncases:\n  - { name: a, given: { verdict: missing }, expect: { action: block } }\n  - { name: b, given: { verdict: missing }, expect: { action: block } }\n",
    );
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn good_cases_come_out_as_expected() {
    let (tried, coverage) = tried(
        r#"
given: { app: shop, app_version: "3.4", method: GET, path: /v1/orders }
cases:
  - name: today's app
    given: { verdict: attested, device: abc }
    expect: { rule: genuine, action: allow, class: attested, limits: calls }
  - name: an old app
    given: { verdict: attested, app_version: "3.1" }
    expect: { rule: default, action: block }
  - name: without a token, and nothing enforced for those
    given: { verdict: missing }
    expect: { rule: default, action: allow, would: block }
  - name: the catalogue in the beta
    given: { verdict: missing, path: /v1/catalogue/7, headers: { X-Beta: "1" }, address: 203.0.113.9 }
    expect: { rule: catalogue, action: deprioritize, class: unattested, monitored: [datacentres], limits: [] }
  - name: a partner
    given: { verdict: missing, caller: acme }
    expect: { rule: partner, class: critical }
  - name: our fault
    given: { verdict: unverifiable }
    expect: { rule: cannot_verify, action: block }
"#,
    );
    assert_eq!((tried.cases, tried.failed), (6, 0), "{:?}", tried.differences);
    assert_eq!(coverage.missed().count(), 0, "{coverage:?}");
    assert_eq!(coverage.percent(), 100);
}

#[test]
fn a_difference_tells_expected_got_place_and_why() {
    let (tried, coverage) = tried(
        r#"
cases:
  - name: an old app
    given: { verdict: attested, app: shop, app_version: "3.1" }
    expect:
      rule: genuine
      action: allow
  - name: a misspelled rule
    given: { verdict: attested, app: shop, app_version: "3.4" }
    expect: { rule: genuin, limits: [] }
"#,
    );
    assert_eq!((tried.cases, tried.failed), (2, 2));
    let first = &tried.differences[0];
    assert_eq!((first.line, first.severity, first.code), (8, Severity::Error, "case_differs"));
    assert_eq!(first.message, "case `an old app`: the rule is `default`, expected `genuine`");
    assert!(first.hint.as_ref().unwrap().contains("3.1"), "{first:?}");
    assert_eq!(tried.differences[1].line, 9);
    assert!(tried.differences[2].hint.as_ref().unwrap().contains("did you mean `genuine`?"), "{:?}", tried.differences);
    assert!(tried.differences[3].message.ends_with("the limits is `calls`, expected none"), "{:?}", tried.differences);
    assert_eq!(coverage.missed().collect::<Vec<_>>(), ["partner", "datacentres", "catalogue"]);
    assert_eq!(coverage.percent(), 40);
}

#[test]
fn claims_that_all_cases_start_from_do_not_reach_one_without_a_token() {
    let (tried, _) = tried(
        "given: { app: shop, app_version: \"3.4\", tier: affirming }\ncases:\n  - { name: a, given: { verdict: failed }, expect: { rule: default, action: block } }\n",
    );
    assert_eq!(tried.failed, 0, "{:?}", tried.differences);
}

#[test]
fn the_schema_is_closed_and_knows_the_words() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], serde_json::json!(["cases"]));
    let text = schema.to_string();
    for word in ["\"expect\"", "\"monitored\"", "\"lockdown\"", "\"bad_signature\"", "\"device_age\""] {
        assert!(text.contains(word), "{word}");
    }
    assert!(!text.contains("\"null\"") && !text.contains("\"place\""), "{text}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_its_file(text in ".{0,300}") {
        if let Err(problems) = CaseFile::parse("cases.yaml", &text, &NoIncludes) {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|problem| problem.file == "cases.yaml"));
        }
    }

    #[test]
    fn any_value_anywhere_is_read_or_refused(field in "[a-z_]{1,12}", value in "[ -~]{0,40}") {
        let text = format!("cases:\n  - name: a\n    given: {{ verdict: attested, {field}: {value} }}\n    expect: {{ action: block }}\n");
        let _ = CaseFile::parse("cases.yaml", &text, &NoIncludes);
    }
}
