//! Orders to gateways, over HTTP.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{NOW, World};

fn lockdown(routes: &[&str]) -> Value {
    json!({ "kind": "lockdown", "routes": routes, "lasts_secs": 7200, "reason": "credential stuffing" })
}

#[tokio::test]
async fn refuses_an_order_out_of_bounds_and_names_the_member() {
    let world = World::new().await;
    let with = |name: &str, value: Value| {
        let mut order = lockdown(&["paid"]);
        order[name] = value;
        order
    };
    for (body, member) in [
        (with("routes", json!([])), "routes"),
        (with("all_routes", json!(true)), "routes"),
        (with("routes", json!(["Paid"])), "routes"),
        (with("routes", json!(vec!["paid"; 33])), "routes"),
        (with("lasts_secs", json!(0)), "lasts_secs"),
        (with("lasts_secs", json!(604_801)), "lasts_secs"),
        (with("extend_by_secs", json!(60)), "extend_by_secs"),
        (with("kind", json!("extend_tokens")), "extend_by_secs"),
        (with("kind", json!("open")), "kind"),
        (with("reason", json!("")), "reason"),
        (with("reason", json!("two\nlines")), "reason"),
        (with("reason", json!("x".repeat(201))), "reason"),
        (with("until", json!(5)), "until"),
    ] {
        let reply = world.post("/orders", &world.admin, body.clone()).await;
        assert_eq!(reply.at(), ("invalid", member), "{body} {}", reply.text);
    }
    let mut nobody = lockdown(&["paid"]);
    nobody.as_object_mut().unwrap().remove("reason");
    assert_eq!(world.post("/orders", &world.admin, nobody).await.code(), "invalid");
    assert_eq!(world.get("/orders", &world.viewer).await.body["items"], json!([]));
}

#[tokio::test]
async fn an_order_is_given_listed_ended_and_told_with_who_and_why() {
    let world = World::new().await;
    world.report("edge-1");
    let given = world.post("/orders", &world.operator, lockdown(&["paid", "payed", "paid"])).await;
    assert_eq!((given.status, given.etag.as_deref()), (StatusCode::CREATED, Some("\"r1\"")), "{}", given.text);
    let order = &given.body["order"];
    assert_eq!(order["routes"], json!(["paid", "payed"]));
    assert_eq!((order["until"].as_i64(), &order["by"]), (Some(NOW.secs() + 7200), &json!("otto")));
    assert_eq!(given.body["routes_nowhere"], json!(["payed"]), "the fleet knows no such route");
    assert_eq!(world.get("/orders", &world.viewer).await.body["items"][0], *order);

    let path = format!("/orders/{}", order["number"]);
    let end = async |tag: Option<&str>| {
        let headers: Vec<_> = tag.map(|tag| ("if-match", tag)).into_iter().collect();
        let why = json!({ "reason": "over" }).to_string();
        world.send(Method::DELETE, &path, &world.operator, &headers, Some(&why)).await
    };
    assert_eq!(end(None).await.code(), "precondition_required");
    assert_eq!(end(Some("\"r9\"")).await.code(), "precondition_failed");
    let ended = end(given.etag.as_deref()).await;
    assert_eq!((ended.status, &ended.body["in_force"]), (StatusCode::OK, &json!(false)), "{}", ended.text);
    assert_eq!(ended.body["ended_by"], "otto");
    assert_eq!(end(Some("*")).await.code(), "not_found", "once");
    assert_eq!(world.get("/orders", &world.viewer).await.body["items"], json!([]));
    assert_eq!(world.get("/orders?over=true", &world.viewer).await.body["items"][0]["ended_by"], "otto");

    let audit = world.get("/audit", &world.admin).await;
    let entries = audit.body["items"].as_array().unwrap();
    let of = |action: &str| entries.iter().find(|entry| entry["action"] == action).unwrap().to_string();
    assert!(of("order.lockdown").contains("credential stuffing") && of("order.lockdown").contains("otto"));
    assert!(of("order.end").contains("over"));
}

#[tokio::test]
async fn an_order_is_over_by_itself() {
    let world = World::new().await;
    let given = world.post("/orders", &world.operator, lockdown(&["paid"])).await;
    let path = format!("/orders/{}", given.body["order"]["number"]);
    world.clock.advance(Duration::from_secs(7200 + 30));
    assert_eq!(world.get(&path, &world.viewer).await.body["in_force"], false);
    assert_eq!(world.get("/orders", &world.viewer).await.body["items"], json!([]));
    assert_eq!(world.get("/orders/99", &world.viewer).await.code(), "not_found");
    assert_eq!(world.get("/orders/01", &world.viewer).await.at(), ("invalid", "number"));
}

#[tokio::test]
async fn what_loosens_takes_an_administrator() {
    let world = World::new().await;
    for (kind, more) in [("monitor", Value::Null), ("extend_tokens", json!(1800))] {
        let mut order = json!({ "kind": kind, "all_routes": true, "lasts_secs": 60, "reason": "a bad rule" });
        if !more.is_null() {
            order["extend_by_secs"] = more;
        }
        assert_eq!(world.post("/orders", &world.operator, order.clone()).await.code(), "forbidden");
        let given = world.post("/orders", &world.admin, order).await;
        assert_eq!(given.status, StatusCode::CREATED, "{}", given.text);
        assert_eq!(given.body["order"]["all_routes"], true);
    }
}

#[tokio::test]
async fn the_fleet_is_told_and_who_is_silent() {
    let world = World::new().await;
    world.report("edge-1");
    world.clock.advance(Duration::from_secs(61));
    world.report("edge-2");
    let fleet = world.get("/gateways", &world.viewer).await;
    let told: Vec<_> =
        fleet.body["items"].as_array().unwrap().iter().map(|one| (&one["name"], &one["silent"])).collect();
    assert_eq!(told, [(&json!("edge-1"), &json!(true)), (&json!("edge-2"), &json!(false))]);
    let first = world.get("/gateways?limit=1", &world.viewer).await;
    let next = world.get(&format!("/gateways?after={}", first.body["next"].as_str().unwrap()), &world.viewer).await;
    assert_eq!(next.body["items"][0]["name"], "edge-2");
}
