//! Keys through their states: what the replicas do, and what gateways with an old document make of it.

use std::time::Duration;

use attest_core::{
    feed::{KeySetDocument, KeyState as Published},
    time::{Clock, UnixTime},
    token::{Algorithm, key_set::Concealment},
    verdict::Verdict,
};
use attest_store::{Actor, KeyRing, KeyState, Live, OpenError, Opening, Page, Role, RotateWhen, Store, StoreError};
use settings::TokenSettings;

use crate::{
    gateway,
    world::{DAY, World, admin, each_engine, scoped, token, wait_for},
};

const SECOND: Duration = Duration::from_secs(1);

fn open_with(world: &World, token: &TokenSettings) -> Store {
    Store::open(world.opening(token)).unwrap()
}

fn ring(store: &Store) -> KeyRing {
    KeyRing::clone(&store.key_ring().unwrap())
}

fn kid(ring: &KeyRing, state: KeyState) -> String {
    ring.in_state(state).unwrap_or_else(|| panic!("no key is {}", state.as_str())).kid.clone()
}

fn signs(live: &Live) -> String {
    kid(&live.snapshot().keys, KeyState::Active)
}

fn actions(store: &Store) -> Vec<String> {
    let page = Page { after: None, limit: 500 };
    store.audit_entries(page).unwrap().rows.into_iter().map(|entry| entry.action).collect()
}

#[test]
fn a_first_start_makes_a_key_that_signs_and_the_next_one() {
    each_engine(|world| {
        let ring = ring(&world.open());
        let (active, next) = (ring.in_state(KeyState::Active).unwrap(), ring.in_state(KeyState::Next).unwrap());
        assert_eq!((active.algorithm, next.algorithm, ring.keys.len()), (Algorithm::HS256, Algorithm::HS256, 2));
        assert!(active.kid != next.kid && next.activates.is_none() && ring.differs().is_none());
        assert!(world.open().key_ring().unwrap().keys == ring.keys, "a restart changes none");
    });
}

#[test]
fn a_decoy_for_public_keys_is_refused_with_the_reason_and_makes_nothing() {
    each_engine(|world| {
        let asymmetric = TokenSettings { algorithm: Algorithm::ES256, ..token() };
        let refused = Store::open(world.opening(&asymmetric)).unwrap_err();
        assert!(matches!(refused, OpenError::Store(StoreError::Keys(_))), "{refused:?}");
        assert!(refused.to_string().contains("give away which key made them"), "{refused}");
        let sealed = TokenSettings { concealment: Concealment::Sealed, ..token() };
        assert!(Store::open(world.opening(&sealed)).unwrap_err().to_string().contains("public-key"));
        assert_eq!(world.sql("SELECT count(*) FROM signing_keys"), "0");
    });
}

#[test]
fn a_rotation_too_early_is_scheduled_and_one_of_the_replicas_carries_it_out_once() {
    each_engine(|world| {
        let (one, two) = (world.open_as("one"), world.open_as("two"));
        let (live_one, live_two) = (one.live().unwrap(), two.live().unwrap());
        let before = ring(&one);
        let rotation = one.rotate(&admin(), RotateWhen::Safe).unwrap();
        let published = before.in_state(KeyState::Next).unwrap().published;
        assert!(rotation.scheduled && rotation.warning.is_none() && rotation.at == published.plus(DAY));
        assert_eq!((&rotation.from, &rotation.to), (&kid(&before, KeyState::Active), &kid(&before, KeyState::Next)));
        assert_eq!(signs(&live_one), rotation.from, "nothing has happened yet");
        // Asked for again later, it does not come later.
        world.clock.advance(DAY / 2);
        assert_eq!(two.rotate(&admin(), RotateWhen::Safe).unwrap().at, rotation.at);

        world.clock.advance(DAY / 2);
        wait_for("the switch", || signs(&live_one) == rotation.to && signs(&live_two) == rotation.to);
        let after = ring(&two);
        assert_eq!(kid(&after, KeyState::Retiring), rotation.from);
        assert!(after.in_state(KeyState::Next).is_some() && after.keys.len() == 3);
        assert_eq!(actions(&one).iter().filter(|action| *action == "keyset.switched").count(), 1);
    });
}

