//! In: the name of a server program. Out: its path, or one line that says it is missing; a port that was free.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The first of `names` that lies in PATH or in one of `folders`.
pub(crate) fn find(names: &[&str], folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let searched: Vec<PathBuf> = std::env::split_paths(&path).chain(folders.iter().cloned()).collect();
    names.iter().find_map(|name| searched.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

/// Debian keeps PostgreSQL's programs out of PATH, one folder a version; the newest first.
pub(crate) fn postgres_folders() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((number(&entry.file_name())?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

fn number(name: &OsStr) -> Option<u32> {
    name.to_str()?.parse().ok()
}

/// Says once per program and process that tests are skipped. Straight to stderr: the harness hides what `eprintln!`
/// prints in a test that passes.
pub(crate) fn say_skipped(program: &'static str) {
    static SAID: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap().insert(program) {
        let _ = writeln!(std::io::stderr(), "skipped: no {program} installed (`scripts/setup tests` installs it)");
    }
}

/// A port of 127.0.0.1 that was free a moment ago. Another process may take it first: whoever starts a server on it
/// tries again.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// The end of a log file, for the message of a failed test.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
