//! Ceilings of keys: what no rule, mode or order lifts, right to the unit.

use std::time::Duration;

use attest_core::feed::{Order, OrderKind};
use attest_core::time::Clock as _;
use futures_util::future::join_all;
use test_servers::Redis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::kit::{Answer, Issuer, Parts, Rig};

/// Two routes with the same key and these ceilings; on the first, `/v1/low/**` is let through by another rule.
fn routes(ceilings: &str, limits: &str) -> String {
    let route = |name: &str, low: &str| {
        format!(
            r#"
  {name}:
    match: {{ host: {name}.test, path: "/**" }}
    upstream: api
    key: vendor
    operations: [{{ call: "GET /v1/**" }}]
    ceilings: {{ {ceilings} }}
    policy:
      default: block
      rules:
{low}        - {{ name: genuine, when: {{ verdict: attested }}, then: {{ allow: {{ limits: [{limits}] }} }} }}
"#
        )
    };
    let low = "        - { name: low, when: { verdict: attested, path: \"/v1/low/**\" }, then: deprioritize }\n";
    format!("{}{}", route("chat", low), route("images", ""))
}

async fn rig(ceilings: &str) -> Rig {
    Rig::start(Parts { routes: routes(ceilings, ""), ..Parts::default() }).await
}

async fn ask(rig: &Rig, host: &str, target: &str) -> Answer {
    let token = rig.issuer.token();
    rig.get(host, target, &[("assay-token", &token)]).await
}

async fn passed(asked: impl IntoIterator<Item = impl Future<Output = Answer>>) -> usize {
    let answers = join_all(asked).await;
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 429)));
    answers.iter().filter(|answer| answer.status == 200).count()
}

/// A figure of both routes together.
async fn total(rig: &Rig, figure: &str, label: &str) -> f64 {
    rig.metric(figure, &["route=\"chat\"", label]).await + rig.metric(figure, &["route=\"images\"", label]).await
}

async fn until_charged(rig: &Rig, unit: &str, units: f64) {
    let charged = async || total(rig, "assay_budget_charged_total", &format!("unit=\"{unit}\"")).await;
    rig.until(&format!("{units} {unit}"), async || charged().await == units).await;
}

