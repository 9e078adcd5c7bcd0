//! Databases of other versions.

use attest_core::{appraisal::DeviceState, measurement::Measurement};
use attest_store::{BuildFilter, KeyState, OpenError, Page, Store, StoreError};

use crate::world::{NOW, World, device, each_engine};

/// What the first release made, with rows in every table.
const VERSION_1: &str = include_str!("../../src/sql/migrations/sqlite_1.sql");

#[test]
fn refuses_a_database_that_a_newer_version_wrote_and_leaves_it() {
    each_engine(|world| {
        drop(world.open());
        let (newer, read) = if world.is_sqlite() {
            ("PRAGMA user_version = 99", "PRAGMA user_version")
        } else {
            ("UPDATE assay_schema SET version = 99", "SELECT version FROM assay_schema")
        };
        world.sql(newer);
        match world.try_open() {
            Err(OpenError::Store(error @ StoreError::FromTheFuture { version: 99 })) => {
                assert!(error.to_string().contains("newer Assay"));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(world.sql(read), "99");
    });
}

#[test]
fn a_database_of_the_first_release_keeps_all_that_was_in_it() {
    let world = World::sqlite();
    std::fs::create_dir_all(world.state()).unwrap();
    let old = rusqlite::Connection::open(world.state().join("assay.db")).unwrap();
    old.execute_batch(VERSION_1).unwrap();
    let measurement = [9_u8; 32];
    old.execute_batch(
        "PRAGMA user_version = 1;
         UPDATE meta SET value = 41 WHERE key = 'generation';
         UPDATE meta SET value = 7 WHERE key = 'key_set_number';
         UPDATE meta SET value = x'0102' WHERE key = 'key_set_digest';
         INSERT INTO apps VALUES ('shop', 5);
         INSERT INTO devices (id, state, until, first_seen, last_seen, passed, failed) VALUES
            (x'01010101010101010101010101010101', 'banned', NULL, 10, 20, 3, 4),
            (x'02020202020202020202020202020202', 'normal', NULL, 11, 21, 1, 0);",
    )
    .unwrap();
    old.execute(
        "INSERT INTO builds (id, app, platform, version, label, measurement, registered, retired)
         VALUES (1, 'shop', 'linux', '1.0', '', ?1, 6, 8), (2, 'shop', 'linux', '1.1', 'musl', ?1, 7, NULL)",
        [measurement],
    )
    .unwrap();
    drop(old);

    let store = world.open();
    let builds = store.builds(&BuildFilter::default(), Page::default()).unwrap().rows;
    assert_eq!(builds.iter().map(|row| row.build.number).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(builds[0].build.label, "musl");
    assert_eq!(builds[0].build.measurement, Some(Measurement::from_bytes(measurement)));
    assert!(builds[1].retired.is_some() && builds[0].retired.is_none());
    let banned = store.device(&device(1)).unwrap().unwrap();
    assert_eq!((banned.state, banned.passed, banned.failed), (DeviceState::Banned, 3, 4));
    let live = store.live().unwrap();
    assert_eq!(live.snapshot().device(&device(1), NOW).state, DeviceState::Banned);
    assert_eq!(live.snapshot().builds("shop").len(), 2);
    // Numbers go on where they were: gateways take only higher ones.
    assert!(live.snapshot().generation >= 41 && live.snapshot().key_set_number > 7);
    assert_eq!(world.sql("SELECT value FROM counters WHERE name = 'device_rows'"), "2");
    live.close();
}

#[test]
fn keys_of_the_first_release_go_on_signing() {
    let world = World::sqlite();
    // The keys as this version seals them, in the first release's table: the envelope is the same.
    let first = world.open();
    let kid = active(&first);
    drop(first);
    let database = rusqlite::Connection::open(world.state().join("assay.db")).unwrap();
    let copy = world.folder.path().join("old.db");
    database.execute("ATTACH ?1 AS old", [copy.to_str().unwrap()]).unwrap();
    for table in ["secrets", "signing_keys", "labels"] {
        database.execute_batch(&format!("CREATE TABLE old.{table} AS SELECT * FROM main.{table}")).unwrap();
    }
    drop(database);
    std::fs::remove_dir_all(world.state()).unwrap();
    std::fs::create_dir_all(world.state()).unwrap();
    let old = rusqlite::Connection::open(world.state().join("assay.db")).unwrap();
    old.execute_batch(VERSION_1).unwrap();
    old.execute("ATTACH ?1 AS kept", [copy.to_str().unwrap()]).unwrap();
    old.execute_batch(
        "PRAGMA user_version = 1;
         INSERT INTO secrets SELECT name, sealed, created FROM kept.secrets
            WHERE name IN ('challenge', 'arc', 'feed', 'verdict/default', 'device-salt/default');
         INSERT INTO meta SELECT name, CAST(value AS TEXT) FROM kept.labels WHERE name = 'unlock_key_id';
         INSERT INTO signing_keys SELECT kid, key_set, algorithm, state, secret, decoy, created FROM kept.signing_keys
            WHERE state = 'active';",
    )
    .unwrap();
    drop(old);

    let store = world.open();
    assert_eq!(active(&store), kid);
    assert_eq!(store.key_ring().unwrap().keys.len(), 2, "and there is a next one");
}

fn active(store: &Store) -> String {
    let ring = store.key_ring().unwrap();
    ring.keys.iter().find(|key| key.state == KeyState::Active).unwrap().kid.clone()
}
