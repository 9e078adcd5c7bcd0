//! The command line as a contract: four exit codes, one JSON document, all problems at once with their places.

use std::path::Path;

use e2e::command::{Ran, assay, assay_in};
use e2e::files::Files;
use e2e::programs;
use serde_json::Value;

mod keys;
mod policies;
mod tokens;

/// A starter configuration to try commands on.
pub(crate) fn starter() -> (Files, std::path::PathBuf) {
    let files = Files::new();
    assay(&[&"init", &files.at("gw"), &"--dev"]).ends(0);
    let config = files.at("gw/assay.yaml");
    (files, config)
}

/// The answer of a command that stopped: one document that says why, as stderr does.
#[track_caller]
fn error_of(ran: &Ran) -> String {
    let error = ran.json()["error"].as_str().unwrap_or_else(|| panic!("{ran:?}")).to_owned();
    assert!(ran.err.contains(&error), "{ran:?}");
    error
}

#[test]
fn wrong_usage_is_2_and_tells_what_is_right() {
    assay(&[]).ends(2).complains(&["Usage", "demo", "Exit codes"]);
    assay(&[&"nonsense"]).ends(2).complains(&["nonsense", "--help"]);
    assay(&[&"check", &"--colour"]).ends(2).complains(&["--colour"]);
    assay(&[&"demo", &"--flood-seconds", &"0"]).ends(2);
    assay(&[&"run", &"-c", &"/nowhere/assay.yaml"]).ends(2).complains(&["/nowhere/assay.yaml", "assay init"]);
    let files = Files::new();
    let ran = assay_in(files.folder(), &[&"--json", &"check"]).ends(2).complains(&["-c", "init"]);
    assert_eq!(error_of(&ran), "no configuration file");
}

#[test]
fn help_version_schemas_and_completions_are_0_and_on_stdout() {
    assert!(assay(&[&"--version"]).ends(0).out.starts_with("assay "));
    assert!(assay(&[&"--help"]).ends(0).out.contains("Exit codes"));
    assert!(assay(&[&"completions", &"bash"]).ends(0).out.contains("_assay"));
    for of in ["config", "policy"] {
        let plain = assay(&[&"schema", &of]).ends(0).json();
        assert_eq!(plain["$schema"], "http://json-schema.org/draft-07/schema#", "{of}");
        assert!(assay(&[&"--json", &"schema", &of]).ends(0).json() == plain);
        // The one that init writes beside the configuration, and the one in the source.
        let name = if of == "config" { "assay.schema.json" } else { "policy.schema.json" };
        let kept = std::fs::read(programs::root().join("schema").join(name)).unwrap();
        assert!(
            serde_json::from_slice::<Value>(&kept).unwrap() == plain,
            "{name} is not up to date: run `make schema`"
        );
    }
}

#[test]
fn what_can_not_be_found_out_is_3() {
    let ran = assay(&[&"--json", &"status", &"--admin", &"127.0.0.1:1"]).ends(3);
    assert!(error_of(&ran).contains("127.0.0.1:1"));
    let (_files, config) = starter();
    // Its service never ran: there is no key to open a code with.
    let ran = assay(&[&"--json", &"arc", &"decode", &"A".repeat(26), &"-c", &config]).ends(3);
    assert!(error_of(&ran).contains("state"));
}

