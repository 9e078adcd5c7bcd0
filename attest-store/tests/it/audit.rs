//! The audit chain, held against rows that were edited behind the store's back.

use attest_core::appraisal::DeviceState::Banned;
use attest_store::{Page, Problem, SignedCheckpoint, Store, StoreError};
use serde_json::json;

use crate::world::{World, admin, device, each_engine, mark, registration};

fn world_with_entries(world: &World, entries: usize) -> Store {
    let store = world.open();
    for number in 0..entries {
        store.audit(&admin(), "test.action", &format!("target {number}"), &json!({ "n": number })).unwrap();
    }
    store
}

fn problems(store: &Store) -> Vec<Problem> {
    store.verify_audit(&[]).unwrap().problems
}

#[test]
fn finds_an_entry_that_was_changed_in_any_column() {
    each_engine(|world| {
        let store = world_with_entries(world, 5);
        assert_eq!(problems(&store), []);
        for (column, evil) in [
            ("at", "at + 1"),
            ("actor", "'mallory'"),
            ("role", "'viewer'"),
            ("origin", "'10.0.0.1'"),
            ("action", "'test.other'"),
            ("target", "'target 9'"),
            ("detail", "'{}'"),
            ("sequence", "sequence + 100"),
        ] {
            let kept = world.sql(&format!("SELECT {column} FROM audit WHERE number = 3"));
            world.sql(&format!("UPDATE audit SET {column} = {evil} WHERE number = 3"));
            let found = problems(&store);
            assert!(
                found.len() == 1 && found[0].number == 3 && found[0].what.contains("changed"),
                "{column}: {found:?}"
            );
            let back = kept.replace('\'', "''");
            let back = if column == "at" || column == "sequence" { back } else { format!("'{back}'") };
            world.sql(&format!("UPDATE audit SET {column} = {back} WHERE number = 3"));
            assert_eq!(problems(&store), [], "{column} as it was");
        }
    });
}

#[test]
fn what_was_cut_off_stays_missing_whatever_is_written_after_it() {
    each_engine(|world| {
        let store = world_with_entries(world, 5);
        world.sql("DELETE FROM audit WHERE number = 5");
        world.sql("UPDATE audit_heads SET count = 4, head = (SELECT mac FROM audit WHERE number = 4)");
        assert!(store.checkpoint().is_err(), "nothing forged is signed");
        store.audit(&admin(), "test.action", "the next", &json!({})).unwrap();
        store.audit(&admin(), "test.action", "and another", &json!({})).unwrap();
        let found = problems(&store);
        assert!(found.len() == 1 && found[0].number == 5 && found[0].what.contains("dropped"), "{found:?}");
        assert!(store.checkpoint().is_ok());
    });
}

#[test]
fn finds_an_entry_that_was_dropped_or_cut_off_and_a_chain_that_is_gone() {
    each_engine(|world| {
        let store = world_with_entries(world, 6);
        world.sql("DELETE FROM audit WHERE number = 3");
        let found = problems(&store);
        assert!(found.len() == 1 && found[0].number == 3 && found[0].what.contains("dropped"), "{found:?}");
        world.sql("DELETE FROM audit WHERE number = 6");
        assert!(problems(&store).iter().any(|problem| problem.what.contains("cut")));
        world.sql("DELETE FROM audit");
        let found = problems(&store);
        assert!(found.len() == 1 && found[0].what.contains("cut"), "{found:?}");
    });
}

#[test]
fn finds_entries_that_changed_places() {
    each_engine(|world| {
        let store = world_with_entries(world, 5);
        for (from, to) in [(2, 100), (3, 2), (100, 3)] {
            world.sql(&format!("UPDATE audit SET number = {to} WHERE number = {from}"));
        }
        let found = problems(&store);
        assert_eq!(found.iter().map(|problem| problem.number).collect::<Vec<_>>(), [2, 3, 4]);
    });
}

#[test]
fn finds_an_end_that_was_moved_or_removed() {
    each_engine(|world| {
        let store = world_with_entries(world, 3);
        // Cut the last entry, and write the end as if it had never been there.
        world.sql("DELETE FROM audit WHERE number = 3");
        world.sql("UPDATE audit_heads SET count = 2, head = (SELECT mac FROM audit WHERE number = 2)");
        let found = problems(&store);
        assert!(found.len() == 1 && found[0].what.contains("where the chain ends was changed"), "{found:?}");
        world.sql("DELETE FROM audit_heads");
        assert!(problems(&store)[0].what.contains("gone"));
    });
}

#[test]
fn an_entry_made_without_the_key_is_found() {
    each_engine(|world| {
        let store = world_with_entries(world, 2);
        world.sql(
            "INSERT INTO audit (sequence, writer, number, at, actor, role, origin, action, target, detail, mac)
             SELECT 999, writer, 3, at, actor, role, origin, action, target, detail, mac FROM audit WHERE number = 2",
        );
        let found = problems(&store);
        assert!(found.iter().any(|problem| problem.number == 3), "{found:?}");
    });
}

