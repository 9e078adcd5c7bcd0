//! Machines spend one budget: right to the unit, whatever runs at once and whatever is asked twice.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use metering::{Budget, Rate};
use proptest::{prelude::*, test_runner::TestRunner};
use shared_state::{Away, Counted, Held, Limit, Settlement, SharedState};
use test_servers::Redis;

use crate::bench::{HASTY, PATIENT, machine, until, until_up};

/// So long that no test crosses its end.
fn yearly(amount: u64) -> Budget {
    Budget::new(NonZeroU64::new(amount).unwrap(), Duration::from_secs(366 * 86_400))
}

fn id(n: u64) -> [u8; 16] {
    u128::from(n).to_be_bytes()
}

async fn reserve(machine: &SharedState, subject: &[u8], budget: Budget, units: u64) -> Result<(u64, Held), u64> {
    match machine.limits(&[(subject, Limit::Budget(budget, units))]).await.unwrap() {
        Counted::Within { mut left } => {
            let left = left.remove(0);
            Ok((left.remaining, left.held.unwrap()))
        }
        Counted::Exceeded { remaining, .. } => Err(remaining),
    }
}

async fn settle(machine: &SharedState, n: u64, held: Held, used: u64) {
    machine.settle(&Settlement::new(id(n), vec![(held, used)])).await.unwrap();
}

#[tokio::test]
async fn refuses_what_is_more_than_is_left_on_any_machine() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = (machine(&redis, PATIENT).await, machine(&redis, PATIENT).await);
    assert_eq!(reserve(&one, b"device", yearly(100), 60).await.unwrap().0, 40);
    assert_eq!(reserve(&two, b"device", yearly(100), 41).await, Err(40));
    assert_eq!(reserve(&two, b"device", yearly(100), 40).await.unwrap().0, 0);
    assert_eq!(reserve(&one, b"device", yearly(100), 1).await, Err(0));
    assert_eq!(reserve(&one, b"another", yearly(100), 100).await.unwrap().0, 0);
}

#[tokio::test]
async fn the_answer_says_when_the_window_is_over() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let hourly = Budget::new(NonZeroU64::MIN, Duration::from_secs(3600));
    let limit = [(&b"device"[..], Limit::Budget(hourly, 1))];
    let secs = || redis.command(&["EVAL", "return string.format('%.0f', 3600 - redis.call('TIME')[1] % 3600)", "0"]);
    let mut retry_after = Duration::ZERO;
    // The first may be the last second of an hour.
    until("it is used up", || async { machine.limits(&limit).await.is_ok() }).await;
    let expected: u64 = secs().parse().unwrap();
    if let Ok(Counted::Exceeded { retry_after: wait, .. }) = machine.limits(&limit).await {
        retry_after = wait;
    }
    assert!(retry_after.as_secs().abs_diff(expected) <= 1, "{retry_after:?}, not {expected}");
}

#[tokio::test]
async fn settling_gives_back_and_charges_and_happens_once() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let (_, held) = reserve(&machine, b"a", yearly(100), 50).await.unwrap();
    let settlement = Settlement::new(id(1), vec![(held, 10)]);
    for _ in 0..5 {
        machine.settle(&settlement).await.unwrap();
    }
    assert_eq!(reserve(&machine, b"a", yearly(100), 91).await, Err(90), "once, not five times");
    let (_, held) = reserve(&machine, b"a", yearly(100), 1).await.unwrap();
    settle(&machine, 2, held, 500).await;
    assert_eq!(reserve(&machine, b"a", yearly(100), 1).await, Err(0), "what was used beyond closes the window");
    let (_, held) = reserve(&machine, b"b", yearly(100), 100).await.unwrap();
    settle(&machine, 3, held, 0).await;
    assert_eq!(reserve(&machine, b"b", yearly(100), 100).await.unwrap().0, 0, "a refund");
}

#[tokio::test]
async fn a_rate_and_two_budgets_count_together_or_not_at_all() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let rate = Rate::new(NonZeroU64::new(3).unwrap(), Duration::from_secs(3600), None);
    let limits = [
        (&b"r"[..], Limit::Rate(rate)),
        (&b"day"[..], Limit::Budget(yearly(1000), 10)),
        (&b"few"[..], Limit::Budget(yearly(20), 10)),
    ];
    for _ in 0..2 {
        assert!(matches!(machine.limits(&limits).await, Ok(Counted::Within { .. })));
    }
    for _ in 0..5 {
        let refused = machine.limits(&limits).await;
        assert!(matches!(refused, Ok(Counted::Exceeded { index: 2, remaining: 0, .. })), "{refused:?}");
    }
    assert_eq!(reserve(&machine, b"day", yearly(1000), 1).await.unwrap().0, 979, "refused requests spent nothing");
    let left = machine.limit(b"r", rate).await.unwrap();
    assert!(matches!(left, metering::Count::Within { remaining: 0, .. }), "{left:?}");
}

