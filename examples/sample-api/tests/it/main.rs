//! The API as its callers meet it: the real binary, on a free port.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use reqwest::StatusCode;
use serde_json::Value;

const KEY: &str = "sk_test_0123456789abcdef";

/// The running API; ended when dropped.
struct Api {
    process: Child,
    base: String,
    _key_file: tempfile::NamedTempFile,
}

impl Api {
    fn start(more: &[&str]) -> Self {
        let mut key_file = tempfile::NamedTempFile::new().unwrap();
        writeln!(key_file, "{KEY}").unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_assay-sample-api"))
            .args(["--listen", "127.0.0.1:0", "--key-file"])
            .arg(key_file.path())
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let base = format!("http://{}", ready["listening"].as_str().unwrap());
        Self { process, base, _key_file: key_file }
    }

    async fn fetch(&self, path: &str, header: Option<(&str, &str)>) -> reqwest::Response {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.get(format!("{}{path}", self.base));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        request.send().await.unwrap()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn refuses_whoever_lacks_the_key_on_paid_and_on_unknown_paths() {
    let api = Api::start(&[]);
    for path in ["/v1/paid", "/v1/echo", "/v1/stream", "/v1/slow", "/v1/nothing"] {
        assert_eq!(api.fetch(path, None).await.status(), StatusCode::UNAUTHORIZED, "{path}");
        let wrong = api.fetch(path, Some(("x-api-key", "sk_test_0123456789abcdeX"))).await;
        assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(api.fetch("/v1/nothing", Some(("x-api-key", KEY))).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn counts_paid_calls_and_leaves_the_catalogue_open() {
    let api = Api::start(&[]);
    for expected in 1..=2 {
        let answer = api.fetch("/v1/paid", Some(("x-api-key", KEY))).await;
        assert_eq!(answer.json::<Value>().await.unwrap(), serde_json::json!({ "paid": true, "calls": expected }));
    }
    assert_eq!(api.fetch("/v1/catalogue/items", None).await.status(), StatusCode::OK);
    assert_eq!(api.fetch("/open/hello", None).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn echoes_the_key_it_saw_in_body_and_header() {
    let api = Api::start(&[]);
    let answer = api.fetch("/v1/echo?q=1", Some(("x-api-key", KEY))).await;
    assert_eq!(answer.headers()["x-echo-key"], KEY);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["headers"]["x-api-key"][0], KEY);
    assert_eq!(body["path"], "/v1/echo?q=1");
}

#[tokio::test]
async fn takes_a_bearer_key_where_the_header_is_authorization() {
    let api = Api::start(&["--header", "authorization"]);
    let bearer = format!("Bearer {KEY}");
    assert_eq!(api.fetch("/v1/paid", Some(("authorization", &bearer))).await.status(), StatusCode::OK);
    assert_eq!(api.fetch("/v1/paid", Some(("authorization", KEY))).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn sends_events_one_by_one_with_their_send_times() {
    let api = Api::start(&[]);
    let mut answer = api.fetch("/v1/stream?n=3&ms=20", Some(("x-api-key", KEY))).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let times: Vec<u64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str::<Value>(data).unwrap()["sent_ms"].as_u64().unwrap())
        .collect();
    assert_eq!(times.len(), 3);
    assert!(times[2] - times[0] >= 40, "{times:?}");
}

#[test]
fn names_what_is_wrong_with_the_command_line() {
    let output = Command::new(env!("CARGO_BIN_EXE_assay-sample-api"))
        .args(["--listen", "127.0.0.1:0", "--key-file", "/nonexistent/key"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent/key"));
    let output = Command::new(env!("CARGO_BIN_EXE_assay-sample-api")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
