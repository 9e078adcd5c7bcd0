//! Builds: registered once, of the app that the configuration means, and retired by those who saw them.

use crate::world::{MEASUREMENT, World};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn refuses_builds_that_cannot_be_attested_or_are_somebody_elses() {
    let world = World::new().await;
    let build = |change: serde_json::Value| {
        let mut build = json!({ "app": "bank", "platform": "android", "version": "1.0", "measurement": MEASUREMENT,
            "package": { "id": "com.example.bank", "signers": [format!("sha256:{}", "11".repeat(32))] } });
        for (name, value) in change.as_object().unwrap() {
            build[name] = value.clone();
        }
        build
    };
    let refused = [
        (json!({ "app": "nobody" }), ("conflict", "app")),
        (json!({ "platform": "ios" }), ("conflict", "app")),
        (json!({ "platform": "windows" }), ("invalid", "platform")),
        (json!({ "version": "1 0" }), ("invalid", "version")),
        (json!({ "label": "a b" }), ("invalid", "label")),
        (json!({ "measurement": "4242" }), ("invalid", "measurement")),
        (json!({ "measurement": null }), ("invalid", "measurement")),
        (json!({ "package": {} }), ("conflict", "package.id")),
        (json!({ "package": { "id": "com.evil.bank" } }), ("conflict", "package.id")),
        (json!({ "package": { "id": "com.example.bank" } }), ("conflict", "package.signers")),
        (
            json!({ "package": { "id": "com.example.bank", "signers": [format!("sha256:{}", "22".repeat(32))] } }),
            ("conflict", "package.signers"),
        ),
        (json!({ "package": { "signers": ["11"] } }), ("invalid", "package.signers")),
    ];
    for (change, expected) in refused {
        let reply = world.post("/builds", &world.operator, build(change.clone())).await;
        assert_eq!(reply.at(), expected, "{change}: {}", reply.text);
    }
    assert_eq!(world.get("/builds", &world.viewer).await.body["items"], json!([]), "nothing was written");
    assert_eq!(world.post("/builds", &world.operator, build(json!({}))).await.status, 201);
}

#[tokio::test]
async fn registering_again_changes_nothing_and_another_measurement_is_refused() {
    let world = World::new().await;
    let first = world.register("shop", "1.0").await;
    assert_eq!(first.body["outcome"], "added");
    let mut build = json!({ "app": "shop", "platform": "linux", "version": "1.0", "measurement": MEASUREMENT });
    let again = world.post("/builds", &world.operator, build.clone()).await;
    assert_eq!((again.status.as_u16(), again.body["outcome"].as_str()), (200, Some("unchanged")));
    build["measurement"] = format!("sha256:{}", "17".repeat(32)).into();
    assert_eq!(world.post("/builds", &world.operator, build).await.code(), "conflict");
}

#[tokio::test]
async fn a_build_is_retired_by_who_saw_it_last() {
    let world = World::new().await;
    let number = world.register("shop", "1.0").await.body["build"]["number"].to_string();
    let path = format!("/builds/{number}");
    let seen = world.get(&path, &world.viewer).await;
    let tag = seen.etag.clone().unwrap();
    let retired = json!({ "state": "retired" }).to_string();
    let patch = async |headers: &[(&str, &str)]| {
        world.send(Method::PATCH, &path, &world.operator, headers, Some(&retired)).await
    };
    assert_eq!(patch(&[]).await.code(), "precondition_required");
    assert_eq!(patch(&[("if-match", "\"r99\"")]).await.code(), "precondition_failed");
    assert_eq!(patch(&[("if-none-match", "*")]).await.code(), "precondition_failed");
    let done = patch(&[("if-match", &tag)]).await;
    assert_eq!((done.status.as_u16(), done.body["state"].as_str()), (200, Some("retired")));
    assert_ne!(done.etag.clone().unwrap(), tag);
    assert_eq!(patch(&[("if-match", &tag)]).await.code(), "precondition_failed");
    let live = json!({ "state": "live" }).to_string();
    let back = world
        .send(Method::PATCH, &path, &world.operator, &[("if-match", done.etag.as_deref().unwrap())], Some(&live))
        .await;
    assert_eq!(back.at(), ("conflict", "state"));
    assert_eq!(world.post("/apps/shop/retire", &world.operator, json!({ "version": "1.0" })).await.code(), "not_found");
}

#[tokio::test]
async fn retiring_one_build_leaves_its_neighbour_on_another_platform() {
    let world = World::new().await;
    let number = world.register("bank", "1.0").await.body["build"]["number"].to_string();
    let android = json!({ "app": "bank", "platform": "android", "version": "1.0", "measurement": MEASUREMENT,
        "package": { "id": "com.example.bank", "signers": [format!("sha256:{}", "11".repeat(32))] } });
    let android = world.post("/builds", &world.operator, android).await.body["build"]["number"].to_string();
    let path = format!("/builds/{number}");
    let tag = world.get(&path, &world.viewer).await.etag.unwrap();
    let body = json!({ "state": "retired" }).to_string();
    let done = world.send(Method::PATCH, &path, &world.operator, &[("if-match", &tag)], Some(&body)).await;
    assert_eq!(done.body["state"], "retired", "{}", done.text);
    assert_eq!(world.get(&format!("/builds/{android}"), &world.viewer).await.body["state"], "live");
}

#[tokio::test]
async fn lists_come_in_pages_that_hold_everything_once() {
    let world = World::new().await;
    for version in 1..=7 {
        world.register("shop", &version.to_string()).await;
    }
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let page = world.get(&format!("/builds?limit=3{after}"), &world.viewer).await.body;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        seen.extend(items.iter().map(|build| build["version"].as_str().unwrap().to_owned()));
        // What is registered meanwhile is on no later page.
        if seen.len() == 3 {
            world.register("shop", "new").await;
        }
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, ["7", "6", "5", "4", "3", "2", "1"]);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("after=x", "after"),
        ("limt=1", "limt"),
        ("limit=1&limit=2", "limit"),
    ] {
        assert_eq!(world.get(&format!("/builds?{query}"), &world.viewer).await.at(), ("invalid", field));
    }
}
