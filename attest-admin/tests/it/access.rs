//! Who may come in, and how far.

use crate::world::{DEVICE, World};
use attest_admin::ATTEMPTS;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn strangers_learn_nothing_and_are_counted() {
    let world = World::new().await;
    let bare = world.http.get(format!("{}/admin/v1/status", world.base)).send().await.unwrap();
    assert_eq!(
        (bare.status().as_u16(), bare.headers()["www-authenticate"].to_str().unwrap()),
        (401, "Bearer realm=\"assay-admin\"")
    );
    let bare = bare.text().await.unwrap();
    let mut texts = std::collections::BTreeSet::from([bare]);
    let almost = world.viewer.replace("assay_admin_", "assay_admin_x");
    for token in ["", "x", "assay_admin_", almost.as_str()] {
        let reply = world.get("/status", token).await;
        assert_eq!(reply.code(), "unauthorised");
        texts.insert(reply.text);
    }
    assert_eq!(texts.len(), 1, "all wrong tokens are answered alike: {texts:?}");
    for _ in 5..ATTEMPTS {
        assert_eq!(world.get("/status", "x").await.status, 401);
    }
    let slow = world.get("/status", "x").await;
    assert_eq!(slow.code(), "rate_limited");
    let wait: u64 = slow.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(world.get("/status", &world.viewer).await.status, 429, "a token that was never shown waits, too");
}

#[tokio::test]
async fn wrong_tokens_from_the_same_address_keep_nobody_out_who_was_in() {
    let world = World::new().await;
    assert_eq!(world.get("/status", &world.operator).await.status, 200);
    assert_eq!(world.get("/status", &world.admin).await.status, 200);
    for _ in 0..ATTEMPTS {
        assert_eq!(world.get("/status", "x").await.status, 401);
    }
    assert_eq!(world.get("/status", "x").await.code(), "rate_limited");
    assert_eq!(world.get("/status", &world.operator).await.status, 200);
    let revoked = world.send(Method::DELETE, "/tokens/otto", &world.admin, &[], None).await;
    assert_eq!(revoked.status, 204, "{}", revoked.text);
    assert_eq!(world.get("/status", &world.operator).await.status, 401);
    assert_eq!(world.get("/status", &world.operator).await.status, 429);
}

#[tokio::test]
async fn a_token_that_is_revoked_or_over_is_a_strangers() {
    let world = World::new().await;
    let revoked = world.send(Method::DELETE, "/tokens/vera", &world.admin, &[], None).await;
    assert_eq!(revoked.status, 204);
    assert_eq!(world.get("/status", &world.viewer).await.code(), "unauthorised");
    assert_eq!(world.get("/status", &world.operator).await.status, 200);
    world.clock.advance(std::time::Duration::from_secs(86_400));
    assert_eq!(world.get("/status", &world.operator).await.code(), "unauthorised");
}

#[tokio::test]
async fn each_operation_takes_its_role() {
    let world = World::new().await;
    let mark = |state: &str| json!({ "state": state, "reason": "r", "until": 1_700_000_060 });
    let forbidden = [
        world.post("/builds", &world.viewer, json!({})).await,
        world.put(&format!("/devices/{DEVICE}/mark"), &world.viewer, "*", mark("banned")).await,
        world.put(&format!("/devices/{DEVICE}/mark"), &world.operator, "*", mark("forced_pass")).await,
        world.post("/keysets/default/rotate", &world.operator, json!({})).await,
        world.post("/revocations", &world.operator, json!({})).await,
        world.get("/tokens", &world.operator).await,
        world.post("/tokens", &world.operator, json!({})).await,
        world.get("/audit", &world.operator).await,
        world.post("/audit/verify", &world.operator, json!({})).await,
        world.get("/audit/checkpoint", &world.operator).await,
        world.post("/test-tokens", &world.viewer, json!({})).await,
        // What belongs to no app, for a token that is limited to some.
        world.get("/keysets", &world.shop).await,
        world.get("/revocations", &world.shop).await,
    ];
    for (index, reply) in forbidden.iter().enumerate() {
        assert_eq!(reply.code(), "forbidden", "{index}: {}", reply.text);
    }
    let allowed = world.put(&format!("/devices/{DEVICE}/mark"), &world.admin, "*", mark("forced_pass")).await;
    assert_eq!(allowed.status, 200, "{}", allowed.text);
}

#[tokio::test]
async fn a_token_sees_and_touches_its_apps_alone() {
    let world = World::new().await;
    world.register("shop", "1.0").await;
    let bank = world.register("bank", "1.0").await.body["build"]["number"].to_string();
    let names = |body: &serde_json::Value, member: &str| {
        body["items"].as_array().unwrap().iter().map(|i| i[member].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&world.get("/builds", &world.shop).await.body, "app"), ["shop"]);
    assert_eq!(names(&world.get("/builds?app=bank", &world.shop).await.body, "app"), Vec::<String>::new());
    assert_eq!(names(&world.get("/apps", &world.shop).await.body, "name"), ["shop"]);
    assert_eq!(world.get(&format!("/builds/{bank}"), &world.shop).await.code(), "not_found");
    assert_eq!(world.post("/apps/bank/retire", &world.shop, json!({ "version": "1.0" })).await.code(), "not_found");
    let build = json!({ "app": "bank", "platform": "linux", "version": "2", "measurement": crate::world::MEASUREMENT });
    assert_eq!(world.post("/builds", &world.shop, build).await.at(), ("conflict", "app"));
    assert_eq!(world.post("/test-tokens", &world.shop, json!({ "app": "bank" })).await.code(), "not_found");
    assert_eq!(world.post("/apps/shop/retire", &world.shop, json!({ "version": "1.0" })).await.status, 200);
    let status = world.get("/status", &world.shop).await.body;
    assert_eq!((status["actor"].as_str(), status["apps"][0].as_str()), (Some("shop"), Some("shop")));
}

#[tokio::test]
async fn paths_and_methods_that_are_not_served_say_so() {
    let world = World::new().await;
    assert_eq!(world.get("/nothing", &world.admin).await.code(), "not_found");
    assert_eq!(world.send(Method::DELETE, "/status", &world.admin, &[], None).await.code(), "method_not_allowed");
}
