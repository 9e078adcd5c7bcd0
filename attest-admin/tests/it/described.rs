//! The description: every route is in it, and answers are what it says.

use crate::world::{DEVICE, NOW, World};
use reqwest::Method;
use serde_json::{Value, json};

/// Holds a value against a JSON Schema of the kinds that the description uses; what is wrong, with its place.
fn against(document: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').unwrap();
        return against(document, document.pointer(pointer).ok_or(format!("{place}: no {name}"))?, value, place);
    }
    for word in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[word].as_array() {
            let fits = choices.iter().any(|choice| against(document, choice, value, place).is_ok());
            return fits.then_some(()).ok_or(format!("{place}: {value} is none of {word}"));
        }
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        against(document, part, value, place)?;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    if !kinds.is_empty() && !kinds.contains(&kind) {
        return Err(format!("{place}: {kind} instead of {kinds:?}"));
    }
    if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
        return Err(format!("{place}: {value} is none of {words:?}"));
    }
    if let Value::Object(members) = value {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            members.get(name).ok_or(format!("{place}: no {name}"))?;
        }
        if let Some(known) = schema["properties"].as_object() {
            for (name, value) in members {
                let schema = known.get(name).ok_or(format!("{place}: {name} is not described"))?;
                against(document, schema, value, &format!("{place}.{name}"))?;
            }
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        against(document, &schema["items"], item, &format!("{place}[{index}]"))?;
    }
    Ok(())
}

/// The schema of an answer.
fn described<'a>(document: &'a Value, method: &str, path: &str, status: u16) -> &'a Value {
    let operation = &document["paths"][format!("/admin/v1{path}")][method];
    assert!(operation.is_object(), "{method} {path} is not described");
    let response = &operation["responses"][status.to_string()];
    let response = if response.is_object() { response } else { &operation["responses"]["default"] };
    response["content"].as_object().unwrap().values().next().map(|content| &content["schema"]).unwrap()
}

#[test]
fn a_wrong_answer_would_be_found() {
    let schema = json!({ "type": "object", "required": ["a"], "properties": { "a": { "type": "integer" }, "b": { "enum": ["x"] } } });
    for (bad, place) in [
        (json!({}), "no a"),
        (json!({ "a": "1" }), "string instead"),
        (json!({ "a": 1, "c": 2 }), "not described"),
        (json!({ "a": 1, "b": "y" }), "none of"),
    ] {
        let said = against(&Value::Null, &schema, &bad, "$").unwrap_err();
        assert!(said.contains(place), "{said}");
    }
    assert_eq!(against(&Value::Null, &schema, &json!({ "a": 1, "b": "x" }), "$"), Ok(()));
}

#[tokio::test]
async fn the_description_is_served_and_names_every_route() {
    let world = World::new().await;
    let served = world.http.get(format!("{}/admin/v1/openapi.json", world.base)).send().await.unwrap();
    let served: Value = served.json().await.unwrap();
    assert_eq!(served, serde_json::to_value(attest_admin::openapi()).unwrap());
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"), "{}", served["openapi"]);
    let mut operations = 0;
    for (path, item) in served["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations += 1;
            assert!(
                operation["summary"].is_string() && operation["responses"]["default"].is_object(),
                "{method} {path}"
            );
            // Whatever is described is served: a stranger is turned away, not told that there is no such thing.
            let concrete = path
                .replace("{id}", DEVICE)
                .replace("{number}", "1")
                .replace("{name}", "default")
                .replace("{kid}", "k")
                .replace("{app}", "shop");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let url = format!("{}{concrete}", world.base);
            let answer = world.http.request(method.clone(), url).bearer_auth(&world.shop).send().await.unwrap();
            assert!(!matches!(answer.status().as_u16(), 401 | 405 | 500), "{method} {path}: {}", answer.status());
        }
    }
    assert_eq!(operations, 31, "a new route is described by the handler itself; count it here");
}

#[tokio::test]
async fn answers_are_what_the_description_says() {
    let world = World::new().await;
    let document = serde_json::to_value(attest_admin::openapi()).unwrap();
    let registered = world.register("shop", "1.0").await;
    let number = registered.body["build"]["number"].to_string();
    let banned = world
        .put(
            &format!("/devices/{DEVICE}/mark"),
            &world.operator,
            "*",
            json!({ "state": "banned", "reason": "r", "until": NOW.secs() + 60 }),
        )
        .await;
    let order = json!({ "kind": "lockdown", "routes": ["paid"], "lasts_secs": 60, "reason": "r" });
    let ordered = world.post("/orders", &world.operator, order).await;
    assert_eq!(ordered.status, 201, "{}", ordered.text);
    world.report("edge-1");
    let (get, post) = ("get", "post");
    let answers = [
        (post, "/builds", registered),
        ("put", "/devices/{id}/mark", banned),
        (get, "/status", world.get("/status", &world.viewer).await),
        (get, "/apps", world.get("/apps", &world.viewer).await),
        (get, "/builds", world.get("/builds", &world.viewer).await),
        (get, "/builds/{number}", world.get(&format!("/builds/{number}"), &world.viewer).await),
        (get, "/devices", world.get("/devices", &world.viewer).await),
        (get, "/devices/{id}", world.get(&format!("/devices/{DEVICE}"), &world.viewer).await),
        (get, "/keysets", world.get("/keysets", &world.viewer).await),
        (get, "/revocations", world.get("/revocations", &world.viewer).await),
        (post, "/orders", ordered),
        (get, "/orders", world.get("/orders", &world.viewer).await),
        (get, "/orders/{number}", world.get("/orders/1", &world.viewer).await),
        (get, "/gateways", world.get("/gateways", &world.viewer).await),
        (get, "/tokens", world.get("/tokens", &world.admin).await),
        (get, "/audit", world.get("/audit", &world.admin).await),
        (get, "/audit/checkpoint", world.get("/audit/checkpoint", &world.admin).await),
        (post, "/audit/verify", world.post("/audit/verify", &world.admin, json!({})).await),
        (post, "/keysets/{name}/rotate", world.post("/keysets/default/rotate", &world.admin, json!({})).await),
        (post, "/test-tokens", world.post("/test-tokens", &world.operator, json!({ "app": "shop" })).await),
        (
            post,
            "/tokens",
            world
                .post("/tokens", &world.admin, json!({ "name": "n", "role": "viewer", "until": NOW.secs() + 60 }))
                .await,
        ),
        (
            post,
            "/apps/{app}/retire",
            world.post("/apps/shop/retire", &world.operator, json!({ "version": "1.0" })).await,
        ),
        // Refusals too.
        (post, "/builds", world.post("/builds", &world.operator, json!({})).await),
        (get, "/builds/{number}", world.get("/builds/99", &world.viewer).await),
    ];
    for (method, path, reply) in &answers {
        let schema = described(&document, method, path, reply.status.as_u16());
        assert_eq!(against(&document, schema, &reply.body, "$"), Ok(()), "{method} {path}: {}", reply.text);
    }
}
