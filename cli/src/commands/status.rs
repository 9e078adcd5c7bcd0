//! `assay status`: what a running gateway says of itself.
//!
//! In: the admin listener of the configuration, or an address. Out: its `/status`; in words, or with `--json` as it is.

use crate::args::Status;
use crate::commands::config;
use crate::output::{End, Output, Stop};
use crate::words::moment;
use attest_core::time::{Clock, SystemClock, UnixTime};
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
    let bearer = token_file.map(|file| format!("-H \"Authorization: Bearer $(cat {})\" ", file.display()));
    let post = format!("curl -X POST {}http://{address}", bearer.unwrap_or_default());
    output.answer(&status, || show(&status, SystemClock.now(), &post));
    Ok(End::Yes)
}

/// The admin listener of the configuration, and the file with its token.
fn listener(args: &Status) -> Result<(SocketAddr, Option<std::path::PathBuf>), Stop> {
    // A gateway goes on running while its file is broken: just then somebody asks.
    let settings = config::load_running(&args.config)
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
///
/// `post`: how one posts to this gateway, up to the path.
fn show(status: &Value, now: UnixTime, post: &str) -> String {
    let text = |at: &str| status.pointer(at).map(word).unwrap_or_default();
    let mut lines = vec![format!(
        "assay {}, up {}, generation {}, {} connections{}",
        text("/version"),
        lasted(status.pointer("/uptime_seconds")),
        text("/generation"),
        text("/connections"),
        if status.pointer("/draining") == Some(&Value::Bool(true)) { ", draining" } else { "" },
    )];
    if let Some(taken) = status.pointer("/taken_at").and_then(Value::as_i64) {
        lines.push(format!("configuration taken {}", moment(taken, now)));
    }
    let kept = status.pointer("/last_good/taken_at").and_then(Value::as_i64);
    if let Some(taken) = kept {
        lines.push(format!(
            "STARTED WITH THE LAST GOOD CONFIGURATION, taken {}: the files are bad, and taken as soon as they are good",
            moment(taken, now)
        ));
    }
    if let Some(why) = status.pointer("/last_reload/error").and_then(Value::as_str) {
        let at = status.pointer("/last_reload/at").and_then(Value::as_i64);
        let at = at.map(|at| format!(" {}", moment(at, now))).unwrap_or_default();
        lines.push(match kept {
            Some(_) => format!("the files are refused{at}:"),
            None => format!("the last reload was refused{at}, the configuration before it is running:"),
        });
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
    if let Some(keys) = status.get("keys").filter(|keys| keys.is_object()) {
        let taken = keys.get("taken_at").and_then(Value::as_i64).map(|at| moment(at, now)).unwrap_or_default();
        lines.push(format!("key store: generation {}, taken {taken}", text("/keys/generation")));
        if let Some(why) = keys.get("problem").and_then(Value::as_str) {
            lines.push("  THE STORE THAT IS THERE NOW IS REFUSED, the keys before it stay in use:".to_owned());
            lines.extend(why.lines().filter(|line| !line.is_empty()).map(|line| format!("  {line}")));
        }
        let disabled: Vec<String> = list(keys, "disabled").map(word).collect();
        if !disabled.is_empty() {
            lines.push(format!("  DISABLED, their routes answer 503: {}", disabled.join(", ")));
        }
    }
    if let Some(up) = status.pointer("/shared_state/up").and_then(Value::as_bool) {
        lines.push(format!("shared state: {}", if up { "answers" } else { "AWAY: see our_faults.shared_state_down" }));
    }
    if let Some(dropped) = status.pointer("/records/dropped").and_then(Value::as_u64).filter(|dropped| *dropped > 0) {
        lines.push(format!("records: {dropped} dropped: their file is too slow, or its disk is full"));
    }
    lines.extend(list(status, "orders").map(|told| order(told, now)));
    for told in list(status, "routes") {
        lines.extend(route(told, post));
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

/// An order that holds.
fn order(order: &Value, now: UnixTime) -> String {
    let at = |name: &str| order.get(name).map(word).unwrap_or_default();
    let routes: Vec<String> = list(order, "routes").map(word).collect();
    let routes = if routes.is_empty() { "all routes".to_owned() } else { routes.join(", ") };
    let until = order.get("until").and_then(Value::as_i64).map(|until| moment(until, now)).unwrap_or_default();
    let (number, kind) = (at("id"), at("kind").to_uppercase().replace('_', " "));
    format!("PANIC {kind} on {routes}, ends {until}: {} (order {number}, by {})", at("reason"), at("by"))
}

/// A route, what overrules its policy, and what a candidate would do.
fn route(route: &Value, post: &str) -> Vec<String> {
    let at = |name: &str| route.get(name).map(word).unwrap_or_default();
    let key = route.get("key").and_then(|key| key.get("name").or(Some(key))).and_then(Value::as_str);
    let key = key.map(|key| format!(", key {key}")).unwrap_or_default();
    let enforcement = match route.get("enforcement").and_then(Value::as_str) {
        Some("monitor") => ", monitored: refusals are only counted",
        Some("shares") => ", enforced in part",
        _ => "",
    };
    let mode = match route.get("mode").and_then(Value::as_str) {
        None | Some("normal") => String::new(),
        Some(mode) => format!(", MODE {}", mode.to_uppercase()),
    };
    let mut lines = vec![format!(
        "route {}: policy {}{enforcement}, upstream {}{key}{mode}",
        at("name"),
        at("policy"),
        at("upstream")
    )];
    let guard = |name: &str| route.pointer(&format!("/guard/{name}")).map(word).unwrap_or_default();
    match guard("state").as_str() {
        "tripped" => {
            let tripped = |name: &str| route.pointer(&format!("/guard/tripped/{name}")).map(word).unwrap_or_default();
            lines.push(format!(
                "  GUARD TRIPPED: devices_regressed {} of {} that this policy refuses and the one before let through; its refusals \
                 take no effect",
                tripped("devices_regressed"),
                tripped("active")
            ));
            lines.push(format!("  change the policy; or, if it is meant: {post}/guard/{}/reset", at("name")));
        }
        "ended" => lines.push("  guard: ended by an operator, until the policy changes".to_owned()),
        "watching" => {
            lines.push(format!("  guard: {} of {} devices regressed", guard("devices_regressed"), guard("active")));
        }
        _ => {}
    }
    if let Some(candidate) = route.get("candidate").filter(|candidate| candidate.is_object()) {
        let asked = candidate.get("asked").map(word).unwrap_or_default();
        let name = candidate.get("policy").map(word).unwrap_or_default();
        let differences: Vec<&Value> = list(candidate, "differences").collect();
        let none = if differences.is_empty() { ", no difference" } else { ", differences:" };
        lines.push(format!("  candidate {name}: asked {asked} times{none}"));
        lines.extend(differences.into_iter().map(|difference| {
            let at = |name: &str| difference.get(name).map(word).unwrap_or_default();
            format!(
                "    {} {} becomes {} {}: {}, of about {}",
                at("rule"),
                at("action"),
                at("candidate_rule"),
                at("candidate_action"),
                counted(difference, "request"),
                counted(difference, "device"),
            )
        }));
    }
    lines
}

fn list<'a>(status: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    status.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// `1 request`, from the member `requests`.
fn counted(value: &Value, what: &str) -> String {
    let count = value.get(format!("{what}s")).and_then(Value::as_u64).unwrap_or_default();
    format!("{count} {what}{}", s(count))
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
            "routes": [{ "name": "api", "policy": "shop", "upstream": "u", "key": null, "enforcement": "monitor" }, { "name": "paid", "policy": "p", "upstream": "u", "key": "maps" }],
            "upstreams": [{ "name": "u", "concurrency": 256, "waiting": 2, "problem": "no such host", "inflight": { "attested": 3, "partial": 1 } }],
        });
        assert_eq!(
            show(&status, UnixTime::from_secs(61), ""),
            "assay 0.1.0, up 2 h, generation 3, 12 connections, draining\n\
             the last reload was refused 60 s ago, the configuration before it is running:\n  error: no\n   --> a.yaml:1:1\n\
             key sets: number 4, 61 s old: connection refused\n\
             revocations: number 9, 2 devices, 7 min old, STALE\n\
             shared state: AWAY: see our_faults.shared_state_down\n\
             route api: policy shop, monitored: refusals are only counted, upstream u\nroute paid: policy p, upstream u, key maps\n\
             upstream u: 4 of 256 seats taken, 2 waiting: no such host"
        );
    }

    #[test]
    fn what_overrules_a_policy_is_in_capitals_and_says_how_it_ends() {
        let status = json!({
            "taken_at": 940, "last_good": { "taken_at": 100 }, "last_reload": { "ok": false, "at": 1000, "error": "no" },
            "records": { "dropped": 3 },
            "orders": [{ "id": 7, "kind": "extend_tokens", "routes": ["api"], "until": 8200, "reason": "outage", "by": "ann" }],
            "routes": [{
                "name": "api", "policy": "p", "upstream": "u", "mode": "guard",
                "key": { "name": "maps", "version": 1, "fingerprint": "f" },
                "guard": { "state": "tripped", "tripped": { "devices_regressed": 101, "active": 900 } },
                "candidate": { "policy": "c", "asked": 9, "differences": [{
                    "rule": "a", "action": "allow", "candidate_rule": "b", "candidate_action": "block",
                    "requests": 4, "devices": 2,
                }] },
            }],
        });
        let shown = show(&status, UnixTime::from_secs(1000), "curl -X POST http://127.0.0.1:9901");
        for line in [
            "configuration taken 60 s ago",
            "STARTED WITH THE LAST GOOD CONFIGURATION, taken 15 min ago: the files are bad, and taken as soon as they are good",
            "the files are refused now:",
            "records: 3 dropped: their file is too slow, or its disk is full",
            "PANIC EXTEND TOKENS on api, ends in 2 h: outage (order 7, by ann)",
            "route api: policy p, upstream u, key maps, MODE GUARD",
            "  change the policy; or, if it is meant: curl -X POST http://127.0.0.1:9901/guard/api/reset",
            "    a allow becomes b block: 4 requests, of about 2 devices",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
        }
        assert!(shown.contains("devices_regressed 101 of 900"), "{shown}");
    }

    #[test]
    fn a_store_that_is_refused_and_keys_that_are_off_are_in_capitals() {
        let keys =
            json!({ "generation": 7, "taken_at": 940, "disabled": ["maps", "openai"], "problem": "wrong key\n" });
        let shown = show(&json!({ "keys": keys }), UnixTime::from_secs(1000), "");
        let lines: Vec<_> = shown.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "key store: generation 7, taken 60 s ago",
                "  THE STORE THAT IS THERE NOW IS REFUSED, the keys before it stay in use:",
                "  wrong key",
                "  DISABLED, their routes answer 503: maps, openai",
            ]
        );
        let calm = show(
            &json!({ "keys": { "generation": 7, "taken_at": 940, "problem": null } }),
            UnixTime::from_secs(1000),
            "",
        );
        assert!(calm.ends_with("key store: generation 7, taken 60 s ago"), "{calm}");
    }

    #[test]
    fn what_a_gateway_does_not_say_is_no_reason_to_fall() {
        assert!(show(&json!({}), UnixTime::default(), "").starts_with("assay"));
        assert!(
            show(&json!({ "upstreams": [{}], "routes": 3, "key_set": {} }), UnixTime::default(), "")
                .contains("key sets")
        );
        let young = show(
            &json!({ "revocations": { "number": null, "age_seconds": null }, "shared_state": null }),
            UnixTime::default(),
            "",
        );
        assert!(young.ends_with("revocations: number none yet"), "{young}");
    }
}
