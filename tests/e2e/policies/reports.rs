//! All errors at once, in the form that is asked for; and cases, with the exit code of each outcome.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use e2e::command::{Ran, assay_in};
use e2e::files::Files;
use serde_json::Value;

const POLICY: &str = r#"policy: shop
default: blok
ruls: []
rules:
  - { name: genuine, when: { verdict: atested }, then: allow }
  - include: rules/common.yaml
  - { name: genuine, when: { verdict: any, methd: GET }, then: alow }
"#;
const COMMON: &str =
    "rules:\n  - name: readers\n    when: { verdict: missing, method: [GET] }\n    then: deprioritise\n";
const CONFIGURATION: &str = r#"assay: 1
listeners:
  public: { address: 127.0.0.1:0 }
state: { dir: state }
upstreams:
  api: { url: "https://api.example.com", concurrency: 0 }
lists:
  offices: { networks: lists/offices.txt }
routes:
  shop:
    match: { path: "/**" }
    upstream: apy
    policy: policies/shop.yaml
"#;
const OFFICES: &str = "203.0.113.0/24\n203.0.113.0/33\n# a comment\nsomewhere\n";

/// File, line and column: what every form has to tell alike.
type Place = (String, u64, u64);

fn files() -> Files {
    let files = Files::new();
    for (name, text) in [
        ("assay.yaml", CONFIGURATION),
        ("policies/shop.yaml", POLICY),
        ("policies/rules/common.yaml", COMMON),
        ("lists/offices.txt", OFFICES),
    ] {
        files.write(name, text);
    }
    files
}

/// Where a word stands for the first time.
fn at(file: &str, text: &str, word: &str) -> Place {
    let (number, line) = text.lines().enumerate().find(|(_, line)| line.contains(word)).unwrap();
    (file.to_owned(), number as u64 + 1, line.find(word).unwrap() as u64 + 1)
}

fn policy_places() -> Vec<Place> {
    let (name, line, column) = at("policies/shop.yaml", POLICY, "genuine, when: { verdict: any");
    let words = ["blok", "ruls", "atested", "methd", "alow"].map(|word| at("policies/shop.yaml", POLICY, word));
    let common = at("policies/rules/common.yaml", COMMON, "deprioritise");
    [common, (name, line, column)].into_iter().chain(words).collect()
}

/// A file by the end of its name: commands may say where it is from the root on.
fn place(file: &str, line: u64, column: u64) -> Place {
    let known = ["policies/shop.yaml", "policies/rules/common.yaml", "lists/offices.txt", "assay.yaml"];
    let name = known.iter().find(|known| file.ends_with(*known)).unwrap_or_else(|| panic!("which file is {file}?"));
    ((*name).to_owned(), line, column)
}

fn told_as_json(ran: &Ran) -> BTreeSet<(Place, String)> {
    let answer = ran.json();
    let problems = answer["problems"].as_array().unwrap();
    let errors = problems.iter().filter(|problem| problem["severity"] == "error");
    errors
        .map(|problem| {
            assert!(!problem["message"].as_str().unwrap().is_empty(), "{problem}");
            let number = |name: &str| problem[name].as_u64().unwrap();
            let place = place(problem["file"].as_str().unwrap(), number("line"), number("column"));
            (place, problem["code"].as_str().unwrap().to_owned())
        })
        .collect()
}

fn told_to_github(ran: &Ran) -> BTreeSet<(Place, String)> {
    let errors = ran.out.lines().filter_map(|line| line.strip_prefix("::error "));
    errors
        .map(|line| {
            let (properties, message) = line.split_once("::").unwrap();
            assert!(!message.is_empty(), "{line}");
            let of = |name: &str| {
                let found = properties.split(',').find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
                found.unwrap_or_else(|| panic!("no {name} in {line}")).to_owned()
            };
            (place(&of("file"), of("line").parse().unwrap(), of("col").parse().unwrap()), of("title"))
        })
        .collect()
}

fn told_as_sarif(ran: &Ran) -> BTreeSet<(Place, String)> {
    let log = ran.json();
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().contains("sarif"), "{log}");
    let run = &log["runs"][0];
    let rules: BTreeSet<&str> =
        run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    let errors = run["results"].as_array().unwrap().iter().filter(|result| result["level"] == "error");
    errors
        .map(|result: &Value| {
            let code = result["ruleId"].as_str().unwrap();
            assert!(rules.contains(code), "{code} is not among {rules:?}");
            assert!(!result["message"]["text"].as_str().unwrap().is_empty());
            let found = &result["locations"][0]["physicalLocation"];
            let number = |name: &str| found["region"][name].as_u64().unwrap();
            let uri = found["artifactLocation"]["uri"].as_str().unwrap();
            (place(uri, number("startLine"), number("startColumn")), code.to_owned())
        })
        .collect()
}

