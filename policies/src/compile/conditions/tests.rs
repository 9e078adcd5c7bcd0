use super::*;
use crate::Lists;
use crate::compile::check_text;
use crate::{Severity, compile, parse_file, problem};

fn lists() -> Lists {
    let mut lists = Lists::new();
    for (name, kind, text) in [
        ("datacentres", Kind::Networks, "203.0.113.0/24\n"),
        ("stolen", Kind::Devices, "d1\n"),
        ("catalogue", Kind::Paths, "/v1/catalogue/**\n"),
        ("nothing", Kind::Networks, "none\n"),
    ] {
        lists.insert(name, List::parse(kind, name, text).unwrap());
    }
    lists
}

fn text(when: &str) -> String {
    format!(
        "default: block\nrules:\n  - {{ name: r, when: {{ verdict: any, {when} }}, then: block }}\n  - {{ name: g, when: {{ verdict: attested, app: other }}, then: allow }}\n"
    )
}

fn told(when: &str) -> Vec<Problem> {
    let (lists, callers) = (lists(), ["partner".to_owned(), "stripe".to_owned()]);
    let about = RouteContext {
        lists: &lists,
        callers: &callers,
        user: true,
        trusts_proxies: true,
        ..RouteContext::new("shop")
    };
    check_text("t", &text(when), &about)
}

#[track_caller]
fn refused(when: &str, code: &str, hint: &str) {
    let mut problems = told(when);
    problems.retain(|problem| problem.severity == Severity::Error);
    assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), [code], "{when}\n{problems:#?}");
    let told = problems[0].hint.clone().unwrap_or_default();
    assert!(told.contains(hint), "{when}: {told}");
}

#[test]
fn names_that_are_not_there_are_told_with_those_that_are() {
    refused("network: { list: datacenters }", "unknown_name", "did you mean `datacentres`?");
    refused("network: { list: stolen }", "wrong_list", "a list of networks");
    refused("device: { list: datacentres }", "wrong_list", "a list of devices");
    refused("path: [/a, { list: catalog }]", "unknown_name", "did you mean `catalogue`?");
    refused("device: d1", "wrong_type", "put `d1` into the list");
    refused("device: { lists: [stolen] }", "unknown_field", "it is called `list`");
    refused("caller: partners", "unknown_name", "did you mean `partner`?");
    refused("network: {}", "missing_field", "list");
    refused("user: { sub: u1 }", "unknown_field", "it is called `subject`");
    refused("user: {}", "empty_map", "at least one");
    refused("user: { present: false, issuer: i }", "no_user", "remove `present: false`");
    refused("user: { claims: {} }", "wrong_type", "claims: { role");
    refused("user: { claims: { level: 03 } }", "wrong_type", "\"03\"");
    refused("user: { claims: { level: 1.10 } }", "wrong_type", "\"1.10\"");
    refused("device_state: banned", "unknown_word", "verdict: revoked");
    refused("device_state: forced_fail", "unknown_word", "verdict: failed");
    refused("device_state: forced-pass", "unknown_word", "did you mean `forced_pass`?");
    refused("device_age: { min: 90m }", "bad_duration", "24h");
    refused("device_age: { min: 2d, below: 24h }", "empty_range", "`below`");
    refused("device_age: { max: 2d }", "unknown_field", "it is called `below`");
    refused("annotation: beta", "unknown_word", "`dev`");
    refused("percentage: 10%", "wrong_number", "without the `%`");
    refused("percentage: 101", "wrong_number", "0 to 100");
    refused("percent: 10", "unknown_field", "`percentage`");
}

#[test]
fn a_route_that_cannot_prove_it_has_no_such_condition() {
    let about = RouteContext { device_ids: false, ..RouteContext::new("r") };
    let codes = |when: &str| {
        check_text("t", &text(when), &about)
            .into_iter()
            .map(|problem| (problem.code, problem.severity))
            .collect::<Vec<_>>()
    };
    assert_eq!(codes("caller: any"), [("no_caller", Severity::Error)]);
    assert_eq!(codes("user: { present: true }"), [("no_user", Severity::Error)]);
    let lists = lists();
    let about = RouteContext { lists: &lists, ..about };
    let told = check_text("t", &text("device: { list: stolen }"), &about);
    assert!(told.iter().any(|problem| problem.code == "no_device"), "{told:#?}");
}

