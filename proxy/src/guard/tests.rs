use std::hash::{BuildHasher, RandomState};

use policies::{RouteContext, compile, parse_file};

use super::*;

const ASKED: GuardSettings = GuardSettings { share: 5, window: Duration::from_secs(600), devices: 100 };
const HOUR: Duration = Duration::from_secs(3600);

fn policy(least: &str) -> Arc<ResultPolicy> {
    let text = format!(
        "default: block\nrules:\n  - {{ name: genuine, when: {{ verdict: attested, app_version: {{ min: \"{least}\" }} }}, then: allow }}\n"
    );
    Arc::new(compile(parse_file("p", &text).unwrap(), "p", &RouteContext::new("shop")).unwrap().0)
}

fn at(hours: u32) -> UnixTime {
    UnixTime::from_secs(1_800_000_000).plus(HOUR * hours)
}

/// A thousand devices that were let through since hour 0, and a policy that came at hour 5.
struct World {
    history: History,
    hasher: RandomState,
    old: Arc<RouteGuard>,
    guard: Arc<RouteGuard>,
}

impl World {
    fn new() -> Self {
        let (history, hasher) = (History::default(), RandomState::new());
        for hour in 0..5 {
            for device in 0..1_000_u32 {
                history.seen(hasher.hash_one(device), at(hour));
            }
        }
        let old = RouteGuard::resumed(Some(ASKED), &policy("1.0"), None, at(0), None);
        let guard = RouteGuard::following(&old, Some(ASKED), &policy("9.0"), at(5));
        Self { history, hasher, old, guard }
    }

    fn sight(&self, device: u32, refused: bool, passed_before: bool) -> Option<Trip> {
        self.sight_from(device, device, refused, passed_before, Duration::from_secs(100))
    }

    fn sight_from(&self, device: u32, network: u32, refused: bool, before: bool, steady: Duration) -> Option<Trip> {
        let sight = Sight {
            device: self.hasher.hash_one(device),
            network: self.hasher.hash_one(network),
            refused,
            now: at(5).plus(steady),
            steady,
        };
        self.guard.sight(&self.history, &sight, |_| before)
    }
}

#[test]
fn devices_without_a_past_never_trip_it_however_many_there_are() {
    let world = World::new();
    // A hundred thousand devices that began to attest an hour before the change.
    for device in 10_000..110_000_u32 {
        world.history.seen(world.hasher.hash_one(device), at(4));
    }
    for device in 10_000..110_000 {
        assert_eq!(world.sight(device, true, true), None);
    }
    assert_eq!(world.guard.counted(Duration::from_secs(100)), (0, 0));
}

#[test]
fn what_the_earlier_policy_refused_too_is_no_regression() {
    let world = World::new();
    for device in 0..1_000 {
        assert_eq!(world.sight(device, true, false), None);
    }
    assert_eq!(world.guard.state(), State::Watching);
}

#[test]
fn too_few_devices_too_small_a_share_or_too_few_networks_say_nothing() {
    let few = World::new();
    assert!((0..80).all(|device| few.sight(device, true, true).is_none()));
    let small = World {
        guard: RouteGuard::following(&few.old, Some(GuardSettings { share: 50, ..ASKED }), &policy("9.0"), at(5)),
        ..World::new()
    };
    assert!((300..1_000).all(|device| small.sight(device, false, true).is_none()));
    assert!((0..200).all(|device| small.sight(device, true, true).is_none()));
    let farm = World::new();
    let steady = Duration::from_secs(100);
    assert!((0..1_000).all(|device| farm.sight_from(device, device % 3, true, true, steady).is_none()));
}

#[test]
fn it_trips_once_when_enough_established_devices_are_refused_and_says_how_many() {
    let world = World::new();
    assert!((200..1_000).all(|device| world.sight(device, false, true).is_none()));
    let trips: Vec<Trip> = (0..200).filter_map(|device| world.sight(device, true, true)).collect();
    let [trip] = trips[..] else { panic!("{trips:?}") };
    assert!((95..=110).contains(&trip.regressed) && (850..=950).contains(&trip.active), "{trip:?}");
    assert!(world.guard.is_tripped());
    assert_eq!(world.guard.trip(), Some(trip));
}

