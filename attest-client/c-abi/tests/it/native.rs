//! The C example, compiled as its Makefile does and run against a Verifier; plainly, patched, and with
//! AddressSanitizer and LeakSanitizer. (Not under valgrind: rustix reads the auxiliary vector by `prctl`, which valgrind
//! passes through, and follows the vDSO's address into nothing.)

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use attest_core::verdict::Verdict;

use crate::verifier::Verifier;

/// The folder of `libassay_sdk.so`, which cargo builds before the tests.
pub(crate) fn library_folder() -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    assert!(folder.join("libassay_sdk.so").is_file(), "{}: no libassay_sdk.so", folder.display());
    folder
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

pub(crate) fn header_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

/// Whether a program is there; says so where it is not.
pub(crate) fn has(program: &str) -> bool {
    let answers = |flag| Command::new(program).arg(flag).output().is_ok_and(|output| output.status.success());
    // Kotlin's compiler knows only the second.
    let there = answers("--version") || answers("-version");
    if !there {
        eprintln!("skipped: no {program} here");
    }
    there
}

pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Compiles the example into `folder`.
fn compile(folder: &Path, more: &[&str]) -> PathBuf {
    let program = folder.join("example");
    let library = library_folder();
    run(Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-pthread"])
        .args(more)
        .arg("-I")
        .arg(header_folder())
        .arg(root().join("examples/sdk/c/example.c"))
        .arg("-o")
        .arg(&program)
        .arg("-L")
        .arg(&library)
        .arg("-lassay_sdk")
        .arg(format!("-Wl,-rpath,{}", library.display())));
    program
}

fn value<'a>(output: &'a str, name: &str) -> &'a str {
    output
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_else(|| panic!("no {name} in {output}"))
}

#[test]
fn the_example_gets_tokens_that_verify() {
    if !has("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = compile(folder.path(), &[]);
    let verifier = Verifier::start(&[&program]);
    let storage = folder.path().join("storage");
    let example = || {
        let output =
            run(Command::new(&program).args([&verifier.url, "shop", "3.2.0"]).arg(&storage).arg("--show-tokens"));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = example();
    assert_eq!(value(&first, "status"), "SUCCESS");
    assert_eq!(verifier.verdict(value(&first, "token"), None), Verdict::Attested);
    let bound = value(&first, "bound token");
    assert_eq!(verifier.verdict(bound, Some(b"Bearer alice")), Verdict::Attested);
    assert_eq!(verifier.verdict(bound, Some(b"Bearer bob")), Verdict::BindingMismatch);
    assert_eq!(value(&first, "after 401"), "RETRY");
    assert_ne!(value(&first, "token"), value(&first, "token after 401"));
    assert_eq!(verifier.verdict(value(&first, "renewed token"), None), Verdict::Attested);

    let device = *verifier.last_request().device_key.as_bytes();
    example();
    let requests_device = verifier.last_request().previous.unwrap().device_key;
    assert_eq!(requests_device.as_bytes(), &device, "the renewed key is the one of the next start");
}

#[test]
fn a_patched_example_is_told_nothing_and_fails_at_the_gateway() {
    if !has("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = compile(folder.path(), &[]);
    let verifier = Verifier::start(&[&program]);
    let mut bytes = std::fs::read(&program).unwrap();
    // The text that it prints before the status.
    let at = bytes.windows(9).position(|window| window == b"status: %").unwrap();
    bytes[at] = b'S';
    std::fs::write(&program, bytes).unwrap();
    let output = run(Command::new(&program)
        .args([&verifier.url, "shop", "3.2.0"])
        .arg(folder.path().join("storage"))
        .arg("--show-tokens"));
    let output = String::from_utf8(output.stdout).unwrap();
    assert_eq!(value(&output, "Status"), "SUCCESS");
    assert_eq!(verifier.verdict(value(&output, "token"), None), Verdict::Failed);
}

#[test]
fn the_example_is_clean_under_address_sanitizer() {
    if !has("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, probe) = (folder.path().join("probe.c"), folder.path().join("probe"));
    std::fs::write(&source, "int main(void) { return 0; }").unwrap();
    let linked = Command::new("cc").arg("-fsanitize=address").arg(&source).arg("-o").arg(&probe).output();
    if !linked.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this cc has no AddressSanitizer");
        return;
    }
    // LeakSanitizer stops a process with ptrace, which containers may deny; it fails then, of itself.
    let options = |leaks: bool| format!("detect_leaks={}:halt_on_error=1", u8::from(leaks));
    let leaks = Command::new(&probe).env("ASAN_OPTIONS", options(true)).output().unwrap().status.success();
    if !leaks {
        eprintln!("without leaks: LeakSanitizer can't run here");
    }
    let program = compile(folder.path(), &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
    let verifier = Verifier::start(&[&program]);
    run(Command::new(&program)
        .args([&verifier.url, "shop", "3.2.0"])
        .arg(folder.path().join("storage"))
        .env("ASAN_OPTIONS", options(leaks)));
    assert!(verifier.count() >= 3);
}
