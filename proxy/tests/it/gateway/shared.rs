//! Limits that several gateways keep together, and what becomes of them when the server between is away.

use std::time::{Duration, Instant};

use test_servers::Redis;

use super::kit::{Issuer, Parts, Rig};

/// Three a minute each: on an API of one's own, and with a key. What has no limit asks nobody.
const ROUTES: &str = r#"
  own:
    match: { host: own.test, path: "/**" }
    upstream: api
    policy:
      default: block
      rules:
        - { name: free, when: { verdict: attested, path: "/free/**" }, then: allow }
        - name: genuine
          when: { verdict: attested }
          then: { allow: { limits: [{ name: few, requests: 3, per: route, window: 1m }, { name: many, requests: 1000, per: all, window: 1m }] } }
  paid:
    match: { host: paid.test, path: "/paid/**" }
    rewrite: { strip: /paid }
    upstream: api
    key: vendor
    operations: [{ call: "GET /v1/**" }]
    policy:
      default: block
      rules:
        - { name: free, when: { verdict: attested, path: "/paid/v1/free" }, then: allow }
        - name: genuine
          when: { verdict: attested }
          then: { allow: { limits: [{ name: costly, requests: 3, per: route, window: 1m }] } }
"#;

async fn rig(redis: &Redis) -> Rig {
    let state = format!(", shared: {{ url: \"{}\" }}", redis.url());
    Rig::start_with(Issuer::new(), Parts { routes: ROUTES.to_owned(), state, ..Parts::default() }, |_| {}).await
}

async fn ask(rig: &Rig, host: &str, target: &str) -> u16 {
    let token = rig.issuer.token();
    rig.get(host, target, &[("assay-token", &token)]).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_keep_one_limit() {
    let Some(redis) = Redis::start() else { return };
    let (one, other) = (rig(&redis).await, rig(&redis).await);
    let mut passed = 0;
    for rig in [&one, &other, &one, &other, &one, &other] {
        passed += u32::from(ask(rig, "own.test", "/a").await == 200);
    }
    assert_eq!(passed, 3);
    let token = other.issuer.token();
    let answer = other.get("own.test", "/a", &[("assay-token", &token)]).await;
    assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (429, "limited"));
    assert!(answer.header("ratelimit-policy").is_some_and(|policy| policy.contains("\"few\";q=3;w=60")));
    assert_eq!(ask(&other, "paid.test", "/paid/v1/a").await, 200, "another limit");
    assert_eq!(one.metric("assay_shared_state_up", &[]).await, 1.0);
    assert_eq!(one.admin("GET", "/status").await.json()["shared_state"]["up"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_state_that_dies_is_counted_around_or_refused_as_the_route_says() {
    let Some(redis) = Redis::start() else { return };
    let rig = rig(&redis).await;
    assert_eq!(ask(&rig, "own.test", "/a").await, 200);
    redis.kill();
    // At the rate that the policy says, by this gateway alone.
    let mut passed = 0;
    for _ in 0..10 {
        passed += u32::from(ask(&rig, "own.test", "/a").await == 200);
    }
    assert_eq!(passed, 3);
    let line = rig.logged(|line| line["status"] == 429).await;
    assert_eq!(line["shared_state_down"], true);
    let token = rig.issuer.token();
    let refused = rig.get("paid.test", "/paid/v1/a", &[("assay-token", &token)]).await;
    assert_eq!((refused.status, refused.json()["code"].as_str().unwrap()), (503, "unavailable"));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(rig.logged(|line| line["status"] == 503).await["detail"], "shared_state_down");
    assert_eq!(ask(&rig, "paid.test", "/paid/v1/free").await, 200, "what has no limit asks nobody");
    assert_eq!(rig.metric("assay_shared_state_up", &[]).await, 0.0);
    assert_eq!(rig.metric("assay_limits_counted_locally_total", &["route=\"own\""]).await, 10.0);
    redis.restart();
    rig.until("back", async || rig.metric("assay_shared_state_up", &[]).await == 1.0).await;
    assert_eq!(ask(&rig, "paid.test", "/paid/v1/a").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_state_that_hangs_costs_a_few_requests_their_time_and_the_others_nothing() {
    let Some(redis) = Redis::start() else { return };
    let rig = rig(&redis).await;
    assert_eq!(ask(&rig, "own.test", "/a").await, 200);
    redis.pause();
    let mut slow = 0;
    for _ in 0..100 {
        let start = Instant::now();
        assert_ne!(ask(&rig, "own.test", "/a").await, 503);
        slow += u32::from(start.elapsed() >= Duration::from_millis(100));
    }
    assert!((1..=10).contains(&slow), "{slow} of 100 waited");
    assert!(rig.metric("assay_shared_state_failures_total", &[]).await >= 1.0);
    redis.resume();
    rig.until("back", async || rig.metric("assay_shared_state_up", &[]).await == 1.0).await;
    assert_eq!(ask(&rig, "paid.test", "/paid/v1/a").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_without_its_shared_state_and_another_server_takes_a_restart() {
    let Some(redis) = Redis::start() else { return };
    redis.kill();
    let rig = rig(&redis).await;
    assert_eq!(ask(&rig, "own.test", "/a").await, 200);
    assert_eq!(ask(&rig, "paid.test", "/paid/v1/a").await, 503);
    redis.restart();
    rig.until("there", async || ask(&rig, "paid.test", "/paid/v1/a").await == 200).await;
    let elsewhere = redis.url().replace("127.0.0.1", "localhost");
    rig.edit(|text| text.replace(&redis.url(), &elsewhere));
    let report = rig.gateway.reload().await.unwrap_err();
    assert!(report.contains("state.shared") && report.contains("restart"), "{report}");
}
