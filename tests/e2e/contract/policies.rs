//! `assay policy check` and `explain`.

use std::ffi::OsStr;

use e2e::command::{Ran, assay};
use e2e::files::Files;

const SHOP: &str = r#"policy: shop
default: block
rules:
  - { name: genuine, when: { verdict: attested, app_version: { min: "3.2" } }, then: allow }
  - { name: readers, when: { verdict: [missing, expired], method: [GET, HEAD], path: "/v1/catalogue/**" }, then: deprioritize }
  - { name: beta, when: { verdict: missing, header: { X-Beta: { present: true } } }, then: deprioritize, mode: monitor }
"#;

#[test]
fn check_is_0_for_a_policy_that_loads_and_tells_every_error_of_one_that_does_not() {
    let files = Files::new();
    let good = files.write("good.yaml", SHOP);
    assay(&[&"policy", &"check", &good]).ends(0);
    let bad = files.write("bad.yaml", "default: block\nruls: []\nrules:\n  - { name: a, when: { methd: GET }, then: allow }\n  - { name: a, when: { verdict: any }, then: alow }\n");
    let ran = assay(&[&"--json", &"policy", &"check", &good, &bad]).ends(1);
    let answer = ran.json();
    let lines: Vec<_> = answer["problems"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| p["severity"] == "error")
        .map(|p| p["line"].as_u64().unwrap())
        .collect();
    for line in [2, 4, 5] {
        assert!(lines.contains(&line), "no error of line {line}: {answer:#}");
    }
    for place in ["bad.yaml:2:1", "did you mean `rules`", "did you mean `allow`"] {
        assert!(ran.err.contains(place), "{place}: {}", ran.err);
    }
    assay(&[&"policy", &"check", &files.at("absent.yaml")]).ends(2).complains(&["absent.yaml"]);
    assay(&[&"policy", &"check"]).ends(2);
    // What is good elsewhere is not on a route that injects a key.
    let loose = files.write(
        "loose.yaml",
        "policy: loose\ndefault: block\nrules: [{ name: visitors, when: { verdict: missing }, then: allow }]\n",
    );
    let plain = assay(&[&"policy", &"check", &loose]);
    assert_eq!(plain.code, 0, "{plain:?}");
    assay(&[&"policy", &"check", &loose, &"--injects"]).ends(1).complains(&["loose.yaml"]);
}

#[test]
fn explain_names_the_rule_the_action_and_why_each_rule_did_or_did_not_match() {
    let files = Files::new();
    let policy = files.write("shop.yaml", SHOP);
    let explain = |words: &[&dyn AsRef<OsStr>]| -> Ran {
        let all: Vec<&dyn AsRef<OsStr>> = [&"--json" as &dyn AsRef<OsStr>, &"policy", &"explain", &"--policy", &policy]
            .into_iter()
            .chain(words.iter().copied())
            .collect();
        assay(&all)
    };
    let decided = |words: &[&dyn AsRef<OsStr>]| {
        let answer = explain(words).ends(0).json();
        (answer["rule"].as_str().unwrap().to_owned(), answer["action"].as_str().unwrap().to_owned())
    };
    let is = |rule: &str, action: &str| (rule.to_owned(), action.to_owned());
    assert_eq!(
        decided(&[&"--verdict", &"attested", &"--app-version", &"3.10", &"--path", &"/v1/x"]),
        is("genuine", "allow")
    );
    assert_eq!(
        decided(&[&"--verdict", &"attested", &"--app-version", &"3.1", &"--path", &"/v1/x"]),
        is("default", "block")
    );
    assert_eq!(
        decided(&[&"--verdict", &"missing", &"--method", &"GET", &"--path", &"/v1/catalogue/7"]),
        is("readers", "deprioritize")
    );
    assert_eq!(
        decided(&[&"--verdict", &"missing", &"--method", &"POST", &"--path", &"/v1/catalogue/7"]),
        is("default", "block")
    );
    assert_eq!(decided(&[&"--verdict", &"failed", &"--path", &"/v1/catalogue/7"]), is("default", "block"));
    // A monitored rule matches, is told, and changes nothing.
    let beta = explain(&[&"--verdict", &"missing", &"--path", &"/v1/x", &"--header", &"X-Beta: 1"]).ends(0).json();
    assert_eq!((&beta["rule"], &beta["action"]), (&"default".into(), &"block".into()));
    assert!(
        beta["trace"].as_array().unwrap().iter().any(|step| step["rule"] == "beta" && step["matched"] == true),
        "{beta:#}"
    );

    explain(&[&"--verdict", &"genuine", &"--path", &"/"]).ends(2).complains(&["attested"]);
    explain(&[&"--verdict", &"missing"]).ends(2).complains(&["--path"]);
    explain(&[&"--verdict", &"missing", &"--path", &"/a/%2e%2e/b"]).ends(1).complains(&["400"]);
    explain(&[&"--verdict", &"missing", &"--path", &"/", &"--header", &"nonsense"]).ends(2);
    explain(&[&"--verdict", &"missing", &"--path", &"/", &"--tier", &"high"]).ends(2);
}

#[test]
fn explain_a_route_of_the_configuration() {
    let (_files, config) = super::starter();
    let answer = assay(&[
        &"--json",
        &"policy",
        &"explain",
        &"--route",
        &"api",
        &"-c",
        &config,
        &"--verdict",
        &"missing",
        &"--path",
        &"/v1/items",
    ])
    .ends(0)
    .json();
    // The starter monitors first.
    assert_eq!(
        (&answer["rule"], &answer["action"], &answer["would"]),
        (&"default".into(), &"allow".into(), &"block".into())
    );
    assay(&[&"policy", &"explain", &"--route", &"apy", &"-c", &config, &"--verdict", &"missing", &"--path", &"/"])
        .ends(2)
        .complains(&["apy", "api"]);
}
