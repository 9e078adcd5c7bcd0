//! Published vectors of gunicorn and llhttp: what they call invalid never reaches an upstream as a whole request.
//!
//! Each case is sent on a connection of its own, all at once, and its client waits for an answer or the end. A clean
//! request behind them all is the last that the upstream sees; what it saw before is a leak.
//!
//! On purpose different, each with its reason, in [`LIMITS_OF_OTHERS`] and [`NOT_ERRORS_HERE`].

use std::{fs, sync::Arc, time::Duration};

use data_encoding::BASE64;
use tokio::io::AsyncWriteExt;

use super::kit::{Gateway, How, Upstream, Whole, soon, vectors};

/// gunicorn calls these invalid for limits or tastes of its own.
const LIMITS_OF_OTHERS: &[(&str, &str)] = &[
    ("006", "a target of over 4,094 bytes; our head limit is 32 KiB"),
    ("007", "a field of over 4,094 bytes under its test's settings"),
    ("008", "a field of over 4,094 bytes under its test's settings"),
    ("009", "over 2 fields under its test's settings"),
    ("017", "a field of over 10 bytes under its test's settings"),
    ("limit_header_default_01", "a field of over 8,190 bytes; our head limit is 32 KiB"),
    ("011", "`Host: 0.0.0.0=5000` is a name by RFC 3986, and its own valid/002; routing knows no such host"),
    ("012", "the same"),
    ("019", "contradictory X-Forwarded-*: those are the stages' to judge, by who sends them"),
    ("041", "two Content-Types: no framing and no routing hangs on them"),
];

/// llhttp reports these as errors, and they are none of the request's.
const NOT_ERRORS_HERE: &[(&str, &str)] = &[
    ("Pause on CONNECT/Upgrade", "its parser pauses for the caller's decision"),
    ("Data after `Connection: close`", "the first request is sound and served; what follows is never read"),
];

/// Sends the cases; answers what the upstream saw of them as whole requests.
async fn leaks(cases: Vec<Vec<u8>>) -> Vec<Whole> {
    let mut upstream = Upstream::start().await;
    let mut how = How::default();
    // A case that is merely unfinished is over when its time is.
    (how.limits.head_timeout, how.limits.body_timeout) = (Duration::from_millis(500), Duration::from_millis(500));
    let gateway = Arc::new(Gateway::start(upstream.address, how));
    let clients: Vec<_> = cases
        .into_iter()
        .map(|case| {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move {
                let mut client = gateway.connect().await;
                // A gateway that has refused already may answer a late write with a reset.
                let _ = client.io.write_all(&case).await;
                client.whatever().await;
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let mut clean = gateway.connect().await;
    clean.send("GET /clean HTTP/1.1\r\nHost: clean\r\n\r\n").await;
    assert_eq!(clean.response().await, (200, "GET /clean 0".into()));
    let mut leaked = Vec::new();
    loop {
        match soon(upstream.whole.recv()).await.unwrap() {
            whole if whole.target == "/clean" => return leaked,
            whole => leaked.push(whole),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gunicorns_invalid_requests_reach_no_upstream() {
    let Some(folder) = vectors("09-http1-gunicorn") else { return };
    let ours = |name: &str| LIMITS_OF_OTHERS.iter().all(|(other, _)| *other != name);
    let cases: Vec<_> = fs::read_dir(folder.join("raw/invalid"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| ours(&path.file_stem().unwrap().to_string_lossy()))
        .map(|path| fs::read(path).unwrap())
        .collect();
    assert_eq!(cases.len(), 37);
    assert_eq!(leaks(cases).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn llhttps_invalid_requests_reach_no_upstream() {
    let Some(folder) = vectors("11-http1-llhttp") else { return };
    let cases: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let ours = |error: &str| NOT_ERRORS_HERE.iter().all(|(other, _)| !error.contains(other));
    let cases: Vec<_> = cases
        .iter()
        .filter(|case| case["type"] == "request" && case["lenient"] == false)
        .filter(|case| case["upstream_error"].as_str().is_some_and(ours))
        .map(|case| BASE64.decode(case["input_b64"].as_str().unwrap().as_bytes()).unwrap())
        .collect();
    assert_eq!(cases.len(), 53);
    assert_eq!(leaks(cases).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_closing_request_is_never_served() {
    let mut upstream = Upstream::start().await;
    let gateway = Gateway::before(upstream.address);
    for first in ["GET /first HTTP/1.0\r\n\r\n", "GET /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"] {
        let mut client = gateway.connect().await;
        client.send(format!("{first}GET /second HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert!(client.rest().await.ends_with("GET /first 0"));
        assert_eq!(soon(upstream.whole.recv()).await.unwrap().target, "/first");
    }
    assert!(upstream.whole.try_recv().is_err());
}
