//! Orders of operators, as a gateway applies and shows them.

use attest_core::feed::{Order, OrderKind};
use attest_core::time::Clock;

use super::kit::{KEY_ROUTE, OWN_ROUTE, Parts, Rig, Token};

async fn rig() -> Rig {
    Rig::start(Parts { routes: format!("{OWN_ROUTE}{KEY_ROUTE}"), ..Parts::default() }).await
}

fn order(rig: &Rig, kind: OrderKind, routes: &[&str]) -> Order {
    let now = rig.issuer.clock.now().secs();
    Order {
        id: 7,
        kind,
        routes: routes.iter().map(|route| (*route).to_owned()).collect(),
        since: now,
        until: now + 3_600,
        reason: "a flood".to_owned(),
        by: "ann".to_owned(),
        extend_by: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lockdown_lets_only_the_attested_on_and_stands_in_every_line_metric_and_status() {
    let rig = rig().await;
    assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 200);
    rig.issuer.order(vec![order(&rig, OrderKind::Lockdown, &["own"])]);
    rig.until("locked", async || rig.get("own.test", "/open/a", &[]).await.status == 401).await;
    let token = rig.issuer.token();
    assert_eq!(rig.get("own.test", "/v1/a", &[("assay-token", &token)]).await.status, 200);
    for status in [401, 200] {
        let line = rig.logged(|line| line["status"] == status && line["panic"] == "lockdown").await;
        assert_eq!(line["order"], 7, "{line}");
    }
    assert_eq!(rig.metric("assay_mode", &["route=\"own\"", "mode=\"lockdown\""]).await, 1.0);
    assert_eq!(rig.metric("assay_mode", &["route=\"paid\"", "mode=\"normal\""]).await, 1.0);
    let status = rig.admin("GET", "/status").await.json();
    let own = status["routes"].as_array().unwrap().iter().find(|route| route["name"] == "own").unwrap();
    assert_eq!((&own["mode"], &own["order"]), (&"lockdown".into(), &7.into()));
    assert_eq!(status["orders"][0]["reason"], "a flood");
    // Ended: as before, and no line says otherwise.
    rig.issuer.order(vec![]);
    rig.until("open", async || rig.get("own.test", "/open/a", &[]).await.status == 200).await;
    assert_eq!(rig.metric("assay_mode", &["route=\"own\"", "mode=\"normal\""]).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_to_monitor_opens_no_route_with_a_key() {
    let rig = rig().await;
    let failed = rig.issuer.issue(&Token { genuine: false, ..Token::default() });
    rig.issuer.order(vec![order(&rig, OrderKind::Monitor, &[])]);
    rig.until("monitored", async || rig.get("own.test", "/v1/a", &[("assay-token", &failed)]).await.status == 200)
        .await;
    let line = rig.logged(|line| line["panic"] == "monitor").await;
    assert_eq!((&line["would"], &line["order"]), (&"block".into(), &7.into()), "{line}");
    assert_eq!(rig.get("paid.test", "/paid/v1/a", &[("assay-token", &failed)]).await.status, 403);
    assert_eq!(rig.get("paid.test", "/paid/v1/a", &[]).await.status, 401);
    assert!(rig.api.seen().iter().all(|seen| !seen.headers.contains_key("x-api-key")));
}
