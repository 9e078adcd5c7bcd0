//! Each verdict and its answer.

use super::kit::{KEY_ROUTE, OWN_ROUTE, Parts, Rig, Token};
use std::sync::atomic::Ordering;
use std::time::Duration;

async fn rig() -> Rig {
    Rig::start(Parts { routes: format!("{OWN_ROUTE}{KEY_ROUTE}"), ..Parts::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_token_gets_the_same_answer_and_its_own_verdict_in_the_log() {
    let rig = rig().await;
    let with = |token: Token| rig.issuer.issue(&token);
    let good = rig.issuer.token();
    let mut altered = good.clone().into_bytes();
    let last = altered.len() - 10;
    altered[last] = if altered[last] == b'A' { b'B' } else { b'A' };
    let tokens = [
        ("failed", with(Token { genuine: false, ..Token::default() })),
        ("bad_signature", String::from_utf8(altered).unwrap()),
        ("bad_signature", with(Token { secret: Some([9; 32]), ..Token::default() })),
        ("wrong_audience", with(Token { audience: "other.test", ..Token::default() })),
        ("wrong_issuer", with(Token { issuer: "https://other.example", ..Token::default() })),
        ("malformed", "not-a-token".to_owned()),
        ("malformed", with(Token { life: 900, ..Token::default() })),
    ];
    let mut first: Option<super::kit::Answer> = None;
    for (verdict, token) in tokens {
        let answer = rig.get("own.test", "/v1/items", &[("assay-token", &token)]).await;
        assert_eq!(answer.status, 403, "{verdict}: {}", answer.text());
        let id = answer.json()["decision"].as_str().unwrap().to_owned();
        let line = rig.logged(|line| line["id"] == *id).await;
        assert_eq!(line["verdict"], verdict, "{line}");
        assert_eq!(line["answered_by"], "assay");
        if let Some(first) = &first {
            assert_eq!(answer.body.len(), first.body.len());
            let names = |answer: &super::kit::Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&answer), names(first));
        } else {
            first = Some(answer);
        }
    }
    assert!(rig.api.seen().is_empty(), "nothing of this reaches the API");
    assert!(
        rig.metric("assay_requests_total", &["verdict=\"failed\"", "action=\"block\"", "route=\"own\""]).await > 0.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_stale_token_is_told_to_fetch_one() {
    let rig = rig().await;
    let stale = rig.issuer.issue(&Token { life: -60, ..Token::default() });
    let foreign = rig.issuer.issue(&Token { life: -60, secret: Some([9; 32]), ..Token::default() });
    let failed = rig.issuer.issue(&Token { life: -60, genuine: false, ..Token::default() });
    for (verdict, headers) in [
        ("missing", vec![]),
        ("missing", vec![("assay-token", "")]),
        ("expired", vec![("assay-token", stale.as_str())]),
        ("bad_signature", vec![("assay-token", foreign.as_str())]),
        ("failed", vec![("assay-token", failed.as_str())]),
    ] {
        let answer = rig.get("own.test", "/v1/items", &headers).await;
        assert_eq!(answer.status, 401, "{verdict}");
        assert_eq!(answer.header("www-authenticate"), Some("Assay"));
        assert_eq!(answer.json()["code"], "attestation_required");
        let id = answer.json()["decision"].clone();
        assert_eq!(rig.logged(|line| line["id"] == id).await["verdict"], verdict);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_genuine_app_gets_through_and_the_token_stays_here() {
    let rig = rig().await;
    let token = rig.issuer.token();
    let answer =
        rig.get("own.test", "/v1/items?a=1", &[("assay-token", &token), ("x-assay-verdict", "attested")]).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{:#?}", rig.lines());
    assert_eq!(answer.header("cache-control"), Some("private"));
    let seen = rig.api.last();
    assert_eq!(seen.target, "/v1/items?a=1");
    assert!(!seen.headers.contains_key("assay-token"));
    assert_eq!(seen.headers["x-assay-verdict"], "attested");
    assert_eq!(seen.headers["x-assay-app"], "shop");
    assert_eq!(seen.headers["x-assay-version"], "3.2.1");
    assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(seen.headers["host"], "own.test");
    let line = rig.logged(|line| line["status"] == 200).await;
    for field in [
        "ts",
        "id",
        "generation",
        "method",
        "host",
        "gateway_us",
        "first_byte_ms",
        "total_ms",
        "expires_in_s",
        "device",
    ] {
        assert!(!line[field].is_null(), "{field}: {line}");
    }
    assert_eq!(
        (&line["verdict"], &line["rule"], &line["class"]),
        (&"attested".into(), &"genuine".into(), &"attested".into())
    );
    assert_eq!(line["path"], "/v1/items", "a query has no place in the log");
    assert!(!rig.log_text().contains(&token), "nor has a token");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_time_a_token_is_found_in_the_cache_and_time_is_checked_again() {
    let rig = rig().await;
    let token = rig.issuer.token();
    for _ in 0..3 {
        assert_eq!(rig.get("own.test", "/a", &[("assay-token", &token)]).await.status, 200);
    }
    assert_eq!(rig.metric("assay_token_cache_misses_total", &[]).await, 1.0);
    assert_eq!(rig.metric("assay_token_cache_hits_total", &[]).await, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_token_in_two_places_and_twice_in_one() {
    let rig = rig().await;
    let token = rig.issuer.token();
    let bearer = format!("Bearer {token}");
    for headers in [
        [("assay-token", token.as_str()), ("authorization", bearer.as_str())],
        [("assay-token", token.as_str()), ("assay-token", token.as_str())],
    ] {
        let answer = rig.get("paid.test", "/paid/v1/x", &headers).await;
        assert_eq!(answer.status, 403);
        let id = answer.json()["decision"].clone();
        assert_eq!(rig.logged(|line| line["id"] == id).await["verdict"], "malformed");
    }
    assert_eq!(rig.get("paid.test", "/paid/v1/x", &[("authorization", &bearer)]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_key_set_the_fault_is_ours() {
    let issuer = super::kit::Issuer::new();
    let rig = Rig::start_with(issuer.clone(), Parts { routes: OWN_ROUTE.to_owned(), ..Parts::default() }, |issuer| {
        issuer.up.store(false, Ordering::SeqCst)
    })
    .await;
    let token = rig.issuer.token();
    let answer = rig.get("own.test", "/a", &[("assay-token", &token)]).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["code"], "unavailable");
    assert!(answer.header("retry-after").is_some());
    // It recovers by itself.
    rig.issuer.up.store(true, Ordering::SeqCst);
    let mut status = 503;
    for _ in 0..100 {
        status = rig.get("own.test", "/a", &[("assay-token", &token)]).await.status;
        if status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_tokens_pass_while_none_can_be_renewed_and_no_longer() {
    let rig = Rig::start(Parts {
        routes: format!("{OWN_ROUTE}{KEY_ROUTE}"),
        top: "our_faults: { service_down: { accept_expired: 30m } }",
        ..Parts::default()
    })
    .await;
    let token = rig.issuer.issue(&Token { life: -60, ..Token::default() });
    let headers = [("assay-token", &*token)];
    let ask = || rig.get("own.test", "/a", &headers);
    assert_eq!(ask().await.status, 401, "the service is there");
    rig.issuer.up.store(false, Ordering::SeqCst);
    let mut status = 401;
    for _ in 0..120 {
        status = ask().await.status;
        if status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, 200, "the service is away");
    let paid = rig.get("paid.test", "/paid/v1/x", &[("assay-token", &token)]).await;
    assert_ne!(paid.status, 200, "a route with a key has to ask for this itself");
    rig.issuer.up.store(true, Ordering::SeqCst);
    for _ in 0..120 {
        status = ask().await.status;
        if status == 401 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, 401, "the service is back");
    assert!(rig.metric("assay_accepted_expired_total", &["route=\"own\""]).await > 0.0);
}
