//! The cache alone: time and the fetch are arguments, nothing waits.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use attest_core::random::SeededRandom;
use tokio::sync::Notify;

use super::*;
use crate::status::Status;

/// A clock that is set by hand, in seconds.
#[derive(Default)]
struct Hand(AtomicU64);

impl Hand {
    fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Elapsed for Hand {
    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

fn cache() -> (Arc<Hand>, Arc<Cache>) {
    let clock = Arc::new(Hand::default());
    (Arc::clone(&clock), Arc::new(Cache::new(clock, Duration::from_secs(1), Arc::new(SeededRandom::new(7)))))
}

fn token(text: &str, fetched: u64) -> Token {
    Token::new(text.to_owned(), Duration::from_secs(fetched), Duration::from_secs(300))
}

#[tokio::test]
async fn a_failure_without_a_token_in_hand_is_told_and_held() {
    let (clock, cache) = cache();
    let first = cache.fetch(None, || async { Err(FetchError::Unreachable) }).await;
    assert_eq!(first.unwrap_err(), FetchError::Unreachable);
    let held = cache.fetch(None, || async { Ok(token("never asked", 0)) }).await;
    assert_eq!(held.unwrap_err(), FetchError::Unreachable);
    clock.set(1);
    assert_eq!(cache.fetch(None, || async { Ok(token("new", 1)) }).await.unwrap().as_str(), "new");
}

#[tokio::test]
async fn a_service_that_names_a_time_is_left_alone_that_long_and_no_longer_than_a_minute() {
    let (clock, cache) = cache();
    let retry_after = Some(Duration::from_secs(3_600));
    let _ = cache.fetch(None, || async move { Err(FetchError::Unavailable { retry_after }) }).await;
    clock.set(59);
    assert!(cache.ready(&None).is_some());
    clock.set(60);
    assert!(cache.ready(&None).is_none());
}

#[tokio::test]
async fn a_passing_failure_leaves_the_token_in_hand_and_says_so() {
    let (clock, cache) = cache();
    cache.fetch(None, || async { Ok(token("old", 0)) }).await.unwrap();
    clock.set(1_000);
    let kept = cache.fetch(None, || async { Err(FetchError::Unreachable) }).await.unwrap();
    assert_eq!((kept.as_str(), kept.status()), ("old", Status::NoNetwork));
}

#[tokio::test]
async fn a_refused_certificate_is_never_covered_by_an_old_token() {
    let (clock, cache) = cache();
    cache.fetch(None, || async { Ok(token("old", 0)) }).await.unwrap();
    clock.set(1_000);
    assert_eq!(
        cache.fetch(None, || async { Err(FetchError::Certificate) }).await.unwrap_err(),
        FetchError::Certificate
    );
}

#[tokio::test]
async fn many_callers_share_one_fetch_even_when_the_first_goes_away() {
    let (_, cache) = cache();
    let (fetches, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let ask = || {
        let (cache, fetches, gate) = (Arc::clone(&cache), Arc::clone(&fetches), Arc::clone(&gate));
        tokio::spawn(async move {
            cache
                .fetch(None, || async move {
                    fetches.fetch_add(1, Ordering::SeqCst);
                    gate.notified().await;
                    Ok(token("shared", 0))
                })
                .await
        })
    };
    let first = ask();
    while fetches.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    let rest: Vec<_> = (0..20).map(|_| ask()).collect();
    tokio::task::yield_now().await;
    gate.notify_one();
    for caller in rest {
        assert_eq!(caller.await.unwrap().unwrap().as_str(), "shared");
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn bindings_do_not_share_tokens_and_their_number_is_bounded() {
    let (_, cache) = cache();
    for user in 0..=u8::try_from(MAX_SLOTS).unwrap() {
        cache.fetch(Some([user; 32]), || async { Ok(token("bound", 0)) }).await.unwrap();
    }
    assert!(cache.ready(&Some([0; 32])).is_none(), "the oldest was put out");
    assert!(cache.ready(&Some([1; 32])).is_some());
    assert!(cache.ready(&None).is_none());
    assert_eq!(lock(&cache.slots).len(), MAX_SLOTS);
}

#[tokio::test]
async fn only_the_token_that_was_refused_is_forgotten() {
    let (_, cache) = cache();
    let held = cache.fetch(None, || async { Ok(token("new", 0)) }).await.unwrap();
    cache.forget(&token("old", 0));
    assert!(cache.ready(&None).is_some());
    cache.forget(&held);
    assert!(cache.ready(&None).is_none());
}

#[test]
fn a_flight_whose_runtime_went_away_is_cut_off_and_leaves_the_slot_free() {
    let (_, cache) = cache();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let caller = Arc::clone(&cache);
        tokio::spawn(async move { caller.fetch(None, std::future::pending).await });
        tokio::task::yield_now().await;
    });
    assert!(lock(&cache.slot(&None).0).flight.is_some());
    drop(runtime);
    let next = other.block_on(cache.fetch(None, || async { Ok(token("next", 0)) }));
    assert_eq!(next.unwrap().as_str(), "next");
}

#[test]
fn outside_a_runtime_nothing_panics() {
    let (_, cache) = cache();
    let waker = std::task::Waker::noop();
    let mut fetch = Box::pin(cache.fetch(None, || async { Ok(token("never", 0)) }));
    let polled = fetch.as_mut().poll(&mut std::task::Context::from_waker(waker));
    assert!(matches!(polled, std::task::Poll::Ready(Err(FetchError::NoRuntime))));
}

#[tokio::test]
async fn without_a_network_the_asking_slows_down_until_it_changes() {
    let (clock, cache) = cache();
    let mut asked = 0;
    for second in 0..120 {
        clock.set(second);
        if cache.ready(&None).is_none() {
            asked += 1;
            let _ = cache.fetch(None, || async { Err(FetchError::Unreachable) }).await;
        }
    }
    assert!((6..=14).contains(&asked), "{asked} fetches in two minutes");
    assert!(cache.ready(&None).is_some());
    cache.forget_network_failures();
    assert!(cache.ready(&None).is_none(), "another network: at once");
    let limited = FetchError::Limited { retry_after: Some(Duration::from_secs(30)) };
    let _ = cache.fetch(None, || async { Err(limited) }).await;
    cache.forget_network_failures();
    assert!(cache.ready(&None).is_some(), "what the service asked for holds on every network");
}

#[tokio::test]
async fn a_token_that_came_by_another_way_is_in_hand() {
    let (_, cache) = cache();
    let _ = cache.fetch(None, || async { Err(FetchError::Unreachable) }).await;
    let other = token("renewed", 0);
    cache.put(other.clone());
    assert!(cache.holds(&other) && !cache.holds(&token("old", 0)));
    assert_eq!(cache.ready(&None).unwrap().unwrap().as_str(), "renewed");
    cache.forget_all();
    assert!(!cache.holds(&other));
}

#[tokio::test]
async fn a_fetch_begun_before_all_was_forgotten_leaves_nothing_in_hand() {
    let (_, cache) = cache();
    let gate = Arc::new(Notify::new());
    let early = {
        let (cache, gate) = (Arc::clone(&cache), Arc::clone(&gate));
        tokio::spawn(async move {
            let fetch = || async move {
                gate.notified().await;
                Ok(token("of the old key", 0))
            };
            cache.fetch(None, fetch).await
        })
    };
    while lock(&cache.slot(&None).0).flight.is_none() {
        tokio::task::yield_now().await;
    }
    cache.forget_all();
    assert_eq!(
        cache.fetch(None, || async { Ok(token("new", 0)) }).await.unwrap().as_str(),
        "new",
        "it is not waited for"
    );
    gate.notify_one();
    assert_eq!(early.await.unwrap().unwrap().as_str(), "of the old key", "who asked before gets what was asked for");
    assert_eq!(cache.ready(&None).unwrap().unwrap().as_str(), "new");
}
