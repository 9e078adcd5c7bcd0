//! Keys, revocations, tokens.

use crate::world::{NOW, World};
use reqwest::Method;
use serde_json::{Value, json};

fn kid(set: &Value, state: &str) -> String {
    let keys = set["items"][0]["keys"].as_array().unwrap();
    keys.iter().find(|key| key["state"] == state).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_rotation_waits_until_every_gateway_knows_the_next_key_unless_it_must_not() {
    let world = World::new().await;
    assert_eq!(world.post("/keysets/other/rotate", &world.admin, json!({})).await.code(), "not_found");
    assert_eq!(
        world.post("/keysets/default/rotate", &world.admin, json!({ "when": "soon" })).await.at(),
        ("invalid", "when")
    );
    let before = world.get("/keysets", &world.viewer).await.body;
    let (active, next) = (kid(&before, "active"), kid(&before, "next"));
    let rotation = world.post("/keysets/default/rotate", &world.admin, json!({})).await.body;
    assert_eq!(
        (&rotation["from"], &rotation["to"], &rotation["scheduled"]),
        (&json!(active), &json!(next), &json!(true))
    );
    assert!(rotation["at"].as_i64().unwrap() >= before["items"][0]["safe_from"].as_i64().unwrap());
    assert_eq!(kid(&world.get("/keysets", &world.viewer).await.body, "active"), active, "not yet");
    let rotation = world.post("/keysets/default/rotate", &world.admin, json!({ "when": "now" })).await.body;
    assert_eq!(rotation["scheduled"], false);
    assert!(rotation["warning"].as_str().is_some_and(|said| !said.is_empty()));
    assert_eq!(kid(&world.get("/keysets", &world.viewer).await.body, "active"), next);
}

#[tokio::test]
async fn a_key_is_retired_at_once_and_its_tokens_with_it() {
    let world = World::new().await;
    let retire = async |kid: &str| {
        world.send(Method::DELETE, &format!("/keysets/default/keys/{kid}"), &world.admin, &[], None).await
    };
    assert_eq!(retire("nobody").await.code(), "not_found");
    let before = world.get("/keysets", &world.viewer).await.body;
    let (active, next) = (kid(&before, "active"), kid(&before, "next"));
    assert_eq!(retire(&active).await.body["to"], next.as_str());
    let feed = world.get("/revocations", &world.viewer).await.body["items"].clone();
    assert_eq!((feed[0]["kind"].as_str(), feed[0]["value"].as_str()), (Some("kid"), Some(active.as_str())));
}

#[tokio::test]
async fn no_answer_holds_a_secret_but_the_token_that_was_made() {
    let world = World::new().await;
    let created =
        world.post("/tokens", &world.admin, json!({ "name": "new", "role": "viewer", "until": NOW.secs() + 60 })).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let token = created.body["token"].as_str().unwrap();
    assert!(token.starts_with("assay_admin_") && token.len() == 55);
    assert_eq!(world.get("/status", token).await.body["actor"], "new");
    let listed = world.get("/tokens", &world.admin).await;
    let keys = world.get("/keysets", &world.admin).await;
    let audit = world.get("/audit", &world.admin).await;
    for reply in [&listed, &keys, &audit] {
        for secret in [token, &world.admin, "secret", "decoy_key", "hash"] {
            assert!(!reply.text.contains(secret), "{secret}: {}", reply.text);
        }
    }
    assert_eq!(
        world
            .post("/tokens", &world.admin, json!({ "name": "new", "role": "viewer", "until": NOW.secs() + 60 }))
            .await
            .code(),
        "conflict"
    );
}

#[tokio::test]
async fn refuses_tokens_that_end_too_late_or_reach_nothing() {
    let world = World::new().await;
    let token = |change: Value| {
        let mut token = json!({ "name": "new", "role": "viewer", "until": NOW.secs() + 60 });
        token.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        token
    };
    for (change, field) in [
        (json!({ "name": "a b" }), "name"),
        (json!({ "role": "root" }), "role"),
        (json!({ "apps": [] }), "apps"),
        (json!({ "apps": ["a b"] }), "app"),
        (json!({ "until": NOW.secs() }), "until"),
        (json!({ "until": NOW.secs() + 367 * 86_400 }), "until"),
    ] {
        assert_eq!(world.post("/tokens", &world.admin, token(change)).await.at(), ("invalid", field));
    }
    assert_eq!(world.send(Method::DELETE, "/tokens/nobody", &world.admin, &[], None).await.code(), "not_found");
}

#[tokio::test]
async fn a_test_token_is_marked_counted_and_what_was_asked_for() {
    let world = World::new().await;
    for (body, expected) in [
        (json!({ "app": "nobody" }), ("not_found", "app")),
        (json!({ "app": "shop", "as": "nonsense" }), ("invalid", "as")),
        (json!({ "app": "shop", "as": "revoked" }), ("invalid", "as")),
        (json!({ "app": "shop", "seconds": 0 }), ("invalid", "seconds")),
        (json!({ "app": "shop", "seconds": 301 }), ("invalid", "seconds")),
        (json!({ "app": "shop", "binding": "x" }), ("invalid", "binding")),
    ] {
        assert_eq!(world.post("/test-tokens", &world.operator, body.clone()).await.at(), expected, "{body}");
    }
    let log = world.get("/audit?limit=500", &world.admin).await;
    assert!(!log.text.contains("token.issue"), "a token that nobody got stands in the log: {}", log.text);
    let issued =
        world.post("/test-tokens", &world.operator, json!({ "app": "shop", "version": "9", "seconds": 60 })).await;
    assert_eq!(
        (issued.status.as_u16(), issued.body["until"].as_i64()),
        (201, Some(NOW.secs() + 60)),
        "{}",
        issued.text
    );
    let token = issued.body["token"].as_str().unwrap();
    let keys = world.store.issuer().unwrap().key_set().unwrap();
    let found = attest_core::token::verify::inspect(token.as_bytes(), &keys);
    let claims = found.claims.unwrap();
    assert_eq!(
        (claims["app"].as_str(), claims["ver"].as_str(), claims["exp"].as_i64()),
        (Some("shop"), Some("9"), Some(NOW.secs() + 60))
    );
    let authentic = found.outcome.unwrap();
    let check = |allow_dev| {
        let expect = attest_core::token::verify::Expect::valid_at(NOW);
        let expect = attest_core::token::verify::Expect { bearer_ok: true, allow_dev, ..expect };
        attest_core::token::verify::check(&authentic, &expect).verdict().as_str()
    };
    assert_eq!((check(true), check(false)), ("attested", "failed"));
    let entry = world.get("/audit?limit=1", &world.admin).await.body["items"][0].clone();
    assert_eq!(
        (entry["action"].as_str(), entry["actor"].as_str(), entry["target"].as_str()),
        (Some("token.issue"), Some("otto"), Some("shop"))
    );
    assert!(!entry.to_string().contains(token));
}

#[tokio::test]
async fn revocations_name_what_there_can_be_and_are_lifted() {
    let world = World::new().await;
    let revoke = async |kind: &str, value: &str| {
        world.post("/revocations", &world.admin, json!({ "kind": kind, "value": value, "reason": "r" })).await
    };
    for (kind, value, field) in [
        ("device", "x", "value"),
        ("build", "x", "value"),
        ("issued_before", "x", "value"),
        ("app", "a b", "app"),
        ("all", "x", "kind"),
    ] {
        assert_eq!(revoke(kind, value).await.at(), ("invalid", field), "{kind}");
    }
    assert_eq!(revoke("issued_before", &(NOW.secs() + 1).to_string()).await.code(), "conflict");
    assert_eq!(revoke("app", "shop").await.status, 204);
    let entry = world.get("/revocations", &world.viewer).await.body["items"][0].clone();
    assert_eq!((&entry["kind"], &entry["value"], &entry["made_by"]), (&json!("app"), &json!("shop"), &json!("anna")));
    let lift = json!({ "kind": "app", "value": "shop", "reason": "r" });
    assert_eq!(world.post("/revocations/lift", &world.admin, lift.clone()).await.status, 204);
    assert_eq!(world.post("/revocations/lift", &world.admin, lift).await.code(), "not_found");
}
