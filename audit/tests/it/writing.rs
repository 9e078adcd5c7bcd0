//! One writer at a time, whole lines, a bounded log that goes on over restarts and rotations.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use audit::{AuditError, Chain, Event, Limits, WriterName, ends, verify};

use super::{NOW, change, files, key, only_file, open, report, used, written};

#[test]
fn refuses_a_second_writer_of_the_same_chain() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), Limits::default());
    let second = Chain::open(dir.path(), &WriterName::gateway(), key(1), Limits::default(), NOW);
    assert!(matches!(second.unwrap_err(), AuditError::Locked { .. }));
    let beside = Chain::open_free(dir.path(), &WriterName::gateway(), &key(1), Limits::default(), NOW).unwrap();
    assert_eq!(beside.writer().as_str(), "gateway-2");
    drop(first);
    assert_eq!(open(dir.path(), Limits::default()).writer().as_str(), "gateway");
}

#[test]
fn refuses_what_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.path().join("keys.00000000000000000001.ndjson")).unwrap();
    let error = Chain::open(dir.path(), &WriterName::keys(), key(1), Limits::default(), NOW).unwrap_err();
    assert!(error.to_string().contains("a link"), "{error}");
    let elsewhere = dir.path().join("elsewhere");
    let link = dir.path().join("gateway.00000000000000000001.ndjson");
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    assert!(Chain::open(dir.path(), &WriterName::gateway(), key(1), Limits::default(), NOW).is_err());
    assert!(!elsewhere.exists(), "a link is not written through");
}

#[test]
fn a_folder_that_cannot_be_made_is_told_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Chain::open(&file.join("audit"), &WriterName::keys(), key(1), Limits::default(), NOW).unwrap_err();
    assert!(error.to_string().contains("file/audit"), "{error}");
}

#[test]
fn files_are_for_their_owner_alone_and_lines_are_json() {
    let dir = tempfile::tempdir().unwrap();
    let audit = dir.path().join("state/audit");
    let mut chain = open(&audit, Limits::default());
    assert_eq!(chain.append(NOW, change()).unwrap(), 2);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&audit), mode(&only_file(&audit))), (0o700, 0o600));
    let text = fs::read_to_string(only_file(&audit)).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&line["number"], &line["what"], &line["change"]), (&2.into(), &"key_change".into(), &"put".into()));
    assert_eq!((&line["key"], &line["by"], &line["writer"]), (&"openai".into(), &"anna".into(), &"gateway".into()));
    assert_eq!(line["at"], 1_790_000_000_000_i64);
}

#[test]
fn a_chain_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let count = written(dir.path()).count();
    let mut again = open(dir.path(), Limits::default());
    assert!(again.found().is_none());
    assert_eq!(again.append(NOW, used(99)).unwrap(), count + 2);
    let report = report(dir.path());
    assert!(report.intact, "{report:?}");
    assert_eq!((report.writers[0].first, report.writers[0].last), (1, count + 2));
}

#[test]
fn a_line_that_a_kill_tore_is_cut_off_and_said() {
    let dir = tempfile::tempdir().unwrap();
    drop(written(dir.path()));
    OpenOptions::new()
        .append(true)
        .open(only_file(dir.path()))
        .unwrap()
        .write_all(b"{\"number\":22,\"at\":17")
        .unwrap();
    let before = report(dir.path());
    assert!(before.intact, "nothing was done in its name: {before:?}");
    assert_eq!(before.writers[0].torn, 20);
    let again = open(dir.path(), Limits::default());
    assert!(again.found().unwrap().contains("20 bytes"));
    let after = report(dir.path());
    assert!(after.intact && after.writers[0].torn == 0, "{after:?}");
}

#[test]
fn a_chain_goes_on_after_damage_and_the_damage_stays_visible() {
    let dir = tempfile::tempdir().unwrap();
    drop(written(dir.path()));
    let path = only_file(dir.path());
    let text = fs::read_to_string(&path).unwrap().replace("d00000019", "d00000091");
    fs::write(&path, text).unwrap();
    let mut again = open(dir.path(), Limits::default());
    assert!(again.found().unwrap().contains("number 21"), "{:?}", again.found());
    again.append(NOW, used(1)).unwrap();
    let report = report(dir.path());
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert_eq!(report.problems[0].number, 21);
}

