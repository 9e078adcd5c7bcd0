//! Devices: every decision names the state it was made on, its reason and its end.

use crate::world::{DEVICE, NOW, World};
use reqwest::Method;
use serde_json::{Value, json};

fn mark(state: &str, until: Option<i64>) -> Value {
    let mut mark = json!({ "state": state, "reason": "case 812" });
    if let Some(until) = until {
        mark["until"] = until.into();
    }
    mark
}

#[tokio::test]
async fn refuses_decisions_without_reason_end_or_sense() {
    let world = World::new().await;
    let path = format!("/devices/{DEVICE}/mark");
    let now = NOW.secs();
    let refused = [
        (json!({ "state": "banned" }), "reason"),
        (json!({ "state": "banned", "reason": "" }), "reason"),
        (json!({ "state": "banned", "reason": "a\nb" }), "reason"),
        (json!({ "state": "gone", "reason": "r" }), "state"),
        (mark("forced_pass", None), "until"),
        (mark("forced_pass", Some(now + 31 * 86_400)), "until"),
        (mark("banned", Some(now - 1)), "until"),
        (mark("normal", Some(now + 60)), "until"),
    ];
    for (body, field) in refused {
        assert_eq!(world.put(&path, &world.admin, "*", body.clone()).await.at(), ("invalid", field), "{body}");
    }
    assert_eq!(world.put("/devices/short/mark", &world.admin, "*", mark("banned", None)).await.at(), ("invalid", "id"));
    assert_eq!(world.get(&format!("/devices/{DEVICE}"), &world.viewer).await.code(), "not_found");
}

#[tokio::test]
async fn two_who_decide_at_once_do_not_undo_each_other_unseen() {
    let world = World::new().await;
    let (device, path) = (format!("/devices/{DEVICE}"), format!("/devices/{DEVICE}/mark"));
    let bare = world.send(Method::PUT, &path, &world.operator, &[], Some(&mark("banned", None).to_string())).await;
    assert_eq!(bare.at(), ("precondition_required", "if-match"));
    assert_eq!(bare.status, 428);
    assert_eq!(world.put(&path, &world.operator, "\"r1\"", mark("banned", None)).await.status, 412, "nothing is there");
    let banned = world.put(&path, &world.operator, "*", mark("banned", None)).await;
    assert_eq!((banned.status.as_u16(), banned.body["state"].as_str()), (200, Some("banned")));
    assert_eq!(banned.body["marked_by"], "otto");
    assert_eq!(world.put(&path, &world.operator, "*", mark("normal", None)).await.code(), "precondition_failed");
    let tag = world.get(&device, &world.viewer).await.etag.unwrap();
    assert_eq!(banned.etag.as_deref(), Some(tag.as_str()));
    assert_eq!(world.put(&path, &world.operator, &tag, mark("forced_fail", None)).await.status, 200);
    assert_eq!(world.put(&path, &world.operator, &tag, mark("normal", None)).await.code(), "precondition_failed");
    assert_eq!(world.get(&device, &world.viewer).await.body["state"], "forced_fail");
}

#[tokio::test]
async fn a_ban_is_a_revocation_and_goes_with_it() {
    let world = World::new().await;
    let path = format!("/devices/{DEVICE}/mark");
    let banned = world.put(&path, &world.operator, "*", mark("banned", None)).await;
    let feed = world.get("/revocations", &world.viewer).await.body["items"].clone();
    assert_eq!((feed[0]["kind"].as_str(), feed[0]["value"].as_str()), (Some("device"), Some(DEVICE)));
    let lift = json!({ "kind": "device", "value": DEVICE, "reason": "r" });
    assert_eq!(
        world.post("/revocations/lift", &world.admin, lift).await.code(),
        "conflict",
        "a ban is taken back at the device"
    );
    world.put(&path, &world.operator, banned.etag.as_deref().unwrap(), mark("normal", None)).await;
    assert_eq!(world.get("/revocations", &world.viewer).await.body["items"][0]["lifted"], true);
}

#[tokio::test]
async fn a_decision_that_is_over_is_no_longer_told() {
    let world = World::new().await;
    let path = format!("/devices/{DEVICE}/mark");
    world.put(&path, &world.operator, "*", mark("forced_fail", Some(NOW.secs() + 60))).await;
    world.clock.advance(std::time::Duration::from_secs(61));
    let device = world.get(&format!("/devices/{DEVICE}"), &world.viewer).await.body;
    assert_eq!((&device["state"], &device["until"], &device["reason"]), (&json!("normal"), &Value::Null, &Value::Null));
}

#[tokio::test]
async fn enrolment_ends_and_forgetting_is_no_way_around_a_decision() {
    let world = World::new().await;
    let (device, path) = (format!("/devices/{DEVICE}"), format!("/devices/{DEVICE}/enrolment"));
    let enrol = |until: i64| json!({ "until": until, "reason": "Anna, simulator" });
    assert_eq!(
        world.put(&path, &world.operator, "*", enrol(NOW.secs() + 91 * 86_400)).await.at(),
        ("invalid", "until")
    );
    let enrolled = world.put(&path, &world.operator, "*", enrol(NOW.secs() + 86_400)).await;
    assert_eq!(enrolled.body["enrolled_until"], NOW.secs() + 86_400);
    assert_eq!(world.get("/devices?enrolled=true", &world.viewer).await.body["items"][0]["id"], DEVICE);
    let tag = enrolled.etag.unwrap();
    let delete = async |path: &str, tag: &str, body: Option<&str>| {
        world.send(Method::DELETE, path, &world.operator, &[("if-match", tag)], body).await
    };
    assert_eq!(delete(&device, &tag, None).await.code(), "conflict");
    let ended = delete(&path, &tag, Some(r#"{"reason":"done"}"#)).await;
    assert_eq!(ended.body["enrolled_until"], Value::Null);
    assert_eq!(delete(&device, &tag, None).await.code(), "precondition_failed");
    assert_eq!(delete(&device, ended.etag.as_deref().unwrap(), None).await.status, 204);
    assert_eq!(world.get(&device, &world.viewer).await.code(), "not_found");
}

#[tokio::test]
async fn devices_are_found_by_state_app_and_when_they_were_seen() {
    let world = World::new().await;
    let path = format!("/devices/{DEVICE}/mark");
    world.put(&path, &world.operator, "*", mark("banned", None)).await;
    let found = async |query: &str| {
        world.get(&format!("/devices?{query}"), &world.viewer).await.body["items"].as_array().unwrap().len()
    };
    assert_eq!(found("state=banned").await, 1);
    assert_eq!(found("state=forced_pass").await, 0);
    assert_eq!(found("app=shop").await, 0);
    assert_eq!(found(&format!("seen_after={}", NOW.secs() + 1)).await, 0);
    assert_eq!(found(&format!("seen_after={}", NOW.secs() - 1)).await, 1);
    assert_eq!(world.get("/devices?state=gone", &world.viewer).await.at(), ("invalid", "state"));
}