#[tokio::test]
async fn what_is_settled_after_its_window_gives_no_credit_and_charges_what_was_beyond() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let secondly = Budget::new(NonZeroU64::new(100).unwrap(), Duration::from_secs(1));
    let (_, small) = reserve(&machine, b"small", secondly, 50).await.unwrap();
    let (_, large) = reserve(&machine, b"large", secondly, 50).await.unwrap();
    let second = || redis.command(&["EVAL", "return redis.call('TIME')[1]", "0"]);
    let begun = second();
    until("the next second", || async { second() != begun }).await;
    settle(&machine, 1, small, 0).await;
    settle(&machine, 2, large, 1_000_000).await;
    assert_eq!(reserve(&machine, b"large", secondly, 1).await.unwrap_err(), 0);
    assert_eq!(reserve(&machine, b"small", secondly, 101).await, Err(100));
}

#[tokio::test]
async fn a_server_that_is_away_takes_no_reservation_and_a_settlement_can_be_asked_again() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, HASTY).await;
    until("it is used", || async { machine.epoch().await.is_ok() }).await;
    let (_, held) = reserve(&machine, b"a", yearly(100), 50).await.unwrap();
    let settlement = Settlement::new(id(1), vec![(held, 10)]);
    redis.pause();
    assert_eq!(machine.settle(&settlement).await, Err(Away));
    assert_eq!(machine.limits(&[(b"a", Limit::Budget(yearly(100), 1))]).await, Err(Away));
    redis.resume();
    until_up(&machine).await;
    until("settled", || async { machine.settle(&settlement).await.is_ok() }).await;
    // What was asked while it stood still may have been counted: one unit, which stands.
    let left = reserve(&machine, b"a", yearly(100), 1).await.unwrap().0;
    assert!((88..=89).contains(&left), "{left}");
}

#[tokio::test]
async fn what_a_server_forgot_is_charged_when_it_is_settled() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let (_, held) = reserve(&machine, b"a", yearly(100), 50).await.unwrap();
    redis.command(&["FLUSHALL"]);
    settle(&machine, 1, held, 70).await;
    assert_eq!(reserve(&machine, b"a", yearly(100), 31).await, Err(30));
}

#[test]
fn the_books_are_right_to_the_unit_over_two_machines_and_aborts() {
    let Some(redis) = Redis::start() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let machines = runtime.block_on(async { [machine(&redis, PATIENT).await, machine(&redis, PATIENT).await] });
    let case = std::cell::Cell::new(0_u64);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() });
    // What each request reserves, and what it uses; nothing where it is aborted.
    let request = (1_u64..40, proptest::option::of(0_u64..60));
    runner
        .run(&(1_u64..800, proptest::collection::vec(request, 1..60)), |(amount, requests)| {
            case.set(case.get() + 1);
            let subject: Arc<[u8]> = format!("case {}", case.get()).into_bytes().into();
            let base = case.get() * 1000;
            let (charged, beyond) = runtime.block_on(async {
                let mut open = tokio::task::JoinSet::new();
                for (n, (units, used)) in requests.into_iter().enumerate() {
                    let (machine, subject) = (machines[n % 2].clone(), subject.clone());
                    open.spawn(async move {
                        let Ok((_, held)) = reserve(&machine, &subject, yearly(amount), units).await else {
                            return (0, 0);
                        };
                        let Some(used) = used else { return (units, 0) };
                        settle(&machine, base + n as u64, held, used).await;
                        (used, used.saturating_sub(units))
                    });
                }
                open.join_all().await.into_iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
            });
            let refused = runtime.block_on(reserve(&machines[0], &subject, yearly(amount), amount + 1));
            prop_assert_eq!(refused, Err(amount.saturating_sub(charged)), "every unit is charged once");
            prop_assert!(charged <= amount + beyond);
            Ok(())
        })
        .unwrap();
}
