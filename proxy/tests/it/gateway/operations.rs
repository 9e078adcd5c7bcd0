//! What of an API a route with a key lets through: the calls, queries, headers and bodies of `examples/configurations/chat.yaml`
//! and a few more, against an API that remembers what it saw.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::kit::{Answer, CANARY, Kept, Parts, Rig, Token};
use super::protocols::h2;

const EXAMPLE: &str = include_str!("../../../../examples/configurations/chat.yaml");
const CHAT: &str = "/chat/v1/chat/completions";

/// The route of the example, as it stands there; only the key, which the rig has under another name, differs.
fn example() -> String {
    let (_, routes) = EXAMPLE.split_once("\nroutes:\n").unwrap();
    let route = routes.replace("upstream: chat\n", "upstream: api\n").replace("key: chat\n", "key: vendor\n");
    assert_eq!(route.matches("upstream: api").count() + route.matches("key: vendor").count(), 2);
    format!("\n{}", route.replace("host: api.example.com", "host: chat.test"))
}

async fn rig() -> Rig {
    let more = r#"
  more:
    match: { host: more.test, path: "/**" }
    upstream: api
    key: vendor
    operations:
      - { call: GET /v1/old, to: /v1/new, query: { allow: [q, "expand[]"], fixed: { api-version: "2" } } }
      - { call: "GET /v1/files/**", to: "/v1/objects/**", headers: [Stripe-Account] }
      - { call: POST /v1/pay, body: { limit: 1KiB, type: form, cap: { /amount: 5000 }, fixed: { /currency: eur }, forbid: [/on_behalf_of] } }
      - { call: POST /v1/judged, body: { limit: 64KiB, cap: { /n: 1 } } }
      - { call: POST /v1/plain, body: { limit: 128KiB, type: json } }
      - { call: POST /v1/nothing, body: none }
    policy: { default: block, rules: [{ name: genuine, when: { verdict: attested }, then: allow }] }
"#;
    Rig::start(Parts { routes: format!("{}{more}", example()), public: ", h2c: true", ..Parts::default() }).await
}