#[test]
fn a_seamless_rotation_locks_out_no_token_and_no_gateway_that_may_still_verify() {
    for (algorithm, concealment) in [
        (Algorithm::HS256, Concealment::Decoy),
        (Algorithm::ES256, Concealment::Sealed),
        (Algorithm::EdDSA, Concealment::Open),
    ] {
        let world = World::sqlite();
        let token = TokenSettings { algorithm, concealment, ..token() };
        let store = open_with(&world, &token);
        let live = store.live().unwrap();
        // The last gateway that fetched before the rotation, and may still verify for a day.
        let old_document = gateway::keys(&live, world.clock.now());
        world.clock.advance(DAY);
        let old_token = gateway::token(&live, true, world.clock.now());
        let rotation = store.rotate(&admin(), RotateWhen::Safe).unwrap();
        assert!(!rotation.scheduled && rotation.warning.is_none());
        let now = world.clock.now().plus(SECOND);
        let new_token = gateway::token(&live, true, now);
        let new_document = gateway::keys(&live, now);
        for (text, keys) in [(&old_token, &new_document), (&new_token, &old_document), (&new_token, &new_document)] {
            assert_eq!(gateway::verdict(text, keys, now), (Verdict::Attested, "good"), "{algorithm}");
        }
        assert!(new_token.split('.').next() != old_token.split('.').next());
    }
}

#[test]
fn a_rotation_at_once_says_whom_it_may_lock_out() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        world.clock.advance(Duration::from_secs(90));
        let rotation = store.rotate(&admin(), RotateWhen::Now).unwrap();
        let warning = rotation.warning.unwrap();
        assert!(!rotation.scheduled && warning.contains(&rotation.to) && warning.contains("90 s ago"), "{warning}");
        assert_eq!(signs(&live), rotation.to);
        // The key after that is young again.
        assert!(store.rotate(&admin(), RotateWhen::Safe).unwrap().scheduled);
    });
}

#[test]
fn a_key_is_wiped_when_its_last_token_is_over_and_not_before() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        world.clock.advance(DAY);
        let old = store.rotate(&admin(), RotateWhen::Safe).unwrap().from;
        let ends = ring(&store).in_state(KeyState::Retiring).unwrap().ends.unwrap();
        // Its last token's life, the leeway, and what `accept_expired` may add; a minute for other replicas.
        let last = world.clock.now().plus(Duration::from_secs(300 + 30 + 60)).plus(DAY);
        assert_eq!(ends, last);
        world.clock.set(last);
        wait_for("the key to be retired", || {
            live.snapshot().keys.in_state(KeyState::Retired).is_some_and(|key| key.kid == old && !key.revoked)
        });
        assert_eq!(
            world.sql(&format!("SELECT count(*) FROM signing_keys WHERE secret IS NULL AND kid = '{old}'")),
            "1"
        );
        let document = gateway::document(&live, last);
        assert!(document.key_sets[0].keys.iter().all(|key| key.kid != old) && document.revoked.kids.is_empty());
        assert!(actions(&store).contains(&"keyset.retired".to_owned()));
        // Long afterwards its name is forgotten too.
        world.clock.advance(DAY * 91);
        store.rotate(&admin(), RotateWhen::Safe).unwrap();
        wait_for("the key to be forgotten", || {
            world.clock.advance(DAY);
            !live.snapshot().keys.keys.iter().any(|key| key.kid == old)
        });
    });
}

