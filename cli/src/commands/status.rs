//! `assay status`: what a running gateway says of itself.
//!
//! In: the admin listener of the configuration, or an address. Out: its `/status`; in words, or with `--json` as it is.

use crate::args::Status;
use crate::commands::config;
use crate::output::{End, Output, Stop};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// Asks the gateway.
pub(crate) async fn run(args: &Status, output: Output) -> Result<End, Stop> {
    let (address, token_file) = match args.admin {
        Some(address) => (address, args.token_file.clone()),
        None => listener(args)?,
    };
    let token = token_file.as_ref().map(std::fs::read_to_string).transpose();
    let token = token.map_err(|e| Stop::usage(format!("the admin token: {e}")))?;
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
    let client = client.map_err(|e| silent(address, &e))?;
    let mut request = client.get(format!("http://{address}/status"));
    if let Some(token) = token {
        request = request.bearer_auth(token.trim());
    }
    let answer = request.send().await.map_err(|e| silent(address, &e))?;
    if !answer.status().is_success() {
        let stop = Stop::unknown(format!("the gateway at {address} answered {}", answer.status()));
        return Err(match answer.status().as_u16() {
            404 => stop.hint("a service alone has no status: GET {attestation.serve.path}/health, and /metrics here"),
            401 => stop.hint("its token: --token-file FILE beside --admin, or token_file in the configuration"),
            _ => stop,
        });
    }
    let status: Value = answer.json().await.map_err(|e| silent(address, &e))?;
    output.answer(&status, || show(&status));
    Ok(End::Yes)
}

/// The admin listener of the configuration, and the file with its token.
fn listener(args: &Status) -> Result<(SocketAddr, Option<std::path::PathBuf>), Stop> {
    // A gateway goes on running while its file is broken: just then somebody asks.
    let settings = config::load(&args.config)
        .map_err(|stop| stop.hint("a running gateway can be asked without the file: --admin ADDRESS:PORT"))?;
    let admin = settings.listeners.admin.ok_or_else(|| Stop::no("the configuration has no admin listener"))?;
    Ok((admin.address, args.token_file.clone().or(admin.token_file)))
}

/// Nobody answered. The innermost cause is the one that helps: "connection refused".
fn silent(address: SocketAddr, error: &reqwest::Error) -> Stop {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let why = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    Stop::unknown(format!("the gateway at {address} did not answer: {why}"))
}

/// What a person wants to know first. What is not there is left out: the gateway may be older or newer.
fn show(status: &Value) -> String {
    let text = |at: &str| status.pointer(at).map(word).unwrap_or_default();
    let mut lines = vec![format!(
        "assay {}, up {}, generation {}, {} connections{}",
        text("/version"),
        lasted(status.pointer("/uptime_seconds")),
        text("/generation"),
        text("/connections"),
        if status.pointer("/draining") == Some(&Value::Bool(true)) { ", draining" } else { "" },
    )];
    if let Some(why) = status.pointer("/last_reload/error").and_then(Value::as_str) {
        lines.push("the last reload was refused, the configuration before it is running:".to_owned());
        lines.extend(why.lines().filter(|line| !line.is_empty()).map(|line| format!("  {line}")));
    }
    for (name, member) in [("key sets", "key_set"), ("revocations", "revocations")] {
        let Some(feed) = status.get(member).filter(|feed| feed.is_object()) else { continue };
        let problem = feed.get("problem").and_then(Value::as_str).map(|why| format!(": {why}")).unwrap_or_default();
        let devices = feed.get("devices").and_then(Value::as_u64).map(|n| format!(", {n} device{}", s(n)));
        let devices = devices.unwrap_or_default();
        let stale = if feed.get("stale") == Some(&Value::Bool(true)) { ", STALE" } else { "" };
        let number = feed.get("number").filter(|number| !number.is_null()).map_or_else(|| "none yet".to_owned(), word);
        let age = feed.get("age_seconds").filter(|age| !age.is_null());
        let age = age.map(|age| format!(", {} old", lasted(Some(age)))).unwrap_or_default();
        lines.push(format!("{name}: number {number}{devices}{age}{stale}{problem}"));
    }
    if let Some(up) = status.pointer("/shared_state/up").and_then(Value::as_bool) {
        lines.push(format!("shared state: {}", if up { "answers" } else { "AWAY: see our_faults.shared_state_down" }));
    }
    for route in list(status, "routes") {
        let key = route.get("key").and_then(Value::as_str).map(|key| format!(", key {key}")).unwrap_or_default();
        let at = |name: &str| route.get(name).map(word).unwrap_or_default();
        lines.push(format!("route {}: policy {}, upstream {}{key}", at("name"), at("policy"), at("upstream")));
    }
    for upstream in list(status, "upstreams") {
        let at = |name: &str| upstream.get(name).map(word).unwrap_or_default();
        let seats = upstream.get("inflight").and_then(Value::as_object);
        let taken: u64 = seats.into_iter().flat_map(|seats| seats.values()).filter_map(Value::as_u64).sum();
        let problem = upstream.get("problem").and_then(Value::as_str).map(|why| format!(": {why}"));
        lines.push(format!(
            "upstream {}: {taken} of {} seats taken, {} waiting{}",
            at("name"),
            at("concurrency"),
            at("waiting"),
            problem.unwrap_or_default(),
        ));
    }
    lines.join("\n")
}