async fn post(rig: &Rig, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let token = rig.issuer.token();
    let host = if target.starts_with("/chat") { "chat.test" } else { "more.test" };
    let mut all = vec![("assay-token", token.as_str())];
    all.extend_from_slice(headers);
    rig.ask("POST", host, target, &all, body).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

async fn chat(rig: &Rig, body: &Value) -> Answer {
    post(rig, CHAT, &[JSON], body.to_string().as_bytes()).await
}

fn good() -> Value {
    json!({ "model": "small-chat-1", "messages": [{ "role": "user", "content": "hi" }] })
}

fn with(name: &str, value: Value) -> Value {
    let mut body = good();
    body[name] = value;
    body
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (status, code), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_example_does_not_offer_never_reaches_the_api() {
    let rig = rig().await;
    let token = rig.issuer.token();
    for (method, target) in [
        ("GET", "/chat/v1/files"),
        ("DELETE", CHAT),
        ("GET", CHAT),
        ("POST", "/chat/v1/chat/completions/x"),
        ("POST", "/chat/v1/CHAT/completions"),
        ("POST", "/chat/v1/organization/api_keys"),
    ] {
        let answer = rig.ask(method, "chat.test", target, &[("assay-token", &token)], b"").await;
        refused(&answer, 404, "no_operation");
    }
    for (body, rule) in [
        (with("model", json!("large-chat-1")), "field /model has another value than those allowed"),
        (with("store", json!(true)), "field store is not allowed"),
        (with("max_tokens", json!("9999")), "field /max_tokens is not a number from zero up"),
        (with("max_tokens", json!(-1)), "field /max_tokens is not a number from zero up"),
        (with("maxTokens", json!(9999)), "field maxTokens is not allowed"),
        (with("stream", json!(1)), "field /stream has another type than the condition on it"),
        (json!({ "model": "small-chat-1" }), "field /messages is missing"),
        (json!([]), "the body is not JSON: it is no object"),
    ] {
        let answer = chat(&rig, &body).await;
        refused(&answer, 400, "not_allowed");
        assert!(!answer.text().contains("/m"), "the client learns no rule: {}", answer.text());
        let id = answer.json()["decision"].clone();
        let line = rig.logged(|line| line["id"] == id).await;
        assert_eq!((line["not_allowed"].as_str(), line["route"].as_str()), (Some(rule), Some("chat")), "{line}");
    }
    let twice = br#"{"model":"small-chat-1","messages":[],"model":"large-chat-1"}"#;
    refused(&post(&rig, CHAT, &[JSON], twice).await, 400, "not_allowed");
    let utf16: Vec<u8> = good().to_string().encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused(&post(&rig, CHAT, &[JSON], &utf16).await, 400, "not_allowed");
    let text = good().to_string();
    for headers in [
        &[("content-type", "text/plain")][..],
        &[("content-type", "multipart/form-data; boundary=x")],
        &[("content-type", "application/json; charset=utf-16")],
        &[],
        &[JSON, ("content-encoding", "gzip")],
        &[JSON, JSON],
    ] {
        refused(&post(&rig, CHAT, headers, text.as_bytes()).await, 415, "unsupported_type");
    }
    refused(&post(&rig, CHAT, &[JSON], &vec![b' '; 32 * 1024 + 1]).await, 413, "too_large");
    refused(&post(&rig, &format!("{CHAT}?stream=true"), &[JSON], text.as_bytes()).await, 400, "not_allowed");
    assert!(rig.api.seen().is_empty(), "{:?}", rig.api.last().target);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_sees_what_was_judged_and_nothing_else() {
    let rig = rig().await;
    let sent = br#" { "model":"small-chat-1", "messages" : [ "caf\u00e9" ] , "max_tokens":1e9,"temperature":0.10,"stream":true } "#;
    let odd =
        [JSON, ("stripe-account", "acct_1"), ("openai-organization", "org"), ("cookie", "a=b"), ("x-custom", "c")];
    let answer = post(&rig, CHAT, &odd, sent).await;
    assert_eq!(answer.status, 200);
    let seen = rig.api.last();
    assert_eq!(seen.target, "/v1/chat/completions");
    assert_eq!(
        String::from_utf8(seen.body.clone()).unwrap(),
        r#"{"model":"small-chat-1","messages":["café"],"max_tokens":512,"temperature":0.10,"stream":true,"n":1,"stream_options":{"include_usage":true}}"#
    );
    assert_eq!(seen.headers["content-length"], seen.body.len().to_string().as_str());
    assert_eq!(seen.headers["content-type"], "application/json");
    assert!(seen.headers.values().any(|value| value.to_str().unwrap().contains(CANARY)), "the key goes along");
    for gone in ["stripe-account", "openai-organization", "cookie", "x-custom", "assay-token", "transfer-encoding"] {
        assert!(!seen.headers.contains_key(gone), "{gone}");
    }
    // Chunked, in pieces, over a kept connection, and with 100-continue: the same.
    let token = rig.issuer.token();
    let mut chunked = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: chat.test\r\nassay-token: {token}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for piece in good().to_string().as_bytes().chunks(7) {
        chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = rig.raw(&chunked).await;
    assert!(matches!(answer.status, 100 | 200), "{}", answer.status);
    let seen = rig.api.last();
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!((&body["max_tokens"], &body["n"]), (&json!(512), &json!(1)));
    assert_eq!(seen.headers["content-length"], seen.body.len().to_string().as_str());
    assert!(!seen.headers.contains_key("transfer-encoding") && !seen.headers.contains_key("expect"));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_it_is_the_same() {
    let rig = rig().await;
    let mut client = h2(&rig).await;
    let request = |body: &Value| {
        http::Request::post(format!("http://chat.test{CHAT}"))
            .header("assay-token", rig.issuer.token())
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))
            .unwrap()
    };
    let refused = client.send_request(request(&with("model", json!("large-chat-1")))).await.unwrap();
    assert_eq!(refused.status(), 400);
    assert!(rig.api.seen().is_empty());
    let answer = client.send_request(request(&with("max_tokens", json!(600)))).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.into_body().collect().await.unwrap();
    let body: Value = serde_json::from_slice(&rig.api.last().body).unwrap();
    assert_eq!((&body["max_tokens"], &body["n"]), (&json!(512), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_64_kib_is_judged_and_one_byte_more_is_not_taken() {
    let rig = rig().await;
    let token = rig.issuer.token();
    let of = |length: usize| {
        let mut body = br#"{"n":5,"x":""#.to_vec();
        body.resize(length - 2, b'a');
        body.extend_from_slice(b"\"}");
        body
    };
    let headers = [("assay-token", token.as_str()), JSON];
    let fits = rig.ask("POST", "more.test", "/v1/judged", &headers, &of(65_536)).await;
    assert_eq!(fits.status, 200);
    let seen = rig.api.last();
    assert!(seen.body.len() == 65_536 && seen.body.starts_with(b"{\"n\":1,"), "{}", seen.body.len());
    let over = rig.ask("POST", "more.test", "/v1/judged", &headers, &of(65_537)).await;
    refused(&over, 413, "too_large");
    let mut unsaid = format!(
        "POST /v1/judged HTTP/1.1\r\nhost: more.test\r\nassay-token: {token}\r\ncontent-type: application/json\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n10001\r\n"
    )
    .into_bytes();
    unsaid.extend_from_slice(&of(65_537));
    unsaid.extend_from_slice(b"\r\n0\r\n\r\n");
    refused(&rig.raw(&unsaid).await, 413, "too_large");
    assert_eq!(rig.api.seen().len(), 1);
    // Without rules about fields a larger one streams through as it is, of its type alone.
    let plain = vec![b'x'; 100 * 1024];
    assert_eq!(post(&rig, "/v1/plain", &[JSON], &plain).await.status, 200);
    assert_eq!(rig.api.last().body, plain);
    refused(&post(&rig, "/v1/plain", &[], b"x").await, 415, "unsupported_type");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_and_paths_become_what_the_operator_wrote() {
    let rig = rig().await;
    let token = rig.issuer.token();
    let get =
        async |target: &str| rig.get("more.test", target, &[("assay-token", &token), ("Stripe-Account", "a")]).await;
    for target in
        ["/v1/old?key2=1", "/v1/old?Q=1", "/v1/old?q=1;x=2", "/v1/old?q=1&on%5Fbehalf_of=x", "/v1/files/a?q=1"]
    {
        refused(&get(target).await, 400, "not_allowed");
    }
    refused(&get("/v1/new").await, 404, "no_operation");
    refused(&get("/v1/objects/a").await, 404, "no_operation");
    assert!(rig.api.seen().is_empty());
    assert_eq!(get("/v1/old").await.status, 200);
    assert_eq!(rig.api.last().target, "/v1/new?api-version=2");
    assert!(!rig.api.last().headers.contains_key("stripe-account"));
    get("/v1/old?API_VERSION=9&q=a%20b&expand[]=x&expand%5B%5D=y&api%2Dversion=1").await;
    assert_eq!(rig.api.last().target, "/v1/new?q=a%20b&expand[]=x&expand%5B%5D=y&api-version=2");
    get("/v1/files/a/b").await;
    assert_eq!(
        (rig.api.last().target.as_str(), &rig.api.last().headers["stripe-account"]),
        ("/v1/objects/a/b", &"a".parse().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_are_held_to_their_rules_and_no_body_means_none() {
    let rig = rig().await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    for bad in
        ["amount=1&amount=9999", "amount[]=9999", "Amount=9999", "amount=1&on_behalf_of=acct", "amount=x", "a;b=1"]
    {
        refused(&post(&rig, "/v1/pay", &[form], bad.as_bytes()).await, 400, "not_allowed");
    }
    refused(&post(&rig, "/v1/pay", &[JSON], b"{}").await, 415, "unsupported_type");
    refused(&post(&rig, "/v1/nothing", &[JSON], b"{}").await, 413, "too_large");
    assert!(rig.api.seen().is_empty());
    assert_eq!(post(&rig, "/v1/pay", &[form], b"amount=99999&currency=usd&meta[a]=b+c").await.status, 200);
    assert_eq!(rig.api.last().body, b"amount=5000&currency=eur&meta%5Ba%5D=b+c");
    assert_eq!(post(&rig, "/v1/nothing", &[], b"").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_judged_who_was_not_let_in() {
    let rig = rig().await;
    let unattested = rig.ask("POST", "chat.test", CHAT, &[JSON], b"no json").await;
    assert_eq!(unattested.status, 401, "what a body may be is no business of who has no token");
    let failed = rig.issuer.issue(&Token { genuine: false, ..Token::default() });
    let failed = rig.ask("POST", "chat.test", CHAT, &[JSON, ("assay-token", &failed)], b"no json").await;
    assert_eq!(failed.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_has_its_day_s_budget_and_no_more() {
    let rig = rig().await;
    let ask = async |device: u8| {
        let token = rig.issuer.issue(&Token { device: [device; 16], ..Token::default() });
        let headers = [JSON, ("assay-token", token.as_str())];
        rig.ask("POST", "chat.test", CHAT, &headers, good().to_string().as_bytes()).await
    };
    // The API's answers tell no usage, so that each costs what is reserved: 9,000 of 50,000.
    for _ in 0..5 {
        assert_eq!(ask(1).await.status, 200);
    }
    refused(&ask(1).await, 429, "limited");
    assert_eq!(rig.api.seen().len(), 5);
    // What is refused for its body costs nothing.
    let token = rig.issuer.issue(&Token { device: [1; 16], ..Token::default() });
    assert_eq!(rig.api.seen().len(), 5);
    let bad = rig.ask("POST", "chat.test", CHAT, &[JSON, ("assay-token", &token)], b"{}").await;
    assert_ne!(bad.status, 200);
}

/// A listener whose connections end under their second request, when that has come whole. With all bodies that it saw.
async fn closes_under_the_second() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bodies: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = bodies.clone();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                let (mut text, mut answered) = (String::new(), false);
                let mut piece = [0; 4096];
                while let Ok(read @ 1..) = tcp.read(&mut piece).await {
                    text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.to_lowercase().split("content-length: ").nth(1).unwrap().to_owned();
                    if body.len() < length.lines().next().unwrap().parse().unwrap() {
                        continue;
                    }
                    seen.lock().unwrap().push(body.to_owned());
                    text.clear();
                    if std::mem::replace(&mut answered, true) {
                        return;
                    }
                    let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
            });
        }
    });
    (address, bodies)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_attempt_sends_the_judged_body_again() {
    let (address, bodies) = closes_under_the_second().await;
    let upstreams = format!(
        "\n  closing: {{ url: \"http://{address}\", private_addresses: [127.0.0.0/8], danger_plaintext_loopback: true }}"
    );
    let routes = r#"
  own:
    match: { host: own.test, path: "/**" }
    upstream: closing
    operations: [{ call: PUT /v1/put, body: { limit: 64KiB, cap: { /n: 1 }, fixed: { /longer: than-it-was } } }]
    policy: { default: block, rules: [{ name: genuine, when: { verdict: attested }, then: allow }] }
"#;
    let rig = Rig::start(Parts { upstreams, routes: routes.to_owned(), ..Parts::default() }).await;
    let token = rig.issuer.token();
    let headers = [("assay-token", token.as_str()), JSON];
    let mut asked = 0;
    // A connection is back in the pool a moment after its answer: at some request it is used again, and breaks.
    while bodies.lock().unwrap().len() == asked {
        assert!(asked < 100, "no request was tried twice");
        assert_eq!(rig.ask("PUT", "own.test", "/v1/put", &headers, br#"{"n":9}"#).await.status, 200);
        asked += 1;
    }
    let bodies = bodies.lock().unwrap().clone();
    assert!(bodies.len() > asked);
    assert!(bodies.iter().all(|body| body == r#"{"n":1,"longer":"than-it-was"}"#), "{bodies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_goes_on_after_a_body_was_refused() {
    let rig = rig().await;
    let token = rig.issuer.token();
    let mut kept = Kept::to(rig.gateway.public()).await;
    refused(&kept.ask("POST", "more.test", "/v1/plain", &token, b"{}").await, 415, "unsupported_type");
    refused(&kept.ask("POST", "more.test", "/v1/nothing", &token, b"{}").await, 413, "too_large");
    assert_eq!(kept.get("more.test", "/v1/old", &token).await.status, 200);
}
