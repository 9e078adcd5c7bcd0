//! Webhooks: deliveries signed as Stripe, GitHub and others sign them.

use std::time::{Duration, Instant};

use attest_core::time::Clock;
use aws_lc_rs::hmac;
use data_encoding::BASE64;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::kit::{Answer, Parts, Rig};
use super::hmac_hex;

const STRIPE: &[u8] = b"whsec_stripe0123456789abcdef";
const STRIPE_NEXT: &[u8] = b"whsec_next0123456789abcdef01";
const GITHUB: &[u8] = b"github-0123456789abcdef";
const OTHER: &[u8] = b"other-0123456789abcdef";
const STANDARD: &[u8] = b"a standard webhook's secret";
const BODY: &[u8] = br#"{"id":"evt_1","type":"charge.succeeded"}"#;

const TOP: &str = r#"
callers:
  stripe: { webhook: { scheme: stripe, secret_files: [stripe.secret, stripe-next.secret] } }
  github: { webhook: { scheme: github, secret_file: github.secret } }
  standard: { webhook: { scheme: standard, secret_file: standard.secret } }
  slack: { webhook: { scheme: hmac, secret_file: other.secret, header: X-Slack-Signature, prefix: "v0=", timestamp_header: X-Slack-Request-Timestamp, signed: "v0:{timestamp}:{body}" } }
  other: { webhook: { scheme: hmac, secret_file: other.secret, header: X-Other-Signature, prefix: "v1=", encoding: hex, timestamp_header: X-Other-Time, tolerance: 1m } }
"#;

const ROUTES: &str = r#"
  hooks:
    match: { host: hooks.test, path: "/**" }
    upstream: api
    callers: [stripe, github, standard, slack, other]
    policy:
      default: block
      rules:
        - { name: genuine, when: { verdict: attested }, then: allow }
        - { name: webhooks, when: { verdict: missing, caller: any, method: POST }, then: { allow: { class: critical } } }
"#;

async fn rig(api: &'static str) -> Rig {
    let files = vec![
        ("stripe.secret", STRIPE.to_vec()),
        ("stripe-next.secret", STRIPE_NEXT.to_vec()),
        ("github.secret", GITHUB.to_vec()),
        ("other.secret", OTHER.to_vec()),
        ("standard.secret", format!("whsec_{}", BASE64.encode(STANDARD)).into_bytes()),
    ];
    Rig::start(Parts { top: TOP, routes: ROUTES.to_owned(), files, api, ..Parts::default() }).await
}

fn stripe(secret: &[u8], at: i64, body: &[u8]) -> String {
    format!("t={at},v1={}", hmac_hex(secret, &[at.to_string().as_bytes(), b".", body]))
}

