//! Policies as an operator tunes them: all problems in the form that a build reads, cases, recorded traffic, reasons, advice.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use attest_core::time::{Clock, SystemClock};
use serde_json::Value;

use super::{Folder, Path};

const POLICY: &str = r#"policy: shop
default: block
rules:
  - name: office
    when: { verdict: missing, network: [198.51.100.0/24] }
    then: deprioritize
  - name: genuine
    when: { verdict: attested, app_version: { min: "3.2" } }
    then: allow
"#;

const CASES: &str = r#"policy: ../policies/shop.yaml
cases:
  - name: today's app
    given: { verdict: attested, app_version: "3.4" }
    expect: { rule: genuine, action: allow }
  - name: an old app
    given: { verdict: attested, app_version: "3.1" }
    expect: { rule: default, action: block }
"#;

fn folder(files: &[(&str, &str)]) -> Folder {
    let folder = Folder(tempfile::tempdir().unwrap());
    for (name, text) in files {
        let path = folder.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn record(id: &str, verdict: &str, network: &str, rule: &str, action: &str) -> String {
    format!(
        r#"{{"v":1,"id":"{id}","at":1800000000,"route":"shop","policy":"shop","generation":4,"verdict":"{verdict}","method":"GET","host":"api.example.com","path":"/v1/orders","network":"{network}","rule":"{rule}","action":"{action}"}}"#
    )
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_mistakes_of_the_others() {
    let folder = folder(&[("a.yaml", "default: blok\n"), ("c.yaml", "rules: []\n")]);
    let (answer, said) = folder.run(&["policy", "check", "a.yaml", "b.yaml", "c.yaml", "--json"], 2);
    let codes: Vec<_> =
        json(&answer)["problems"].as_array().unwrap().iter().map(|p| p["code"].as_str().unwrap().to_owned()).collect();
    assert_eq!(codes, ["unknown_word", "unreadable_file", "missing_field"], "{said}");
    assert!(said.contains("a.yaml:1:10") && said.contains("b.yaml") && said.contains("help: write `default: block`"));
    folder.run(&["policy", "check", "a.yaml"], 1);
}

#[test]
fn problems_come_as_annotations_and_as_sarif() {
    let folder = folder(&[("bad, very.yaml", "default: blok\nrules: [{ name: 100% }]\n")]);
    let (annotations, _) = folder.run(&["policy", "check", "bad, very.yaml", "--format", "github"], 1);
    assert!(annotations.lines().all(|line| line.starts_with("::error title=")), "{annotations}");
    assert!(annotations.contains("file=bad%2C very.yaml,line=1,col=10"), "{annotations}");
    let (log, _) = folder.run(&["policy", "check", "bad, very.yaml", "--format", "sarif"], 1);
    let log = json(&log);
    assert_eq!(log["version"], "2.1.0");
    let result = &log["runs"][0]["results"][0];
    assert_eq!(
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "bad%2C%20very.yaml".replace("%2C", ",")
    );
    assert_eq!((&result["level"], &result["ruleId"]), (&Value::from("error"), &Value::from("unknown_word")));
    folder.run(&["policy", "check", "bad, very.yaml", "--format", "sarif", "--json"], 2);

    let begun = Folder::begun();
    begun.change("gw/assay.yaml", "listeners:", "listners:");
    let (annotations, _) = begun.here(&["check", "--format", "github"], 1);
    assert!(annotations.contains("::error title=unknown_field,file=gw/assay.yaml,line="), "{annotations}");
    let (log, _) = begun.here(&["check", "--format", "sarif"], 1);
    assert!(!json(&log)["runs"][0]["results"].as_array().unwrap().is_empty());
}

#[test]
fn what_a_policy_includes_is_read_from_beside_it() {
    let folder = folder(&[
        ("policies/shop.yaml", "policy: shop\ndefault: block\nrules:\n  - include: rules/common.yaml\n"),
        ("policies/rules/common.yaml", "rules:\n  - name: genuine\n    when: { verdict: attested }\n    then: alow\n"),
    ]);
    let (_, said) = folder.run(&["policy", "check", "policies/shop.yaml"], 1);
    assert!(said.contains("common.yaml:4:11") && said.contains("then: alow"), "{said}");
    folder.change("policies/rules/common.yaml", "alow", "allow");
    folder.run(&["policy", "check", "policies/shop.yaml"], 0);
}

#[test]
fn a_list_is_known_with_the_route_that_has_it() {
    let folder = Folder::begun();
    let policy = "policy: api\ndefault: block\nrules:\n  - name: offices\n    when: { verdict: missing, network: { list: offices } }\n    then: deprioritize\n";
    std::fs::write(folder.at("next.yaml"), policy).unwrap();
    let (_, said) = folder.run(&["policy", "check", "next.yaml"], 1);
    assert!(said.contains("there is no list `offices`") && said.contains("--route R -c FILE"), "{said}");
    folder.change("gw/assay.yaml", "\nroutes:", "\nlists: { offices: { networks: [203.0.113.0/24] } }\nroutes:");
    folder.here(&["policy", "check", "next.yaml", "--route", "api"], 0);
}

#[test]
fn cases_that_hold_are_told_with_the_rules_that_they_reach() {
    let folder = folder(&[("policies/shop.yaml", POLICY), ("tests/shop.yaml", CASES)]);
    let (said, _) = folder.run(&["policy", "test", "tests/shop.yaml"], 0);
    assert!(said.contains("2 cases, all as expected"), "{said}");
    assert!(said.contains("policies/shop.yaml: 2 of 3 rules reached (66 %); no case reaches office"), "{said}");
    let (answer, _) = folder.run(&["policy", "test", "tests/shop.yaml", "--min-coverage", "67", "--json"], 1);
    let answer = json(&answer);
    assert_eq!((&answer["cases"], &answer["failed"]), (&Value::from(2), &Value::from(0)));
    assert_eq!(answer["coverage"][0]["missed"], serde_json::json!(["office"]));
    folder.run(&["policy", "test", "tests/shop.yaml", "--min-coverage", "66"], 0);
}

#[test]
fn a_case_that_differs_is_shown_where_it_stands() {
    let folder = folder(&[
        ("policies/shop.yaml", POLICY),
        ("tests/shop.yaml", CASES),
        ("other.yaml", "default: block\nblock_everything: true\n"),
    ]);
    folder.change("policies/shop.yaml", "\"3.2\"", "\"3.5\"");
    let (_, said) = folder.run(&["policy", "test", "tests/shop.yaml"], 1);
    assert!(said.contains("error: case `today's app`: the rule is `default`, expected `genuine`"), "{said}");
    assert!(said.contains("--> tests/shop.yaml:5:21") && said.contains("app_version is 3.4"), "{said}");
    let (annotations, _) = folder.run(&["policy", "test", "tests/shop.yaml", "--format", "github"], 1);
    assert!(annotations.contains("::error title=case_differs,file=tests/shop.yaml,line=5"), "{annotations}");
    // Another policy than the file names.
    let (answer, _) = folder.run(&["policy", "test", "tests/shop.yaml", "--policy", "other.yaml", "--json"], 1);
    assert_eq!(json(&answer)["failed"], 1);
}

#[test]
fn what_cannot_be_tried_is_another_answer_than_no() {
    let folder = folder(&[
        ("policies/shop.yaml", POLICY),
        ("tests/shop.yaml", CASES),
        ("tests/bad.yaml", "cases: [{ nam: a }]\n"),
        ("tests/none.yaml", "cases: [{ name: a, given: { verdict: missing }, expect: { action: block } }]\n"),
    ]);
    let (_, said) = folder.run(&["policy", "test", "tests/bad.yaml", "tests/shop.yaml", "gone.yaml"], 2);
    assert!(said.contains("did you mean `name`?") && said.contains("gone.yaml"), "{said}");
    let (_, said) = folder.run(&["policy", "test", "tests/none.yaml"], 2);
    assert!(said.contains("names no policy"), "{said}");
    folder.change("policies/shop.yaml", "default: block", "default: blok");
    let (_, said) = folder.run(&["policy", "test", "tests/shop.yaml"], 2);
    assert!(said.contains("policies/shop.yaml:2:10"), "{said}");
    folder.run(&["policy", "test"], 2);
    folder.run(&["policy", "test", "--replay", "gone.ndjson"], 2);
}

#[test]
fn what_init_writes_has_cases_that_hold_and_schemas_for_every_file() {
    let folder = Folder::begun();
    let (said, _) = folder.run(&["policy", "test", "gw/tests/api.yaml", "--min-coverage", "100"], 0);
    assert!(said.contains("2 cases"), "{said}");
    for (file, line) in [
        ("assay.yaml", "./schema/assay"),
        ("policies/api.yaml", "../schema/policy"),
        ("tests/api.yaml", "../schema/policy-cases"),
    ] {
        let text = std::fs::read_to_string(folder.at("gw").join(file)).unwrap();
        let schema = format!("$schema={line}.schema.json");
        assert!(text.lines().next().unwrap().ends_with(&schema), "{file}");
        let (folder_of, name) = (Path::new(file).parent().unwrap(), format!("{line}.schema.json"));
        assert!(folder.at("gw").join(folder_of).join(&name).is_file(), "{file}: {name}");
    }
    let (rules, _) = folder.run(&["schema", "rules"], 0);
    assert_eq!(rules, std::fs::read_to_string(folder.at("gw/schema/rules.schema.json")).unwrap());
}

#[test]
fn cases_of_a_route_are_tried_on_its_own_policy() {
    let folder = Folder::begun();
    let cases = "cases:\n  - name: an app\n    given: { verdict: attested, app: shop, tier: affirming, path: / }\n    expect: { action: allow }\n";
    std::fs::write(folder.at("cases.yaml"), cases).unwrap();
    folder.here(&["policy", "test", "cases.yaml", "--route", "api"], 0);
    std::fs::write(folder.at("cases.yaml"), format!("injects: true\n{cases}")).unwrap();
    let (_, said) = folder.here(&["policy", "test", "cases.yaml", "--route", "api"], 2);
    assert!(said.contains("`injects` is the configuration's to say"), "{said}");
}

#[test]
fn recorded_traffic_tells_whom_a_candidate_would_hit() {
    let mut lines: Vec<String> = (0..30)
        .map(|n| record(&format!("d{n}"), "missing", &format!("198.51.{}.0/24", 100 + n % 2), "office", "deprioritize"))
        .collect();
    lines.push("not a record".to_owned());
    lines.push(record("far", "missing", "192.0.2.0/24", "default", "block"));
    lines.push("x".repeat(200_000));
    let folder = folder(&[("shop.yaml", POLICY), ("recorded.ndjson", &lines.join("\n"))]);
    folder.change("shop.yaml", "[198.51.100.0/24]", "[198.51.100.0/24, 198.51.101.0/24]");
    let (said, _) = folder.run(&["policy", "test", "--replay", "recorded.ndjson", "--policy", "shop.yaml"], 0);
    assert!(said.contains("31 records tried: 31 fare as before"), "{said}");
    assert!(said.contains("2 of 33 lines are no records") && said.contains("line 31: not a record"), "{said}");

    folder.change("shop.yaml", "[198.51.100.0/24, 198.51.101.0/24]", "[198.51.100.0/24]");
    let (said, _) = folder.run(&["policy", "test", "--replay", "recorded.ndjson", "--policy", "shop.yaml"], 1);
    assert!(said.contains("16 fare as before, 15 differently"), "{said}");
    let row = said.lines().find(|line| line.contains("office (deprioritize")).unwrap();
    assert_eq!(row.split_whitespace().take(3).collect::<Vec<_>>(), ["15", "0", "1"], "{said}");

    // One address of the network: which it was is not written down.
    folder.change("shop.yaml", "[198.51.100.0/24]", "[198.51.100.7, 198.51.101.0/24]");
    let (answer, _) =
        folder.run(&["policy", "test", "--replay", "recorded.ndjson", "--policy", "shop.yaml", "--json"], 3);
    let replay = &json(&answer)["replay"];
    assert_eq!((&replay["different"], &replay["untold"]), (&Value::from(0), &Value::from(15)), "{replay:#}");
    assert!(replay["gaps"][0]["what"].as_str().unwrap().contains("which address of 198.51.100.0/24"));
}

#[test]
fn a_candidate_stands_in_the_place_of_a_routes_policy() {
    let folder = Folder::begun();
    std::fs::write(folder.at("next.yaml"), "policy: api\ndefault: block\nblock_everything: true\n").unwrap();
    let line =
        record("a", "missing", "192.0.2.0/24", "default", "block").replace("\"route\":\"shop\"", "\"route\":\"api\"");
    std::fs::write(folder.at("recorded.ndjson"), line).unwrap();
    let args = ["policy", "test", "--replay", "recorded.ndjson", "--route", "api", "--candidate", "next.yaml"];
    let (said, _) = folder.here(&args, 0);
    assert!(said.contains("1 records tried: 1 fare as before"), "{said}");
    folder.run(&["policy", "test", "--replay", "recorded.ndjson", "--candidate", "next.yaml"], 2);
}

#[test]
fn a_line_of_the_log_is_explained() {
    let folder = folder(&[("shop.yaml", POLICY)]);
    let line = r#"{"ts":1800000000.5,"id":"x","generation":1,"route":"shop","method":"GET","host":"a.example.com","path":"/v1","address":"198.51.100.7","verdict":"missing","policy":"shop","rule":"office","mode":"enforce","action":"deprioritize","class":"unattested"}"#;
    let (answer, _) = folder.run(&["policy", "explain", "--policy", "shop.yaml", "--log-line", line, "--json"], 0);
    let answer = json(&answer);
    assert_eq!((&answer["rule"], &answer["recorded"]["agrees"]), (&Value::from("office"), &Value::from(true)));
    assert_eq!(answer["trace"][0]["matched"], true);
    let (said, _) =
        folder.run(&["policy", "explain", "--policy", "shop.yaml", "--log-line", &line.replace("100.7", "99.7")], 0);
    assert!(said.contains("the gateway decided deprioritize by rule office"), "{said}");
    folder.run(&["policy", "explain", "--policy", "shop.yaml", "--log-line", "{}"], 2);
    folder.run(&["policy", "explain", "--policy", "shop.yaml", "--log-line", "-"], 2);
}

#[test]
fn new_conditions_are_explained_too() {
    let folder = folder(&[(
        "p.yaml",
        "policy: p\ndefault: block\nrules:\n  - name: known\n    when: { verdict: attested, device_age: { min: 3d } }\n    then: allow\n",
    )]);
    let ask = |age: &str| {
        let args = [
            "policy",
            "explain",
            "--policy",
            "p.yaml",
            "--verdict",
            "attested",
            "--path",
            "/",
            "--device-age",
            age,
            "--json",
        ];
        json(&folder.run(&args, 0).0)["rule"].clone()
    };
    assert_eq!((ask("1d"), ask("4d")), (Value::from("default"), Value::from("known")));
    folder.run(
        &["policy", "explain", "--policy", "p.yaml", "--verdict", "attested", "--path", "/", "--device-age", "4"],
        2,
    );
    folder.run(&["policy", "explain", "--policy", "p.yaml"], 2);
}

/// Answers as many requests as there are answers, and gives back what was asked.
fn gateway(answers: Vec<(u16, String)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        answers
            .into_iter()
            .map(|(status, body)| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                    head.push(byte[0]);
                }
                write!(
                    stream,
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
                String::from_utf8(head).unwrap()
            })
            .collect()
    });
    (address, thread)
}

