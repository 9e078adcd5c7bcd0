//! The story that the README promises, told by the program itself.

use std::collections::BTreeSet;
use std::process::Command;

use e2e::command::{assay, run};
use e2e::files::Files;
use e2e::programs;

#[test]
fn every_scene_comes_out_right() {
    let ran = assay(&[&"demo", &"--once", &"--json", &"--flood-seconds", &"1"]);
    let table = ran.json();
    let rows = table["rows"].as_array().unwrap();
    let wrong: Vec<_> = rows.iter().filter(|row| row["right"] != true).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let scenes: BTreeSet<_> = rows.iter().filter_map(|row| row["scene"].as_u64()).collect();
    assert_eq!(scenes, (1..=14).collect(), "a scene was left out");
    assert_eq!(table["right"], true);
    ran.ends(0);
}

#[test]
fn without_its_sample_programs_it_says_what_is_missing_and_how_to_get_it() {
    let files = Files::new();
    let alone = files.at("assay");
    if std::fs::hard_link(programs::assay(), &alone).is_err() {
        std::fs::copy(programs::assay(), &alone).unwrap();
    }
    let ran = run(Command::new(&alone).args(["demo", "--once", "--json"]), b"");
    ran.ends(3).complains(&["assay-sample-app", "make demo"]).json();
}
