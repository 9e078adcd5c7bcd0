//! What the tests share: a server of their own, machines that use it, and waiting for a condition with a deadline.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use settings::{ServerUrl, SharedSettings};
use shared_state::SharedState;
use test_servers::Redis;

/// For calls that have to succeed: two cores run many tests.
pub(crate) const PATIENT: Duration = Duration::from_secs(5);
/// For calls that have to fail.
pub(crate) const HASTY: Duration = Duration::from_millis(100);

pub(crate) fn settings(url: &str, timeout: Duration) -> SharedSettings {
    SharedSettings { url: ServerUrl::redis(url).unwrap(), ca_file: None, timeout, prefix: "test".to_owned() }
}

/// One machine.
pub(crate) async fn machine(redis: &Redis, timeout: Duration) -> Arc<SharedState> {
    SharedState::connect(&settings(&redis.url(), timeout)).await.unwrap()
}

/// Waits for a condition, which comes soon or never.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn until_up(machine: &SharedState) {
    until("the machine finds the server", || async { machine.health() }).await;
}

/// What the server says to a line of Lua.
pub(crate) fn eval(redis: &Redis, script: &str) -> String {
    redis.command(&["EVAL", script, "0"])
}

/// How many lists of used challenges the server has.
pub(crate) fn spent_lists(redis: &Redis) -> String {
    eval(redis, "return #redis.call('KEYS', '{test}:spent*')")
}