#[test]
fn another_algorithm_comes_with_the_next_key_when_it_is_safe() {
    each_engine(|world| {
        let first = ring(&world.open());
        let sha512 = TokenSettings { algorithm: Algorithm::HS512, ..token() };
        let store = open_with(world, &sha512);
        assert_eq!(ring(&store).keys, first.keys, "a command with another configuration changes no key");
        store.live().unwrap().close();
        let changed = ring(&store);
        let next = changed.in_state(KeyState::Next).unwrap();
        assert_eq!(changed.in_state(KeyState::Active), first.in_state(KeyState::Active), "it goes on signing");
        assert_eq!((next.algorithm, next.activates), (Algorithm::HS512, Some(world.clock.now().plus(DAY))));
        assert!(changed.differs().is_none() && actions(&store).contains(&"keyset.algorithm".to_owned()));
        let again = open_with(world, &sha512);
        again.live().unwrap().close();
        assert_eq!(ring(&again), changed, "a restart does not put it off");
        // Taken back before it came: nothing is scheduled any more.
        let back = world.open();
        back.live().unwrap().close();
        let back = ring(&back);
        let next = back.in_state(KeyState::Next).unwrap();
        assert_eq!((next.algorithm, next.activates), (Algorithm::HS256, None));

        let store = open_with(world, &sha512);
        let live = store.live().unwrap();
        world.clock.advance(DAY);
        wait_for("the new algorithm", || {
            live.snapshot().keys.in_state(KeyState::Active).is_some_and(|key| key.algorithm == Algorithm::HS512)
        });
        let keys = gateway::keys(&live, world.clock.now());
        let text = gateway::token(&live, true, world.clock.now());
        assert_eq!(gateway::verdict(&text, &keys, world.clock.now()).0, Verdict::Attested);
    });
}

#[test]
fn another_concealment_never_comes_silently() {
    each_engine(|world| {
        let first = ring(&world.open());
        let sealed = TokenSettings { algorithm: Algorithm::ES256, concealment: Concealment::Sealed, ..token() };
        let store = open_with(world, &sealed);
        let live = store.live().unwrap();
        let kept = ring(&store);
        assert_eq!((&kept.keys, kept.concealment), (&first.keys, Concealment::Decoy));
        let sentence = kept.differs().unwrap();
        assert!(sentence.contains("ES256") && sentence.contains("keyset rotate --now"), "{sentence}");
        let text = gateway::token(&live, true, world.clock.now());
        assert_eq!(
            gateway::verdict(&text, &gateway::keys(&live, world.clock.now()), world.clock.now()).0,
            Verdict::Attested
        );

        world.clock.advance(DAY);
        let refused = store.rotate(&admin(), RotateWhen::Safe).unwrap_err();
        assert!(matches!(refused, StoreError::Refused { .. }), "{refused:?}");
        let rotation = store.rotate(&admin(), RotateWhen::Now).unwrap();
        assert!(rotation.warning.unwrap().contains("every token in hand is refused"));
        let anew = ring(&store);
        assert_eq!((anew.concealment, anew.differs()), (Concealment::Sealed, None));
        assert_eq!(anew.in_state(KeyState::Active).unwrap().algorithm, Algorithm::ES256);
        assert_eq!(world.sql("SELECT count(*) FROM signing_keys WHERE state = 'retired' AND secret IS NULL"), "2");
        let now = world.clock.now();
        let keys = gateway::keys(&live, now);
        assert_eq!(gateway::verdict(&gateway::token(&live, true, now), &keys, now).0, Verdict::Attested);
        assert_eq!(gateway::verdict(&text, &keys, now), (Verdict::UnknownKey, "unknown_kid"));
    });
}

#[test]
fn a_key_taken_out_of_use_is_gone_at_once_with_its_tokens() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        let now = world.clock.now();
        let stolen = gateway::token(&live, true, now);
        let before = ring(&store);
        let (active, next) = (kid(&before, KeyState::Active), kid(&before, KeyState::Next));
        let rotation = store.retire_key(&admin(), &active).unwrap();
        assert_eq!((&rotation.from, &rotation.to, signs(&live)), (&active, &next, next.clone()));
        assert!(rotation.warning.is_some() && kid(&ring(&store), KeyState::Next) != next);
        assert_eq!(
            world.sql(&format!("SELECT count(*) FROM signing_keys WHERE secret IS NULL AND kid = '{active}'")),
            "1"
        );

        let document = gateway::document(&live, now);
        assert_eq!(document.revoked.kids, [active.as_str()]);
        assert_eq!(gateway::verdict(&stolen, &gateway::keys(&live, now), now), (Verdict::UnknownKey, "unknown_kid"));
        assert!(live.snapshot().revocations.after(0).iter().any(|entry| entry.value == active));

        // The next key can be taken out too, and there is another.
        let next = kid(&ring(&store), KeyState::Next);
        let rotation = store.retire_key(&admin(), &next).unwrap();
        assert!(rotation.warning.is_none() && rotation.to == signs(&live));
        assert_ne!(kid(&ring(&store), KeyState::Next), next);
        for gone in [active.as_str(), next.as_str(), "nobody"] {
            assert!(matches!(store.retire_key(&admin(), gone), Err(StoreError::NotFound { .. })), "{gone}");
        }
    });
}