async fn post(rig: &Rig, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    rig.ask("POST", "hooks.test", "/hooks/x", headers, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_of_another_secret_time_or_body_is_nobody_s() {
    let rig = rig("").await;
    let now = rig.issuer.clock.now().secs();
    let good = stripe(STRIPE, now, BODY);
    let changed = BODY.iter().map(|byte| if *byte == b'1' { b'2' } else { *byte }).collect::<Vec<_>>();
    let sent = |signature: &str| vec![("stripe-signature", signature.to_owned())];
    let twice = vec![("stripe-signature", good.clone()), ("stripe-signature", good.clone())];
    for (headers, body, why) in [
        (sent(&stripe(b"whsec_another0123456789abcdef", now, BODY)), BODY, "signature_wrong"),
        (sent(&stripe(STRIPE, now - 301, BODY)), BODY, "timestamp_stale"),
        (sent(&stripe(STRIPE, now + 302, BODY)), BODY, "timestamp_stale"),
        (sent(&good), &changed, "signature_wrong"),
        (sent(&good), &BODY[..BODY.len() - 1], "signature_wrong"),
        (twice, BODY, "several_signatures"),
        (sent("t=1"), BODY, "signature_malformed"),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = post(&rig, &headers, body).await;
        assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (401, "attestation_required"), "{why}");
        rig.logged(|line| line["no_caller"] == why).await;
    }
    assert!(rig.api.seen().is_empty());
    assert!(!rig.log_text().contains(&good[20..]) && !rig.log_text().contains("whsec"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_goes_on_whole_with_either_secret_and_once() {
    let rig = rig("").await;
    let now = rig.issuer.clock.now().secs();
    for secret in [STRIPE, STRIPE_NEXT] {
        let good = stripe(secret, now, BODY);
        let answer = post(&rig, &[("stripe-signature", &good)], BODY).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = rig.api.last();
        assert_eq!((seen.body.as_slice(), &seen.headers["x-assay-caller"]), (BODY, &"stripe".parse().unwrap()));
        // The API may check it too.
        assert_eq!(seen.headers["stripe-signature"], good);
        // What was recorded on the way is not good again, however it is spelled.
        for again in
            [good.clone(), good.to_uppercase().replace("T=", "t=").replace("V1=", "v1="), format!("{good},v0=00")]
        {
            assert_eq!(post(&rig, &[("stripe-signature", &again)], BODY).await.status, 401, "{again}");
        }
        rig.logged(|line| line["no_caller"] == "replayed").await;
    }
    assert_eq!(rig.api.seen().len(), 2);
    let line = rig.logged(|line| line["caller"] == "stripe").await;
    assert_eq!((&line["caller_by"], &line["class"]), (&"webhook".into(), &"critical".into()));
    // Sent again by its sender, it is signed anew.
    let retry = stripe(STRIPE, now - 5, BODY);
    assert_eq!(post(&rig, &[("stripe-signature", &retry)], BODY).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_the_api_did_not_take_may_come_again() {
    let rig = rig("").await;
    let now = rig.issuer.clock.now().secs();
    let good = stripe(STRIPE, now, BODY);
    // 302: not taken.
    for _ in 0..2 {
        let sent = [("stripe-signature", good.as_str())];
        assert_eq!(rig.ask("POST", "hooks.test", "/redirect?/x", &sent, BODY).await.status, 302);
    }
    assert_eq!(post(&rig, &[("stripe-signature", &good)], BODY).await.status, 200);
    assert_eq!(post(&rig, &[("stripe-signature", &good)], BODY).await.status, 401);
}

/// Whoever has recorded a delivery could else have it done as often as he likes.
#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_before_the_answer_does_not_make_a_delivery_good_again() {
    let rig = rig("").await;
    let now = rig.issuer.clock.now().secs();
    let good = stripe(STRIPE, now, BODY);
    let head = format!(
        "POST /hooks/slow?60000 HTTP/1.1\r\nhost: hooks.test\r\nstripe-signature: {good}\r\ncontent-length: {}\r\n\r\n",
        BODY.len()
    );
    let mut tcp = TcpStream::connect(rig.gateway.public()).await.unwrap();
    tcp.write_all(&[head.as_bytes(), BODY].concat()).await.unwrap();
    rig.until("the API has it", async || rig.api.seen().len() == 1).await;
    drop(tcp);
    rig.logged(|line| line["caller"] == "stripe").await;
    assert_eq!(post(&rig, &[("stripe-signature", &good)], BODY).await.status, 401);
    rig.logged(|line| line["no_caller"] == "replayed").await;
    assert_eq!(rig.api.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn github_and_others_sign_their_own_way() {
    let rig = rig("").await;
    let now = rig.issuer.clock.now().secs();
    let github = format!("sha256={}", hmac_hex(GITHUB, &[BODY]));
    for _ in 0..2 {
        // Its signature has no time in it: it can't be told from a redelivery.
        assert_eq!(post(&rig, &[("x-hub-signature-256", &github)], BODY).await.status, 200);
    }
    assert_eq!(rig.api.last().headers["x-assay-caller"], "github");
    assert_eq!(post(&rig, &[("x-hub-signature-256", &github)], b"{}").await.status, 401);
    assert_eq!(post(&rig, &[("x-hub-signature", &github)], BODY).await.status, 401);
    let at = now.to_string();
    let other = format!("v1={}", hmac_hex(OTHER, &[at.as_bytes(), b".", BODY]));
    assert_eq!(post(&rig, &[("x-other-signature", &other)], BODY).await.status, 401);
    let later = (now + 1).to_string();
    assert_eq!(post(&rig, &[("x-other-signature", &other), ("x-other-time", &later)], BODY).await.status, 401);
    assert_eq!(post(&rig, &[("x-other-signature", &other), ("x-other-time", &at)], BODY).await.status, 200);
    assert_eq!(rig.api.last().headers["x-assay-caller"], "other");
    let slack = format!("v0={}", hmac_hex(OTHER, &[b"v0:", at.as_bytes(), b":", BODY]));
    let slack = [("x-slack-signature", slack.as_str()), ("x-slack-request-timestamp", &at)];
    assert_eq!(post(&rig, &slack, BODY).await.status, 200);
    assert_eq!(rig.api.last().headers["x-assay-caller"], "slack");
    let mac =
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, STANDARD), &[b"msg_1.", at.as_bytes(), b".", BODY].concat());
    let signature = format!("v1,{}", BASE64.encode(mac.as_ref()));
    let standard =
        |id| [("webhook-id", id), ("webhook-timestamp", at.as_str()), ("webhook-signature", signature.as_str())];
    assert_eq!(post(&rig, &standard("msg_2"), BODY).await.status, 401);
    assert_eq!(post(&rig, &standard("msg_1"), BODY).await.status, 200);
    assert_eq!(rig.api.last().headers["x-assay-caller"], "standard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_sixty_four_kilobytes_is_checked_and_one_more_byte_is_too_much() {
    let rig = rig("").await;
    let now = rig.issuer.clock.now().secs();
    let whole = vec![b'x'; 64 * 1024];
    let good = stripe(STRIPE, now, &whole);
    assert_eq!(post(&rig, &[("stripe-signature", &good)], &whole).await.status, 200);
    assert_eq!(rig.api.last().body, whole);
    let more = vec![b'x'; 64 * 1024 + 1];
    let large = stripe(STRIPE, now, &more);
    assert_eq!(post(&rig, &[("stripe-signature", &large)], &more).await.status, 413);
    // The same for one that does not say how long it is.
    let mut chunked = format!(
        "POST /hooks/x HTTP/1.1\r\nhost: hooks.test\r\nconnection: close\r\nstripe-signature: {large}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        more.len()
    )
    .into_bytes();
    chunked.extend_from_slice(&more);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    assert_eq!(rig.raw(&chunked).await.status, 413);
    // Whoever shows no signature that could be good has nothing read.
    let big = "POST /hooks/x HTTP/1.1\r\nhost: hooks.test\r\nconnection: close\r\nstripe-signature: t=1\r\ncontent-length: 100000000\r\n\r\n";
    assert_eq!(rig.raw(big.as_bytes()).await.status, 401);
    assert_eq!(rig.api.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_waits_to_be_asked_for_its_body_is_asked() {
    let rig = rig("").await;
    let now = rig.issuer.clock.now().secs();
    let mut tcp = TcpStream::connect(rig.gateway.public()).await.unwrap();
    let head = format!(
        "POST /hooks/x HTTP/1.1\r\nhost: hooks.test\r\nconnection: close\r\nexpect: 100-continue\r\nstripe-signature: {}\r\ncontent-length: {}\r\n\r\n",
        stripe(STRIPE, now, BODY),
        BODY.len()
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    tcp.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 "));
    tcp.write_all(BODY).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!rig.api.last().headers.contains_key("expect"));
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_whose_bodies_trickle_hold_no_seat() {
    let rig = rig(", concurrency: 2").await;
    let now = rig.issuer.clock.now().secs();
    let mut slow = Vec::new();
    for n in 0..8 {
        let mut tcp = TcpStream::connect(rig.gateway.public()).await.unwrap();
        let head = format!(
            "POST /hooks/{n} HTTP/1.1\r\nhost: hooks.test\r\nstripe-signature: {}\r\ncontent-length: 100\r\n\r\n{{",
            stripe(STRIPE, now, BODY)
        );
        tcp.write_all(head.as_bytes()).await.unwrap();
        slow.push(tcp);
    }
    let begun = Instant::now();
    let token = rig.issuer.token();
    for _ in 0..4 {
        assert_eq!(rig.get("hooks.test", "/app", &[("assay-token", &token)]).await.status, 200);
    }
    let good = stripe(STRIPE, now, BODY);
    assert_eq!(post(&rig, &[("stripe-signature", &good)], BODY).await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(5));
}