fn list<'a>(status: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    status.get(name).and_then(Value::as_array).into_iter().flatten()
}

const fn s(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Seconds, as a person says them.
fn lasted(seconds: Option<&Value>) -> String {
    match seconds.and_then(Value::as_f64) {
        None => "?".to_owned(),
        Some(seconds) if seconds < 120.0 => format!("{seconds:.0} s"),
        Some(seconds) if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        Some(seconds) if seconds < 172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        Some(seconds) => format!("{:.0} days", seconds / 86_400.0),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refused_reload_and_every_problem_are_shown_first_or_beside_their_name() {
        let status = json!({
            "version": "0.1.0", "uptime_seconds": 7300, "generation": 3, "connections": 12, "draining": true,
            "last_reload": { "ok": false, "at": 1, "error": "error: no\n --> a.yaml:1:1" },
            "key_set": { "number": 4, "age_seconds": 61, "problem": "connection refused" },
            "revocations": { "number": 9, "devices": 2, "age_seconds": 400, "stale": true, "problem": null },
            "shared_state": { "up": false },
            "routes": [{ "name": "api", "policy": "shop", "upstream": "u", "key": null }, { "name": "paid", "policy": "p", "upstream": "u", "key": "maps" }],
            "upstreams": [{ "name": "u", "concurrency": 256, "waiting": 2, "problem": "no such host", "inflight": { "attested": 3, "partial": 1 } }],
        });
        assert_eq!(
            show(&status),
            "assay 0.1.0, up 2 h, generation 3, 12 connections, draining\n\
             the last reload was refused, the configuration before it is running:\n  error: no\n   --> a.yaml:1:1\n\
             key sets: number 4, 61 s old: connection refused\n\
             revocations: number 9, 2 devices, 7 min old, STALE\n\
             shared state: AWAY: see our_faults.shared_state_down\n\
             route api: policy shop, upstream u\nroute paid: policy p, upstream u, key maps\n\
             upstream u: 4 of 256 seats taken, 2 waiting: no such host"
        );
    }

    #[test]
    fn what_a_gateway_does_not_say_is_no_reason_to_fall() {
        assert!(show(&json!({})).starts_with("assay"));
        assert!(show(&json!({ "upstreams": [{}], "routes": 3, "key_set": {} })).contains("key sets"));
        let young = show(&json!({ "revocations": { "number": null, "age_seconds": null }, "shared_state": null }));
        assert!(young.ends_with("revocations: number none yet"), "{young}");
    }
}
