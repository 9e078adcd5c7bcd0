//! The measurement in the app: CPU time for a program with a library of 50 MB, and for the findings beside it.
//!
//! Makes the library with the C compiler, then starts itself anew with it loaded, so that what is measured is a
//! process's own memory, as in an app. One round a line: the first one also brings the pages in.

#![allow(clippy::expect_used, reason = "a bench: a panic stops it")]

use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use rustix::time::{ClockId, clock_gettime};

const LIBRARY: &str = "libfifty.so";
const MEGABYTES: usize = 50;
const CHILD: &str = "ASSAY_BENCH_MEASURE";
const ROUNDS: usize = 21;

fn main() {
    if std::env::var_os(CHILD).is_some() {
        return rounds();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let library = make(folder.path());
    let own = std::env::current_exe().expect("a program");
    let status = Command::new(own).env(CHILD, "1").env("LD_PRELOAD", library).status().expect("a child");
    assert!(status.success());
}

/// A library of 50 MB of code that nobody calls: bytes that no page shares with another.
fn make(folder: &Path) -> std::path::PathBuf {
    let mut state = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32).to_le_bytes()
    })
    .take(MEGABYTES * 1_000_000 / 8)
    .flatten()
    .collect();
    let (code, source, library) = (folder.join("code"), folder.join("code.s"), folder.join(LIBRARY));
    std::fs::write(&code, bytes).expect("written");
    let text = format!(".text\n.incbin \"{}\"\n.section .note.GNU-stack,\"\"\n", code.display());
    std::fs::write(&source, text).expect("written");
    let built = Command::new("cc").args(["-shared", "-nostdlib", "-o"]).args([&library, &source]).status();
    assert!(built.expect("a C compiler").success());
    library
}

fn rounds() {
    // The findings tell of the preload, and of nothing else that would cost more or less.
    let mut image = Vec::new();
    let mut found = Vec::new();
    for _ in 0..ROUNDS {
        let measured = || black_box(attest_client::measure::self_image_with(&[LIBRARY]));
        image.push(cpu_ms(|| assert!(measured().is_ok())));
        found.push(cpu_ms(|| drop(black_box(attest_client::findings()))));
    }
    say("program and a library of 50 MB", &image);
    say("findings", &found);
}

/// CPU time of this thread, user and system.
fn cpu_ms(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
    };
    let before = now();
    work();
    now() - before
}

fn say(what: &str, rounds: &[f64]) {
    let first = rounds.first().copied().unwrap_or_default();
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
    println!(
        "{what}: CPU {:.1} ms (median of {}; first {first:.1}, {:.1}..{:.1})",
        at(sorted.len() / 2),
        sorted.len(),
        at(0),
        at(sorted.len().saturating_sub(1)),
    );
}