fn every_form_tells(files: &Files, words: &[&str], expected: &[Place]) {
    let run = |format: &'static str| {
        let mut all: Vec<&dyn AsRef<OsStr>> = words.iter().map(|word| word as &dyn AsRef<OsStr>).collect();
        all.extend([&"--format" as &dyn AsRef<OsStr>, &format as &dyn AsRef<OsStr>]);
        assay_in(files.folder(), &all).ends(1)
    };
    let told = told_as_json(&run("json"));
    let places: BTreeSet<&Place> = told.iter().map(|(place, _)| place).collect();
    for place in expected {
        assert!(places.contains(place), "nothing at {place:?} in {told:#?}");
    }
    assert_eq!(places.len(), expected.len(), "{told:#?}");
    assert_eq!(told_to_github(&run("github")), told);
    assert_eq!(told_as_sarif(&run("sarif")), told);
    let human = run("human");
    for (_, line, column) in expected {
        assert!(human.err.contains(&format!(":{line}:{column}")), "{line}:{column}: {}", human.err);
    }
}

#[test]
fn every_form_of_report_tells_all_errors_of_all_files_at_their_places() {
    let files = files();
    every_form_tells(&files, &["policy", "check", "policies/shop.yaml"], &policy_places());
    let mut all = policy_places();
    let (file, line, column) = at("assay.yaml", CONFIGURATION, "concurrency: 0");
    all.extend([
        (file, line, column + 13),
        // Our own tokens are what routes take, and nobody issues any here.
        at("assay.yaml", CONFIGURATION, "shop:"),
        at("assay.yaml", CONFIGURATION, "apy"),
        at("lists/offices.txt", OFFICES, "203.0.113.0/33"),
        at("lists/offices.txt", OFFICES, "somewhere"),
    ]);
    every_form_tells(&files, &["check", "-c", "assay.yaml"], &all);
    assert!(!files.at("state").exists());
}

const GOOD: &str = r#"policy: shop
default: block
rules:
  - { name: genuine, when: { verdict: attested, app_version: { min: "3.2" } }, then: allow }
  - name: readers
    when: { verdict: [missing, bad_signature], method: [GET, HEAD], path: "/v1/catalogue/**" }
    then: { deprioritize: { limits: [{ requests: 60, per: address, window: 1m }] } }
"#;
const CASES: &str = r#"policy: ../policies/shop.yaml
given: { path: /v1/catalogue/7, at: 2027-01-01T00:00:00Z }
cases:
  - { name: the app, given: { verdict: attested, app: shop, app_version: "3.10" }, expect: { rule: genuine, action: allow, class: attested } }
  - { name: a reader, given: { verdict: missing }, expect: { rule: readers, action: deprioritize } }
  - { name: a writer, given: { verdict: missing, method: POST }, expect: { rule: default, action: block } }
"#;

#[test]
fn cases_say_what_a_policy_promises_and_the_exit_code_whether_it_keeps_it() {
    let files = Files::new();
    files.write("policies/shop.yaml", GOOD);
    files.write("tests/shop.yaml", CASES);
    let test = |more: &[&str]| {
        let words = ["policy", "test", "tests/shop.yaml"];
        let all: Vec<&dyn AsRef<OsStr>> = words.iter().chain(more).map(|word| word as &dyn AsRef<OsStr>).collect();
        assay_in(files.folder(), &all)
    };
    let kept = test(&["--min-coverage", "100", "--json"]).ends(0).json();
    assert_eq!((&kept["cases"], &kept["failed"]), (&3.into(), &0.into()), "{kept}");

    // A case for less than all rules: as expected, but too few of them.
    let one: Vec<_> = CASES.lines().filter(|line| !line.contains("a reader")).collect();
    files.write("tests/shop.yaml", one.join("\n"));
    test(&[]).ends(0);
    let missed = test(&["--min-coverage", "100", "--json"]).ends(1).json();
    assert_eq!(missed["coverage"][0]["missed"], serde_json::json!(["readers"]), "{missed}");

    // The policy does something else now: told where the case says it.
    files.write("tests/shop.yaml", CASES);
    files.write("policies/shop.yaml", GOOD.replace("\"3.2\"", "\"3.11\""));
    test(&[]).ends(1).complains(&["the app", "tests/shop.yaml:4:", "3.10"]);
    let github = test(&["--format", "github"]).ends(1);
    assert!(github.out.contains("::error title=") && github.out.contains("file=tests/shop.yaml,line=4"), "{github:?}");

    // What can't be read is neither.
    files.write("policies/shop.yaml", GOOD.replace("default: block", "default: blok"));
    test(&[]).ends(2).complains(&["policies/shop.yaml:2:10"]);
    files.write("policies/shop.yaml", GOOD);
    files.write("tests/shop.yaml", CASES.replace("expect: {", "expects: {"));
    test(&[]).ends(2).complains(&["expect"]);
}