#[test]
fn check_tells_all_errors_at_once_with_file_line_and_column() {
    let files = Files::new();
    let text = r#"assay: 1
listeners:
  public: { address: 127.0.0.1:99999 }
  admn: { address: 127.0.0.1:0 }
state: { dir: state }
upstreams:
  api: { url: "http://api.example.com", concurrency: 0 }
routes:
  api:
    match: { path: "/a/../b" }
    upstream: apy
    policy: policies/api.yaml
"#;
    files.write("bad.yaml", text);
    files.write(
        "policies/api.yaml",
        "policy: api\ndefault: permit\nrules:\n  - { name: x, when: { verdict: atested }, then: alow }\n",
    );
    let wanted = [
        ("bad.yaml", 3, 22, "127.0.0.1:99999"),
        ("bad.yaml", 4, 3, "admn"),
        ("bad.yaml", 7, 15, "http://api.example.com"),
        ("bad.yaml", 7, 54, "0"),
        ("bad.yaml", 10, 20, "/a/../b"),
        ("bad.yaml", 11, 15, "apy"),
        ("policies/api.yaml", 2, 10, "permit"),
        ("policies/api.yaml", 4, 33, "atested"),
        ("policies/api.yaml", 4, 50, "alow"),
    ];
    let ran = assay_in(files.folder(), &[&"--json", &"check", &"-c", &"bad.yaml"]).ends(1);
    let answer = ran.json();
    assert_eq!(answer["ok"], false);
    let problems = answer["problems"].as_array().unwrap();
    for (file, line, column, word) in wanted {
        let found = problems.iter().find(|problem| {
            Path::new(problem["file"].as_str().unwrap()).ends_with(file)
                && problem["line"] == line
                && problem["column"] == column
        });
        let problem = found.unwrap_or_else(|| panic!("nothing at {file}:{line}:{column} in {problems:#?}"));
        assert!(problem["message"].as_str().unwrap().contains(word), "{problem}");
        assert!(problem["hint"].is_string(), "no remedy: {problem}");
        let place = format!("{}:{line}:{column}", problem["file"].as_str().unwrap());
        assert!(ran.err.contains(&place), "stderr has no {place}");
    }
    // A start refuses the same, in the same words.
    let start = assay_in(files.folder(), &[&"run", &"-c", &"bad.yaml"]).ends(1);
    for (_, line, column, word) in wanted {
        assert!(start.err.contains(&format!(":{line}:{column}")) && start.err.contains(word), "{}", start.err);
    }
    assert!(!files.at("state").exists(), "a refused start makes nothing");
}

#[test]
fn check_says_good_only_of_what_a_start_takes() {
    let (files, config) = starter();
    let good = assay(&[&"--json", &"check", &"-c", &config]).ends(0).json();
    assert_eq!((&good["ok"], good["problems"].as_array().map(Vec::len)), (&true.into(), Some(0)));
    // What only the key store can tell is told, too.
    let store = files.at("gw/keys.sealed");
    let kept = std::fs::read(&store).unwrap();
    std::fs::write(&store, &kept[..kept.len() / 2]).unwrap();
    let bad = assay(&[&"--json", &"check", &"-c", &config]).ends(1).complains(&["keys.sealed"]).json();
    assert_eq!(bad["ok"], false);
    std::fs::remove_file(&store).unwrap();
    assay(&[&"check", &"-c", &config]).ends(1).complains(&["keys.sealed"]);
}

#[test]
fn builds_are_registered_listed_and_retired_and_bad_ones_refused_by_name() {
    let (files, config) = starter();
    let app = programs::sample_app();
    let register = |file: &Path, name: &str, version: &str| {
        assay(&[&"--json", &"app", &"register", &file, &"--name", &name, &"--version", &version, &"-c", &config])
    };
    let script = files.write("script.sh", "#!/bin/sh\n");
    assert!(error_of(&register(&script, "shop", "1.0").ends(1)).contains("script.sh"));
    assert!(error_of(&register(&files.at("absent"), "shop", "1.0").ends(2)).contains("absent"));
    assert!(error_of(&register(&app, "shopp", "1.0").ends(1)).contains("shopp"));
    assert_eq!(assay(&[&"--json", &"app", &"list", &"-c", &config]).ends(0).json()["builds"], serde_json::json!([]));

    let added = register(&app, "shop", "1.0").ends(0).json();
    assert_eq!(added["outcome"], "registered");
    assert!(register(&app, "shop", "1.0").ends(0).json()["outcome"].as_str().unwrap().contains("already"));
    // The same version of something else: neither silently taken nor silently dropped.
    let other = register(&programs::sample_api(), "shop", "1.0");
    let list = assay(&[&"--json", &"app", &"list", &"-c", &config]).ends(0).json();
    let builds = list["builds"].as_array().unwrap();
    assert_eq!(builds.len(), 1 + usize::from(other.code == 0), "{other:?}");
    assert!(builds.iter().any(|build| build["measurement"] == added["measurement"]));

    let retired =
        assay(&[&"--json", &"app", &"retire", &"--name", &"shop", &"--version", &"1.0", &"-c", &config]).ends(0).json();
    assert_eq!(retired["retired"], builds.len());
    let list = assay(&[&"--json", &"app", &"list", &"-c", &config]).ends(0).json();
    assert!(list["builds"].as_array().unwrap().iter().all(|build| build["state"] == "retired"));
}
