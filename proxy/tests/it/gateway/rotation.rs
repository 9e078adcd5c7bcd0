//! Key sets in motion: a new key, an old one, one that nobody knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::kit::{Issuer, KEY_ROUTE, Kept, OWN_ROUTE, Parts, Rig, Token, elsewhere};

fn parts() -> Parts {
    Parts { routes: format!("{OWN_ROUTE}{KEY_ROUTE}"), ..Parts::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_under_load_refuses_nobody() {
    let rig = Arc::new(Rig::start(parts()).await);
    let before = rig.issuer.token();
    let over = Arc::new(AtomicBool::new(false));
    // Connections of their own: some with a token from before the rotation, some that fetch one for each request.
    let asking: Vec<_> = (0..8)
        .map(|n| {
            let (rig, over, before) = (rig.clone(), over.clone(), before.clone());
            tokio::spawn(async move {
                let mut connection = Kept::to(rig.gateway.public()).await;
                let mut asked = 0_u32;
                while !over.load(Ordering::SeqCst) {
                    let token = if n % 2 == 0 { before.clone() } else { rig.issuer.token() };
                    let answer = connection.get("paid.test", "/paid/v1/a", &token).await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    let reached = async |number: u64| {
        let status = async || rig.admin("GET", "/status").await.json()["key_set"]["number"].as_u64();
        rig.until("the edition", async || status().await == Some(number)).await;
    };
    // Published at every gateway first, as the service does; then it signs.
    rig.issuer.publish("k2");
    reached(2).await;
    rig.issuer.activate("k2");
    reached(3).await;
    assert_eq!(rig.get("own.test", "/a", &[("assay-token", &before)]).await.status, 200, "the key before retires");
    over.store(true, Ordering::SeqCst);
    for asked in asking {
        assert!(asked.await.unwrap() > 0);
    }
    // Retired for good: its tokens are gone with it, those in the cache too.
    rig.issuer.remove("k1");
    reached(4).await;
    assert_eq!(rig.get("own.test", "/a", &[("assay-token", &before)]).await.status, 403);
    assert_eq!(rig.logged(|line| line["status"] == 403).await["verdict"], "unknown_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_this_gateway_never_heard_of_is_asked_for_once_in_a_period() {
    let issuer = Issuer::new();
    let rig = Rig::start_with(issuer.clone(), elsewhere(&issuer, "refresh: 1h", parts()).await, |_| {}).await;
    let rig = Arc::new(rig);
    issuer.publish("k2");
    issuer.activate("k2");
    let before = issuer.asked.load(Ordering::SeqCst);
    // The request that finds out waits for it, and is none the worse.
    let token = issuer.token();
    assert_eq!(rig.get("own.test", "/a", &[("assay-token", &token)]).await.status, 200);
    assert_eq!(issuer.asked.load(Ordering::SeqCst), before + 1);
    // A flood of keys that nobody has asks no more in this hour, and waits for nothing.
    issuer.publish("k3");
    issuer.activate("k3");
    let start = Instant::now();
    for _ in 0..50 {
        let token = issuer.token();
        assert_eq!(rig.get("own.test", "/a", &[("assay-token", &token)]).await.status, 403);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(issuer.asked.load(Ordering::SeqCst), before + 1);
    assert_eq!(rig.logged(|line| line["status"] == 403).await["verdict"], "unknown_key");
    issuer.clock.advance(Duration::from_secs(3601));
    let token = issuer.token();
    assert_eq!(rig.get("own.test", "/a", &[("assay-token", &token)]).await.status, 200, "the next period");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_service_is_away_a_key_that_nobody_knows_is_unknown_and_no_fault_of_ours() {
    let issuer = Issuer::new();
    let rig = Rig::start_with(issuer.clone(), elsewhere(&issuer, "refresh: 1h", parts()).await, |_| {}).await;
    issuer.up.store(false, Ordering::SeqCst);
    issuer.publish("k2");
    issuer.activate("k2");
    let token = issuer.token();
    for _ in 0..3 {
        assert_eq!(rig.get("own.test", "/a", &[("assay-token", &token)]).await.status, 403);
    }
    assert_eq!(rig.logged(|line| line["status"] == 403).await["verdict"], "unknown_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn key_sets_that_are_too_old_are_a_fault_of_ours_and_not_of_the_client() {
    let rig = Rig::start(Parts {
        top: "our_faults: { key_sets: { refuse_after: 2h }, revocations: { refuse_after: 24h } }",
        ..parts()
    })
    .await;
    let ask = async |rig: &Rig| {
        let token = rig.issuer.token();
        rig.get("own.test", "/a", &[("assay-token", &token)]).await.status
    };
    rig.issuer.up.store(false, Ordering::SeqCst);
    rig.issuer.clock.advance(Duration::from_secs(7000));
    assert_eq!(ask(&rig).await, 200, "stale and served");
    rig.issuer.clock.advance(Duration::from_secs(400));
    rig.until("too old", async || ask(&rig).await == 503).await;
    assert_eq!(rig.logged(|line| line["status"] == 503).await["reason"], "key_set_stale");
    rig.issuer.up.store(true, Ordering::SeqCst);
    rig.until("back", async || ask(&rig).await == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_tokens_pass_and_fail_and_nothing_else_passes_for_one() {
    let issuer = Issuer::sealed();
    let sealed = Parts { token: ", algorithm: ES256, concealment: sealed", ..parts() };
    let rig = Rig::start_with(issuer.clone(), sealed, |_| {}).await;
    let (good, failed) = (issuer.token(), issuer.issue(&Token { genuine: false, ..Token::default() }));
    assert_eq!(rig.get("paid.test", "/paid/v1/a", &[("assay-token", &good)]).await.status, 200);
    assert_eq!(rig.get("paid.test", "/paid/v1/a", &[("assay-token", &failed)]).await.status, 403);
    assert_eq!(rig.logged(|line| line["status"] == 403).await["verdict"], "failed");
    // The same claims under a name that every library knows.
    let header = data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"ES256","kid":"k1","typ":"JWT"}"#);
    let renamed = format!("{header}.{}", good.split_once('.').unwrap().1);
    let answer = rig.get("own.test", "/a", &[("assay-token", &renamed)]).await;
    assert_eq!(answer.status, 403);
    let id = answer.json()["decision"].clone();
    assert_ne!(rig.logged(|line| line["id"] == id).await["verdict"], "attested");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_that_conceals_otherwise_than_the_configuration_says_is_not_used() {
    // Served beside this gateway, with decoys; what comes is sealed.
    let rig = Rig::start_with(Issuer::sealed(), parts(), |_| {}).await;
    let token = rig.issuer.token();
    assert_eq!(rig.get("own.test", "/a", &[("assay-token", &token)]).await.status, 503);
    let status = rig.admin("GET", "/status").await.json();
    assert!(status["key_set"]["problem"].as_str().unwrap().contains("concealment"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_period_while_the_service_is_away_costs_nothing_that_is_known() {
    let issuer = Issuer::new();
    let rig = Rig::start_with(issuer.clone(), elsewhere(&issuer, "refresh: 1h", parts()).await, |_| {}).await;
    issuer.ban([8; 16]);
    let (good, banned) = (issuer.token(), issuer.issue(&Token { device: [8; 16], ..Token::default() }));
    let ask = async |token: &str| rig.get("own.test", "/a", &[("assay-token", token)]).await.status;
    rig.until("banned", async || ask(&banned).await == 403).await;
    issuer.up.store(false, Ordering::SeqCst);
    issuer.tells_revocations.store(false, Ordering::SeqCst);
    rig.edit(|text| text.replace("refresh: 1h", "refresh: 30m"));
    rig.gateway.reload().await.unwrap();
    assert_eq!((ask(&good).await, ask(&banned).await), (200, 403));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_does_not_end_is_not_read_to_its_end() {
    let issuer = Issuer::new();
    let rig = Rig::start_with(issuer.clone(), elsewhere(&issuer, "refresh: 1s", parts()).await, |_| {}).await;
    issuer.bloated.store(true, Ordering::SeqCst);
    for feed in ["key_set", "revocations"] {
        let problem = async || rig.admin("GET", "/status").await.json()[feed]["problem"].clone();
        rig.until(feed, async || problem().await.as_str().is_some_and(|problem| problem.contains("larger"))).await;
    }
    let token = issuer.token();
    assert_eq!(rig.get("own.test", "/a", &[("assay-token", &token)]).await.status, 200, "the last ones stay in use");
}
