use attest_core::time::UnixTime;

use super::*;
use crate::Severity;

fn route() -> RouteContext<'static> {
    RouteContext { trusts_proxies: true, ..RouteContext::new("shop") }
}

fn key_route() -> RouteContext<'static> {
    RouteContext { injects: true, ..route() }
}

fn check(text: &str) -> Vec<Problem> {
    check_text("t.yaml", text, &route())
}

/// The one problem of `text`, which must be an error.
fn refused(text: &str) -> Problem {
    refused_on(text, &route())
}

fn refused_on(text: &str, about: &RouteContext<'_>) -> Problem {
    let mut problems = check_text("t.yaml", text, about);
    problems.retain(|problem| problem.severity == Severity::Error);
    assert_eq!(problems.len(), 1, "{text}\n{problems:#?}");
    problems.remove(0)
}

/// A policy with this rule, and below it one that lets something through.
fn rule(inner: &str) -> String {
    format!(
        "default: block\nrules:\n  - {{ name: r, {inner} }}\n  - {{ name: enrolled, when: {{ verdict: attested, app: other }}, then: allow }}\n"
    )
}

fn when(inner: &str) -> String {
    rule(&format!("when: {{ verdict: any, {inner} }}, then: block"))
}

#[track_caller]
fn hinted(text: &str, line: usize, hint: &str) {
    let problem = refused(text);
    let told = problem.hint.clone().unwrap_or_default();
    assert!(told.contains(hint), "{text}\n{}\nwanted: {hint}", problem.render(text));
    assert_eq!(problem.line, line, "{}", problem.render(text));
}

#[test]
fn the_traps_of_yaml_are_told_by_name() {
    let mode = |word: &str| rule(&format!("when: {{ verdict: missing }}, then: block, mode: {word}"));
    for word in ["Off", "off", "false", "OFF", "no", "disable", "False"] {
        hinted(&mode(word), 3, "write `disabled`");
    }
    for word in ["true", "on", "enforced"] {
        hinted(&mode(word), 3, "write `enforce`");
    }
    hinted(&mode("monitored"), 3, "did you mean `monitor`?");
    hinted(&when("app_version: { min: 3.10 }"), 3, "write \"3.10\" (unquoted, `3.10` is `3.1`");
    hinted(&when("app_version: { min: 3 }"), 3, "write \"3\"");
    hinted(&when("app_version: { min: \">=3.1\" }"), 3, "write { min: \"3.1\" }");
    hinted(&when("app_version: { min: \"<4\" }"), 3, "write { below: \"4\" }");
    hinted(&when("app_version: { max: \"4\" }"), 3, "it is called `below`");
    hinted(&when("app_version: \">=3.1\""), 3, "write { min: \"3.1\" }");
    hinted(&when("app_version: 3.10"), 3, "write { min: \"3.10\" }");
    hinted(&when("device_age: \"< 1h\""), 3, "write { below: \"1h\" }");
    hinted("default: block\nblock_everything: true\nenforcement: { failed: 10% }\n", 3, "write `10`, without the `%`");
    hinted("default: block\nenforcement: { failed: 1_0 }\n", 2, "write `10`: tools disagree on `_`");
    hinted("default: block\nenforcement: { failed: 0x10 }\n", 2, "write `16`");
    hinted("default: block\nenforcement: { failed: 12:30 }\n", 2, "base 60");
    hinted(
        "default: block\nblock_everything: true\nenforcement: { failed: 010 }\n",
        3,
        "write `10`: some tools read a leading 0 as an octal",
    );
    hinted(
        "default: block\nblock_everything: true\nenforcement: { failed: \"10\" }\n",
        3,
        "write `10`, without quotes",
    );
    hinted("default: block\nblock_everything: true\nenforcement: { failed: 101 }\n", 3, "0 to 100");
    hinted("default: block\nblock_everything: true\nenforcement: 10\n", 3, "others: 10");
    hinted("default: block\nblock_everything: true\nenforcement: Monitor\n", 3, "did you mean `monitor`?");
    hinted("default: block\nblock_everything: true\nenforcement: off\n", 3, "write `monitor`");
    hinted("default: block\nblock_everything: true\nenforcement: { any: 5 }\n", 3, "write `others`");
    hinted("default: block\nblock_everything: true\nenforcement: { other: 5 }\n", 3, "`others`");
    hinted(&rule("when: { verdict: missing }, then: { block: { status: 0403 } }"), 3, "every refusal looks the same");
    hinted(&rule("when: { verdict: attested }, then: allow, until: 2027-03-01"), 3, "2027-03-01T00:00:00Z");
    hinted(&when("host: \"*\""), 3, "leave `host` out");
    hinted(&when("host: \"https://a.test/x\""), 3, "without scheme");
    hinted(&when("host: a.test:8443"), 3, "without its port");
    hinted(&when("method: get"), 3, "`GET`");
    hinted(&when("method: PSOT"), 3, "`POST`");
    hinted(&when("path: v1/items"), 3, "\"/v1/items\"");
    hinted(&when("path: \"/v1/../x\""), 3, "without `.` and `..`");
    hinted(&when("path: \"/v1?x=1\""), 3, "leave the query out");
    hinted(&when("path: \"/a/**/b\""), 3, "no regular expressions");
    hinted(&when("network: 10.0.0.1/8"), 3, "write 10.0.0.0/8");
    hinted(&when("network: { list: datacentres }"), 3, "the configuration has none");
    hinted(
        &rule("when: { verdict: attested }, then: { allow: { limits: [{ requests: 5, per: device, window: 60 }] } }"),
        3,
        "60s, 60m or 60h",
    );
    hinted(
        &rule("when: { verdict: attested }, then: { allow: { limits: [{ requests: 5, per: ip, window: 1m }] } }"),
        3,
        "write `address`",
    );
}

