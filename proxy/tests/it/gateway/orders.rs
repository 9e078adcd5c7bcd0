//! Operators' orders on their way: how fast they arrive, what outlives a restart, what they never do. And what the gateway
//! tells the service of itself. What each mode means to requests is in `modes`.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use attest_core::feed::{Order, OrderKind};
use attest_core::time::Clock;

use super::kit::{CANARY, Issuer, KEY_ROUTE, OWN_ROUTE, Parts, Rig, Token, elsewhere};

const MINUTE: Duration = Duration::from_secs(60);

fn parts() -> Parts {
    Parts { routes: format!("{OWN_ROUTE}{KEY_ROUTE}"), ..Parts::default() }
}

fn order(issuer: &Issuer, kind: OrderKind, routes: &[&str]) -> Order {
    let now = issuer.clock.now().secs();
    Order {
        id: 7,
        kind,
        routes: routes.iter().map(|route| (*route).to_owned()).collect(),
        since: now,
        until: now + 3_600,
        reason: "a flood".to_owned(),
        by: "ann".to_owned(),
        extend_by: (kind == OrderKind::ExtendTokens).then_some(1_800),
    }
}

/// Silences the service, for key sets and revocations.
fn gone(issuer: &Issuer) {
    issuer.up.store(false, Ordering::SeqCst);
    issuer.tells_revocations.store(false, Ordering::SeqCst);
}

