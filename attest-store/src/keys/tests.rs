//! Whatever an operator does in whatever order: one key signs, one is next, and no token is lost but by an operator's word.

use std::{collections::HashSet, sync::Arc, time::Duration};

use attest_core::{
    random::SystemRandom,
    time::{Clock, FixedClock, UnixTime},
    token::{Algorithm, key_set::Concealment},
};
use keystore::MasterKey;
use proptest::prelude::*;
use settings::{TokenClaims, TokenSettings};

use super::*;
use crate::{database::Database, store::Opening};

const HOUR: Duration = Duration::from_secs(3600);
const STALE: Duration = Duration::from_secs(24 * 3600);

fn token() -> TokenSettings {
    TokenSettings {
        key_set: "default".to_owned(),
        issuer: "https://issuer.example".to_owned(),
        audience: "api.example".to_owned(),
        lifetime: Duration::from_secs(300),
        leeway: Duration::from_secs(30),
        algorithm: Algorithm::HS256,
        concealment: Concealment::Decoy,
        claims: TokenClaims::default(),
    }
}

fn open(folder: &std::path::Path, clock: &Arc<FixedClock>) -> Store {
    let opening = Opening {
        database: Database::sqlite(folder),
        master: MasterKey::generate(&SystemRandom).unwrap(),
        master_path: folder.join("kek.key"),
        token: &token(),
        keys_stale: STALE,
        random: Arc::new(SystemRandom),
        clock: clock.clone(),
        writer: "test".to_owned(),
    };
    Store::open(opening).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u32),
    Rotate(RotateWhen),
    RetireActive,
    RetireNext,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u32..30).prop_map(Step::Wait),
        2 => Just(Step::Rotate(RotateWhen::Safe)),
        1 => Just(Step::Rotate(RotateWhen::Now)),
        1 => Just(Step::RetireActive),
        1 => Just(Step::RetireNext),
    ]
}

/// What the thread of a running service does by itself.
fn tend(store: &Store) {
    store.change(&Actor::service(), (Role::Admin, None), do_what_is_due).unwrap();
}

fn of(ring: &KeyRing, state: KeyState) -> KeyView {
    let mut found = ring.keys.iter().filter(|key| key.state == state);
    let only = found.next().unwrap().clone();
    assert!(found.next().is_none(), "one key is {}", state.as_str());
    only
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn one_signs_one_is_next_and_nobody_is_locked_out_silently(steps in prop::collection::vec(step(), 1..24)) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::new(UnixTime::from_secs(1_800_000_000)));
        let (store, admin) = (open(folder.path(), &clock), Actor::local("ann"));
        let mut signed: Vec<(String, UnixTime)> = Vec::new();
        let mut taken_back = HashSet::new();
        for step in steps {
            tend(&store);
            let before = store.key_ring().unwrap();
            let (active, next) = (of(&before, KeyState::Active), of(&before, KeyState::Next));
            signed.push((active.kid.clone(), clock.now()));
            let mut said = true;
            match step {
                Step::Wait(hours) => {
                    clock.advance(HOUR * hours);
                    tend(&store);
                    said = false;
                }
                Step::Rotate(when) => {
                    let rotation = store.rotate(&admin, when).unwrap();
                    said = rotation.warning.is_some();
                    prop_assert!(!(said && when == RotateWhen::Safe));
                    prop_assert_eq!(&rotation.to, &next.kid);
                }
                Step::RetireActive => {
                    store.retire_key(&admin, &active.kid).unwrap();
                    taken_back.insert(active.kid.clone());
                }
                Step::RetireNext => {
                    store.retire_key(&admin, &next.kid).unwrap();
                }
            }
            let after = store.key_ring().unwrap();
            let now = of(&after, KeyState::Active);
            of(&after, KeyState::Next);
            if now.kid != active.kid && !said {
                prop_assert!(now.published.plus(STALE) <= clock.now(), "a young key signs, and nobody was told");
            }
            // Every token that may still be accepted somewhere has its key, opened.
            let keys = store.read(|tx| open_keys(tx, &store.0.vault, &after)).unwrap();
            let life = Duration::from_secs(300 + 30) + Duration::from_secs(24 * 3600);
            for (kid, at) in signed.iter().filter(|(kid, at)| !taken_back.contains(kid) && at.plus(life) >= clock.now()) {
                prop_assert!(keys.iter().any(|key| key.view.kid == *kid), "{} of {:?} is gone", kid, at);
            }
            prop_assert!(keys.iter().all(|key| !taken_back.contains(&key.view.kid)));
        }
    }
}