#[test]
fn a_decision_that_the_gateway_remembers_is_explained() {
    let folder = folder(&[("shop.yaml", POLICY), ("token", "s3cret\n")]);
    let line = record("d7", "missing", "198.51.100.0/24", "office", "deprioritize");
    let (url, asked) = gateway(vec![(200, line), (404, String::new()), (401, String::new()), (200, "{}".to_owned())]);
    let ask = |id: &str, code: i32| {
        let args = [
            "policy",
            "explain",
            "--policy",
            "shop.yaml",
            "--decision",
            id,
            "--gateway",
            &url,
            "--token-file",
            "token",
        ];
        folder.run(&args, code)
    };
    let (said, _) = ask("d7", 0);
    assert!(said.contains("missing deprioritize by rule office") && said.contains("✓ office"), "{said}");
    assert!(ask("d8", 3).1.contains("remembers no decision d8"));
    assert!(ask("d9", 3).1.contains("--token-file"));
    assert!(ask("d10", 3).1.contains("not a record"));
    ask("../status", 2);
    let asked = asked.join().unwrap();
    assert!(asked[0].starts_with("GET /decisions/d7 HTTP/1.1") && asked[0].contains("Bearer s3cret"), "{asked:?}");
    assert!(ask("d7", 3).1.contains("did not answer"));
}

