//! Rates and budgets: what passes, what is charged, and what clients are told.

use std::time::Duration;

use attest_core::time::Clock as _;
use futures_util::future::join_all;
use test_servers::Redis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::callers::{IDP, jwt, sha256_hex};
use super::kit::{Answer, Issuer, Parts, Rig, launch};

/// A route with these limits for attested requests.
fn limited(limits: &str) -> String {
    limited_with(limits, "")
}

fn limited_with(limits: &str, more: &str) -> String {
    format!(
        r#"
  own:
    match: {{ host: own.test, path: "/**" }}
    upstream: api
    {more}
    policy:
      default: block
      rules:
        - name: genuine
          when: {{ verdict: attested }}
          then: {{ allow: {{ limits: [{limits}] }} }}
"#
    )
}

async fn rig(routes: String) -> Rig {
    Rig::start(Parts { routes, ..Parts::default() }).await
}

async fn ask(rig: &Rig, target: &str) -> Answer {
    let token = rig.issuer.token();
    rig.get("own.test", target, &[("assay-token", &token)]).await
}

async fn status(rig: &Rig, target: &str) -> u16 {
    ask(rig, target).await.status
}

/// Units charged so far; every request's charge is written when it is over.
async fn charged(rig: &Rig, unit: &str) -> f64 {
    rig.metric("assay_budget_charged_total", &[&format!("unit=\"{unit}\"")]).await
}

