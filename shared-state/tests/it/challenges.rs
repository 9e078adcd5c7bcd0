//! A challenge is used once, whoever asks; a flood takes its own room first.

use std::{sync::Arc, time::Duration};

use shared_state::{SharedState, Spend};
use test_servers::Redis;

use crate::bench::{PATIENT, eval, machine, spent_lists, until};

const MINUTE: u64 = 60_000;

async fn spend(machine: &SharedState, nonce: u8, network: &str, capacity: u64) -> Spend {
    let epoch = machine.epoch().await.unwrap();
    machine.spend([nonce; 16], epoch, MINUTE, network.as_bytes(), capacity).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_tasks_at_two_machines_one_is_the_first() {
    let Some(redis) = Redis::start() else { return };
    let machines = [machine(&redis, PATIENT).await, machine(&redis, PATIENT).await];
    for nonce in 0..8 {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..64 {
            let machine = Arc::clone(&machines[task % 2]);
            tasks.spawn(async move { spend(&machine, nonce, &format!("network {task}"), 100_000).await });
        }
        let all = tasks.join_all().await;
        assert_eq!(all.iter().filter(|spend| **spend == Spend::First).count(), 1, "{all:?}");
        assert_eq!(all.iter().filter(|spend| **spend == Spend::Again).count(), 63, "{all:?}");
    }
}

#[tokio::test]
async fn a_challenge_of_another_epoch_is_refused_and_takes_no_room() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let mut epoch = machine.epoch().await.unwrap();
    epoch[0] ^= 1;
    assert_eq!(machine.spend([1; 16], epoch, MINUTE, b"net", 100).await, Ok(Spend::OldEpoch));
    assert_eq!(spent_lists(&redis), ":0");
    assert_eq!(spend(&machine, 1, "net", 100).await, Spend::First);
}

#[tokio::test]
async fn a_network_that_floods_is_full_first_and_nothing_live_is_dropped() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let capacity = 16;
    for nonce in 0..4 {
        assert_eq!(spend(&machine, nonce, "flood", capacity).await, Spend::First);
    }
    for nonce in 100..140 {
        assert_eq!(spend(&machine, nonce, "flood", capacity).await, Spend::Full);
    }
    // Others have their room, and keep some when three quarters are taken.
    for nonce in 4..16 {
        assert_eq!(spend(&machine, nonce, &format!("genuine {nonce}"), capacity).await, Spend::First, "{nonce}");
    }
    assert_eq!(spend(&machine, 16, "late", capacity).await, Spend::Full);
    for nonce in 0..16 {
        assert_eq!(spend(&machine, nonce, "flood", capacity).await, Spend::Again, "{nonce} was forgotten");
    }
}

#[tokio::test]
async fn when_room_is_scarce_a_network_has_one_place() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    for nonce in 0..12 {
        assert_eq!(spend(&machine, nonce, &format!("network {nonce}"), 16).await, Spend::First);
    }
    assert_eq!(spend(&machine, 20, "two", 16).await, Spend::First);
    assert_eq!(spend(&machine, 21, "two", 16).await, Spend::Full);
    assert_eq!(spend(&machine, 22, "three", 16).await, Spend::First);
}

#[tokio::test]
async fn what_is_over_makes_room() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let epoch = machine.epoch().await.unwrap();
    assert_eq!(machine.spend([1; 16], epoch, 300, b"net", 4).await, Ok(Spend::First));
    assert_eq!(machine.spend([2; 16], epoch, MINUTE, b"net", 4).await, Ok(Spend::Full));
    until("room comes back", || async { machine.spend([3; 16], epoch, MINUTE, b"net", 4).await == Ok(Spend::First) })
        .await;
    let held = "return redis.call('ZCARD', redis.call('KEYS', '{test}:spent*')[1])";
    assert_eq!(eval(&redis, held), ":1", "what is over is removed");
}

#[tokio::test]
async fn names_end_by_themselves_when_nobody_comes_any_more() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let epoch = machine.epoch().await.unwrap();
    let span = Duration::from_millis(300);
    machine.spend([1; 16], epoch, 300, b"net", 4).await.unwrap();
    machine.answer_claim([1; 32], span).await.unwrap();
    assert_eq!(redis.command(&["DBSIZE"]), ":4");
    until("only the epoch stays", || async { redis.command(&["DBSIZE"]) == ":1" }).await;
}

#[tokio::test]
async fn what_a_network_left_behind_is_not_removed_all_at_once_and_takes_none_of_its_room() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    assert_eq!(spend(&machine, 1, "flood", 8).await, Spend::First);
    // As if 500 had come here a while ago.
    let leave = "local of = redis.call('KEYS', '{test}:net:*')[1]
        for i = 1, 500 do redis.call('ZADD', of, 1, 'old' .. i) end
        return redis.call('ZCARD', of)";
    assert_eq!(eval(&redis, leave), ":501");
    assert_eq!(spend(&machine, 2, "flood", 8).await, Spend::First);
    let held = "return redis.call('ZCARD', redis.call('KEYS', '{test}:net:*')[1])";
    assert_eq!(eval(&redis, held), ":438", "one call removes 64, or others wait for it");
    assert_eq!(spend(&machine, 3, "flood", 8).await, Spend::Full);
}
