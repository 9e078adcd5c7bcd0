//! Every operation against every kind of token: who is let through, and who is not. An operation that is not in the table
//! fails the test, so a new one needs a decision.

use std::collections::BTreeSet;

use attest_core::{device_key::DeviceId, reasons::Reasons, reference::Platform};
use attest_store::{Actor, Role, Seen};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{DEVICE, MEASUREMENT, NOW, Reply, World};

/// What a token of an app finds where it may not go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Limited {
    /// It may: the operation shows or touches its own apps alone.
    Allowed,
    /// It is told that it may not.
    Forbidden,
    /// It is told that there is no such thing.
    Hidden,
}
use Limited::{Allowed, Forbidden, Hidden};

/// An operation.
struct Row {
    method: Method,
    /// As it is described.
    path: &'static str,
    /// As it is called.
    call: String,
    body: Option<Value>,
    /// The least role.
    needs: Role,
    /// What a token with that role and the app `shop` alone gets.
    limited: Limited,
}

fn row(method: &str, path: &'static str, call: &str, body: Option<Value>, needs: Role, limited: Limited) -> Row {
    Row { method: method.parse().unwrap(), path, call: call.to_owned(), body, needs, limited }
}

/// Another's device, seen as `bank`.
const THEIRS: &str = "CQkJCQkJCQkJCQkJCQkJCQ";

fn table(bank: &str) -> Vec<Row> {
    use Role::{Admin, Operator, Viewer};
    let why = json!({ "reason": "r" });
    let mark = |state: &str| json!({ "state": state, "reason": "r", "until": NOW.secs() + 60 });
    let enrol = json!({ "reason": "r", "until": NOW.secs() + 60 });
    let build = |app: &str| json!({ "app": app, "platform": "linux", "version": "2", "measurement": MEASUREMENT });
    let revocation = |kind: &str, value: &str| json!({ "kind": kind, "value": value, "reason": "r" });
    let order = |kind: &str, extend_by: Option<u64>| {
        let mut order = json!({ "kind": kind, "all_routes": true, "lasts_secs": 60, "reason": "r" });
        if let Some(secs) = extend_by {
            order["extend_by_secs"] = secs.into();
        }
        order
    };
    let device = |id: &str, what: &str| format!("/devices/{id}{what}");
    vec![
        row("GET", "/status", "/status", None, Viewer, Allowed),
        row("GET", "/apps", "/apps", None, Viewer, Allowed),
        row("POST", "/apps/{app}/retire", "/apps/bank/retire", Some(json!({ "version": "9" })), Operator, Hidden),
        row("GET", "/builds", "/builds", None, Viewer, Allowed),
        row("POST", "/builds", "/builds", Some(build("shop")), Operator, Allowed),
        row("GET", "/builds/{number}", &format!("/builds/{bank}"), None, Viewer, Hidden),
        row(
            "PATCH",
            "/builds/{number}",
            &format!("/builds/{bank}"),
            Some(json!({ "state": "live" })),
            Operator,
            Hidden,
        ),
        row("GET", "/devices", "/devices", None, Viewer, Allowed),
        row("GET", "/devices/{id}", &device(THEIRS, ""), None, Viewer, Hidden),
        row("PUT", "/devices/{id}/mark", &device(DEVICE, "/mark"), Some(mark("banned")), Operator, Forbidden),
        row("PUT", "/devices/{id}/mark", &device(DEVICE, "/mark"), Some(mark("forced_pass")), Admin, Forbidden),
        row("PUT", "/devices/{id}/enrolment", &device(DEVICE, "/enrolment"), Some(enrol), Operator, Forbidden),
        row("DELETE", "/devices/{id}/enrolment", &device(DEVICE, "/enrolment"), Some(why.clone()), Operator, Forbidden),
        row("DELETE", "/devices/{id}", &device(THEIRS, ""), None, Operator, Hidden),
        row("GET", "/keysets", "/keysets", None, Viewer, Forbidden),
        row("POST", "/keysets/{name}/rotate", "/keysets/default/rotate", Some(json!({})), Admin, Forbidden),
        row("DELETE", "/keysets/{name}/keys/{kid}", "/keysets/default/keys/none", None, Admin, Forbidden),
        row("GET", "/revocations", "/revocations", None, Viewer, Forbidden),
        row("POST", "/revocations", "/revocations", Some(revocation("app", "shop")), Admin, Allowed),
        row("POST", "/revocations", "/revocations", Some(revocation("app", "bank")), Admin, Forbidden),
        row("POST", "/revocations", "/revocations", Some(revocation("build", bank)), Admin, Forbidden),
        row("POST", "/revocations", "/revocations", Some(revocation("device", DEVICE)), Admin, Forbidden),
        row("POST", "/revocations", "/revocations", Some(revocation("kid", "k")), Admin, Forbidden),
        row("POST", "/revocations", "/revocations", Some(revocation("issued_before", "1")), Admin, Forbidden),
        row("POST", "/revocations/lift", "/revocations/lift", Some(revocation("app", "bank")), Admin, Forbidden),
        row("POST", "/revocations/lift", "/revocations/lift", Some(revocation("kid", "k")), Admin, Forbidden),
        row("GET", "/orders", "/orders", None, Viewer, Forbidden),
        row("POST", "/orders", "/orders", Some(order("lockdown", None)), Operator, Forbidden),
        row("POST", "/orders", "/orders", Some(order("monitor", None)), Admin, Forbidden),
        row("POST", "/orders", "/orders", Some(order("extend_tokens", Some(60))), Admin, Forbidden),
        row("GET", "/orders/{number}", "/orders/1", None, Viewer, Forbidden),
        row("DELETE", "/orders/{number}", "/orders/1", Some(why), Operator, Forbidden),
        row("GET", "/gateways", "/gateways", None, Viewer, Forbidden),
        row("GET", "/tokens", "/tokens", None, Admin, Forbidden),
        row("POST", "/tokens", "/tokens", Some(json!({ "name": "n", "role": "viewer", "until": 1 })), Admin, Forbidden),
        row("DELETE", "/tokens/{name}", "/tokens/nobody", None, Admin, Forbidden),
        row("POST", "/test-tokens", "/test-tokens", Some(json!({ "app": "bank" })), Operator, Hidden),
        row("POST", "/test-tokens", "/test-tokens", Some(json!({ "app": "shop" })), Operator, Allowed),
        row("GET", "/audit", "/audit", None, Admin, Forbidden),
        row("POST", "/audit/verify", "/audit/verify", Some(json!({ "checkpoints": [] })), Admin, Forbidden),
        row("GET", "/audit/checkpoint", "/audit/checkpoint", None, Admin, Forbidden),
    ]
}

