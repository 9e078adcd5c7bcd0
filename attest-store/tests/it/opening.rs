//! First starts, later starts, and starts that are refused.

use std::sync::Barrier;

use attest_core::random::SystemRandom;
use attest_store::{Database, OpenError, Store, StoreError};
use keystore::MasterKey;

use crate::world::{World, each_engine, options, token};

#[test]
fn refuses_another_unlock_key_and_names_both() {
    each_engine(|world| {
        drop(world.open());
        let token = token();
        let mut opening = world.opening(&token);
        opening.master = MasterKey::generate(&SystemRandom).unwrap();
        let given = opening.master.id();
        match Store::open(opening) {
            Err(OpenError::WrongUnlockKey { given: named, sealed_with, .. }) => {
                assert_eq!(named, given);
                assert_ne!(sealed_with, given);
            }
            other => panic!("{other:?}"),
        }
        world.open();
    });
}

#[test]
fn a_store_that_was_never_started_is_not_found_and_nothing_is_written() {
    each_engine(|world| {
        let token = token();
        assert!(Store::find(world.opening(&token)).unwrap().is_none());
        assert!(!world.state().exists());
        if !world.is_sqlite() {
            assert_eq!(world.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
        }
        world.open();
        assert!(Store::find(world.opening(&token)).unwrap().is_some());
        let mut another = crate::world::token();
        another.key_set = "another".to_owned();
        assert!(Store::find(world.opening(&another)).unwrap().is_none());
    });
}

#[test]
fn a_restart_changes_no_secret() {
    each_engine(|world| {
        let (challenge, salt, keys) = {
            let store = world.open();
            (store.challenge_key().clone(), store.device_salt().clone(), kids(&store))
        };
        let again = world.open();
        assert_eq!((&challenge, &salt), (again.challenge_key(), again.device_salt()));
        assert_eq!(keys, kids(&again));
        assert_ne!(*challenge, *salt);
    });
}

fn kids(store: &Store) -> Vec<String> {
    store.key_ring().unwrap().keys.iter().map(|key| key.kid.clone()).collect()
}

#[test]
fn of_first_starts_at_once_one_makes_the_secrets_and_all_have_them() {
    each_engine(|world| {
        let together = Barrier::new(4);
        let salts: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        together.wait();
                        world.open().device_salt().clone()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(salts.windows(2).all(|pair| pair[0] == pair[1]));
    });
}

#[test]
fn refuses_urls_that_say_nothing_clear_about_tls() {
    for url in ["mysql://a@127.0.0.1/b", "postgres://a@127.0.0.1/b?sslmode=maybe", "postgres://a@127.0.0.1:port/b"] {
        let refused = Database::postgres(&options(url)).unwrap_err();
        assert!(matches!(refused, StoreError::BadUrl { .. }), "{url}: {refused}");
    }
}

#[test]
fn an_error_or_debug_shows_no_password() {
    let url = "postgres://ann:canary-password@127.0.0.1:1/b";
    let database = Database::postgres(&options(url)).unwrap();
    let refused = database.exists().unwrap_err();
    let all = format!("{refused} {refused:?} {database:?} {:?}", options(url));
    assert!(!all.contains("canary"), "{all}");
    assert!(matches!(refused, StoreError::Away { .. }), "{refused}");
}

#[test]
fn a_file_that_is_no_database_is_named_and_left_as_it_is() {
    let world = World::sqlite();
    std::fs::create_dir_all(world.state()).unwrap();
    let path = world.state().join("assay.db");
    std::fs::write(&path, "not a database, whatever its name says").unwrap();
    let refused = world.try_open().unwrap_err().to_string();
    assert!(refused.contains(&path.display().to_string()) && refused.contains("backup"), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a database, whatever its name says");
}

#[test]
fn the_database_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::sqlite();
    world.open();
    for (path, mode) in [(world.state(), 0o700), (world.state().join("assay.db"), 0o600)] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
}