#[test]
fn only_an_admin_of_everything_turns_keys() {
    each_engine(|world| {
        let store = world.open();
        let before = ring(&store);
        let operator = Actor { role: Role::Operator, apps: None, ..admin() };
        for actor in [operator, scoped(Role::Admin, &["shop"])] {
            assert!(matches!(store.rotate(&actor, RotateWhen::Now), Err(StoreError::Forbidden { .. })));
            let kid = kid(&before, KeyState::Active);
            assert!(matches!(store.retire_key(&actor, &kid), Err(StoreError::Forbidden { .. })));
        }
        assert_eq!(ring(&store), before);
    });
}

#[test]
fn the_documents_number_rises_with_its_content_and_with_nothing_else() {
    each_engine(|world| {
        let number = |live: &Live| live.snapshot().key_set_number;
        let first = number(&world.open().live().unwrap());
        let store = world.open();
        let live = store.live().unwrap();
        assert_eq!(number(&live), first, "a restart says nothing new");
        store.rotate(&admin(), RotateWhen::Now).unwrap();
        assert_eq!(number(&live), first + 1);
        store.rotate(&admin(), RotateWhen::Safe).unwrap();
        live.refresh();
        assert_eq!(number(&live), first + 1, "what is only scheduled is no news to gateways");
        drop(live);
        let renamed = TokenSettings { audience: "other.example".to_owned(), ..token() };
        assert_eq!(number(&open_with(world, &renamed).live().unwrap()), first + 2);
    });
}

#[test]
fn a_set_never_holds_more_keys_than_gateways_take() {
    let world = World::sqlite();
    let store = world.open();
    let live = store.live().unwrap();
    let refused = (0..64).find_map(|_| store.rotate(&admin(), RotateWhen::Now).err()).unwrap();
    assert!(matches!(refused, StoreError::TooMany { max: 48, .. }), "{refused:?}");
    let document = gateway::document(&live, world.clock.now());
    assert_eq!(document.key_sets[0].keys.len(), 50);
    assert!(document.key_sets().is_ok());
}

#[test]
fn the_document_says_in_which_state_each_key_is() {
    let world = World::sqlite();
    let store = world.open();
    let live = store.live().unwrap();
    store.rotate(&admin(), RotateWhen::Now).unwrap();
    let document: KeySetDocument = gateway::document(&live, world.clock.now());
    let states: Vec<Published> = document.key_sets[0].keys.iter().map(|key| key.state).collect();
    assert_eq!(states, [Published::Next, Published::Active, Published::Retiring]);
}

#[test]
fn a_boxed_key_in_another_ones_place_does_not_open() {
    let world = World::sqlite();
    let before = ring(&world.open());
    let (active, next) = (kid(&before, KeyState::Active), kid(&before, KeyState::Next));
    world.sql(&format!(
        "UPDATE signing_keys SET secret = (SELECT secret FROM signing_keys WHERE kid = '{next}') WHERE kid = '{active}'"
    ));
    let token = token();
    let store = Store::open(Opening { writer: "another".to_owned(), ..world.opening(&token) }).unwrap();
    assert!(matches!(store.issuer(), Err(StoreError::Sealed { .. })));
    assert!(store.live().is_err());
}

#[test]
fn keys_in_use_before_their_end_was_written_down_get_one() {
    let world = World::sqlite();
    let store = world.open();
    store.rotate(&admin(), RotateWhen::Now).unwrap();
    world.sql("UPDATE signing_keys SET ends = NULL WHERE state = 'retiring'");
    world.sql("DELETE FROM labels WHERE name LIKE 'concealment/%'");
    let store = world.open();
    store.live().unwrap().close();
    let ring = ring(&store);
    assert!(ring.in_state(KeyState::Retiring).unwrap().ends > Some(UnixTime::default()));
    assert_eq!(ring.concealment, Concealment::Decoy);
}
