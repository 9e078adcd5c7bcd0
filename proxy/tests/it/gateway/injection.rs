//! Every way in which a key gets into a request, through the whole gateway: what the API sees, and what nobody else does.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::kit::{Answer, MoreKey, Parts, Rig, edit_keys, seal, tls_api};

const SECRET: &str = "other-canary-51d0/a+b=c";
const WORDS: &str = "genuine";

fn key(name: &'static str, recipe: Value) -> MoreKey {
    MoreKey { name, secret: SECRET.into(), recipe, elsewhere: None }
}

/// A route of this name for the key of this name, at `NAME.test`.
fn route(name: &str, more: &str) -> String {
    format!(
        r#"
  {name}:
    match: {{ host: {name}.test, path: "/v1/**" }}
    upstream: api
    key: {name}
    {more}
    operations:
      - {{ call: "GET /v1/**", query: any }}
      - {{ call: "POST /v1/**", query: any, body: {{ limit: 64KiB }} }}
    policy:
      default: block
      rules:
        - {{ name: {WORDS}, when: {{ verdict: attested }}, then: allow }}
"#
    )
}

async fn rig(keys: Vec<MoreKey>) -> Rig {
    let routes = keys.iter().map(|key| route(key.name, "")).collect();
    Rig::start(Parts { routes, keys, ..Parts::default() }).await
}

async fn get(rig: &Rig, host: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let token = rig.issuer.token();
    let mut all = vec![("assay-token", token.as_str())];
    all.extend_from_slice(headers);
    rig.get(host, target, &all).await
}

async fn post(rig: &Rig, host: &str, target: &str, kind: &str, body: &str) -> Answer {
    let token = rig.issuer.token();
    rig.ask("POST", host, target, &[("assay-token", &token), ("content-type", kind)], body.as_bytes()).await
}

