//! Machines count requests together, as one that counts alone.

use std::{num::NonZeroU64, time::Duration};

use metering::{Count, Rate};
use proptest::{prelude::*, test_runner::TestRunner};
use shared_state::{Away, Counted, Limit, MAX_LIMITS, SharedState};
use test_servers::Redis;

use crate::bench::{PATIENT, machine, until};

fn rate(requests: u64, window: Duration) -> Rate {
    Rate::new(NonZeroU64::new(requests).unwrap(), window, None)
}

/// What is left; nothing where it does not pass.
async fn left(machine: &SharedState, subject: &[u8], rate: Rate) -> Option<u64> {
    match machine.limit(subject, rate).await.unwrap() {
        Count::Within { remaining, .. } => Some(remaining),
        Count::Exceeded { .. } => None,
    }
}

/// What is left under each; or the first without room.
async fn all(machine: &SharedState, limits: &[(&[u8], Rate)]) -> Result<Vec<u64>, usize> {
    let limits: Vec<_> = limits.iter().map(|(subject, rate)| (*subject, Limit::Rate(*rate))).collect();
    match machine.limits(&limits).await.unwrap() {
        Counted::Within { left } => Ok(left.iter().map(|left| left.remaining).collect()),
        Counted::Exceeded { index, .. } => Err(index),
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn two_machines_share_one_count_and_a_refused_request_does_not_count() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = (machine(&redis, PATIENT).await, machine(&redis, PATIENT).await);
    let three = rate(3, HOUR);
    for (machine, remaining) in [(&one, 2), (&two, 1), (&one, 0)] {
        assert_eq!(left(machine, b"device", three).await, Some(remaining));
    }
    for _ in 0..10 {
        let Ok(Count::Exceeded { retry_after }) = two.limit(b"device", three).await else { panic!("it passed") };
        assert!(retry_after <= HOUR / 3 && retry_after > HOUR / 3 - Duration::from_secs(60), "{retry_after:?}");
    }
    assert_eq!(left(&two, b"another", three).await, Some(2));
}

#[tokio::test]
async fn a_burst_bounds_what_comes_at_once() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let few = Rate::new(NonZeroU64::new(3600).unwrap(), HOUR * 24, std::num::NonZeroU32::new(3));
    for remaining in [2, 1, 0] {
        assert_eq!(left(&machine, b"device", few).await, Some(remaining));
    }
    let Ok(Count::Exceeded { retry_after }) = machine.limit(b"device", few).await else { panic!("it passed") };
    assert!(retry_after <= Duration::from_secs(24), "{retry_after:?}");
}

#[tokio::test]
async fn a_window_that_was_made_shorter_locks_nobody_out_for_the_old_one() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let (daily, soon) = (rate(1, 24 * HOUR), rate(1, Duration::from_millis(300)));
    assert_eq!(left(&machine, b"device", daily).await, Some(0));
    let Ok(Count::Exceeded { retry_after }) = machine.limit(b"device", soon).await else { panic!("it passed") };
    assert!(retry_after <= Duration::from_millis(300), "{retry_after:?}");
    until("it passes", || async { left(&machine, b"device", soon).await.is_some() }).await;
}

#[tokio::test]
async fn all_limits_have_room_or_none_counts() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let both = [(&b"wide"[..], rate(10, HOUR)), (&b"narrow"[..], rate(2, HOUR))];
    assert_eq!(all(&machine, &both).await, Ok(vec![9, 1]));
    assert_eq!(all(&machine, &both).await, Ok(vec![8, 0]));
    for _ in 0..5 {
        assert_eq!(all(&machine, &both).await, Err(1));
    }
    assert_eq!(left(&machine, b"wide", rate(10, HOUR)).await, Some(7));
}

#[tokio::test]
async fn one_subject_under_two_limits_counts_twice_in_its_one_cell() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    let twice = [(&b"same"[..], rate(10, HOUR)), (&b"same"[..], rate(10, HOUR))];
    assert_eq!(all(&machine, &twice).await, Ok(vec![9, 8]));
    assert_eq!(left(&machine, b"same", rate(10, HOUR)).await, Some(7));
}

#[tokio::test]
async fn no_limit_is_room_and_too_many_are_none() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    assert_eq!(all(&machine, &[]).await, Ok(vec![]));
    let many = vec![(&b"a"[..], Limit::Rate(rate(1, HOUR))); MAX_LIMITS + 1];
    assert_eq!(machine.limits(&many).await, Err(Away));
    assert_eq!(redis.command(&["DBSIZE"]), ":1");
}

#[tokio::test]
async fn a_cell_ends_with_what_it_counted() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    machine.limit(b"device", rate(1, Duration::from_millis(100))).await.unwrap();
    until("only the epoch stays", || async { redis.command(&["DBSIZE"]) == ":1" }).await;
}

/// One step of the algorithm of `metering/src/rate.rs`, in nanoseconds.
fn step(full_at: u64, (cost, window): (u64, u64), now: u64) -> (u64, bool) {
    let next = full_at.max(now) + cost;
    if next - now > window { (full_at, false) } else { (next, true) }
}

/// The server's clock in nanoseconds.
fn now(redis: &Redis) -> u64 {
    // TIME answers with a list; EVAL with one text.
    let micros = redis.command(&[
        "EVAL",
        "local t = redis.call('TIME') return string.format('%.0f', t[1] * 1000000 + t[2])",
        "0",
    ]);
    micros.parse::<u64>().unwrap() * 1000
}

#[test]
fn counts_as_a_gateway_alone_does_within_one_request() {
    let Some(redis) = Redis::start() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let machine = runtime.block_on(machine(&redis, PATIENT));
    let case = std::cell::Cell::new(0_u32);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() });
    runner
        .run(&(1_u64..60, 1_u64..120, 20_usize..160), |(requests, window_ms, asked)| {
            case.set(case.get() + 1);
            let subject = format!("case {}", case.get());
            let window = Duration::from_millis(window_ms);
            let nanos = u64::try_from(window.as_nanos()).unwrap();
            let model = (nanos / requests, nanos);
            // The call happens between two looks at the clock: the truth lies between the two models.
            let (mut early, mut late) = ((0, 0_usize), (0, 0_usize));
            let mut passed = 0_usize;
            for _ in 0..asked {
                let before = now(&redis);
                let count = runtime.block_on(left(&machine, subject.as_bytes(), rate(requests, window)));
                let after = now(&redis);
                passed += usize::from(count.is_some());
                for (cell, at) in [(&mut early, before), (&mut late, after)] {
                    let (next, fits) = step(cell.0, model, at);
                    *cell = (next, cell.1 + usize::from(fits));
                }
            }
            let (least, most) = (early.1.min(late.1), early.1.max(late.1));
            prop_assert!(
                passed + 1 >= least && passed <= most + 1,
                "{} passed, {} to {} by the model",
                passed,
                least,
                most
            );
            Ok(())
        })
        .unwrap();
}