/// Whether the API ever saw the key.
fn key_was_used(rig: &Rig) -> bool {
    rig.api.seen().iter().any(|seen| seen.headers.values().any(|value| value.as_bytes() == CANARY.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_reaches_a_gateway_over_the_network_within_five_seconds_and_so_does_its_end() {
    let issuer = Issuer::new();
    let rig = Rig::start_with(issuer.clone(), elsewhere(&issuer, "refresh: 10s", parts()).await, |_| {}).await;
    let open = async || rig.get("own.test", "/open/a", &[]).await.status;
    assert_eq!(open().await, 200);
    for (orders, expected) in [(vec![order(&issuer, OrderKind::Lockdown, &["own"])], 401), (vec![], 200)] {
        issuer.order(orders);
        let given = Instant::now();
        while open().await != expected {
            assert!(given.elapsed() < Duration::from_secs(5), "{expected}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lockdown_outlives_a_restart_with_the_service_away_and_ends_by_itself() {
    let issuer = Issuer::new();
    let rig =
        Rig::start_with(issuer.clone(), elsewhere(&issuer, "revocations_every: 500ms", parts()).await, |_| {}).await;
    issuer.order(vec![order(&issuer, OrderKind::Lockdown, &["own"])]);
    rig.until("locked", async || rig.get("own.test", "/open/a", &[]).await.status == 401).await;
    let kept = rig.folder.path().join("state/orders.json");
    rig.until("kept", async || kept.exists()).await;
    gone(&issuer);
    let rig = rig.restart();
    assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 401, "from the first request on");
    assert_eq!(rig.logged(|line| line["status"] == 401).await["order"], 7);
    issuer.clock.advance(60 * MINUTE);
    assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 401, "clocks may be a little apart");
    issuer.clock.advance(Duration::from_secs(31));
    assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_writes_to_the_state_folder_makes_an_order() {
    let issuer = Issuer::new();
    let rig =
        Rig::start_with(issuer.clone(), elsewhere(&issuer, "revocations_every: 500ms", parts()).await, |_| {}).await;
    issuer.order(vec![order(&issuer, OrderKind::Lockdown, &["own"])]);
    rig.until("locked", async || rig.get("own.test", "/open/a", &[]).await.status == 401).await;
    let kept = rig.folder.path().join("state/orders.json");
    rig.until("kept", async || kept.exists()).await;
    gone(&issuer);
    let rig = rig.restart_after(|folder| {
        let file = folder.join("state/orders.json");
        let text = std::fs::read_to_string(&file).unwrap();
        // One character of what was signed.
        let at = text.len() / 2;
        let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
        std::fs::write(&file, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    });
    assert_eq!(rig.get("own.test", "/open/a", &[]).await.status, 200, "and it stops no start");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_live_longer_by_order_but_open_no_key_and_outlive_no_ban() {
    let rig = Rig::start(parts()).await;
    let issuer = rig.issuer.clone();
    let expired = issuer.issue(&Token { life: -600, ..Token::default() });
    let long_over = issuer.issue(&Token { life: -2_400, ..Token::default() });
    let other = issuer.issue(&Token { life: -600, device: [8; 16], ..Token::default() });
    let failed = issuer.issue(&Token { life: -600, genuine: false, ..Token::default() });
    let ask = async |token: &str| rig.get("own.test", "/a", &[("assay-token", token)]).await.status;
    assert_eq!(ask(&expired).await, 401);
    issuer.order(vec![order(&issuer, OrderKind::ExtendTokens, &[])]);
    rig.until("longer", async || ask(&expired).await == 200).await;
    let line = rig.logged(|line| line["accepted_expired"] == true).await;
    assert_eq!((&line["panic"], &line["order"]), (&"extend_tokens".into(), &7.into()), "{line}");
    assert_eq!(ask(&long_over).await, 401, "longer, and not for ever");
    assert_ne!(ask(&failed).await, 200);
    // The route with the key has not said that a token may live on and open it.
    let paid = rig.get("paid.test", "/paid/v1/a", &[("assay-token", &expired)]).await;
    assert_ne!(paid.status, 200);
    assert!(!key_was_used(&rig));
    issuer.ban([7; 16]);
    rig.until("banned", async || ask(&expired).await != 200).await;
    assert_eq!(ask(&other).await, 200, "nobody else");
    issuer.order(vec![]);
    rig.until("over", async || ask(&other).await == 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_route_that_takes_expired_tokens_itself_takes_them_by_order_too() {
    let opted_in = KEY_ROUTE
        .replace("    key: vendor\n", "    key: vendor\n    our_faults: { service_down: { accept_expired: 1m } }\n");
    let rig = Rig::start(Parts { routes: format!("{OWN_ROUTE}{opted_in}"), ..Parts::default() }).await;
    let expired = rig.issuer.issue(&Token { life: -600, ..Token::default() });
    let paid = async || rig.get("paid.test", "/paid/v1/a", &[("assay-token", &expired)]).await.status;
    assert_eq!(paid().await, 401);
    rig.issuer.order(vec![order(&rig.issuer, OrderKind::ExtendTokens, &["paid"])]);
    rig.until("longer", async || paid().await == 200).await;
    assert!(key_was_used(&rig));
    assert_eq!(rig.get("own.test", "/a", &[("assay-token", &expired)]).await.status, 401, "on the named route alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_order_has_a_key_opened_for_who_is_not_attested() {
    let rig = Rig::start(parts()).await;
    let failed = rig.issuer.issue(&Token { genuine: false, ..Token::default() });
    let all = [(OrderKind::Monitor, 1), (OrderKind::ExtendTokens, 2)];
    let orders = all.map(|(kind, id)| Order { id, ..order(&rig.issuer, kind, &[]) });
    rig.issuer.order(orders.to_vec());
    rig.until("monitored", async || rig.get("own.test", "/a", &[]).await.status == 200).await;
    let tokens: [&[(&str, &str)]; 3] = [&[], &[("assay-token", &failed)], &[("assay-token", "nonsense")]];
    for token in tokens {
        let paid = rig.get("paid.test", "/paid/v1/a", token).await;
        assert!(matches!(paid.status, 401 | 403), "{}", paid.status);
    }
    assert!(!key_was_used(&rig));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_tells_the_service_how_it_is() {
    let issuer = Issuer::new();
    let rig =
        Rig::start_with(issuer.clone(), elsewhere(&issuer, "revocations_every: 500ms", parts()).await, |_| {}).await;
    issuer.order(vec![order(&issuer, OrderKind::Lockdown, &["own"])]);
    rig.until("locked", async || rig.get("own.test", "/open/a", &[]).await.status == 401).await;
    let reported = || issuer.reported.lock().unwrap().clone();
    rig.until("told", async || reported().is_some_and(|facts| facts.orders == [7] && facts.counts.refused > 0)).await;
    let facts = reported().unwrap();
    assert_eq!((facts.generation, facts.reload_ok, facts.reload_error), (1, true, None));
    assert_eq!(facts.version, env!("CARGO_PKG_VERSION"));
    assert!(facts.name.ends_with(&format!(":{}", std::process::id())) && facts.configuration.len() == 16);
    assert!(facts.routes.contains(&"own".to_owned()) && facts.routes.contains(&"paid".to_owned()));
    assert!(facts.revocations.is_some() && facts.key_sets.is_some() && facts.counts.requests >= facts.counts.refused);
    // A file that is refused is told by a code: its text may hold anything.
    rig.edit(|text| text.replace("assay: 1", "assay: 1\nnonsense: hunter2"));
    rig.until("refused", async || reported().is_some_and(|facts| !facts.reload_ok)).await;
    let facts = reported().unwrap();
    assert_eq!(facts.reload_error.as_deref(), Some("refused"));
    assert!(!facts.to_json().contains("hunter2"));
}
