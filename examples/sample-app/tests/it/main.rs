//! The app as a user starts it: the real binary, patched and unpatched, traced and not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod measuring;
mod patching;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const APP: &str = env!("CARGO_BIN_EXE_assay-sample-app");

/// Runs `program` to its end, with an environment that holds nothing of ours.
fn run(program: impl AsRef<Path>, arguments: &[&str]) -> Output {
    Command::new(program.as_ref()).args(arguments).env_clear().output().unwrap()
}

/// The only line that it printed.
fn line(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("not one JSON line: {output:?}"))
}

#[test]
fn refuses_a_wrong_command_line_with_the_word_and_the_usage() {
    let output = run(APP, &["--colour"]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("unknown option --colour") && message.contains("usage:"), "{message}");
}

#[test]
fn a_service_that_may_not_be_used_is_named() {
    let output = run(APP, &["--service", "http://10.1.2.3/assay/v1", "--call", "http://127.0.0.1:1/"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("http://10.1.2.3/assay/v1 is not https"));
}

#[test]
fn a_service_that_is_away_is_said_in_the_fields_words() {
    // A port that was free a moment ago, and on which nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = run(APP, &["--service", &format!("http://127.0.0.1:{port}"), "--call", "http://127.0.0.1:1/v1/paid"]);
    assert_eq!(output.status.code(), Some(3));
    let line = line(&output);
    assert_eq!((&line["error"], &line["status"]), (&Value::from("NO_NETWORK"), &Value::Null));
}
