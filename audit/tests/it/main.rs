//! Audit chains as their users have them: written, read again, and tampered with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests: a wrong assumption ends them"
)]

mod tampering;
mod writing;

use std::fs;
use std::path::{Path, PathBuf};

use attest_core::time::UnixTime;
use audit::{AuditKey, Chain, Change, Event, KeyChange, KeyUse, Limits, Report, WriterName, verify};

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

fn key(byte: u8) -> AuditKey {
    AuditKey::new([byte; 32].into())
}

fn open(dir: &Path, limits: Limits) -> Chain {
    Chain::open(dir, &WriterName::gateway(), key(1), limits, NOW).unwrap()
}

fn used(number: u64) -> Event {
    Event::KeyUse(KeyUse {
        decision: format!("d{number:08}"),
        route: "chat".into(),
        key: "openai".into(),
        version: 3,
        fingerprint: "ab12cd34".into(),
        device: Some("0123456789abcdef".into()),
        status: Some(200),
    })
}

fn change() -> Event {
    Event::KeyChange(KeyChange {
        change: Change::Put,
        key: Some("openai".into()),
        version: Some(1),
        fingerprint: Some("ab12cd34".into()),
        by: "anna".into(),
        detail: None,
    })
}

/// A chain of 20 uses behind its first entry.
fn written(dir: &Path) -> Chain {
    let mut chain = open(dir, Limits::default());
    chain.append_all((0..20).map(|number| (NOW, used(number))).collect()).unwrap();
    chain
}

fn report(dir: &Path) -> Report {
    verify(dir, &key(1), &[]).unwrap()
}

/// The files of chains, in order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = all.filter(|path| path.extension().is_some_and(|end| end == "ndjson")).collect();
    all.sort();
    all
}

fn only_file(dir: &Path) -> PathBuf {
    let files = files(dir);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}