#[test]
fn words_that_people_try_lead_to_the_right_ones() {
    hinted("defualt: block\n", 1, "did you mean `default`?");
    hinted(&rule("when: { verdict: unattested }, then: block"), 3, "`missing` (no token)");
    hinted(&rule("when: { verdict: unverifiable }, then: block"), 3, "our_faults");
    hinted(&rule("when: { verdict: atested }, then: block"), 3, "did you mean `attested`?");
    hinted(&rule("when: { verdict: bad-signature }, then: block"), 3, "did you mean `bad_signature`?");
    hinted(&rule("when: { verdict: missing }, then: deny"), 3, "write `block`");
    hinted(&rule("when: { verdict: missing, ver: \"3\" }, then: block"), 3, "app_version");
    hinted(&rule("verdict: missing, when: { verdict: missing }, then: block"), 3, "belongs under `when`");
    hinted(&rule("when: { verdict: missing }, then: block, modee: monitor"), 3, "did you mean `mode`?");
    hinted(&when("header: { X-A: { contains: x } }"), 3, "`present`, `equals` and `prefix`");
    hinted(&when("evidence: app-attest"), 3, "apple-app-attest");
    hinted("default: block\nrules:\n  name: x\n", 3, "begin each entry with `- `");
}

#[test]
fn a_credential_in_a_header_condition_is_refused() {
    for name in ["Authorization", "X-Api-Key", "Cookie", "X-Partner-Token", "Stripe-Signature", "X-Auth", "api_key"] {
        assert_eq!(refused(&when(&format!("header: {{ {name}: x }}"))).code, "credential_header", "{name}");
    }
    assert_eq!(refused(&when("header: { X-Assay-Verdict: attested }")).code, "bad_header");
    assert_eq!(check(&when("header: { X-App-Version: { present: true }, Idempotency-Key: { present: false } }")), []);
}

#[test]
fn what_is_forgotten_is_asked_for() {
    assert!(refused("rules: []\n").message.contains("has no `default`"));
    assert_eq!(refused(&rule("when: { path: /x }, then: block")).code, "missing_field");
    assert!(refused(&rule("then: block")).message.contains("has no `when`"));
    assert!(refused(&rule("when: { verdict: any }")).message.contains("has no `then`"));
    assert_eq!(refused("default: deprioritize\n").code, "no_rules");
    assert_eq!(refused("default: deprioritize\nrules: []\n").code, "no_rules");
    assert_eq!(
        refused("default: allow\nrules: [{ name: r, when: { verdict: any }, then: block }]\n").code,
        "default_allows"
    );
    assert_eq!(refused("default: block\nblock_everything: true\ndanger_default_allow: true\n").code, "no_effect");
    assert_eq!(refused(&when("app_version: {}")).code, "empty_map");
    assert_eq!(refused(&when("app_version: { min: \"4\", below: \"3\" }")).code, "empty_range");
    assert_eq!(refused(&when("not: {}")).code, "empty_map");
    assert_eq!(refused(&when("path: []")).code, "empty_list");
    assert_eq!(refused(&when("expired_for: {}")).code, "missing_field");
    assert_eq!(refused("default: block\n").code, "blocks_everything");
    assert_eq!(check("default: block\nblock_everything: true\n"), []);
}

