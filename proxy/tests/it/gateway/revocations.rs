//! What the service takes back, and what happens when it says nothing.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use attest_core::device_key::DeviceId;
use attest_core::feed::RevocationKind;
use attest_core::time::Clock;

use super::kit::{Issuer, KEY_ROUTE, Kept, OWN_ROUTE, Parts, Rig, Token, elsewhere};

fn parts() -> Parts {
    Parts { routes: format!("{OWN_ROUTE}{KEY_ROUTE}"), ..Parts::default() }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_device_is_refused_within_five_seconds_on_a_connection_that_is_kept() {
    let issuer = Issuer::new();
    // The default period of polling, over the network.
    let rig = Rig::start_with(issuer.clone(), elsewhere(&issuer, "refresh: 10s", parts()).await, |_| {}).await;
    let token = issuer.token();
    let other = issuer.issue(&Token { device: [8; 16], ..Token::default() });
    let mut connection = Kept::to(rig.gateway.public()).await;
    for _ in 0..2 {
        assert_eq!(connection.get("paid.test", "/paid/v1/a", &token).await.status, 200);
    }
    issuer.ban([7; 16]);
    let banned = Instant::now();
    while connection.get("paid.test", "/paid/v1/a", &token).await.status == 200 {
        assert!(banned.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let line = rig.logged(|line| line["status"] == 403).await;
    assert_eq!((&line["verdict"], &line["reason"]), (&"revoked".into(), &"device_revoked".into()));
    assert_eq!(connection.get("paid.test", "/paid/v1/a", &other).await.status, 200, "nobody else");
    assert!(rig.metric("assay_revoked_devices", &[]).await > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_builds_keys_and_moments_are_taken_back_too_and_given_back() {
    let issuer = Issuer::new();
    let often = elsewhere(&issuer, "revocations_every: 500ms", parts()).await;
    let rig = Rig::start_with(issuer, often, |_| {}).await;
    let later = (rig.issuer.clock.now().secs() + 3600).to_string();
    for (kind, value, reason) in [
        (RevocationKind::Device, DeviceId::from_bytes([7; 16]).to_string(), "device_revoked"),
        (RevocationKind::App, "shop".to_owned(), "app_revoked"),
        (RevocationKind::Build, "1".to_owned(), "build_revoked"),
        (RevocationKind::Kid, "k1".to_owned(), "key_revoked"),
        (RevocationKind::IssuedBefore, later, "issued_before_revoked"),
    ] {
        let token = rig.issuer.token();
        let ask = async || rig.get("own.test", "/a", &[("assay-token", &token)]).await.status;
        assert_eq!(ask().await, 200, "{kind}");
        rig.issuer.revoke(kind, &value);
        rig.until(kind.as_str(), async || ask().await == 403).await;
        rig.logged(|line| line["reason"] == reason && line["verdict"] == "revoked").await;
        rig.issuer.lift(kind, &value);
        rig.until("lifted", async || ask().await == 200).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_forgot_its_bans_takes_none_back_and_the_operator_is_told() {
    let rig = Rig::start(parts()).await;
    let token = rig.issuer.token();
    rig.issuer.ban([7; 16]);
    let ask = async || rig.get("own.test", "/a", &[("assay-token", &token)]).await.status;
    rig.until("banned", async || ask().await == 403).await;
    rig.issuer.forget_revocations();
    let problem = async || rig.admin("GET", "/status").await.json()["revocations"]["problem"].clone();
    rig.until("told", async || problem().await.as_str().is_some_and(|problem| problem.contains("restart"))).await;
    assert_eq!(ask().await, 403);
    assert!(rig.metric("assay_revocations_fetch_failures_total", &[]).await > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_shows_at_once_and_closes_the_route_with_a_key_first() {
    let rig = Rig::start(parts()).await;
    let ask = async |host: &str, target: &str| {
        let token = rig.issuer.token();
        rig.get(host, target, &[("assay-token", &token)]).await
    };
    assert_eq!(ask("own.test", "/a").await.status, 200);
    assert!(rig.logged(|line| line["status"] == 200).await["revocations_stale"].is_null());
    rig.issuer.tells_revocations.store(false, Ordering::SeqCst);
    rig.issuer.clock.advance(MINUTE);
    assert_eq!(ask("own.test", "/a").await.status, 200);
    rig.logged(|line| line["revocations_stale"] == true).await;
    assert_eq!(rig.metric("assay_revocations_alert", &["route=\"paid\""]).await, 0.0);
    rig.issuer.clock.advance(5 * MINUTE);
    assert_eq!(rig.metric("assay_revocations_alert", &["route=\"paid\""]).await, 1.0);
    assert!(rig.metric("assay_revocations_age_seconds", &[]).await >= 300.0);
    assert_eq!(ask("paid.test", "/paid/v1/a").await.status, 200);
    // A quarter of an hour: the key stays shut, the API of one's own goes on for a day.
    rig.issuer.clock.advance(10 * MINUTE);
    let closed = ask("paid.test", "/paid/v1/a").await;
    assert_eq!((closed.status, closed.json()["code"].as_str().unwrap()), (503, "unavailable"));
    assert!(closed.header("retry-after").is_some());
    let line = rig.logged(|line| line["status"] == 503).await;
    assert_eq!((&line["verdict"], &line["reason"]), (&"unverifiable".into(), &"revocations_stale".into()));
    assert_eq!(rig.metric("assay_revocations_refused", &["route=\"paid\""]).await, 1.0);
    assert_eq!(ask("own.test", "/a").await.status, 200);
    rig.issuer.clock.advance(24 * 60 * MINUTE);
    // The key sets were fetched all the while.
    rig.until("a day", async || {
        let closed = ask("own.test", "/a").await.status == 503;
        closed && rig.lines().iter().any(|line| line["route"] == "own" && line["reason"] == "revocations_stale")
    })
    .await;
    rig.issuer.tells_revocations.store(true, Ordering::SeqCst);
    rig.until("back", async || ask("paid.test", "/paid/v1/a").await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_never_heard_what_was_taken_back_judges_nobody() {
    let issuer = Issuer::new();
    let rig =
        Rig::start_with(issuer.clone(), parts(), |issuer| issuer.tells_revocations.store(false, Ordering::SeqCst))
            .await;
    let token = issuer.token();
    assert_eq!(rig.get("own.test", "/a", &[("assay-token", &token)]).await.status, 503);
    assert_eq!(rig.logged(|line| line["status"] == 503).await["reason"], "no_revocations_yet");
    issuer.tells_revocations.store(true, Ordering::SeqCst);
    rig.until("heard", async || rig.get("own.test", "/a", &[("assay-token", &token)]).await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_that_lives_on_does_not_outlive_a_ban() {
    let rig = Rig::start(Parts { top: "our_faults: { service_down: { accept_expired: 30m } }", ..parts() }).await;
    let (banned, other) = (rig.issuer.token(), rig.issuer.issue(&Token { device: [8; 16], ..Token::default() }));
    let ask = async |token: &str| rig.get("own.test", "/a", &[("assay-token", token)]).await.status;
    rig.issuer.ban([7; 16]);
    rig.until("banned", async || ask(&banned).await == 403).await;
    rig.issuer.up.store(false, Ordering::SeqCst);
    rig.issuer.tells_revocations.store(false, Ordering::SeqCst);
    rig.issuer.clock.advance(10 * MINUTE);
    assert_eq!(ask(&other).await, 200, "it lives on");
    assert_ne!(ask(&banned).await, 200);
    assert_eq!(rig.logged(|line| line["verdict"] == "revoked").await["reason"], "device_revoked");
    // Nor does it where nobody knows any more who was banned: a day later nothing passes.
    rig.issuer.clock.advance(24 * 60 * MINUTE);
    assert_eq!(ask(&other).await, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_judged_may_pass_at_the_lowest_class_and_never_with_a_key() {
    let rig = Rig::start(Parts { top: "our_faults: { cannot_verify: deprioritize }", ..parts() }).await;
    rig.issuer.tells_revocations.store(false, Ordering::SeqCst);
    rig.issuer.clock.advance(25 * 60 * MINUTE);
    let ask = async |host: &str, target: &str| {
        let token = rig.issuer.token();
        rig.get(host, target, &[("assay-token", &token)]).await.status
    };
    rig.until("no fault of the key set", async || {
        ask("own.test", "/a").await;
        rig.lines().last().is_some_and(|line| line["reason"] == "revocations_stale")
    })
    .await;
    assert_eq!(ask("own.test", "/a").await, 200);
    let line = rig.logged(|line| line["status"] == 200).await;
    assert_eq!((&line["rule"], &line["class"]), (&"cannot_verify".into(), &"unattested".into()));
    assert_eq!(ask("paid.test", "/paid/v1/a").await, 503);
    assert!(rig.api.seen().iter().all(|seen| !seen.headers.contains_key("x-api-key")));
}
