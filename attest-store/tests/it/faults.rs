//! PostgreSQL that is read-only, stops, stands still or is kept by another. (Full disks: `src/store/tests.rs`.)

use std::time::{Duration, Instant};

use attest_core::appraisal::DeviceState::Banned;
use attest_store::{Database, Opening, Store, StoreError};
use test_servers::Postgres;

use crate::world::{NOW, World, admin, device, mark, options, registration, seen, token, wait_for};

#[test]
fn on_a_read_only_postgres_a_change_is_refused_and_reads_go_on() {
    let Some(server) = Postgres::shared() else { return };
    let world = World::postgres(server);
    let store = world.open();
    store.register(&admin(), &registration("shop", "1")).unwrap();
    let name = world.url().unwrap().rsplit('/').next().unwrap().to_owned();
    server.sql("postgres", &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    // New connections are read-only; so is the one that this opens.
    let token = token();
    let read_only = Store::open(Opening { ..world.opening(&token) });
    assert!(read_only.unwrap_err().to_string().contains("read-only"));
    server.sql("postgres", &format!("ALTER DATABASE {name} RESET default_transaction_read_only"));
    world.open();
}

#[test]
fn postgres_that_stops_is_told_and_heals_after_its_restart() {
    let Some(server) = Postgres::start() else { return };
    let world = World::postgres(Box::leak(Box::new(server)));
    let server = world.server().unwrap();
    let store = world.open();
    let live = store.live().unwrap();
    store.register(&admin(), &registration("shop", "1")).unwrap();
    mark(&store, &device(1), Banned).unwrap();
    server.stop();
    wait_for("the loss to be noticed", || !live.is_readable());
    let refused = mark(&store, &device(2), Banned).unwrap_err();
    assert!(matches!(refused, StoreError::Away { .. }), "{refused:?}");
    assert!(store.authenticate(b"assay_admin_x", attest_store::Origin::Local).is_err(), "nobody is let in unasked");
    // What was known goes on being known.
    assert_eq!(live.snapshot().device(&device(1), NOW).state, Banned);
    live.seen(seen(device(3), true));
    wait_for("the sighting to be dropped", || live.dropped() == 1);
    server.restart();
    wait_for("the database to be read again", || live.is_readable());
    mark(&store, &device(2), Banned).unwrap();
    assert_eq!(live.snapshot().device(&device(2), NOW).state, Banned);
    live.seen(seen(device(3), true));
    wait_for("a sighting", || store.device(&device(3)).unwrap().is_some());
    assert_eq!(store.verify_audit(&[]).unwrap().problems, []);
    live.close();
}

#[test]
fn postgres_that_stands_still_holds_nobody_longer_than_its_time_out() {
    let Some(server) = Postgres::start() else { return };
    let world = World::postgres(Box::leak(Box::new(server)));
    let server = world.server().unwrap();
    let token = token();
    let mut slow = options(&world.url().unwrap());
    slow.statement_timeout = Duration::from_millis(300);
    slow.connect_timeout = Duration::from_millis(300);
    let opening = Opening { database: Database::postgres(&slow).unwrap(), ..world.opening(&token) };
    let store = Store::open(opening).unwrap();
    let live = store.live().unwrap();
    server.pause();
    let start = Instant::now();
    let refused = mark(&store, &device(1), Banned).unwrap_err();
    assert!(matches!(refused, StoreError::Away { .. }), "{refused:?}");
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    wait_for("the silence to be noticed", || !live.is_readable());
    server.resume();
    wait_for("the database to be read again", || live.is_readable());
    wait_for("a change to go through", || mark(&store, &device(1), Banned).is_ok());
    live.close();
}

#[test]
fn a_writer_that_never_ends_makes_others_busy_and_not_wait_for_ever() {
    let Some(server) = Postgres::shared() else { return };
    let world = World::postgres(server);
    let token = token();
    let mut quick = options(&world.url().unwrap());
    quick.statement_timeout = Duration::from_millis(200);
    drop(world.open());
    let opening = Opening { database: Database::postgres(&quick).unwrap(), ..world.opening(&token) };
    let store = Store::open(opening).unwrap();
    let name = world.url().unwrap().rsplit('/').next().unwrap().to_owned();
    // The writers' lock, held by another process for two seconds.
    let holder = std::thread::spawn(move || server.sql(&name, "SELECT pg_advisory_lock(418548769145), pg_sleep(2)"));
    wait_for("the lock to be held", || matches!(mark(&store, &device(1), Banned), Err(StoreError::Busy)));
    assert!(store.device(&device(1)).is_ok(), "readers do not wait");
    holder.join().unwrap();
    mark(&store, &device(1), Banned).unwrap();
}
