//! Whatever is done to the files by somebody without the key shows, by name and number.

use std::fs;
use std::path::Path;

use audit::{Fault, Limits, Report, verify};
use proptest::prelude::*;

use super::{NOW, files, key, only_file, open, report, used, written};

/// The lines of the only file, changed.
fn tampered(dir: &Path, how: impl FnOnce(&mut Vec<String>)) -> Report {
    let path = only_file(dir);
    let mut lines: Vec<String> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    how(&mut lines);
    fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    report(dir)
}

fn faults(report: &Report) -> Vec<(u64, Fault)> {
    assert_eq!(report.intact, report.problems.is_empty());
    report.problems.iter().map(|problem| (problem.number, problem.fault.clone())).collect()
}

fn chain() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    drop(written(dir.path()));
    assert!(report(dir.path()).intact);
    dir
}

#[test]
fn a_changed_entry() {
    let dir = chain();
    let report = tampered(dir.path(), |lines| lines[6] = lines[6].replace("openai", "others"));
    assert_eq!(faults(&report), [(7, Fault::Changed)]);
}

#[test]
fn a_dropped_entry_and_several() {
    let dir = chain();
    let report = tampered(dir.path(), |lines| drop(lines.remove(6)));
    assert_eq!(faults(&report), [(7, Fault::Dropped { through: 7 })]);
    let dir = chain();
    let report = tampered(dir.path(), |lines| drop(lines.drain(..4)));
    assert_eq!(faults(&report), [(1, Fault::Dropped { through: 4 })]);
}

#[test]
fn reordered_entries() {
    let dir = chain();
    let report = tampered(dir.path(), |lines| lines.swap(6, 7));
    assert!(faults(&report).iter().all(|(_, fault)| *fault == Fault::Reordered), "{report:?}");
    assert!(!report.intact);
}

#[test]
fn an_entry_twice_and_one_put_in() {
    let dir = chain();
    let report = tampered(dir.path(), |lines| lines.insert(7, lines[6].clone()));
    assert_eq!(faults(&report), [(7, Fault::Repeated)]);
    let dir = chain();
    let report = tampered(dir.path(), |lines| lines.insert(7, lines[6].replace("200", "403")));
    assert_eq!(faults(&report), [(8, Fault::Changed)]);
}

#[test]
fn an_end_that_was_cut_off_shows_against_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = written(dir.path()).checkpoint(NOW);
    let unanchored = tampered(dir.path(), |lines| lines.truncate(15));
    assert!(unanchored.intact, "without a checkpoint nobody can know");
    let report = verify(dir.path(), &key(1), std::slice::from_ref(&checkpoint)).unwrap();
    assert_eq!(faults(&report), [(16, Fault::Cut { through: 21 })]);
    // Writing on does not make it good.
    let mut chain = open(dir.path(), Limits::default());
    chain.append_all((0..30).map(|number| (NOW, used(number))).collect()).unwrap();
    let report = verify(dir.path(), &key(1), &[checkpoint]).unwrap();
    assert_eq!(faults(&report), [(21, Fault::Rewritten)]);
}

#[test]
fn a_chain_that_is_gone_and_a_forged_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = written(dir.path()).checkpoint(NOW);
    let mut forged = checkpoint.clone();
    forged.checkpoint.count = 3;
    let report = verify(dir.path(), &key(1), &[forged]).unwrap();
    assert_eq!(faults(&report), [(3, Fault::ForgedCheckpoint)]);
    files(dir.path()).into_iter().for_each(|path| fs::remove_file(path).unwrap());
    let report = verify(dir.path(), &key(1), &[checkpoint]).unwrap();
    assert_eq!(faults(&report), [(21, Fault::NoChain)]);
}

#[test]
fn entries_of_another_writer_do_not_pass_as_ones_own() {
    let dir = chain();
    let renamed = dir.path().join("keys.00000000000000000001.ndjson");
    fs::rename(only_file(dir.path()), renamed).unwrap();
    assert!(!report(dir.path()).intact);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_flipped_bit_shows(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let dir = chain();
        let path = only_file(dir.path());
        let mut text = fs::read(&path).unwrap();
        // A line feed at the very end that is something else leaves a torn line, which is cut, not forged.
        let at = at.index(text.len() - 1);
        text[at] ^= 1 << bit;
        fs::write(&path, text).unwrap();
        prop_assert!(!report(dir.path()).intact);
    }

    #[test]
    fn no_bytes_make_it_stumble(text in prop::collection::vec(any::<u8>(), 0..400)) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("gateway.00000000000000000001.ndjson"), &text).unwrap();
        let found = report(dir.path());
        prop_assert!(!found.intact || !text.contains(&b'\n'));
    }
}