#[test]
fn one_device_that_tries_a_thousand_times_is_one() {
    let world = World::new();
    assert!((0..1_000).all(|_| world.sight(7, true, true).is_none()));
    assert_eq!(world.guard.counted(Duration::from_secs(100)), (1, 1));
}

#[test]
fn what_lies_outside_the_window_is_forgotten() {
    let world = World::new();
    for device in 0..90 {
        world.sight_from(device, device, true, true, Duration::from_secs(100));
    }
    for device in 90..180 {
        assert_eq!(world.sight_from(device, device, true, true, Duration::from_secs(1_000)), None);
    }
}

#[test]
fn it_stays_tripped_over_reloads_until_the_policy_changes_or_an_operator_ends_it() {
    let world = World::new();
    assert!((0..200).any(|device| world.sight(device, true, true).is_some()));
    // The same policy again, and with other numbers.
    let same = RouteGuard::following(&world.guard, Some(ASKED), &policy("9.0"), at(6));
    assert!(Arc::ptr_eq(&same, &world.guard));
    let other = RouteGuard::following(&same, Some(GuardSettings { devices: 50, ..ASKED }), &policy("9.0"), at(6));
    assert!(other.is_tripped() && other.trip() == world.guard.trip());
    // Switched off, it opens nothing.
    assert!(!RouteGuard::following(&same, None, &policy("9.0"), at(6)).is_tripped());
    // Another policy begins anew, held against what ran before the bad one.
    let next = RouteGuard::following(&world.guard, Some(ASKED), &policy("8.0"), at(6));
    assert_eq!(next.state(), State::Watching);
    assert_eq!(next.before.as_ref().unwrap().digest(), policy("1.0").digest());
    // Back to what was: nothing to be held against.
    let back = RouteGuard::following(&world.guard, Some(ASKED), &policy("1.0"), at(6));
    assert!(back.before.is_none() && !back.is_watching(at(6)));
    // An operator means it.
    assert!(world.guard.end() && !world.guard.end());
    assert!(!world.guard.is_tripped());
    assert!((0..1_000).all(|device| world.sight(device, true, true).is_none()));
}

#[test]
fn a_policy_is_held_against_the_last_one_that_ran_for_an_hour() {
    let world = World::new();
    let tried = RouteGuard::following(&world.guard, Some(ASKED), &policy("8.0"), at(5).plus(HOUR / 2));
    assert_eq!(tried.before.as_ref().unwrap().digest(), policy("1.0").digest());
    let settled = RouteGuard::following(&world.guard, Some(ASKED), &policy("8.0"), at(7));
    assert_eq!(settled.before.as_ref().unwrap().digest(), policy("9.0").digest());
    // After a day it is what devices are used to.
    assert!(world.guard.is_watching(at(28)) && !world.guard.is_watching(at(29)));
}

#[test]
fn how_it_stood_and_who_was_there_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    assert!((0..200).any(|device| world.sight(device, true, true).is_some()));
    kept::save_history(folder.path(), &world.history).unwrap();
    kept::save_guards(folder.path(), [("shop", &world.guard)].into_iter()).unwrap();
    let history = History::default();
    kept::load_history(folder.path(), &history);
    assert!((0..1_000_u32).all(|device| history.is_established(world.hasher.hash_one(device), at(1), at(6))));
    let guards = kept::KeptGuards::load(folder.path());
    let digest = policy("9.0").digest();
    assert_eq!(guards.of("shop", &digest), Some((State::Tripped, world.guard.trip())));
    assert_eq!(guards.of("shop", &policy("1.0").digest()), None, "another policy");
    assert_eq!(guards.of("other", &digest), None);
    // Damaged files are as none.
    for name in ["devices.history", "guards.json"] {
        std::fs::write(folder.path().join(name), b"assaydh1 damaged").unwrap();
    }
    let empty = History::default();
    kept::load_history(folder.path(), &empty);
    assert_eq!(empty.words().count(), 0);
    assert_eq!(kept::KeptGuards::load(folder.path()).of("shop", &digest), None);
}
