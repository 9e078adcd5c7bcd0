//! Tokens of the admin API.

use attest_store::{Origin, Role, StoreError};

use crate::world::{DAY, NOW, admin, each_engine, scoped};

#[test]
fn refuses_every_text_that_is_not_a_live_token() {
    each_engine(|world| {
        let store = world.open();
        let token = store.create_token(&admin(), "ci", Role::Operator, None, NOW.plus(DAY)).unwrap();
        let text = token.text.as_bytes();
        let changed: Vec<u8> =
            text.iter().enumerate().map(|(at, byte)| if at == 20 { byte ^ 1 } else { *byte }).collect();
        let hash = world.sql(if world.is_sqlite() {
            "SELECT hex(hash) FROM admin_tokens"
        } else {
            "SELECT encode(hash, 'hex') FROM admin_tokens"
        });
        for bad in
            [&b""[..], b"assay_admin_", &text[..text.len() - 1], &changed, hash.as_bytes(), &[text, b"\n"].concat()]
        {
            assert_eq!(store.authenticate(bad, Origin::Local).unwrap(), None);
        }
        assert!(store.authenticate(text, Origin::Local).unwrap().is_some());
    });
}

#[test]
fn a_token_that_is_over_or_revoked_lets_nobody_in() {
    each_engine(|world| {
        let store = world.open();
        let one = store.create_token(&admin(), "one", Role::Viewer, None, NOW.plus(DAY)).unwrap();
        let two = store.create_token(&admin(), "two", Role::Viewer, None, NOW.plus(DAY * 2)).unwrap();
        let let_in = |text: &str| store.authenticate(text.as_bytes(), Origin::Local).unwrap().is_some();
        assert!(let_in(&one.text) && let_in(&two.text));
        world.clock.advance(DAY);
        assert!(!let_in(&one.text) && let_in(&two.text));
        store.revoke_token(&admin(), "two").unwrap();
        assert!(!let_in(&two.text));
        assert!(matches!(store.revoke_token(&admin(), "two"), Err(StoreError::NotFound { .. })));
    });
}

#[test]
fn a_token_gives_its_role_and_apps_and_nothing_more() {
    each_engine(|world| {
        let store = world.open();
        let apps = Some(vec!["shop".to_owned()]);
        let token = store.create_token(&admin(), "ci", Role::Operator, apps.clone(), NOW.plus(DAY)).unwrap();
        let origin = Origin::Remote("192.0.2.7".parse().unwrap());
        let actor = store.authenticate(token.text.as_bytes(), origin).unwrap().unwrap();
        assert_eq!((actor.name.as_str(), actor.role, &actor.apps, actor.origin), ("ci", Role::Operator, &apps, origin));
        for actor in [actor, scoped(Role::Admin, &["shop"])] {
            let refused = store.create_token(&actor, "more", Role::Admin, None, NOW.plus(DAY));
            assert!(matches!(refused, Err(StoreError::Forbidden { .. })), "{actor:?}");
            assert!(matches!(store.revoke_token(&actor, "ci"), Err(StoreError::Forbidden { .. })));
        }
    });
}

#[test]
fn refuses_names_that_are_taken_ends_too_far_off_and_lives_without_end() {
    each_engine(|world| {
        let store = world.open();
        store.create_token(&admin(), "ci", Role::Viewer, None, NOW.plus(DAY)).unwrap();
        let taken = store.create_token(&admin(), "ci", Role::Viewer, None, NOW.plus(DAY));
        assert!(matches!(taken, Err(StoreError::Exists { .. })));
        for until in [NOW, NOW.plus(DAY * 367)] {
            let refused = store.create_token(&admin(), "other", Role::Viewer, None, until);
            assert!(matches!(refused, Err(StoreError::NotAnEnd { .. })));
        }
        // A name whose token was revoked can be given again.
        store.revoke_token(&admin(), "ci").unwrap();
        store.create_token(&admin(), "ci", Role::Viewer, None, NOW.plus(DAY)).unwrap();
        assert_eq!(store.tokens().unwrap().len(), 1);
    });
}

#[test]
fn the_text_is_nowhere_in_the_database_nor_in_debug() {
    each_engine(|world| {
        let store = world.open();
        let token = store.create_token(&admin(), "ci", Role::Viewer, None, NOW.plus(DAY)).unwrap();
        let secret = token.text.strip_prefix("assay_admin_").unwrap();
        assert_eq!(secret.len(), 43);
        assert!(!format!("{token:?}").contains(secret));
        assert!(!world.sql("SELECT detail FROM audit").contains(secret));
        if world.is_sqlite() {
            drop(store);
            for entry in std::fs::read_dir(world.state()).unwrap() {
                let bytes = std::fs::read(entry.unwrap().path()).unwrap();
                assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
            }
        }
    });
}
