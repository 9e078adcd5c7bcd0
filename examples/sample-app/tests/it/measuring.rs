//! The measurement from memory against the measurement of the file, and what changes it.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use attest_client::measure;
use serde_json::Value;

use super::patching::licence_place;
use super::{APP, line, run};

#[test]
fn the_running_app_measures_as_its_file_does() {
    let line = line(&run(APP, &["--measure"]));
    assert_eq!(line["measurement"], measure::file(APP).unwrap().to_text());
}

/// This test program is linked at a fixed address (see build.rs): `e_type` 2 is `ET_EXEC`, elf(5).
#[test]
fn a_program_at_a_fixed_address_measures_as_its_file_does() {
    let program = std::env::current_exe().unwrap();
    let mut head = [0; 18];
    fs::File::open(&program).unwrap().read_exact(&mut head).unwrap();
    assert_eq!(head[16], 2, "not linked at a fixed address");
    assert_eq!(measure::self_image().unwrap().to_text(), measure::file(program).unwrap().to_text());
}

#[test]
fn a_breakpoint_written_into_the_running_app_changes_its_measurement() {
    let mut app = Command::new(APP)
        .args(["--wait", "--measure"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(app.stdout.take().unwrap()).lines();
    let ready: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(ready["ready"], app.id());

    // What a debugger does, through the same door of the kernel: a private copy of the page, the file untouched.
    let maps = fs::read_to_string(format!("/proc/{}/maps", app.id())).unwrap();
    let base = u64::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap();
    let memory = OpenOptions::new().write(true).open(format!("/proc/{}/mem", app.id())).unwrap();
    memory.write_all_at(&[0xCC], base + licence_place(&fs::read(APP).unwrap()).address).unwrap();

    app.stdin.take().unwrap().write_all(b"\n").unwrap();
    let measured: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert!(app.wait().unwrap().success());
    assert_eq!(measured["measurement"].as_str().unwrap().len(), "sha256:".len() + 64);
    assert_ne!(measured["measurement"], measure::file(APP).unwrap().to_text());
}

#[test]
fn a_preloaded_library_is_a_finding_and_its_absence_is_none() {
    let has = |line: &Value| line["findings"].as_array().unwrap().contains(&"injected-library:preload".into());
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let library =
        maps.split_ascii_whitespace().find(|word| word.contains("/libc.so")).expect("linked with a C library");
    let preloaded = Command::new(APP).arg("--measure").env_clear().env("LD_PRELOAD", library).output().unwrap();
    assert!(has(&line(&preloaded)));
    assert!(!has(&line(&run(APP, &["--measure"]))));
}