async fn until_charged(rig: &Rig, unit: &str, units: f64) {
    rig.until(&format!("{units} {unit}"), async || charged(rig, unit).await == units).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_429_before_the_rate_is_used_up_and_says_so() {
    let rig = rig(limited("{ name: few, requests: 3600, burst: 2, per: device, window: 24h }")).await;
    assert_eq!([status(&rig, "/a").await, status(&rig, "/a").await], [200, 200]);
    let answer = ask(&rig, "/a").await;
    assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (429, "limited"));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("ratelimit-policy"), Some("\"few\";q=3600;w=86400;assay-burst=2"));
    assert_eq!(answer.header("retry-after"), Some("24"));
    assert_eq!(answer.header("ratelimit"), Some("\"few\";r=0;t=24"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_has_its_own_count_and_each_device_one_for_all_of_its_tokens() {
    let rig = rig(limited(
        "{ name: token, requests: 2, per: token, window: 24h }, { name: device, requests: 3, per: all, window: 24h }",
    ))
    .await;
    let (one, other) = (rig.issuer.token(), rig.issuer.token());
    let mut seen = Vec::new();
    for token in [&one, &one, &one, &other, &other] {
        let answer = rig.get("own.test", "/a", &[("assay-token", token)]).await;
        seen.push((answer.status, answer.header("ratelimit-policy").map(|policy| policy[1..3].to_owned())));
    }
    let refused = |limit: &str| (429, Some(limit.to_owned()));
    // The third did not count against all: a refused request counts under no limit.
    assert_eq!(seen, [(200, None), (200, None), refused("to"), (200, None), refused("de")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_of_requests_is_right_to_the_unit_under_concurrency_and_whole_again_in_its_next_window() {
    let rig = rig(limited("{ name: daily, requests: 10, count: fixed, per: route, window: 1d }")).await;
    let answers = join_all((0..40).map(|_| ask(&rig, "/a"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 10);
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.header("ratelimit-policy"), Some("\"daily\";q=10;w=86400"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(wait <= 86_400);
    until_charged(&rig, "requests", 10.0).await;
    rig.issuer.clock.advance(Duration::from_secs(wait + 1));
    assert_eq!(status(&rig, "/a").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_charged_as_the_api_counts_them_in_json_and_in_streams() {
    let rig = rig(limited("{ name: tokens, tokens: 100, reserve: 50, per: device, window: 1d }")).await;
    assert_eq!(status(&rig, "/v1/usage?30").await, 200);
    assert_eq!(rig.api.last().headers["accept-encoding"], "identity");
    until_charged(&rig, "tokens", 30.0).await;
    let line = rig.logged(|line| line["charged"]["tokens"] == 30).await;
    assert!(line["charged"]["usage_unknown"].is_null(), "{line}");
    let stream = ask(&rig, "/v1/usage-sse?25").await;
    assert!(stream.whole && stream.text().ends_with("data: [DONE]\n\n"), "{}", stream.text());
    until_charged(&rig, "tokens", 55.0).await;
    let refused = ask(&rig, "/v1/usage?1").await;
    assert_eq!(
        (refused.status, refused.header("ratelimit-policy")),
        (429, Some("\"tokens\";q=100;qu=\"tokens\";w=86400"))
    );
    assert!(refused.header("ratelimit").unwrap().starts_with("\"tokens\";r=45;t="), "fewer than it reserves");
    assert_eq!(rig.metric("assay_budget_usage_unknown_total", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_beyond_a_reservation_is_charged_and_closes_the_window() {
    let rig = rig(limited("{ name: tokens, tokens: 100, reserve: 10, per: device, window: 1d }")).await;
    assert_eq!(status(&rig, "/v1/usage?5000").await, 200);
    until_charged(&rig, "tokens", 5000.0).await;
    assert_eq!(status(&rig, "/v1/usage?1").await, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_usage_comes_pays_what_was_reserved() {
    let rig = rig(limited("{ name: tokens, tokens: 100, reserve: 40, per: device, window: 1d }")).await;
    for aborted in 1..=2 {
        let mut tcp = TcpStream::connect(rig.gateway.public()).await.unwrap();
        let token = rig.issuer.token();
        let head = format!("GET /v1/usage-sse?hang1 HTTP/1.1\r\nhost: own.test\r\nassay-token: {token}\r\n\r\n");
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\n\n\r\n") {
            assert!(tcp.read_buf(&mut seen).await.unwrap() > 0, "{}", String::from_utf8_lossy(&seen));
        }
        drop(tcp);
        until_charged(&rig, "tokens", f64::from(40 * aborted)).await;
    }
    assert_eq!(rig.metric("assay_budget_usage_unknown_total", &[]).await, 2.0);
    assert_eq!(status(&rig, "/v1/usage?1").await, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_can_not_be_read_costs_its_reservation_and_a_refusal_by_the_api_nothing() {
    let rig = rig(limited("{ name: tokens, tokens: 1000, reserve: 40, per: device, window: 1d }")).await;
    for target in ["/v1/status?400", "/v1/status?429", "/v1/status?503"] {
        ask(&rig, target).await;
    }
    rig.until("three requests", async || rig.lines().iter().filter(|line| line["route"] == "own").count() == 3).await;
    assert_eq!(charged(&rig, "tokens").await, 0.0);
    for (number, target) in (1..).zip(["/v1/usage?gzip7", "/v1/a", "/v1/status?500", "/v1/usage?null"]) {
        ask(&rig, target).await;
        until_charged(&rig, "tokens", f64::from(40 * number)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_those_of_both_bodies() {
    let rig = rig(limited("{ name: bytes, bytes: 1000, reserve: 100, per: device, window: 1d }")).await;
    let token = rig.issuer.token();
    let answer = rig.ask("POST", "own.test", "/v1/a", &[("assay-token", &token)], &[b'x'; 500]).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    until_charged(&rig, "bytes", 502.0).await;
    let answer = rig.ask("POST", "own.test", "/v1/a", &[("assay-token", &token)], &[b'x'; 600]).await;
    assert_eq!(answer.status, 200, "it fits when it comes: nobody believes a length");
    until_charged(&rig, "bytes", 1104.0).await;
    let refused = ask(&rig, "/v1/a").await;
    let policy = Some("\"bytes\";q=1000;qu=\"content-bytes\";w=86400");
    assert_eq!((refused.status, refused.header("ratelimit-policy")), (429, policy));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_stream_are_spent_while_it_runs() {
    let rig = rig(limited("{ name: bytes, bytes: 60, reserve: 10, per: device, window: 1d }")).await;
    let mut tcp = TcpStream::connect(rig.gateway.public()).await.unwrap();
    let token = rig.issuer.token();
    let head = format!("GET /v1/usage-sse?hang1 HTTP/1.1\r\nhost: own.test\r\nassay-token: {token}\r\n\r\n");
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"\n\n\r\n") {
        assert!(tcp.read_buf(&mut seen).await.unwrap() > 0, "{}", String::from_utf8_lossy(&seen));
    }
    // 51 bytes have passed, of which 10 were reserved; the stream is open.
    rig.until("spent", async || status(&rig, "/v1/a").await == 429).await;
    drop(tcp);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_reached_the_api_costs_nothing() {
    let rig = rig(limited(
        "{ name: few, requests: 1, count: fixed, per: device, window: 1d }, { name: t, tokens: 10, reserve: 10, per: device, window: 1d }",
    ))
    .await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let open = rig.api.address.port();
    rig.edit(|text| text.replace(&format!("127.0.0.1:{open}"), &format!("127.0.0.1:{closed}")));
    rig.gateway.reload().await.unwrap();
    for _ in 0..3 {
        assert_eq!(status(&rig, "/v1/a").await, 502);
    }
    rig.edit(|text| text.replace(&format!("127.0.0.1:{closed}"), &format!("127.0.0.1:{open}")));
    rig.gateway.reload().await.unwrap();
    assert_eq!(status(&rig, "/v1/usage?3").await, 200);
    assert_eq!(status(&rig, "/v1/usage?3").await, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_pass_tell_what_is_left_only_where_the_route_says_so() {
    let limits = "{ name: minute, requests: 60, per: device, window: 1m }, { name: day, requests: 9, count: fixed, per: device, window: 1d }";
    let quiet = rig(limited(limits)).await;
    let answer = ask(&quiet, "/a").await;
    assert_eq!((answer.status, answer.header("ratelimit"), answer.header("ratelimit-policy")), (200, None, None));
    let telling = rig(limited_with(limits, "rate_limit_headers: true")).await;
    let answer = ask(&telling, "/a").await;
    assert_eq!(answer.header("ratelimit-policy"), Some("\"minute\";q=60;w=60, \"day\";q=9;w=86400"));
    assert!(answer.header("ratelimit").unwrap().starts_with("\"minute\";r=59;t=1, \"day\";r=8;t="), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_one_budget_over_all_of_its_routes() {
    let route = |name: &str| {
        format!(
            r#"
  {name}:
    match: {{ host: {name}.test, path: "/paid/**" }}
    rewrite: {{ strip: /paid }}
    upstream: api
    key: vendor
    operations: [{{ call: "GET /v1/**" }}]
    policy:
      default: block
      rules:
        - name: genuine-{name}
          when: {{ verdict: attested }}
          then: {{ allow: {{ limits: [{{ requests: 3, count: fixed, per: key, window: 1d }}] }} }}
"#
        )
    };
    let rig = rig(route("one") + &route("other")).await;
    let mut passed = 0;
    for host in ["one.test", "other.test", "one.test", "other.test", "one.test"] {
        let token = rig.issuer.token();
        passed += u32::from(rig.get(host, "/paid/v1/a", &[("assay-token", &token)]).await.status == 200);
    }
    assert_eq!(passed, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_caller_and_each_user_has_a_count_of_its_own() {
    const TOP: &str = r#"
issuers: { idp: { profile: jwt, keys: { secret_file: idp.secret, encoding: raw, algorithm: HS256 }, issuer: "https://idp.test", audience: api.test, max_lifetime: 1h } }
callers:
  acme: { bearer: { sha256_file: acme.sha256, from: [X-Partner-Key] } }
  globex: { bearer: { sha256_file: globex.sha256, from: [X-Partner-Key] } }
"#;
    const ROUTES: &str = r#"
  own:
    match: { host: own.test, path: "/**" }
    upstream: api
    callers: [acme, globex]
    user: { issuer: idp, from: [User-Token] }
    policy:
      default: block
      rules:
        - name: users
          when: { verdict: attested, user: { present: true } }
          then: { allow: { limits: [{ requests: 2, count: fixed, per: user, window: 1d }] } }
        - name: partners
          when: { verdict: missing, caller: any }
          then: { allow: { limits: [{ requests: 2, per: caller, window: 1d }] } }
"#;
    let secret = |name: &str| format!("{name}-0123456789abcdef0123456789abcdef");
    let hash = |name: &str| format!("{}\n", sha256_hex(secret(name).as_bytes())).into_bytes();
    let files = vec![("acme.sha256", hash("acme")), ("globex.sha256", hash("globex")), ("idp.secret", IDP.to_vec())];
    let rig = Rig::start(Parts { top: TOP, routes: ROUTES.to_owned(), files, ..Parts::default() }).await;
    let mut seen = Vec::new();
    for name in ["acme", "acme", "acme", "globex"] {
        seen.push(rig.get("own.test", "/", &[("x-partner-key", &secret(name))]).await.status);
    }
    let now = rig.issuer.clock.now().secs();
    for subject in ["ann", "ann", "ann", "bob"] {
        let claims = serde_json::json!({ "iss": "https://idp.test", "aud": "api.test", "sub": subject, "iat": now, "exp": now + 60 });
        let token = rig.issuer.token();
        let headers = [("assay-token", token.as_str()), ("user-token", &jwt(IDP, &claims))];
        seen.push(rig.get("own.test", "/", &headers).await.status);
    }
    assert_eq!(seen, [200, 200, 429, 200, 200, 200, 429, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_gives_no_second_budget_and_a_damaged_file_none_before_the_next_window() {
    let rig = rig(limited("{ name: daily, requests: 2, count: fixed, per: route, window: 1d }")).await;
    assert_eq!([status(&rig, "/a").await, status(&rig, "/a").await, status(&rig, "/a").await], [200, 200, 429]);
    rig.gateway.shutdown();
    rig.gateway.wait().await;
    let file = rig.folder.path().join("state/budgets");
    assert!(file.is_file());
    let again = async |path: &std::path::Path| {
        let gateway = launch(path, rig.issuer.clone(), super::kit::Log::default(), "127.0.0.1:9".parse().unwrap());
        let gateway = gateway.unwrap();
        let token = rig.issuer.token();
        let head = format!("GET /a HTTP/1.1\r\nhost: own.test\r\nassay-token: {token}\r\nconnection: close\r\n\r\n");
        let status = super::kit::raw(gateway.public(), head.as_bytes()).await.status;
        gateway.shutdown();
        gateway.wait().await;
        status
    };
    assert_eq!(again(&rig.path()).await, 429);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(again(&rig.path()).await, 429, "what was spent is not known");
    rig.issuer.clock.advance(Duration::from_secs(86_400));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(again(&rig.path()).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_share_a_budget_and_go_on_alone_while_the_server_between_is_away() {
    let Some(redis) = Redis::start() else { return };
    let start = async || {
        let state = format!(", shared: {{ url: \"{}\" }}", redis.url());
        let routes = limited("{ name: tokens, tokens: 100, reserve: 40, per: device, window: 7d }");
        Rig::start_with(Issuer::new(), Parts { routes, state, ..Parts::default() }, |_| {}).await
    };
    let (one, other) = (start().await, start().await);
    assert_eq!(status(&one, "/v1/usage?5").await, 200);
    assert_eq!(status(&other, "/v1/usage?35").await, 200);
    // 40 are spent once both are settled, which nobody waits for: then a third fits, and settled at 50 it is the last.
    let passes = async |rig: &Rig| status(rig, "/v1/usage?50").await == 200;
    one.until("settled", async || passes(&one).await).await;
    other.until("settled", async || charged(&one, "tokens").await >= 55.0).await;
    other.until("used up for both", async || !passes(&other).await).await;
    assert_eq!(status(&one, "/v1/usage?1").await, 429);

    redis.kill();
    // By each gateway alone, at what the policy says.
    let alone = status(&one, "/v1/usage?90").await;
    assert_eq!(alone, 200);
    assert_eq!(one.logged(|line| line["shared_state_down"] == true).await["status"], 200);
    one.until("charged", async || charged(&one, "tokens").await >= 145.0).await;
    assert_eq!(status(&one, "/v1/usage?1").await, 429);
    assert!(one.metric("assay_limits_counted_locally_total", &[]).await >= 2.0);
}