/// Nothing that an operator or a client can read holds the secret, in its raw or its escaped form.
async fn shows_nowhere(rig: &Rig) {
    rig.until("the log", async || !rig.log_text().is_empty()).await;
    for text in [
        rig.log_text(),
        rig.admin("GET", "/metrics").await.text(),
        rig.admin("GET", "/status").await.text(),
        rig.admin("GET", "/keys").await.text(),
    ] {
        assert!(!text.contains(SECRET) && !text.contains("other-canary"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_query_takes_the_place_of_the_client_s_and_is_in_no_log() {
    let rig = rig(vec![key("maps", json!({ "kind": "query", "name": "key", "template": "{key}" }))]).await;
    let target = "/v1/geocode?address=a%20b&key=mine&%6bEy=mine&K%65y=mine";
    assert_eq!(get(&rig, "maps.test", target, &[]).await.status, 200);
    let seen = rig.api.last().target;
    assert_eq!(seen.matches("other-canary-51d0%2Fa%2Bb%3Dc").count(), 1, "{seen}");
    assert!(seen.starts_with("/v1/geocode?address=a%20b") && !seen.contains("mine"), "{seen}");
    let line = rig.logged(|line| line["route"] == "maps").await;
    assert_eq!((line["path"].as_str(), line["key"]["name"].as_str()), (Some("/v1/geocode"), Some("maps")));
    shows_nowhere(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_that_quotes_the_key_of_the_query_is_masked() {
    let rig = rig(vec![key("maps", json!({ "kind": "query", "name": "key", "template": "{key}" }))]).await;
    let answer = get(&rig, "maps.test", "/v1/redirect?/v1/other", &[]).await;
    assert_eq!(answer.status, 302, "passed on, never followed");
    let location = answer.header("location").unwrap_or_default().to_owned();
    assert!(!location.contains("other-canary"), "{location}");
    assert_eq!(rig.api.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_becomes_a_segment_of_the_path_that_bounds_and_operations_do_not_name() {
    let rig = rig(vec![key("bot", json!({ "kind": "path_segment", "at": 1, "template": "bot{key}" }))]).await;
    assert_eq!(get(&rig, "bot.test", "/v1/getMe", &[]).await.status, 200);
    assert_eq!(rig.api.last().target, "/botother-canary-51d0%2Fa%2Bb%3Dc/v1/getMe");
    assert_eq!(rig.logged(|line| line["route"] == "bot").await["path"], "/v1/getMe");
    shows_nowhere(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_credentials_and_cookies_take_the_place_of_the_client_s() {
    let rig = rig(vec![
        key("sms", json!({ "kind": "basic", "user": "AC0123", "password": "{key}" })),
        key("jar", json!({ "kind": "cookie", "name": "session", "template": "k1.{key}" })),
    ])
    .await;
    let mine = [("authorization", "Basic bWluZTptaW5l"), ("cookie", "session=mine")];
    assert_eq!(get(&rig, "sms.test", "/v1/messages", &mine).await.status, 200);
    let wanted = format!("Basic {}", data_encoding::BASE64.encode(format!("AC0123:{SECRET}").as_bytes()));
    let seen = rig.api.last().headers;
    assert_eq!(seen.get_all("authorization").iter().collect::<Vec<_>>(), [wanted.as_str()]);
    assert!(!seen.contains_key("cookie"));
    assert_eq!(get(&rig, "jar.test", "/v1/messages", &mine).await.status, 200);
    let seen = rig.api.last().headers;
    assert_eq!(seen.get_all("cookie").iter().collect::<Vec<_>>(), [format!("session=k1.{SECRET}").as_str()]);
    assert!(!seen.contains_key("authorization"));
    let echo = get(&rig, "sms.test", "/v1/echo", &[]).await;
    assert!(!echo.text().contains(&wanted) && echo.text().contains("***"), "the rendered form too: {}", echo.text());
    shows_nowhere(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_body_replaces_the_client_s_and_the_length_is_right() {
    let rig = rig(vec![
        key("json", json!({ "kind": "json_field", "pointer": "/auth/api_key", "template": "{key}" })),
        key("form", json!({ "kind": "form_field", "name": "api_key", "template": "{key}" })),
    ])
    .await;
    let body = r#"{"text":"hello","auth":{"user":7,"api_key":"mine"}}"#;
    assert_eq!(post(&rig, "json.test", "/v1/say", "application/json", body).await.status, 200);
    let seen = rig.api.last();
    let read: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(read, json!({ "text": "hello", "auth": { "user": 7, "api_key": SECRET } }));
    assert_eq!(seen.headers["content-length"], seen.body.len().to_string());
    let kind = "application/x-www-form-urlencoded";
    assert_eq!(post(&rig, "form.test", "/v1/say", kind, "text=hello&api_key=mine&api%5Fkey=mine").await.status, 200);
    let seen = rig.api.last();
    let text = String::from_utf8(seen.body).unwrap();
    assert_eq!(text, "text=hello&api_key=other-canary-51d0%2Fa%2Bb%3Dc");
    assert_eq!(seen.headers["content-length"], text.len().to_string());
    shows_nowhere(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_place_for_the_key_reaches_no_api() {
    let rig = rig(vec![key("json", json!({ "kind": "json_field", "pointer": "/key", "template": "{key}" }))]).await;
    for body in ["[1]", "{\"key\":1,\"key\":2}", "{", "\"key\""] {
        let status = post(&rig, "json.test", "/v1/say", "application/json", body).await.status;
        assert!(matches!(status, 400 | 415), "{body}: {status}");
    }
    assert!(post(&rig, "json.test", "/v1/say", "text/plain", "{}").await.status >= 400);
    assert!(get(&rig, "json.test", "/v1/say", &[]).await.status >= 400);
    assert!(rig.api.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_is_minted_however_many_ask_and_nobody_sees_it() {
    let recipe = json!({
        "kind": "oauth2_client_credentials", "token_endpoint": "http://127.0.0.1:PORT/token",
        "client_id": "us", "authentication": "basic", "audience": "items",
        "name": "authorization", "template": "Bearer {token}",
    });
    let rig = rig(vec![key("crm", recipe)]).await;
    let answers = futures_util::future::join_all((0..24).map(|_| get(&rig, "crm.test", "/v1/echo", &[]))).await;
    for answer in &answers {
        assert_eq!(answer.status, 200);
        assert!(!answer.text().contains("minted-") && answer.text().contains("***"), "{}", answer.text());
    }
    let (tokens, calls): (Vec<_>, Vec<_>) = rig.api.seen().into_iter().partition(|seen| seen.target == "/token");
    assert_eq!((tokens.len(), calls.len()), (1, 24));
    let asked = String::from_utf8(tokens[0].body.clone()).unwrap();
    assert!(asked.contains("grant_type=client_credentials") && asked.contains("audience=items"), "{asked}");
    assert!(calls.iter().all(|call| call.headers["authorization"] == "Bearer minted-0001-for-this-test-alone"));
    assert!(!calls.iter().any(|call| format!("{call:?}").contains("other-canary")), "the client secret stays here");
    assert!(rig.metric("assay_token_mints_total", &["key=\"crm\"", "outcome=\"minted\""]).await >= 1.0);
    assert!(!rig.log_text().contains("minted-"));
    shows_nowhere(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_api_refuses_is_replaced_once_a_minute() {
    let recipe = json!({
        "kind": "oauth2_client_credentials", "token_endpoint": "http://127.0.0.1:PORT/token",
        "client_id": "us", "authentication": "body", "name": "authorization", "template": "Bearer {token}",
    });
    let rig = rig(vec![key("crm", recipe)]).await;
    for _ in 0..3 {
        assert_eq!(get(&rig, "crm.test", "/v1/status?401", &[]).await.status, 401);
    }
    let seen = rig.api.seen();
    let used: Vec<_> = seen.iter().filter_map(|seen| seen.headers.get("authorization")?.to_str().ok()).collect();
    let first = "Bearer minted-0001-for-this-test-alone";
    let second = "Bearer minted-0002-for-this-test-alone";
    assert_eq!(used, [first, second, second]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_client_secret_mints_a_token_of_its_own() {
    let recipe = json!({
        "kind": "oauth2_client_credentials", "token_endpoint": "http://127.0.0.1:PORT/token",
        "client_id": "us", "authentication": "body", "name": "authorization", "template": "Bearer {token}",
    });
    let rig = rig(vec![key("crm", recipe.clone())]).await;
    assert_eq!(get(&rig, "crm.test", "/v1/items", &[]).await.status, 200);
    let next = MoreKey { secret: "the-next-client-secret-77".into(), ..key("crm", recipe) };
    seal(rig.folder.path(), &next, rig.api.address);
    let name = keystore::KeyName::parse("crm").unwrap();
    edit_keys(rig.folder.path(), |editor| assert!(editor.rotate(&name).is_ok()));
    rig.until("the new token", async || {
        assert_eq!(get(&rig, "crm.test", "/v1/items", &[]).await.status, 200);
        rig.api.last().headers["authorization"] == "Bearer minted-0002-for-this-test-alone"
    })
    .await;
    let asked = rig.api.seen().into_iter().rfind(|seen| seen.target == "/token").unwrap();
    assert!(String::from_utf8(asked.body).unwrap().contains("client_secret=the-next-client-secret-77"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_at_an_address_that_is_not_listed_is_not_dialled() {
    let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
    let recipe = json!({
        "kind": "oauth2_client_credentials", "token_endpoint": format!("http://{}/token", listener.local_addr().unwrap()),
        "client_id": "us", "authentication": "basic", "name": "authorization", "template": "Bearer {token}",
    });
    // The upstream lists 127.0.0.0/8 alone.
    let rig = rig(vec![key("crm", recipe)]).await;
    assert_eq!(get(&rig, "crm.test", "/v1/items", &[]).await.status, 503);
    assert!(rig.metric("assay_token_mints_total", &["outcome=\"failed\""]).await >= 1.0);
    let dialled = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(dialled.is_err() && rig.api.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_endpoint_that_answers_the_request_goes_nowhere() {
    let recipe = json!({
        "kind": "oauth2_client_credentials", "token_endpoint": "http://127.0.0.1:PORT/status?no",
        "client_id": "us", "authentication": "basic", "name": "authorization", "template": "Bearer {token}",
    });
    // A path that answers "ok" and no token.
    let recipe: Value = serde_json::from_str(&recipe.to_string().replace("status?no", "no-token")).unwrap();
    let rig = rig(vec![key("crm", recipe)]).await;
    let answer = get(&rig, "crm.test", "/v1/items", &[]).await;
    assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (503, "unavailable"));
    assert!(answer.header("retry-after").is_some());
    assert!(rig.api.seen().iter().all(|seen| !seen.target.starts_with("/v1/")));
    assert!(rig.metric("assay_token_mints_total", &["outcome=\"failed\""]).await >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_covers_the_request_as_it_is_sent() {
    let recipe = json!({
        "kind": "hmac", "algorithm": "sha256", "encoding": "hex", "timestamp": "unix",
        "message": "{method}{nl}{path}?{query}{nl}{host}{nl}{timestamp}{nl}{body_sha256}",
        "timestamp_header": "x-time", "name": "x-signature", "template": "v1={signature}",
    });
    let rig = rig(vec![key("signed", recipe)]).await;
    let body = r#"{"a": 1}"#;
    assert_eq!(post(&rig, "signed.test", "/v1/pay?b=2", "application/json", body).await.status, 200);
    let seen = rig.api.last();
    let header = |name: &str| seen.headers[name].to_str().unwrap().to_owned();
    let hash =
        data_encoding::HEXLOWER.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &seen.body).as_ref());
    let message = format!("POST\n/v1/pay?b=2\n{}\n{}\n{hash}", header("host"), header("x-time"));
    let hmac_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = data_encoding::HEXLOWER.encode(aws_lc_rs::hmac::sign(&hmac_key, message.as_bytes()).as_ref());
    assert_eq!(header("x-signature"), format!("v1={signature}"));
    // What was made for this request alone is as secret as the key.
    let echo = post(&rig, "signed.test", "/v1/echo", "application/json", body).await;
    let sent = rig.api.last().headers["x-signature"].to_str().unwrap().trim_start_matches("v1=").to_owned();
    assert!(!echo.text().contains(&sent), "{}", echo.text());
    shows_nowhere(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aws_signature_is_made_for_each_request_and_not_for_large_bodies() {
    let recipe = json!({
        "kind": "aws_sigv4", "region": "eu-central-1", "service": "s3", "place": "header", "large_body": "refuse",
    });
    let secret = "AKIDEXAMPLE0123456789:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY:session-token-0123456789";
    let keys = vec![MoreKey { name: "bucket", secret: secret.into(), recipe, elsewhere: None }];
    let more = route("bucket", "").replace("64KiB", "1MiB");
    let rig = Rig::start(Parts { routes: more, keys, ..Parts::default() }).await;
    assert_eq!(post(&rig, "bucket.test", "/v1/object", "text/plain", "hello").await.status, 200);
    let seen = rig.api.last();
    let header = |name: &str| seen.headers[name].to_str().unwrap().to_owned();
    let scope = "Credential=AKIDEXAMPLE0123456789/";
    assert!(header("authorization").starts_with(&format!("AWS4-HMAC-SHA256 {scope}")), "{}", header("authorization"));
    assert!(header("authorization").contains("/eu-central-1/s3/aws4_request"));
    assert_eq!(header("x-amz-security-token"), "session-token-0123456789");
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"hello");
    assert_eq!(header("x-amz-content-sha256"), data_encoding::HEXLOWER.encode(hash.as_ref()));
    let large = "x".repeat(70_000);
    assert_eq!(post(&rig, "bucket.test", "/v1/object", "text/plain", &large).await.status, 413);
    assert_eq!(rig.api.seen().len(), 1);
    assert!(!rig.log_text().contains("wJalr") && !rig.log_text().contains("session-token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_and_its_connections_are_nobody_else_s() {
    let server = tls_api::start().await;
    let recipe = json!({ "kind": "client_certificate" });
    let at = |name: &'static str, certificate: &tls_api::Client| MoreKey {
        name,
        secret: certificate.pem.clone().into_bytes(),
        recipe: recipe.clone(),
        elsewhere: Some((server.url.clone(), server.trust.clone())),
    };
    let (one, other) = (server.client("one"), server.client("other"));
    let keys = vec![at("one", &one), at("other", &other)];
    let routes = ["one", "other"].map(|name| route(name, "").replace("upstream: api", "upstream: mutual")).concat();
    let upstreams = format!(
        "  mutual: {{ url: \"{}\", ca_file: roots.pem, private_addresses: [127.0.0.0/8], http2: false }}",
        server.url
    );
    let files = vec![("roots.pem", server.roots.clone().into_bytes())];
    let rig = Rig::start(Parts { routes, upstreams, keys, files, ..Parts::default() }).await;
    for _ in 0..3 {
        for name in ["one", "other"] {
            let answer = get(&rig, &format!("{name}.test"), "/v1/who", &[]).await;
            assert_eq!((answer.status, answer.text()), (200, format!("client {name}")));
        }
    }
    // Each connection was one client's from its first request to its last, and kept for more than one.
    let connections = server.connections();
    assert_eq!(connections.iter().map(Vec::len).sum::<usize>(), 6);
    assert!(connections.iter().all(|names| BTreeSet::from_iter(names).len() == 1), "{connections:?}");
    assert!(connections.len() < 6, "{connections:?}");
    shows_nowhere(&rig).await;
    assert!(!rig.log_text().contains("PRIVATE KEY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_attempt_carries_a_credential_of_its_own() {
    let recipe = json!({
        "kind": "hmac", "algorithm": "sha256", "encoding": "hex", "timestamp": "unix_ms",
        "message": "{method} {path} {timestamp}", "timestamp_header": "x-time",
        "name": "x-signature", "template": "{signature}",
    });
    // A connection that was kept is closed under the second request: it is sent again over another one.
    let (address, seen) = super::kit::closes_under_the_second().await;
    let keys =
        vec![MoreKey { elsewhere: Some((format!("http://{address}"), "public".to_owned())), ..key("signed", recipe) }];
    let upstreams = format!(
        "  flaky: {{ url: \"http://{address}\", danger_plaintext_loopback: true, private_addresses: [127.0.0.0/8] }}"
    );
    let routes = route("signed", "").replace("upstream: api", "upstream: flaky");
    let rig = Rig::start(Parts { routes, upstreams, keys, ..Parts::default() }).await;
    let mut asked = 0;
    // A connection is back in the pool a moment after its answer: at some request it is used again, and breaks.
    while seen.lock().unwrap().len() == asked {
        assert!(asked < 100, "no request was tried twice");
        assert_eq!(get(&rig, "signed.test", "/v1/a", &[]).await.status, 200);
        asked += 1;
    }
    let heads = seen.lock().unwrap().clone();
    let signed: Vec<&str> =
        heads.iter().filter_map(|head| head.lines().find(|line| line.starts_with("x-signature"))).collect();
    assert!(heads.len() > asked);
    assert_eq!(signed.len(), heads.len(), "{heads:?}");
    assert_eq!(rig.logged(|line| line["attempt"].as_u64() >= Some(2)).await["status"], 200);
}
