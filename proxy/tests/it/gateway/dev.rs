//! Tokens made for development: debug builds, simulators, tests.

use super::kit::{CANARY, KEY_ROUTE, OWN_ROUTE, Parts, Rig, Token};

fn dev() -> Token {
    Token { dev: true, ..Token::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_says_nothing_takes_them_for_failed_and_keeps_its_key() {
    let rig = Rig::start(Parts { routes: format!("{OWN_ROUTE}{KEY_ROUTE}"), ..Parts::default() }).await;
    let (marked, plain) = (rig.issuer.issue(&dev()), rig.issuer.token());
    for (host, target) in [("own.test", "/a"), ("paid.test", "/paid/v1/a")] {
        let answer = rig.get(host, target, &[("assay-token", &marked)]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (403, "refused"));
        let id = answer.json()["decision"].clone();
        let line = rig.logged(|line| line["id"] == id).await;
        assert_eq!((&line["verdict"], &line["reason"]), (&"failed".into(), &"dev_token".into()));
        assert_eq!(line["dev"], true);
    }
    assert!(rig.api.seen().is_empty());
    assert_eq!(rig.get("paid.test", "/paid/v1/a", &[("assay-token", &plain)]).await.status, 200);
    assert!(rig.logged(|line| line["status"] == 200).await["dev"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_allows_them_says_so_in_the_log_and_to_its_upstream() {
    let own = OWN_ROUTE.replace(
        "    upstream: api\n",
        "    upstream: api\n    token: { allow_dev: true }\n    identity_headers: true\n",
    );
    let paid = KEY_ROUTE
        .replace("token: { from: [Assay-Token, bearer] }", "token: { from: [Assay-Token, bearer], allow_dev: true }");
    let rig = Rig::start(Parts { routes: format!("{own}{paid}"), ..Parts::default() }).await;
    let (marked, plain) = (rig.issuer.issue(&dev()), rig.issuer.token());
    // What a client says about it counts for nothing.
    let headers = |token| [("assay-token", token), ("x-assay-dev", "true")];
    assert_eq!(rig.get("own.test", "/a", &headers(&plain)).await.status, 200);
    assert!(!rig.api.last().headers.contains_key("x-assay-dev"));
    assert_eq!(rig.get("own.test", "/a", &headers(&marked)).await.status, 200);
    assert_eq!(rig.api.last().headers["x-assay-dev"], "true");
    rig.logged(|line| line["dev"] == true && line["verdict"] == "attested").await;
    assert_eq!(rig.get("paid.test", "/paid/v1/a", &headers(&marked)).await.status, 200);
    assert_eq!(rig.api.last().headers["x-api-key"], CANARY, "this route asked for it");
}