fn observations(requests: u64, refused: u64) -> String {
    let hour = SystemClock.now().secs() / 3_600;
    let hours: Vec<String> = (0..150)
        .map(|n| {
            format!(
                r#""{}":{{"categories":{{"verified":{{"requests":{requests}}},"outdated":{{"requests":{refused},"refused":{refused}}}}},"verdicts":{{"attested":{}}}}}"#,
                hour - n,
                requests + refused
            )
        })
        .collect();
    format!(
        r#"{{"v":1,"routes":{{"api":{{"hours":{{{}}},"days":{{"{}":{{"versions":[["shop","3.1",{{"requests":{refused},"refused":{refused}}}]]}}}}}}}}}}"#,
        hours.join(","),
        hour / 24
    )
}

#[test]
fn advice_is_told_and_is_the_exit_code() {
    let folder = folder(&[("seen.json", &observations(1_000, 0)), ("few.json", &observations(1, 1))]);
    let (said, _) = folder.run(&["policy", "advise", "api", "--file", "seen.json"], 0);
    assert!(said.starts_with("route api: 100.0 % verified over"), "{said}");
    assert!(said.contains("Nothing to do") && said.contains("Confidence: medium"), "{said}");
    let (answer, _) = folder.run(&["policy", "advise", "api", "--file", "few.json", "--json"], 3);
    let answer = json(&answer);
    assert_eq!((&answer["recommendation"], &answer["confidence"]), (&Value::from("wait"), &Value::from("low")));
    assert!(answer["summary"].as_str().unwrap().contains("old version 3.1"), "{answer:#}");
    let (_, said) = folder.run(&["policy", "advise", "other", "--file", "seen.json"], 3);
    assert!(said.contains("routes with traffic: api"), "{said}");
    std::fs::write(folder.at("bad.json"), "{}").unwrap();
    folder.run(&["policy", "advise", "api", "--file", "bad.json"], 2);

    let (url, asked) = gateway(vec![(200, observations(1_000, 100)), (404, String::new())]);
    folder.run(&["policy", "advise", "api", "--gateway", &url], 1);
    folder.run(&["policy", "advise", "api", "--gateway", &url], 3);
    assert!(asked.join().unwrap()[0].starts_with("GET /observations HTTP/1.1"));
}

#[test]
fn the_cases_of_the_examples_hold_and_reach_every_rule() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/cases");
    let files: Vec<String> = std::fs::read_dir(&examples)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|path| path.ends_with(".yaml"))
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    let folder = folder(&[]);
    let mut args = vec!["policy", "test", "--min-coverage", "100"];
    args.extend(files.iter().map(String::as_str));
    folder.run(&args, 0);
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema=../../schema/policy-cases.schema.json\n"), "{file}");
    }
}