#[test]
fn what_would_open_by_itself_is_refused() {
    assert_eq!(
        refused(&rule("when: { verdict: failed }, then: block, until: 2027-03-01T00:00:00Z")).code,
        "until_on_block"
    );
    assert_eq!(
        refused(&rule("when: { verdict: missing }, then: { deprioritize: { class: critical } }")).code,
        "wrong_class"
    );
    assert_eq!(
        refused(&rule(
            "when: { verdict: missing }, then: { allow: { limits: [{ requests: 1, per: device, window: 1m }] } }"
        ))
        .code,
        "no_device"
    );
    assert_eq!(
        refused(&rule(
            "when: { verdict: attested }, then: { allow: { limits: [{ requests: 0, per: device, window: 1m }] } }"
        ))
        .code,
        "wrong_number"
    );
    assert_eq!(
        refused(&rule(
            "when: { verdict: attested }, then: { allow: { limits: [{ requests: 1, per: device, window: 32d }] } }"
        ))
        .code,
        "wrong_window"
    );
    assert_eq!(refused(&rule("when: { verdict: attested }, then: { allow: {}, block: {} }")).code, "one_action");
}

#[test]
fn names_are_unique_and_plain() {
    let two = "default: block\nrules:\n  - { name: a, when: { verdict: missing }, then: block }\n  - { name: a, when: { verdict: failed }, then: block }\n";
    let problem = refused(two);
    assert_eq!((problem.code, problem.line), ("duplicate_name", 4));
    assert!(problem.hint.unwrap().contains("line 3"));
    assert_eq!(refused("policy: \"a b\"\ndefault: block\n").code, "bad_name");
    let reserved = "default: block\nrules: [{ name: default, when: { verdict: missing }, then: block }]\n";
    assert_eq!(refused(reserved).code, "bad_name");
}

#[test]
fn on_a_route_with_a_key_nothing_unattested_passes_by_accident() {
    let allow = |verdict: &str, limit: &str| {
        rule(&format!("when: {{ verdict: {verdict} }}, then: {{ deprioritize: {{ {limit} }} }}"))
    };
    assert_eq!(refused_on(&allow("missing", ""), &key_route()).code, "gives_key");
    assert_eq!(refused_on(&allow("any", ""), &key_route()).code, "gives_key");
    assert_eq!(
        refused_on(
            "default: deprioritize\nrules: [{ name: r, when: { verdict: attested }, then: allow }]\n",
            &key_route()
        )
        .code,
        "default_gives_key"
    );
    let danger = RouteContext { danger_inject_unattested: true, ..key_route() };
    assert_eq!(refused_on(&allow("missing", ""), &danger).code, "gives_key_without_limit");
    let each = "limits: [{ requests: 5, per: address, window: 1m }]";
    assert_eq!(refused_on(&allow("missing", each), &danger).code, "gives_key_without_limit");
    let shared = "limits: [{ requests: 5, per: route, window: 1m }]";
    assert_eq!(refused_on(&allow("missing", shared), &key_route()).code, "gives_key");
    assert!(compile(parse_file("t", &allow("missing", shared)).unwrap(), "t", &danger).is_ok());
    let genuine = "default: block\nrules: [{ name: r, when: { verdict: attested }, then: allow }]\n";
    assert!(check_text("t", genuine, &key_route()).is_empty());
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    let text = "\
policy: 7
default: alow
enforcement: { failed: 10% }
rules:
  - name: one
    when: { verdict: atested, method: get }
    then: alow
  - name: one
    when: { path: x }
    mode: off
";
    let problems = check(text);
    let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [1, 2, 3, 6, 6, 7, 8, 8, 9, 9, 10], "{problems:#?}");
    assert!(
        problems
            .iter()
            .all(|problem| problem.file == "t.yaml" && problem.hint.is_some() || problem.code == "wrong_type")
    );
}

#[test]
fn the_caret_stands_under_the_value() {
    let text =
        "default: block\nrules:\n  - name: r\n    when: { verdict: missing }\n    then: block\n    mode: false\n";
    let problem = refused(text);
    assert_eq!(
        problem.render(text),
        "error: `mode` can't be `false` (true or false)\n --> t.yaml:6:11\n  |\n6 |     mode: false\n  |           ^^^^^\n  = help: write `disabled`. (A tool that reads YAML 1.1 turns an unquoted `off` into `false`.)\n"
    );
}

