//! The key: who gets it, where it goes, and that no client ever sees it.

use super::kit::{CANARY, KEY_ROUTE, OWN_ROUTE, Parts, Rig, Token};

async fn rig() -> Rig {
    Rig::start(Parts { routes: format!("{OWN_ROUTE}{KEY_ROUTE}"), ..Parts::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attested_request_carries_the_key_and_nothing_of_the_client_s_credentials() {
    let rig = rig().await;
    let token = rig.issuer.token();
    let answer = rig
        .get(
            "paid.test",
            "/paid/v1/items?page=2",
            &[
                ("assay-token", &token),
                ("X_Api_Key", "mine"),
                ("x-api-key", "mine"),
                ("cookie", "session=1"),
                ("stripe-account", "acct_other"),
                ("x-assay-verdict", "attested"),
                ("range", "bytes=0-9"),
                ("connection", "x-api-key"),
                ("accept", "application/json"),
            ],
        )
        .await;
    assert_eq!(answer.status, 200);
    let seen = rig.api.last();
    assert_eq!(seen.target, "/v1/items?page=2");
    assert_eq!(seen.method, "GET");
    let keys: Vec<_> = seen.headers.get_all("x-api-key").iter().collect();
    assert_eq!(keys, [CANARY]);
    assert_eq!(seen.headers["host"], format!("127.0.0.1:{}", rig.api.address.port()));
    assert_eq!(seen.headers["accept"], "application/json");
    assert_eq!(seen.headers["accept-encoding"], "identity");
    for gone in [
        "x_api_key",
        "cookie",
        "stripe-account",
        "assay-token",
        "authorization",
        "x-assay-verdict",
        "x-forwarded-for",
        "range",
    ] {
        assert!(!seen.headers.contains_key(gone), "{gone}");
    }
    let line = rig.logged(|line| line["route"] == "paid").await;
    assert_eq!(line["key"]["name"], "vendor");
    assert_eq!(line["key"]["version"], 1);
    assert!(!rig.log_text().contains(CANARY));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_attested_token_there_is_no_request_at_all() {
    let rig = rig().await;
    let failed = rig.issuer.issue(&Token { genuine: false, ..Token::default() });
    assert_eq!(rig.get("paid.test", "/paid/v1/items", &[]).await.status, 401);
    assert_eq!(rig.get("paid.test", "/paid/v1/items", &[("assay-token", &failed)]).await.status, 403);
    assert!(rig.api.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_comes_back_in_no_header_and_no_body_however_it_is_cut() {
    let rig = rig().await;
    let token = rig.issuer.token();
    let echo = rig.get("paid.test", "/paid/v1/echo", &[("assay-token", &token)]).await;
    assert_eq!(echo.status, 200);
    assert_eq!(echo.header("x-echo-key"), Some(&*"*".repeat(CANARY.len())));
    assert!(!echo.text().contains(CANARY));
    assert!(echo.text().contains("***"), "{}", echo.text());
    assert_eq!(echo.header("server"), None, "which software answers is nobody's business");
    let split = rig.get("paid.test", "/paid/v1/split", &[("assay-token", &token)]).await;
    assert!(split.whole);
    assert!(split.text().starts_with("before ") && split.text().ends_with(" after"), "{}", split.text());
    assert_eq!(split.text().len(), "before  after".len() + CANARY.len());
    assert!(!split.text().contains(&CANARY[4..]), "{}", split.text());
    let line = rig.logged(|line| line["path"] == "/paid/v1/split").await;
    assert_eq!(line["scrubbed"], 1);
    assert!(rig.metric("assay_scrubbed_total", &["route=\"paid\""]).await >= 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_searched_is_not_passed_on() {
    let rig = rig().await;
    let token = rig.issuer.token();
    for (path, detail) in [("gzip", "content_encoding"), ("partial", "partial_content")] {
        let answer = rig.get("paid.test", &format!("/paid/v1/{path}"), &[("assay-token", &token)]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (502, "upstream_refused"), "{path}");
        let id = answer.json()["decision"].clone();
        assert_eq!(rig.logged(|line| line["id"] == id).await["detail"], detail);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_stays_within_the_route_or_goes() {
    let rig = rig().await;
    let token = rig.issuer.token();
    let own = format!("http://127.0.0.1:{}/v1/next", rig.api.address.port());
    for (to, expected) in [
        ("/v1/next", Some("/paid/v1/next")),
        (own.as_str(), Some("/paid/v1/next")),
        ("https://elsewhere.example/v1", None),
        ("//elsewhere.example/v1", None),
        ("/v1/../../admin", None),
    ] {
        let answer = rig.get("paid.test", &format!("/paid/v1/redirect?{to}"), &[("assay-token", &token)]).await;
        assert_eq!(answer.status, 302);
        assert_eq!(answer.header("location"), expected, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_pointed_elsewhere_is_refused_at_reload_with_its_place() {
    let rig = rig().await;
    let other = super::kit::Api::start().await;
    let (from, to) = (rig.api.address.port().to_string(), other.address.port().to_string());
    rig.edit(|text| text.replace(&from, &to));
    let report = rig.gateway.reload().await.unwrap_err();
    assert!(report.contains("vendor"), "{report}");
    assert!(report.contains("assay.yaml:"), "{report}");
    assert!(!report.contains(CANARY));
    let token = rig.issuer.token();
    assert_eq!(rig.get("paid.test", "/paid/v1/items", &[("assay-token", &token)]).await.status, 200);
    assert!(other.seen().is_empty());
    assert_eq!(rig.gateway.generation(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_shows_nowhere() {
    let rig = rig().await;
    let token = rig.issuer.token();
    for path in ["echo", "split", "items", "gzip"] {
        let answer = rig.get("paid.test", &format!("/paid/v1/{path}"), &[("assay-token", &token)]).await;
        assert!(!format!("{answer:?}{}", answer.text()).contains(CANARY));
    }
    for path in ["/metrics", "/status"] {
        assert!(!rig.admin("GET", path).await.text().contains(CANARY), "{path}");
    }
    rig.logged(|line| line["path"] == "/paid/v1/gzip").await;
    assert!(!rig.log_text().contains(CANARY));
}
