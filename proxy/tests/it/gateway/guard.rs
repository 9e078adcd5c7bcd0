//! The guard: a policy that refuses the devices of yesterday stops refusing, and nobody trips it from outside.

use std::time::Duration;

use super::kit::{KEY_ROUTE, Parts, Rig, Token};

const ROUTES: &str = r#"
  own:
    match: { host: own.test, path: "/**" }
    upstream: api
    guard: { share: 5%, window: 10m, devices: 10 }
    policy:
      default: block
      rules:
        - { name: genuine, when: { verdict: attested, app_version: { min: "3.0" } }, then: allow }
        - { name: open, when: { verdict: any, path: "/open/**" }, then: deprioritize }
"#;

const DEVICES: u8 = 30;

/// A gateway that has let 30 devices through for some hours, behind a proxy that names their addresses.
async fn rig() -> Rig {
    let rig = Rig::start(Parts {
        routes: format!("{ROUTES}{KEY_ROUTE}"),
        public: ", trusted_proxies: [127.0.0.0/8]",
        ..Parts::default()
    })
    .await;
    for _ in 0..3 {
        for device in 0..DEVICES {
            assert_eq!(ask(&rig, device, "own.test", "/v1/a").await, 200);
            assert_eq!(ask(&rig, device, "paid.test", "/paid/v1/a").await, 200);
        }
        rig.issuer.clock.advance(Duration::from_secs(2 * 3600));
        // The feeds have to have heard of the new time.
        rig.until("awake", async || ask(&rig, 0, "paid.test", "/paid/v1/a").await == 200).await;
    }
    rig
}

async fn ask(rig: &Rig, device: u8, host: &str, target: &str) -> u16 {
    let token = rig.issuer.issue(&Token { device: [device; 16], ..Token::default() });
    let from = format!("203.0.113.{device}");
    rig.get(host, target, &[("assay-token", &token), ("x-forwarded-for", &from)]).await.status
}

async fn raise(rig: &Rig) {
    rig.edit(|text| text.replace("min: \"3.0\"", "min: \"9.0\""));
    rig.gateway.reload().await.unwrap();
}

async fn guard_of(rig: &Rig) -> serde_json::Value {
    let status = rig.admin("GET", "/status").await.json();
    status["routes"].as_array().unwrap().iter().find(|route| route["name"] == "own").unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_refuses_yesterdays_devices_opens_says_so_and_closes_with_the_next_one() {
    let rig = rig().await;
    raise(&rig).await;
    let mut refused = 0;
    for device in 0..DEVICES {
        refused += u32::from(ask(&rig, device, "own.test", "/v1/a").await == 403);
    }
    assert!((9..=12).contains(&refused), "it opened after {refused}");
    let route = guard_of(&rig).await;
    assert_eq!((&route["mode"], &route["guard"]["state"]), (&"guard".into(), &"tripped".into()), "{route}");
    assert!(route["guard"]["tripped"]["devices_regressed"].as_u64().unwrap() >= 9, "{route}");
    assert_eq!(rig.metric("assay_guard_tripped", &["route=\"own\""]).await, 1.0);
    assert_eq!(rig.metric("assay_guard_trips_total", &["route=\"own\""]).await, 1.0);
    assert!(rig.metric("assay_devices_regressed", &["route=\"own\""]).await >= 9.0);
    let line = rig.logged(|line| line["panic"] == "guard").await;
    assert_eq!((&line["would"], &line["status"]), (&"block".into(), &200.into()), "{line}");
    // A restart changes nothing about it, nor does a reload of the same policy.
    rig.gateway.reload().await.unwrap();
    assert_eq!(ask(&rig, 3, "own.test", "/v1/a").await, 200);
    let rig = rig.restart();
    assert_eq!(ask(&rig, 3, "own.test", "/v1/a").await, 200);
    assert_eq!(guard_of(&rig).await["guard"]["state"], "tripped");
    // A policy that is good again is enforced.
    rig.edit(|text| text.replace("min: \"9.0\"", "min: \"3.1\""));
    rig.gateway.reload().await.unwrap();
    assert_eq!(guard_of(&rig).await["mode"], "normal");
    assert_eq!(rig.get("own.test", "/v1/a", &[]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_means_it_has_the_policy_enforced() {
    let rig = rig().await;
    assert_eq!(rig.admin("POST", "/guard/own/reset").await.status, 409);
    assert_eq!(rig.admin("POST", "/guard/none/reset").await.status, 404);
    raise(&rig).await;
    for device in 0..DEVICES {
        ask(&rig, device, "own.test", "/v1/a").await;
    }
    assert_eq!(ask(&rig, 3, "own.test", "/v1/a").await, 200);
    assert_eq!(rig.admin("POST", "/guard/own/reset").await.status, 200);
    for device in 0..DEVICES {
        assert_eq!(ask(&rig, device, "own.test", "/v1/a").await, 403, "and it does not trip again");
    }
    rig.until("written", async || rig.folder.path().join("state/guards.json").exists()).await;
    let rig = rig.restart();
    assert_eq!(ask(&rig, 3, "own.test", "/v1/a").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_and_new_devices_never_trip_it() {
    let rig = rig().await;
    raise(&rig).await;
    // A thousand forged tokens, each of another device: no signature, no past.
    for n in 0..1_000_u32 {
        let mut device = [0; 16];
        device[..4].copy_from_slice(&n.to_be_bytes());
        let forged = rig.issuer.issue(&Token { device, secret: Some([9; 32]), ..Token::default() });
        let from = format!("198.51.{}.{}", n / 250, n % 250);
        assert_eq!(
            rig.get("own.test", "/v1/a", &[("assay-token", &forged), ("x-forwarded-for", &from)]).await.status,
            403
        );
    }
    // Genuine tokens of devices that nobody has seen before.
    for n in 100..200_u8 {
        assert_eq!(ask(&rig, n, "own.test", "/v1/a").await, 403);
    }
    assert_eq!(guard_of(&rig).await["guard"]["state"], "watching");
    assert_eq!(rig.metric("assay_guard_tripped", &["route=\"own\""]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_opens_no_route_with_a_key() {
    let rig = rig().await;
    let paid = |text: &str| {
        let (before, after) = text.split_once("  paid:").unwrap();
        format!(
            "{before}  paid:{}",
            after.replacen("verdict: attested }", "verdict: attested, app_version: { min: \"9.0\" } }", 1)
        )
    };
    rig.edit(paid);
    rig.gateway.reload().await.unwrap();
    for device in 0..DEVICES {
        assert_eq!(ask(&rig, device, "paid.test", "/paid/v1/a").await, 403);
    }
    assert_eq!(ask(&rig, 0, "own.test", "/v1/a").await, 200, "the other route is as it was");
}
