//! A server that may have forgotten begins a new epoch; one that can't be asked is away, and soon.

use std::time::{Duration, Instant};

use shared_state::{Away, SharedState, Spend};
use test_servers::Redis;

use crate::bench::{HASTY, PATIENT, eval, machine, spent_lists, until, until_up};

const MINUTE: u64 = 60_000;

/// Uses a challenge, does `what`, and sees that under the old epoch nothing is taken any more.
async fn ends_the_epoch(machine: &SharedState, what: impl FnOnce()) {
    let old = machine.epoch().await.unwrap();
    assert_eq!(machine.spend([1; 16], old, MINUTE, b"net", 100).await, Ok(Spend::First));
    what();
    until("a new epoch", || async { machine.epoch().await.is_ok_and(|epoch| epoch != old) }).await;
    for nonce in [1, 2] {
        assert_eq!(machine.spend([nonce; 16], old, MINUTE, b"net", 100).await, Ok(Spend::OldEpoch));
    }
    let new = machine.epoch().await.unwrap();
    assert_eq!(machine.spend([3; 16], new, MINUTE, b"net", 100).await, Ok(Spend::First));
}

#[tokio::test]
async fn a_restart_ends_the_epoch() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    ends_the_epoch(&machine, || redis.restart()).await;
}

#[tokio::test]
async fn a_restart_of_a_server_that_saved_some_of_it_ends_the_epoch() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    ends_the_epoch(&machine, || {
        redis.command(&["SAVE"]);
        redis.restart();
        assert_eq!(spent_lists(&redis), ":1", "it came back with what it saved");
    })
    .await;
}

#[tokio::test]
async fn a_flush_ends_the_epoch_in_the_same_step() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let old = machine.epoch().await.unwrap();
    assert_eq!(machine.spend([1; 16], old, MINUTE, b"net", 100).await, Ok(Spend::First));
    redis.flush();
    // At once, before anybody could have looked.
    assert_eq!(machine.spend([1; 16], old, MINUTE, b"net", 100).await, Ok(Spend::OldEpoch));
    until("a new epoch", || async { machine.epoch().await.is_ok_and(|epoch| epoch != old) }).await;
    ends_the_epoch(&machine, || redis.flush()).await;
}

/// Setting its clock forward ends what it remembers before its time, back keeps it for too long.
#[tokio::test]
async fn a_clock_that_leaps_ends_the_epoch_in_the_same_step() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    for leap in ["+ 40", "- 40"] {
        // The same as if the clock had been moved since the last look.
        let moved = format!(
            "local look = redis.call('TIME')[1] {leap}
            redis.call('HSET', '{{test}}:epoch', 'at', string.format('%.0f', look * 1000))
            return 1"
        );
        let old = machine.epoch().await.unwrap();
        assert_eq!(machine.spend([1; 16], old, MINUTE, b"net", 100).await, Ok(Spend::First));
        assert_eq!(eval(&redis, &moved), ":1");
        assert_eq!(machine.spend([2; 16], old, MINUTE, b"net", 100).await, Ok(Spend::OldEpoch), "{leap}");
        until("a new epoch", || async { machine.epoch().await.is_ok_and(|epoch| epoch != old) }).await;
    }
}

#[tokio::test]
async fn a_change_of_its_history_ends_the_epoch_without_a_new_connection() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    ends_the_epoch(&machine, || assert_eq!(redis.command(&["DEBUG", "CHANGE-REPL-ID"]), "+OK")).await;
}

#[tokio::test]
async fn a_replica_is_not_asked_and_begins_an_epoch_when_it_takes_over() {
    let Some(first) = Redis::start() else { return };
    let before = machine(&first, PATIENT).await;
    let old = before.epoch().await.unwrap();
    assert_eq!(before.spend([1; 16], old, MINUTE, b"net", 100).await, Ok(Spend::First));
    let replica = Redis::start_with(&["--replicaof", &format!("127.0.0.1 {}", first.port())]).unwrap();
    until("the replica has it all", || async { spent_lists(&replica) == ":1" }).await;
    let after = machine(&replica, PATIENT).await;
    assert!(!after.health());
    assert_eq!(after.epoch().await, Err(Away));

    first.kill();
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    until_up(&after).await;
    assert_ne!(after.epoch().await.unwrap(), old);
    assert_eq!(after.spend([2; 16], old, MINUTE, b"net", 100).await, Ok(Spend::OldEpoch));
}

#[tokio::test]
async fn a_server_that_becomes_a_replica_is_not_asked_any_more() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]);
    until("the machine sees it", || async { !machine.health() }).await;
    redis.command(&["REPLICAOF", "NO", "ONE"]);
    until_up(&machine).await;
}

#[tokio::test]
async fn two_machines_have_one_epoch_and_it_outlives_their_connections() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = (machine(&redis, PATIENT).await, machine(&redis, PATIENT).await);
    let epoch = one.epoch().await.unwrap();
    assert_eq!(two.epoch().await, Ok(epoch));
    assert_eq!(one.spend([1; 16], epoch, MINUTE, b"net", 100).await, Ok(Spend::First));
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    until("a call goes through again", || async { one.spend([1; 16], epoch, MINUTE, b"net", 100).await.is_ok() }).await;
    assert_eq!(one.epoch().await, Ok(epoch));
    assert_eq!(one.spend([1; 16], epoch, MINUTE, b"net", 100).await, Ok(Spend::Again));
}

#[tokio::test]
async fn a_server_that_was_killed_is_away_at_once_and_back_when_it_is_back() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, HASTY).await;
    redis.kill();
    until("the machine sees it", || async { !machine.health() }).await;
    assert_eq!(machine.epoch().await, Err(Away));
    assert_eq!(machine.spend([1; 16], [0; 8], MINUTE, b"net", 100).await, Err(Away));
    redis.restart();
    until_up(&machine).await;
}

#[tokio::test]
async fn a_server_that_hangs_costs_a_few_calls_their_time_and_then_none() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, HASTY).await;
    let epoch = machine.epoch().await.unwrap();
    until("it is used", || async { machine.spend([1; 16], epoch, MINUTE, b"net", 100).await.is_ok() }).await;
    redis.pause();
    let begun = Instant::now();
    assert_eq!(machine.spend([2; 16], epoch, MINUTE, b"net", 100).await, Err(Away));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    until("the machine sees it", || async { !machine.health() }).await;
    let begun = Instant::now();
    for _ in 0..1000 {
        assert_eq!(machine.spend([3; 16], epoch, MINUTE, b"net", 100).await, Err(Away));
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "each call waits: {:?}", begun.elapsed());
    redis.resume();
    until_up(&machine).await;
    // It forgot nothing meanwhile.
    assert_eq!(machine.epoch().await, Ok(epoch));
    until("an answer", || async { machine.spend([1; 16], epoch, MINUTE, b"net", 100).await == Ok(Spend::Again) }).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_found_when_it_comes() {
    let Some(redis) = Redis::start() else { return };
    redis.kill();
    let machine = machine(&redis, HASTY).await;
    assert!(!machine.health());
    redis.restart();
    until_up(&machine).await;
}
