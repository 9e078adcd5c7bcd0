//! The audit log: every change is in it before it holds, and it can be checked.

use crate::world::{DEVICE, World};
use serde_json::{Value, json};

#[tokio::test]
async fn every_change_has_its_entry_with_who_and_from_where() {
    let world = World::new().await;
    world.register("shop", "1.0").await;
    world
        .put(&format!("/devices/{DEVICE}/mark"), &world.operator, "*", json!({ "state": "banned", "reason": "r" }))
        .await;
    world.post("/keysets/default/rotate", &world.admin, json!({})).await;
    let entries = world.get("/audit", &world.admin).await.body["items"].clone();
    let told: Vec<_> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["action"].as_str().unwrap(), e["actor"].as_str().unwrap(), e["origin"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told[..3],
        [
            ("keyset.rotate", "anna", "127.0.0.1"),
            ("device.banned", "otto", "127.0.0.1"),
            ("build.register", "otto", "127.0.0.1")
        ]
    );
    let before = entries.as_array().unwrap().len();
    world.get("/builds", &world.viewer).await;
    world.post("/builds", &world.operator, json!({})).await;
    assert_eq!(
        world.get("/audit", &world.admin).await.body["items"].as_array().unwrap().len(),
        before,
        "reading and refusals change nothing"
    );
}

#[tokio::test]
async fn a_checkpoint_vouches_for_the_log_and_a_forged_one_is_found() {
    let world = World::new().await;
    world.register("shop", "1.0").await;
    let checkpoint = world.get("/audit/checkpoint", &world.admin).await.body;
    let verify = async |checkpoints: Value| {
        world.post("/audit/verify", &world.admin, json!({ "checkpoints": checkpoints })).await
    };
    let report = verify(json!([checkpoint])).await.body;
    assert_eq!((&report["intact"], &report["problems"]), (&json!(true), &json!([])), "{report}");
    assert_eq!(report["writers"][0]["checkpoints"], 1);
    let mut forged = checkpoint.clone();
    forged["checkpoint"]["count"] = json!(99);
    let report = verify(json!([forged])).await.body;
    assert_eq!(report["intact"], false);
    assert!(report["problems"][0]["what"].as_str().unwrap().contains("not signed"), "{report}");
    let many: Vec<_> = std::iter::repeat_n(&checkpoint, 65).collect();
    assert_eq!(verify(json!(many)).await.at(), ("invalid", "checkpoints"));
    assert_eq!(verify(json!([{ "checkpoint": {}, "signature": "" }])).await.code(), "invalid");
}