#[test]
fn unreachable_rules_are_told() {
    let text = "\
default: block
rules:
  - { name: a, when: { verdict: attested, path: \"/v1/**\" }, then: allow }
  - { name: b, when: { verdict: attested, path: /v1/items, method: GET }, then: block }
  - { name: c, when: { verdict: any, network: 10.0.0.0/8 }, then: block }
  - { name: d, when: { verdict: [missing, attested], network: 10.1.0.0/16 }, then: block }
  - { name: e, when: { verdict: missing, tier: affirming }, then: block }
  - { name: f, when: { verdict: attested, path: /v2 }, then: allow }
";
    let told: Vec<_> = check(text).into_iter().filter(|p| p.code == "unreachable_rule").map(|p| p.line).collect();
    assert_eq!(told, [4, 6, 7]);
    let monitored = text
        .replace("then: allow }", "then: allow, mode: monitor }")
        .replace("then: block }\n  - { name: d", "then: block, mode: monitor }\n  - { name: d");
    let told: Vec<_> = check(&(monitored + "block_everything: true\n"))
        .into_iter()
        .filter(|p| p.code == "unreachable_rule")
        .map(|p| p.line)
        .collect();
    assert_eq!(told, [7], "a monitored rule takes nothing from those below");
}

#[test]
fn a_bad_token_that_fares_worse_or_better_than_none_is_told() {
    let text = "\
default: block
rules:
  - { name: genuine, when: { verdict: attested }, then: allow }
  - { name: open, when: { verdict: [missing, expired], path: \"/c/**\" }, then: deprioritize }
";
    let told = check(text);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!((told[0].code, told[0].line, told[0].severity), ("worse_than_missing", 4, Severity::Warning));
    assert!(told[0].message.contains("`invalid`, `failed` and `revoked` fare"), "{}", told[0].message);
    assert!(check(&text.replace("[missing, expired]", "[missing, expired, invalid, failed, revoked]")).is_empty());
    assert!(check(&text.replace("[missing, expired]", "any")).is_empty());
    let better = "default: block\nrules: [{ name: r, when: { verdict: [attested, failed] }, then: allow }]\n";
    assert_eq!(check(better).iter().map(|p| p.code).collect::<Vec<_>>(), ["better_than_missing"]);
}

#[test]
fn what_ends_soon_or_has_ended_is_told() {
    let text = rule("when: { verdict: attested }, then: allow, until: 2027-03-01T00:00:00Z");
    let end = 1_803_859_200;
    let at = |secs| {
        let about = RouteContext { now: Some(UnixTime::from_secs(secs)), ..route() };
        check_text("t", &text, &about).into_iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    assert!(at(end - 15 * 86_400).is_empty());
    assert_eq!(at(end - 13 * 86_400), ["rule_ends_soon"]);
    assert_eq!(at(end), ["rule_ended"]);
    assert!(check(&text).is_empty(), "without a clock nothing is told");
}

#[test]
fn what_a_client_writes_itself_is_told() {
    let header = rule("when: { verdict: any, header: { X-App-Version: \"3\" } }, then: deprioritize");
    assert_eq!(check(&header).iter().map(|p| p.code).collect::<Vec<_>>(), ["forgeable"]);
    let network = rule("when: { verdict: attested, network: 10.0.0.0/8 }, then: allow");
    assert!(check(&network).is_empty());
    let told = check_text("t", &network, &RouteContext::new("shop"));
    assert_eq!(told.iter().map(|p| (p.code, p.severity)).collect::<Vec<_>>(), [("network_of_peer", Severity::Note)]);
}

#[test]
fn enforcement_on_a_route_with_a_key_is_told_to_do_nothing() {
    let text = "default: block\nenforcement: monitor\nrules: [{ name: r, when: { verdict: attested }, then: allow }]\n";
    let told = check_text("t", text, &key_route());
    assert_eq!(told.iter().map(|p| (p.code, p.line)).collect::<Vec<_>>(), [("no_effect", 2)]);
    assert!(check(text).is_empty());
}

#[test]
fn limits_have_names_that_survive_a_reload() {
    let text = rule(
        "when: { verdict: attested }, then: { allow: { limits: [{ requests: 5, per: device, window: 1m }, { name: all, requests: 9, per: route, window: 1h }] } }",
    );
    let (policy, _) = compile(parse_file("t", &text).unwrap(), "t", &route()).unwrap();
    assert_eq!(policy.limits().map(|limit| &*limit.name).collect::<Vec<_>>(), ["r.1", "all"]);
    assert_eq!(policy.name(), "shop");
}

#[test]
fn the_policy_of_the_design_loads() {
    let text = r#"
policy: shop
default: block
enforcement: { failed: 10, missing: 0, others: 100 }
rules:
  - name: genuine
    when: { verdict: attested, app_version: { min: "3.2" } }
    then: allow
  - name: old-versions
    when: { verdict: attested }
    then: { deprioritize: { class: partial } }
    until: 2027-03-01T00:00:00Z
  - name: catalogue-for-anyone
    when: { verdict: [missing, expired], method: [GET, HEAD], path: "/v1/catalogue/**" }
    then: { deprioritize: { limits: [{ requests: 60, per: address, window: 1m }] } }
  - name: strong
    when: { verdict: attested, tier: affirming, evidence: platform }
    then: { allow: { class: critical } }
  - name: datacentres
    when: { verdict: missing, network: [203.0.113.0/24, "2001:db8::/32"] }
    then: block
    mode: monitor
"#;
    let (policy, _) = compile(parse_file("t", text).unwrap(), "t", &route()).unwrap();
    assert_eq!(policy.name(), "shop");
    assert_eq!(policy.rule_names().count(), 5);
}

#[test]
fn the_schema_knows_the_fields_that_the_reader_knows() {
    // Each field of the schema is set to something unreadable: the reader must complain about its value, never about the field.
    let schema = crate::schema();
    let mut objects = vec![("#".to_owned(), schema.clone())];
    let definitions = schema["definitions"].as_object().unwrap();
    objects.extend(definitions.iter().map(|(name, definition)| (name.clone(), definition.clone())));
    let fields = |name: &str| {
        let (_, object) = objects.iter().find(|(found, _)| found == name).unwrap();
        object["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    for field in fields("#") {
        let told = check(&format!("{field}: [[]]\n"));
        assert!(told.iter().all(|problem| problem.code != "unknown_field"), "{field}");
    }
    for field in fields("RuleShape") {
        let told = check(&format!("default: block\nrules: [{{ {field}: [[]] }}]\n"));
        assert!(told.iter().all(|problem| problem.code != "unknown_field"), "{field}");
    }
    let within = |shape: &str, policy: &dyn Fn(&str) -> String| {
        for field in fields(shape) {
            let told = check(&policy(&field));
            assert!(told.iter().all(|problem| problem.code != "unknown_field"), "{shape}.{field}: {told:#?}");
        }
    };
    within("LimitShape", &|field| {
        rule(&format!("when: {{ verdict: attested }}, then: {{ allow: {{ limits: [{{ {field}: [[]] }}] }} }}"))
    });
    within("Passing", &|field| rule(&format!("when: {{ verdict: attested }}, then: {{ allow: {{ {field}: [[]] }} }}")));
    within("UserRule", &|field| when(&format!("user: {{ {field}: [[]] }}")));
    within("AgeRange", &|field| when(&format!("device_age: {{ {field}: [[]] }}")));
    within("RefusalsShape", &|field| format!("default: block\nrefusals: {{ {field}: [[]] }}\n"));
    within("RefusalShape", &|field| format!("default: block\nrefusals: {{ refused: {{ {field}: [[]] }} }}\n"));
    for field in fields("When") {
        let told = check(&format!("default: block\nrules: [{{ when: {{ {field}: [[]] }} }}]\n"));
        assert!(told.iter().all(|problem| problem.code != "unknown_field"), "{field}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_loader_panic(text in "\\PC{0,200}") {
        check(&text).iter().for_each(|problem| drop(problem.render(&text)));
    }

    #[test]
    fn no_broken_policy_makes_the_loader_panic(cut in 0_usize..600, at in 0_usize..600, put in "[\\PC\\n\\t]{0,4}") {
        let mut text = String::from("policy: shop\ndefault: block\nenforcement: { failed: 10, others: 100 }\nrules:\n  - name: genuine\n    when: { verdict: [attested, invalid], app_version: { min: \"3.2\" }, header: { X-A: { prefix: b } }, not: { path: \"/a/**\" } }\n    then: { allow: { class: critical, limits: [{ requests: 60, per: device, window: 1m }] } }\n    until: 2027-03-01T00:00:00Z\n");
        if text.is_char_boundary(at.min(text.len())) {
            text.insert_str(at.min(text.len()), &put);
        }
        let cut = cut.min(text.len());
        if text.is_char_boundary(cut) {
            text.truncate(cut);
        }
        check(&text).iter().for_each(|problem| drop(problem.render(&text)));
    }
}