#[test]
fn secrets_stand_in_no_condition() {
    for value in [
        "Bearer abc",
        "sk-proj-abcdef",
        "eyJhbGciOiJIUzI1NiJ9.e30.x",
        "ghp_0123456789abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6",
        "dGhpcyBpcyBhIHNlY3JldCAxMjM0NTY=",
    ] {
        refused(&format!("header: {{ X-Partner: \"{value}\" }}"), "credential_header", "callers:");
        refused(&format!("header: {{ X-Partner: {{ prefix: \"{value}\" }} }}"), "credential_header", "callers:");
        // Nor in the report, whatever else is wrong in its line.
        for field in [format!("X-Partner: \"{value}\""), format!("Authorization: \"{value}\"")] {
            let when = format!("header: {{ {field} }}, unheard: of");
            let (text, problems) = (text(&when), told(&when));
            assert!(problems.len() > 1, "{problems:#?}");
            let shown = problem::without_secrets(&problems, "t", &text);
            for problem in &problems {
                assert!(!problem.render(&shown).contains(value), "{}", problem.render(&shown));
                assert!(problem.render(&shown).contains("***"), "{}", problem.render(&shown));
            }
        }
    }
    for harmless in [
        "shop/3.2",
        "application/json; charset=utf-8",
        "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
        "com.example.shop.staging",
    ] {
        assert!(
            told(&format!("header: {{ X-Client: \"{harmless}\" }}")).iter().all(|one| one.code != "credential_header"),
            "{harmless}"
        );
    }
}

#[test]
fn a_condition_has_no_more_values_than_can_be_compared() {
    let many: Vec<String> = (0..1_001).map(|number| format!("/a{number}")).collect();
    refused(&format!("path: [{}]", many.join(", ")), "too_many_values", "named list");
}

#[test]
fn an_empty_list_matches_nothing_and_is_told() {
    let found = told("network: { list: nothing }");
    assert!(
        found.iter().any(|one| one.code == "unreachable_rule" && one.message.contains("`nothing` is empty")),
        "{found:#?}"
    );
}

#[test]
fn words_that_other_tools_take_for_something_else_are_told() {
    for (when, word) in [("app: no", "false"), ("route: on", "true"), ("user: { claims: { country: NO } }", "false")] {
        let found = told(when);
        let told: Vec<_> = found.iter().filter(|one| one.code == "yaml_1_1").collect();
        assert_eq!(told.len(), 1, "{when}");
        assert!(told[0].message.contains(word) && told[0].severity == Severity::Warning, "{}", told[0].message);
    }
    assert!(told("app: \"no\"").iter().all(|one| one.code != "yaml_1_1"));
    let flag =
        "default: allow\ndanger_default_allow: yes\nrules: [{ name: r, when: { verdict: failed }, then: block }]\n";
    let problems = check_text("t", flag, &RouteContext::new("r"));
    assert!(
        problems.iter().any(|one| one.hint.as_ref().is_some_and(|hint| hint.contains("write `true`"))),
        "{problems:#?}"
    );
    refused("app: 0403", "wrong_type", "259");
    refused("app: 3.10", "wrong_type", "`3.1`");
}

#[test]
fn a_hostile_file_keeps_the_loader_busy_for_a_bounded_time() {
    // 90 rules with a thousand paths each, none of which covers another: 4 billion comparisons without a bound.
    let mut text = String::from("default: block\nrules:\n");
    for rule in 0..90 {
        let paths: Vec<String> = (0..1_000).map(|path| format!("/{rule}/{path}")).collect();
        text.push_str(&format!(
            "  - {{ name: r{rule}, when: {{ verdict: any, path: [{}] }}, then: deprioritize }}\n",
            paths.join(",")
        ));
    }
    let raw = parse_file("t", &text).expect("within the budgets of YAML");
    let (_, told) = compile(raw, "t", &RouteContext::new("r")).unwrap();
    assert!(told.iter().any(|one| one.code == "lint_stopped"));
    let methods: String = (0..5_000)
        .map(|number| {
            let name: String = format!("{number:04}").bytes().map(|digit| char::from(digit - b'0' + b'A')).collect();
            format!("  - {{ name: m{number}, when: {{ verdict: any, method: Q{name} }}, then: deprioritize }}\n")
        })
        .collect();
    let raw = parse_file("t", &format!("default: block\nrules:\n{methods}")).unwrap();
    assert!(compile(raw, "t", &RouteContext::new("r")).is_ok());
}
