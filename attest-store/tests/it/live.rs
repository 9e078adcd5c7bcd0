//! The running view: two processes, one state.

use attest_core::appraisal::DeviceState::{Banned, Normal};
use attest_store::{Opening, Store};

use crate::world::{NOW, admin, device, each_engine, mark, registration, seen, token, wait_for};

#[test]
fn a_change_holds_in_this_process_when_the_call_returns() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        assert!(live.snapshot().builds("shop").is_empty());
        let before = live.snapshot().generation;
        store.register(&admin(), &registration("shop", "1")).unwrap();
        assert_eq!(live.snapshot().builds("shop").len(), 1);
        assert!(live.snapshot().generation > before);
        live.close();
    });
}

#[test]
fn another_process_sees_a_change_without_being_told() {
    each_engine(|world| {
        let (one, two) = (world.open_as("one"), world.open_as("two"));
        let live = two.live().unwrap();
        one.register(&admin(), &registration("shop", "1")).unwrap();
        mark(&one, &device(1), Banned).unwrap();
        wait_for("the build and the ban", || {
            let snapshot = live.snapshot();
            snapshot.builds("shop").len() == 1 && snapshot.device(&device(1), NOW).state == Banned
        });
        mark(&one, &device(1), Normal).unwrap();
        one.forget(&admin(), &device(1), None).unwrap();
        wait_for("the ban's end", || live.snapshot().device(&device(1), NOW).state == Normal);
        assert!(live.is_readable());
        live.close();
    });
}

#[test]
fn two_processes_agree_on_keys_and_numbers() {
    each_engine(|world| {
        let (one, two) = (world.open_as("one"), world.open_as("two"));
        let (a, b) = (one.live().unwrap(), two.live().unwrap());
        let kids =
            |live: &attest_store::Live| live.snapshot().keys.keys.iter().map(|key| key.kid.clone()).collect::<Vec<_>>();
        assert_eq!(kids(&a), kids(&b));
        assert_eq!(a.snapshot().key_set_number, b.snapshot().key_set_number);
        assert_eq!(one.device_salt(), two.device_salt());
        a.close();
        b.close();
    });
}

#[test]
fn replicas_that_say_the_same_of_their_keys_say_it_under_one_number() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        let number = live.snapshot().key_set_number;
        // A replica of the next configuration comes, and is taken back.
        let mut next = token();
        next.lifetime *= 2;
        let newer = Store::open(Opening { writer: "newer".to_owned(), ..world.opening(&next) }).unwrap();
        newer.live().unwrap().close();
        let back = world.open_as("back");
        let live_back = back.live().unwrap();
        let latest = live_back.snapshot().key_set_number;
        assert_eq!(latest, number + 2);
        // Gateways take no lower number: who stayed has to know.
        wait_for("the latest number", || live.snapshot().key_set_number == latest);
        live.close();
        live_back.close();
    });
}

#[test]
fn what_was_seen_before_the_close_is_written_and_later_sightings_are_counted_as_dropped() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        live.seen(seen(device(1), true));
        live.close();
        assert_eq!(store.device(&device(1)).unwrap().unwrap().passed, 1);
        live.seen(seen(device(1), true));
        assert_eq!(live.dropped(), 1);
        assert!(!live.is_readable(), "without its thread nobody knows");
        live.refresh();
        live.close();
    });
}

#[test]
fn sightings_reach_the_database_by_themselves() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        live.seen(seen(device(1), true));
        wait_for("the sighting", || store.device(&device(1)).unwrap().is_some());
        live.close();
    });
}

#[test]
fn a_view_that_is_dropped_lets_go_of_its_thread_and_writes_what_is_left() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        live.seen(seen(device(1), true));
        drop(live);
        wait_for("the sighting", || store.device(&device(1)).unwrap().is_some());
        // And a later change does not wait for it.
        mark(&store, &device(1), Banned).unwrap();
    });
}

#[test]
fn a_backup_that_is_restored_under_a_running_view_is_taken_over_whole() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        mark(&store, &device(1), Banned).unwrap();
        // As it was before the ban, the counters too.
        world.sql("UPDATE devices SET state = 'normal', changed = 0");
        world.sql("DELETE FROM revocations");
        world.sql("UPDATE counters SET value = 1 WHERE name IN ('marks_changed', 'generation')");
        wait_for("the state of the backup", || live.snapshot().device(&device(1), NOW).state == Normal);
        assert!(live.snapshot().revocations.after(0).is_empty());
        live.close();
    });
}