/// In the middle of a stream whose usage never comes; dropping it is leaving.
async fn stream(rig: &Rig, host: &str) -> TcpStream {
    let mut tcp = TcpStream::connect(rig.gateway.public()).await.unwrap();
    let token = rig.issuer.token();
    let head = format!("GET /v1/usage-sse:hang1 HTTP/1.1\r\nhost: {host}\r\nassay-token: {token}\r\n\r\n");
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"\n\n\r\n") {
        assert!(tcp.read_buf(&mut seen).await.unwrap() > 0, "{}", String::from_utf8_lossy(&seen));
    }
    tcp
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ceiling_of_a_key_holds_over_all_routes_and_rules_whatever_runs_at_once() {
    let rig = rig("key: { requests: 10/1d }").await;
    let targets = [("chat.test", "/v1/a"), ("images.test", "/v1/a"), ("chat.test", "/v1/low/a")];
    let asked = (0..42).map(|n| ask(&rig, targets[n % 3].0, targets[n % 3].1));
    assert_eq!(passed(asked).await, 10);
    assert_eq!(rig.api.seen().len(), 10, "the API saw no more");
    let refused = ask(&rig, "images.test", "/v1/a").await;
    assert_eq!(refused.json()["code"], "limited");
    assert_eq!(refused.header("ratelimit-policy"), Some("\"ceiling.key.requests\";q=10;w=86400"));
    let line = rig.logged(|line| line["status"] == 429 && line["route"] == "images").await;
    assert_eq!(line["limit"]["name"], "ceiling.key.requests", "{line}");
    let reached = "key=\"vendor\",ceiling=\"ceiling.key.requests\"";
    assert_eq!(total(&rig, "assay_ceiling_reached_total", reached).await, 33.0);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    rig.issuer.clock.advance(Duration::from_secs(wait + 1));
    // Until revocations of that day are there, nobody has the key.
    rig.until("a new day", async || ask(&rig, "chat.test", "/v1/a").await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_order_lifts_a_ceiling() {
    let rig = rig("device: { requests: 3/1d }").await;
    let now = rig.issuer.clock.now().secs();
    let order = Order {
        id: 7,
        kind: OrderKind::Monitor,
        routes: Vec::new(),
        since: now,
        until: now + 3_600,
        reason: "a flood".to_owned(),
        by: "ann".to_owned(),
        extend_by: None,
    };
    rig.issuer.order(vec![order]);
    rig.until("monitored", async || rig.metric("assay_mode", &["route=\"chat\"", "mode=\"monitor\""]).await == 1.0)
        .await;
    assert_eq!(passed((0..20).map(|_| ask(&rig, "chat.test", "/v1/a"))).await, 3);
    assert_eq!(ask(&rig, "images.test", "/v1/a").await.status, 200, "a device has one count for each route");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_right_to_the_unit_while_streams_are_aborted() {
    let rig = rig("reserve: { tokens: 40 }, key: { tokens: 130/1d }").await;
    drop(stream(&rig, "chat.test").await);
    until_charged(&rig, "tokens", 40.0).await;
    assert_eq!(passed((0..8).map(|_| ask(&rig, "images.test", "/v1/usage:40"))).await, 2);
    until_charged(&rig, "tokens", 120.0).await;
    let refused = ask(&rig, "chat.test", "/v1/usage:1").await;
    assert!(refused.header("ratelimit").unwrap().starts_with("\"ceiling.key.tokens\";r=10;"));
    assert_eq!(total(&rig, "assay_budget_usage_unknown_total", "").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_the_policy_and_a_ceiling_of_the_same_kind_do_not_spend_from_one_count() {
    let limit = "{ name: own, tokens: 100, reserve: 50, per: key, window: 1d }";
    let ceilings = "reserve: { tokens: 50 }, key: { tokens: 100/1d }";
    let rig = Rig::start(Parts { routes: routes(ceilings, limit), ..Parts::default() }).await;
    for spent in [50.0, 100.0] {
        assert_eq!(ask(&rig, "chat.test", "/v1/usage:50").await.status, 200);
        until_charged(&rig, "tokens", spent).await;
    }
    let refused = ask(&rig, "chat.test", "/v1/usage:50").await;
    assert!(refused.header("ratelimit-policy").unwrap().starts_with("\"own\""), "limits are asked before ceilings");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_ceiling_refuses_counts_under_no_limit_and_bytes_are_counted_as_they_pass() {
    let limit = "{ name: own, requests: 3, count: fixed, per: route, window: 1d }";
    let rig = Rig::start(Parts { routes: routes("device: { bytes: 66KiB/1d }", limit), ..Parts::default() }).await;
    let first = stream(&rig, "chat.test").await;
    let refused = ask(&rig, "chat.test", "/v1/a").await;
    assert!(refused.header("ratelimit-policy").unwrap().starts_with("\"ceiling.device.bytes\""), "64 KiB are reserved");
    drop(first);
    rig.until("settled", async || rig.metric("assay_budget_charged_total", &["unit=\"bytes\""]).await > 0.0).await;
    assert_eq!(
        [ask(&rig, "chat.test", "/v1/a").await.status, ask(&rig, "chat.test", "/v1/a").await.status],
        [200, 200]
    );
    let refused = ask(&rig, "chat.test", "/v1/a").await;
    assert!(refused.header("ratelimit-policy").unwrap().starts_with("\"own\""), "three passed, and no more counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_stays_spent_when_the_configuration_changes() {
    let rig = rig("key: { requests: 3/1d }").await;
    assert_eq!(passed((0..9).map(|_| ask(&rig, "chat.test", "/v1/a"))).await, 3);
    rig.edit(|text| text.replace("requests: 3/1d", "requests: 5/1d"));
    rig.until("two more", async || ask(&rig, "chat.test", "/v1/a").await.status == 200).await;
    assert_eq!(passed((0..9).map(|_| ask(&rig, "images.test", "/v1/a"))).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_that_share_state_share_the_ceiling_to_the_unit() {
    let Some(redis) = Redis::start() else { return };
    let start = async || {
        let state = format!(", shared: {{ url: \"{}\" }}", redis.url());
        let ceilings = "reserve: { tokens: 40 }, device: { requests: 8/1d }, key: { tokens: 200/1d }";
        let parts = Parts { routes: routes(ceilings, ""), state, ..Parts::default() };
        Rig::start_with(Issuer::new(), parts, |_| {}).await
    };
    let rigs = [start().await, start().await];
    // Five reservations of the key's tokens, whatever runs at once.
    let asked = (0..30).map(|n| ask(&rigs[n % 2], ["chat.test", "images.test"][(n / 2) % 2], "/v1/usage-sse:40"));
    assert_eq!(passed(asked).await, 5);
    let refused = ask(&rigs[0], "chat.test", "/v1/usage:1").await;
    assert_eq!(refused.header("ratelimit-policy"), Some("\"ceiling.key.tokens\";q=200;qu=\"tokens\";w=86400"));
    let reached = async |rig| total(rig, "assay_ceiling_reached_total", "key=\"vendor\"").await;
    let reached = reached(&rigs[0]).await + reached(&rigs[1]).await;
    assert_eq!(reached, 26.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_stream_at_one_gateway_stands_at_the_other() {
    let Some(redis) = Redis::start() else { return };
    let start = async || {
        let state = format!(", shared: {{ url: \"{}\" }}", redis.url());
        let parts =
            Parts { routes: routes("reserve: { tokens: 40 }, key: { tokens: 100/1d }", ""), state, ..Parts::default() };
        Rig::start_with(Issuer::new(), parts, |_| {}).await
    };
    let (one, other) = (start().await, start().await);
    drop(stream(&one, "chat.test").await);
    until_charged(&one, "tokens", 40.0).await;
    assert_eq!(ask(&other, "images.test", "/v1/usage:25").await.status, 200);
    // 35 are left once the usage has arrived: less than a reservation.
    other
        .until("settled", async || {
            let refused = ask(&one, "chat.test", "/v1/usage:1").await;
            refused.status == 429 && refused.header("ratelimit").unwrap().starts_with("\"ceiling.key.tokens\";r=35;")
        })
        .await;
}