/// A kill between making the next file and writing its first line.
#[test]
fn a_file_that_was_begun_and_not_written_breaks_no_chain() {
    for torn in ["", "{\"number\":22,\"at\":17"] {
        let dir = tempfile::tempdir().unwrap();
        let count = written(dir.path()).count();
        let begun = dir.path().join(format!("gateway.{:020}.ndjson", count + 1));
        fs::write(&begun, torn).unwrap();
        let mut again = open(dir.path(), Limits::default());
        assert_eq!(again.found().is_some(), !torn.is_empty(), "{:?}", again.found());
        assert_eq!(again.append(NOW, used(1)).unwrap(), count + 2);
        let report = report(dir.path());
        assert!(report.intact, "{report:?}");
        assert_eq!(report.writers[0].last, count + 2);
    }
}

#[test]
fn a_file_whose_lines_are_gone_is_told_and_stays_visible() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { segment_bytes: 64 << 10, segments: 3 };
    let mut chain = open(dir.path(), limits);
    for _ in 0..20 {
        chain.append_all((0..20).map(|number| (NOW, used(number))).collect()).unwrap();
    }
    drop(chain);
    let found = files(dir.path());
    // Of the last two, the lines of one: the other's end is not where the last begins.
    fs::write(&found[found.len() - 1], "").unwrap();
    let before = fs::read_to_string(&found[found.len() - 2]).unwrap();
    let cut = before.trim_end().rfind('\n').unwrap() + 1;
    fs::write(&found[found.len() - 2], &before[..cut]).unwrap();
    let chain = open(dir.path(), limits);
    assert!(chain.found().unwrap().contains("no line"), "{:?}", chain.found());
    drop(chain);
    assert!(!report(dir.path()).intact);
}

#[test]
fn the_ends_of_all_chains_can_be_told_by_who_holds_the_key() {
    let dir = tempfile::tempdir().unwrap();
    assert!(ends(&dir.path().join("nothing"), &key(1), NOW).unwrap().is_empty());
    let gateway = written(dir.path());
    let keys = Chain::open(dir.path(), &WriterName::keys(), key(1), Limits::default(), NOW).unwrap();
    assert_eq!(ends(dir.path(), &key(1), NOW).unwrap(), [gateway.checkpoint(NOW), keys.checkpoint(NOW)]);
    assert!(ends(dir.path(), &key(2), NOW).unwrap().is_empty(), "what can't be proven is not told");
}

#[test]
fn the_log_is_bounded_and_says_what_it_forgot() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { segment_bytes: 64 << 10, segments: 3 };
    let mut chain = open(dir.path(), limits);
    let first = chain.checkpoint(NOW);
    for _ in 0..60 {
        chain.append_all((0..20).map(|number| (NOW, used(number))).collect()).unwrap();
    }
    let found = files(dir.path());
    let bytes: u64 = found.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(found.len() == 3 && bytes <= 3 * (64 << 10), "{} files of {bytes} bytes", found.len());
    let checkpoint = chain.checkpoint(NOW);
    let report = verify(dir.path(), &key(1), &[checkpoint, first]).unwrap();
    assert!(report.intact, "{report:?}");
    let writer = &report.writers[0];
    assert!(writer.first > 1 && writer.last == chain.count(), "{writer:?}");
    assert_eq!((writer.checkpoints, writer.too_old), (1, 1));
    // Only what was forgotten may be missing.
    fs::remove_file(&found[0]).unwrap();
    let report = verify(dir.path(), &key(1), &[]).unwrap();
    assert!(!report.intact && report.problems[0].fault.to_string().contains("dropped"), "{report:?}");
}

#[test]
fn a_chain_that_another_store_began_is_told_by_its_key() {
    let dir = tempfile::tempdir().unwrap();
    drop(written(dir.path()));
    let chain = Chain::open(dir.path(), &WriterName::gateway(), key(7), Limits::default(), NOW).unwrap();
    assert!(chain.found().is_some());
    drop(chain);
    let report = verify(dir.path(), &key(7), &[]).unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert!(report.problems[0].fault.to_string().contains(key(1).id()), "{report:?}");
}

#[test]
fn long_texts_are_cut_and_no_text_breaks_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = open(dir.path(), Limits::default());
    let Event::KeyChange(mut wide) = change() else { unreachable!() };
    wide.by = "\n\"},\u{0}é".repeat(200);
    wide.detail = Some("x".repeat(100_000));
    chain.append(NOW, Event::KeyChange(wide)).unwrap();
    let text = fs::read_to_string(only_file(dir.path())).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(text.len() < 8_000, "{}", text.len());
    assert!(report(dir.path()).intact);
}
