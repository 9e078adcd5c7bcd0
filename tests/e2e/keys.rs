//! Third-party keys under a running gateway, changed by the commands that docs/keys.md tells operators.

use e2e::files::Files;
use e2e::house::{House, KEY_NAME};
use e2e::replicas::Gateway;
use e2e::wait::until;
use e2e::wire::{self, Answer};
use serde_json::Value;

mod audit;
mod database;
mod generations;
mod kek;
mod operators;
mod rotation;
mod vault;

/// What an operation of the route with the key is asked by.
const PAID: &str = "/paid/v1/item";

/// The key as a gateway tells it.
fn told(admin: &str) -> Value {
    let keys = wire::get(admin, "/keys", &[]).json();
    keys["keys"].as_array().into_iter().flatten().find(|key| key["name"] == KEY_NAME).cloned().unwrap_or_default()
}

/// Waits until a gateway uses this version.
fn uses(admin: &str, version: u64) {
    until("the gateway to use the version", || {
        let told = told(admin);
        let mut versions = told["versions"].as_array()?.iter();
        versions.any(|one| one["state"] == "current" && one["version"] == version).then_some(())
    });
}

/// Writes a configuration like the house's own for another gateway, with a state folder of its own.
fn beside(files: &Files, name: &str, change: impl FnOnce(String) -> String) {
    let own = std::fs::read_to_string(files.at("gateway.yaml")).unwrap();
    let state = format!("dir: {name}-state");
    files.write(&format!("{name}.yaml"), change(own.replacen("dir: gateway-state", &state, 1)));
}

/// Starts that gateway, and waits until it can verify tokens.
fn start(files: &Files, name: &str) -> Gateway {
    let gateway = Gateway::start(&files.at(&format!("{name}.yaml")));
    until("the first key set", || gateway.status()["key_set"]["number"].is_u64().then_some(()));
    gateway
}

/// Waits for an answer of this status, however the gateway answers until then.
fn answers(house: &House, token: &str, status: u16) -> Answer {
    until(&format!("an answer {status}"), || {
        let answer = house.get_as(token, PAID);
        (answer.status == status).then_some(answer)
    })
}