#[test]
fn a_checkpoint_finds_a_database_that_was_turned_back_whole() {
    let world = World::sqlite();
    let store = world_with_entries(&world, 3);
    drop(store);
    let copy = world.folder.path().join("copy.db");
    std::fs::copy(world.state().join("assay.db"), &copy).unwrap();
    let store = world_with_entries(&world, 2);
    let seen = store.checkpoint().unwrap();
    assert_eq!(seen.checkpoint.count, 5);
    assert_eq!(store.verify_audit(std::slice::from_ref(&seen)).unwrap().problems, []);
    drop(store);
    std::fs::remove_dir_all(world.state()).unwrap();
    std::fs::create_dir(world.state()).unwrap();
    std::fs::copy(&copy, world.state().join("assay.db")).unwrap();
    // By itself the old database is flawless.
    let store = world.open();
    assert_eq!(problems(&store), []);
    let found = store.verify_audit(std::slice::from_ref(&seen)).unwrap().problems;
    assert!(found.len() == 1 && found[0].what.contains("cut"), "{found:?}");
    // Also when the chain has grown again, another way.
    for number in 0..4 {
        store.audit(&admin(), "other.action", "x", &json!(number)).unwrap();
    }
    let found = store.verify_audit(&[seen]).unwrap().problems;
    assert!(found.len() == 1 && found[0].number == 5 && found[0].what.contains("another one"), "{found:?}");
}

#[test]
fn a_checkpoint_survives_a_log_and_one_that_was_forged_is_told() {
    each_engine(|world| {
        let store = world_with_entries(world, 2);
        let signed = store.checkpoint().unwrap();
        let line = serde_json::to_string(&signed).unwrap();
        let read: SignedCheckpoint = serde_json::from_str(&line).unwrap();
        let report = store.verify_audit(std::slice::from_ref(&read)).unwrap();
        assert_eq!(report.problems, []);
        assert_eq!((report.writers[0].entries, report.writers[0].checkpoints), (2, 1));
        let mut forged = read;
        forged.checkpoint.count = 1;
        let found = store.verify_audit(&[forged]).unwrap().problems;
        assert!(found.len() == 1 && found[0].what.contains("not signed"), "{found:?}");
    });
}

#[test]
fn each_writer_has_a_chain_of_its_own_and_all_are_verified() {
    each_engine(|world| {
        let (one, two) = (world.open_as("one@host"), world.open_as("two@host"));
        std::thread::scope(|scope| {
            for store in [&one, &two] {
                scope.spawn(move || {
                    for number in 0..10 {
                        store.audit(&admin(), "test.action", "x", &json!(number)).unwrap();
                    }
                });
            }
        });
        let report = one.verify_audit(&[]).unwrap();
        assert_eq!(report.problems, []);
        let chains: Vec<_> = report.writers.iter().map(|writer| (writer.writer.as_str(), writer.entries)).collect();
        assert_eq!(chains, [("one@host", 10), ("two@host", 10)]);
        world.sql("DELETE FROM audit WHERE writer = 'two@host' AND number = 4");
        let found = one.verify_audit(&[]).unwrap().problems;
        assert!(found.len() == 1 && found[0].writer == "two@host", "{found:?}");
    });
}

#[test]
fn every_change_has_its_entry_and_a_refused_one_has_none() {
    each_engine(|world| {
        let store = world.open();
        store.register(&admin(), &registration("shop", "1")).unwrap();
        mark(&store, &device(1), Banned).unwrap();
        store.retire(&admin(), "shop", "1", None, None).unwrap();
        assert!(store.retire(&admin(), "shop", "1", None, None).is_err());
        let entries = store.audit_entries(Page::default()).unwrap().rows;
        let actions: Vec<_> = entries.iter().map(|entry| (entry.action.as_str(), entry.target.as_str())).collect();
        let id = device(1).to_string();
        assert_eq!(
            actions,
            [("build.retire", "shop 1 linux"), ("device.banned", id.as_str()), ("build.register", "shop 1 linux")]
        );
        assert!(entries[1].detail.contains("a test") && entries[1].actor == "ann");
    });
}

#[test]
fn refuses_entries_that_would_break_a_log() {
    each_engine(|world| {
        let store = world.open();
        assert!(matches!(store.audit(&admin(), "a\nb", "x", &json!(1)), Err(StoreError::NotAText { .. })));
        let long = json!("x".repeat(5000));
        assert!(matches!(store.audit(&admin(), "a", "x", &long), Err(StoreError::TooMany { .. })));
        assert_eq!(store.audit_entries(Page::default()).unwrap().rows, []);
    });
}

#[test]
fn one_writer_tells_where_the_chains_of_all_others_end_and_vouches_for_no_forged_end() {
    each_engine(|world| {
        let (service, command) = (world.open_as("service@host"), world.open_as("cli@host"));
        assert_eq!(service.checkpoints_of_others().unwrap(), [], "there is nobody yet");
        for store in [&service, &command, &command] {
            store.audit(&admin(), "an.action", "x", &json!({})).unwrap();
        }
        let told = service.checkpoints_of_others().unwrap();
        assert!(told.len() == 1 && (told[0].checkpoint.writer.as_str(), told[0].checkpoint.count) == ("cli@host", 2));
        let report = service.verify_audit(&told).unwrap();
        assert!(
            report.problems.is_empty() && report.writers.iter().any(|writer| writer.checkpoints == 1),
            "{report:?}"
        );
        // Gone without a trace: only what was told knows.
        world.sql("DELETE FROM audit WHERE writer = 'cli@host'");
        world.sql("DELETE FROM audit_heads WHERE writer = 'cli@host'");
        assert_eq!(problems(&service), []);
        let found = service.verify_audit(&told).unwrap().problems;
        assert!(found.len() == 1 && found[0].what.contains("cut"), "{found:?}");
        // An end that somebody else wrote is not signed.
        command.audit(&admin(), "an.action", "x", &json!({})).unwrap();
        world.sql("UPDATE audit_heads SET count = 9 WHERE writer = 'cli@host'");
        assert_eq!(service.checkpoints_of_others().unwrap(), []);
    });
}
