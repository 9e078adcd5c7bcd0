use std::future::{Future as _, pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use attest_core::time::UnixTime;
use outbound::{Fresh, MintError, Minted};
use tokio::sync::Semaphore;

const PATIENCE: Duration = Duration::from_secs(10);

type Cache = Arc<Minted<&'static str, usize>>;

fn at(secs: i64) -> UnixTime {
    UnixTime::from_secs(1_000_000 + secs)
}

fn good(value: usize, until: i64) -> Result<Fresh<usize>, String> {
    Ok(Fresh { value, expires_at: at(until) })
}

/// Gets at `now`; where that mints, it is this outcome.
async fn get(cache: &Cache, now: i64, outcome: Result<Fresh<usize>, String>) -> Result<usize, MintError> {
    cache.get(&"key", at(now), PATIENCE, || async { outcome }).await.map(|value| *value)
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn however_many_ask_one_asks_the_endpoint() {
    let (cache, minted, gate) = (Cache::default(), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let (cache, minted, gate) = (cache.clone(), minted.clone(), gate.clone());
            tokio::spawn(async move {
                let mint = || async move {
                    gate.acquire().await.unwrap().forget();
                    good(minted.fetch_add(1, Ordering::SeqCst), 3_600)
                };
                cache.get(&"key", at(0), PATIENCE, mint).await.map(|value| *value)
            })
        })
        .collect();
    gate.add_permits(100);
    for asked in asking {
        assert_eq!(asked.await.unwrap(), Ok(0));
    }
    assert_eq!(minted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn it_is_replaced_behind_the_scenes_after_four_fifths_of_its_life() {
    let cache = Cache::default();
    assert_eq!(get(&cache, 0, good(1, 1_000)).await, Ok(1));
    assert_eq!(get(&cache, 799, Err("not asked".into())).await, Ok(1));
    // The one that finds it due gets the old one at once, although the endpoint says nothing yet.
    let gate = Arc::new(Semaphore::new(0));
    let slow = gate.clone();
    let mint = || async move {
        slow.acquire().await.unwrap().forget();
        good(2, 2_000)
    };
    assert_eq!(cache.get(&"key", at(800), PATIENCE, mint).await.map(|value| *value), Ok(1));
    assert_eq!(get(&cache, 801, good(3, 2_000)).await, Ok(1), "one at a time");
    gate.add_permits(1);
    let cached = || async { get(&cache, 802, Err("not asked".into())).await.unwrap() };
    while cached().await == 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(cached().await, 2);
}

#[tokio::test]
async fn a_short_life_is_renewed_half_a_minute_before_its_end_or_at_its_half() {
    for (life, due) in [(100, 70), (40, 20), (2, 1)] {
        let cache = Cache::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let get = async |now| {
            let asked = asked.clone();
            let mint = || async move { good(asked.fetch_add(1, Ordering::SeqCst), life) };
            cache.get(&"key", at(now), PATIENCE, mint).await.map(|value| *value)
        };
        assert_eq!(get(0).await, Ok(0));
        assert_eq!(get(due - 1).await, Ok(0));
        tokio::task::yield_now().await;
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{life}");
        assert_eq!(get(due).await, Ok(0));
        until("the next one", || asked.load(Ordering::SeqCst) == 2).await;
    }
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_the_old_one_until_it_expires() {
    let cache = Cache::default();
    assert_eq!(get(&cache, 0, good(1, 1_000)).await, Ok(1));
    for now in [800, 850, 900, 999] {
        assert_eq!(get(&cache, now, Err("the endpoint is away".into())).await, Ok(1));
        tokio::task::yield_now().await;
    }
    let failed = get(&cache, 1_000, Err("the endpoint is away".into())).await.unwrap_err();
    assert!(matches!(failed, MintError::Failed { .. }), "an expired one is never served: {failed}");
}

#[tokio::test]
async fn an_endpoint_that_fails_is_left_alone_for_longer_and_longer() {
    let cache = Cache::default();
    let mut now = 0;
    for rest in [1_i64, 2, 4, 8, 16, 32, 60, 60] {
        let failed = get(&cache, now, Err("away".into())).await.unwrap_err();
        let MintError::Failed { why, again_in } = &failed else { panic!("{failed}") };
        assert_eq!(&**why, "away");
        assert_eq!(*again_in, Duration::from_secs(rest.unsigned_abs()));
        // Nobody asks meanwhile, and nobody waits.
        let early = get(&cache, now + rest - 1, good(9, now + 3_600)).await;
        assert!(matches!(early, Err(MintError::Failed { .. })), "{rest}");
        // What the attempt itself took is part of the rest's beginning.
        now += rest + 1;
    }
    assert_eq!(get(&cache, now, good(1, now + 3_600)).await, Ok(1));
    // A success begins anew.
    assert!(get(&cache, now + 3_600, Err("away".into())).await.is_err());
    assert_eq!(get(&cache, now + 3_602, good(2, now + 9_000)).await, Ok(2));
}

#[tokio::test]
async fn whoever_leaves_stops_nothing() {
    let (cache, gate) = (Cache::default(), Arc::new(Semaphore::new(0)));
    let slow = gate.clone();
    let mint = || async move {
        slow.acquire().await.unwrap().forget();
        good(1, 3_600)
    };
    let left = cache.get(&"key", at(0), Duration::from_millis(10), mint).await;
    assert_eq!(left.map(|value| *value), Err(MintError::TimedOut));
    gate.add_permits(1);
    assert_eq!(get(&cache, 0, Err("a second attempt".into())).await, Ok(1));
}

#[tokio::test]
async fn an_attempt_that_panics_is_a_failure_and_not_the_end() {
    let cache = Cache::default();
    let failed =
        cache.get(&"key", at(0), PATIENCE, || async { panic!("in a test") }).await.map(|value: Arc<usize>| *value);
    assert!(matches!(failed, Err(MintError::Failed { .. })), "{failed:?}");
    assert_eq!(get(&cache, 5, good(1, 3_600)).await, Ok(1));
}

#[tokio::test]
async fn a_credential_that_has_expired_when_it_comes_is_a_failure() {
    let cache = Cache::default();
    assert!(matches!(get(&cache, 10, good(1, 10)).await, Err(MintError::Failed { .. })));
    assert!(matches!(get(&cache, 10, good(1, 3_600)).await, Err(MintError::Failed { .. })), "it rests");
    assert_eq!(get(&cache, 12, good(1, 3_600)).await, Ok(1));
}

#[tokio::test]
async fn only_so_many_wait() {
    let cache = Cache::default();
    let mut waiting: Vec<_> = (0..1_024)
        .map(|_| Box::pin(cache.get(&"key", at(0), PATIENCE, pending::<Result<Fresh<usize>, String>>)))
        .collect();
    for waiting in &mut waiting {
        assert!(poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
    }
    assert_eq!(get(&cache, 0, good(1, 3_600)).await, Err(MintError::Crowded));
    drop(waiting);
    let brief = cache.get(&"key", at(0), Duration::from_millis(10), pending).await;
    assert_eq!(brief.map(|value| *value), Err(MintError::TimedOut), "whoever left gave his place back");
}

#[tokio::test]
async fn a_refused_credential_is_given_up_once_a_minute() {
    let cache = Cache::default();
    let first = cache.get(&"key", at(0), PATIENCE, || async { good(1, 3_600) }).await.unwrap();
    assert!(cache.reject(&"key", &first, at(1)));
    assert!(!cache.reject(&"key", &first, at(1)), "it is gone");
    let second = cache.get(&"key", at(1), PATIENCE, || async { good(2, 3_600) }).await.unwrap();
    assert!(!cache.reject(&"key", &second, at(60)), "a minute has not passed");
    assert_eq!(get(&cache, 60, good(3, 3_600)).await, Ok(2));
    assert!(!cache.reject(&"key", &first, at(61)), "not the one in use");
    assert!(cache.reject(&"key", &second, at(61)));
    assert_eq!(get(&cache, 61, good(3, 3_600)).await, Ok(3));
    assert!(!cache.reject(&"other", &second, at(200)));
}

#[tokio::test]
async fn keys_have_their_own_and_are_forgotten_when_they_are_gone() {
    let cache = Cache::default();
    assert_eq!(get(&cache, 0, good(1, 3_600)).await, Ok(1));
    let other = cache.get(&"other", at(0), PATIENCE, || async { good(2, 3_600) }).await;
    assert_eq!(other.map(|value| *value), Ok(2));
    cache.retain(|key| *key == "other");
    assert_eq!(get(&cache, 0, good(3, 3_600)).await, Ok(3), "gone, so it is minted anew");
    let other = cache.get(&"other", at(0), PATIENCE, || async { good(4, 3_600) }).await;
    assert_eq!(other.map(|value| *value), Ok(2));
}
