use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;

const START: UnixTime = UnixTime::from_secs(1_700_000_000);
const LIFE: Duration = Duration::from_secs(60);
const HERE: Network = Network::V4([192, 0, 2]);
const ELSEWHERE: Network = Network::V4([198, 51, 100]);

fn store(epoch: u8, capacity: Capacity) -> ChallengeStore {
    ChallengeStore::new(ChallengeKey::new(&[7; 32]), "default", [epoch; 8], LIFE, capacity)
}

fn nonce(number: u64) -> [u8; 16] {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    nonce
}

fn fresh(store: &ChallengeStore, number: u64, now: UnixTime) -> VerifiedChallenge {
    store.verify(&store.issue(nonce(number), now), now).unwrap()
}

#[test]
fn a_challenge_can_be_used_once() {
    let store = store(1, Capacity::of(100));
    let challenge = fresh(&store, 1, START);
    assert!(!store.is_spent(&challenge));
    assert!(store.consume(challenge, HERE, START).is_ok());
    assert!(store.is_spent(&challenge));
    for now in [START, START.plus(LIFE / 2), START.plus(LIFE)] {
        assert_eq!(store.consume(challenge, ELSEWHERE, now).unwrap_err(), NotConsumed::Spent);
    }
}

#[test]
fn what_may_have_been_forgotten_is_refused_even_if_the_clock_goes_back() {
    let store = store(1, Capacity::of(100));
    let challenge = fresh(&store, 1, START);
    assert!(store.consume(challenge, HERE, START).is_ok());
    let late = START.plus(LIFE * 3);
    assert!(store.consume(fresh(&store, 2, late), HERE, late).is_ok());
    assert_eq!(store.len(), 1);
    assert_eq!(store.consume(challenge, HERE, START).unwrap_err(), NotConsumed::Over);
}

#[test]
fn a_challenge_of_an_earlier_start_is_over() {
    let (before, after) = (store(1, Capacity::of(100)), store(2, Capacity::of(100)));
    let challenge = before.issue(nonce(1), START);
    assert_eq!(after.verify(&challenge, START), Err(ChallengeError::OldEpoch));
}

#[test]
fn a_network_that_floods_is_refused_while_another_gets_in() {
    let store = store(1, Capacity::of(400));
    let mut taken = 0;
    for number in 0..1_000 {
        match store.consume(fresh(&store, number, START), HERE, START) {
            Ok(_) => taken += 1,
            Err(refused) => assert_eq!(refused, NotConsumed::Full),
        }
    }
    assert_eq!(taken, 100);
    assert!(store.consume(fresh(&store, 5_000, START), ELSEWHERE, START).is_ok());
}

#[test]
fn when_room_is_scarce_it_is_left_to_those_who_hold_little() {
    let store = store(1, Capacity::of(400));
    let flooders = [[10, 0, 0], [10, 0, 1], [10, 0, 2], [10, 0, 3], [10, 0, 4]];
    for number in 0..2_000_u64 {
        let network = Network::V4(flooders[usize::try_from(number % 5).unwrap()]);
        let _ = store.consume(fresh(&store, number, START), network, START);
    }
    assert_eq!(store.len(), 300);
    assert!(store.consume(fresh(&store, 9_000, START), ELSEWHERE, START).is_ok());
}

#[test]
fn a_full_store_evicts_nothing_and_has_room_again_when_challenges_are_over() {
    let store = store(1, Capacity { total: 10, per_network: 10, per_network_when_scarce: 10 });
    let first = fresh(&store, 0, START);
    assert!(store.consume(first, HERE, START).is_ok());
    for number in 1..20 {
        let _ = store.consume(fresh(&store, number, START), HERE, START);
    }
    assert_eq!(store.len(), 10);
    assert_eq!(store.consume(first, HERE, START).unwrap_err(), NotConsumed::Spent);
    let later = START.plus(LIFE * 2);
    assert!(store.consume(fresh(&store, 30, later), HERE, later).is_ok());
    assert_eq!(store.len(), 1);
}

#[test]
fn a_store_made_smaller_drops_nothing_that_lives() {
    let store = store(1, Capacity { total: 10, per_network: 10, per_network_when_scarce: 10 });
    let held: Vec<_> = (0..8).map(|number| fresh(&store, number, START)).collect();
    for challenge in &held {
        assert!(store.consume(*challenge, HERE, START).is_ok());
    }
    store.resize(Capacity { total: 4, per_network: 4, per_network_when_scarce: 4 });
    assert_eq!(store.consume(fresh(&store, 20, START), HERE, START).unwrap_err(), NotConsumed::Full);
    for challenge in held {
        assert_eq!(store.consume(challenge, HERE, START).unwrap_err(), NotConsumed::Spent);
    }
    let later = START.plus(LIFE * 2);
    assert!(store.consume(fresh(&store, 30, later), HERE, later).is_ok());
}

#[test]
fn of_64_threads_one_consumes() {
    let store = store(1, Capacity::of(100));
    let challenge = fresh(&store, 1, START);
    let won = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                if store.consume(challenge, HERE, START).is_ok() {
                    won.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(won.load(Ordering::SeqCst), 1);
}

proptest! {
    /// Against a model that forgets nothing: no challenge is ever consumed twice, and the store never outgrows its bound.
    #[test]
    fn no_challenge_is_ever_consumed_twice(steps in prop::collection::vec((0_u64..40, 0_i64..90_000, any::<bool>()), 1..200)) {
        let store = store(1, Capacity::of(64));
        let mut consumed = HashSet::new();
        let mut now = START;
        for (number, forward, back) in steps {
            now = if back { now.minus(Duration::from_millis(forward.unsigned_abs() / 3)) } else { now.plus(Duration::from_millis(forward.unsigned_abs())) };
            // The same number means the same challenge: issued at a time that follows from the number alone.
            let issued = START.plus(Duration::from_secs(number * 20));
            if let Ok(challenge) = store.verify(&store.issue(nonce(number), issued), now)
                && store.consume(challenge, HERE, now).is_ok()
            {
                prop_assert!(consumed.insert(number));
            }
            prop_assert!(store.len() <= 64);
        }
    }
}