#[tokio::test]
async fn each_operation_lets_through_whom_its_row_names_and_nobody_else() {
    let world = World::new().await;
    let bank = world.register("bank", "1.0").await.body["build"]["number"].to_string();
    see(&world, THEIRS, "bank");
    let until = NOW.plus(std::time::Duration::from_secs(3600));
    let token = |name: &str, role, apps: Option<&str>| {
        let apps = apps.map(|app| vec![app.to_owned()]);
        world.store.create_token(&Actor::local("test"), name, role, apps, until).unwrap().text.as_str().to_owned()
    };
    let all = [Role::Viewer, Role::Operator, Role::Admin].map(|role| (role, token(&format!("all-{role}"), role, None)));
    let shop = [Role::Viewer, Role::Operator, Role::Admin]
        .map(|role| (role, token(&format!("shop-{role}"), role, Some("shop"))));
    for row in table(&bank) {
        let said = format!("{} {} {}", row.method, row.call, row.body.clone().unwrap_or_default());
        for (role, token) in &shop {
            let expected = if *role < row.needs { Forbidden } else { row.limited };
            let found = of(&call(&world, &row, token).await);
            assert_eq!(found, expected, "{said} by {role} of shop");
        }
        for (role, token) in &all {
            let reply = call(&world, &row, token).await;
            // What is there may still say no; but not that the token may not.
            assert_eq!(of(&reply) == Forbidden, *role < row.needs, "{said} by {role}: {}", reply.text);
        }
    }
}

#[tokio::test]
async fn no_operation_is_without_its_row() {
    let described = serde_json::to_value(attest_admin::openapi()).unwrap();
    let methods = described["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let path = path.strip_prefix("/admin/v1").unwrap().to_owned();
        item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
    });
    let described: BTreeSet<(String, String)> = methods.filter(|(method, _)| method != "PARAMETERS").collect();
    let rows: BTreeSet<_> = table("1").iter().map(|row| (row.method.to_string(), row.path.to_owned())).collect();
    assert_eq!(described, rows);
}

async fn call(world: &World, row: &Row, token: &str) -> Reply {
    let body = row.body.as_ref().map(Value::to_string);
    // Of what is not there, as of what is: an edit names what it expects.
    let expects: &[(&str, &str)] = match row.call.starts_with("/devices/") && row.call.contains(DEVICE) {
        true => &[("if-none-match", "*")],
        false => &[("if-match", "*")],
    };
    world.send(row.method.clone(), &row.call, token, expects, body.as_deref()).await
}

fn of(reply: &Reply) -> Limited {
    match reply.status.as_u16() {
        403 => Forbidden,
        404 => Hidden,
        _ => Allowed,
    }
}

/// A device that passed as `app`.
fn see(world: &World, id: &str, app: &str) {
    let live = world.store.live().unwrap();
    live.seen(Seen {
        device: id.parse::<DeviceId>().unwrap(),
        app: app.to_owned(),
        version: "1.0".to_owned(),
        platform: Platform::Linux,
        passed: true,
        reasons: Reasons::NONE,
        findings: Vec::new(),
        renewed_from: None,
        at: NOW,
    });
    live.close();
}
