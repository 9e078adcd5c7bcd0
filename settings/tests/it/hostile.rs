//! Files that were not written by a friend: refused fast, whole, and without a panic.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::folder::{Folder, GOOD};

fn refused_fast(text: impl AsRef<[u8]>) -> String {
    let folder = Folder::new();
    let start = Instant::now();
    let report = folder.load(text).expect_err("refused").to_string();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(report.len() < 64 * 1024, "a report of {} bytes", report.len());
    report
}

#[test]
fn ten_megabytes_are_refused_fast() {
    assert!(refused_fast("#".repeat(10 << 20)).contains("bytes"));
    assert!(refused_fast(format!("assay: [{}]", "1,".repeat(5 << 20))).contains("bytes"));
}

#[test]
fn deep_nesting_is_refused_fast() {
    refused_fast("[".repeat(200_000));
    refused_fast("{a: ".repeat(50_000));
    let mut steps = String::new();
    for depth in 0..600 {
        steps.push_str(&" ".repeat(depth));
        steps.push_str("a:\n");
    }
    refused_fast(steps);
}

#[test]
fn alias_bombs_are_refused_fast() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let many = format!("*a{}, ", level - 1).repeat(9);
        laughs.push_str(&format!("a{level}: &a{level} [{many}]\n"));
    }
    refused_fast(laughs);
    refused_fast("a: &a { b: *a }\n");
    refused_fast("x: &x { y: 1 }\nlisteners:\n  <<: *x\n");
}

#[test]
fn a_table_of_thousands_of_wrong_rows_is_reported_and_bounded() {
    let rows: String = (0..4_000).map(|n| format!("  r{n}: {{ x: 1 }}\n")).collect();
    let folder = Folder::new();
    let start = Instant::now();
    let report = folder.load(format!("assay: 1\nroutes:\n{rows}")).expect_err("refused");
    assert!(report.problems.len() <= settings::MAX_PROBLEMS + 1, "{}", report.problems.len());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let _ = report.to_string();
}

#[test]
fn not_text_and_nothing_are_refused_with_a_remedy() {
    refused_fast([0xff, 0xfe, 0x00]);
    refused_fast("");
    refused_fast("\0");
    refused_fast("just a sentence");
    refused_fast("- a\n- b\n");
    let folder = Folder::new();
    let report = settings::load(&folder.path("none.yaml"), &settings::Overrides::default()).err().unwrap();
    assert!(report.to_string().contains("does not exist") && report.to_string().contains("assay init"));
    assert_eq!(report.sources, [folder.path("none.yaml")]);
    assert!(settings::load(folder.root(), &settings::Overrides::default()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Folder::new().load(bytes).map_err(|report| report.to_string());
    }

    #[test]
    fn a_good_file_with_one_piece_changed_never_panics(at in 0..GOOD.len(), cut in 0..12_usize, new in "[ -~\n*&>|{}\\[\\]é]{0,6}") {
        let end = (at + cut).min(GOOD.len());
        let text = format!("{}{new}{}", &GOOD[..at], &GOOD[end..]);
        if let Err(report) = Folder::new().load(text) {
            prop_assert!(!report.problems.is_empty());
            let _ = report.to_string();
        }
    }
}
