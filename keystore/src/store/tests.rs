//! What a store refuses, each by its name; what a kill leaves; what a rotation does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use attest_core::random::SystemRandom;
use serde_json::Value;

use super::tests_support::{Sample, bounds, name_of};
use super::*;
use crate::ApiKey;
use crate::atomic::Step;
use crate::bounds::Bounds;

/// Opens the sample's file after a change of its JSON.
fn after(change: impl FnOnce(&mut Value)) -> StoreError {
    let sample = Sample::new();
    let mut file: Value = serde_json::from_str(&sample.text()).unwrap();
    change(&mut file);
    sample.write(format!("{}\n", serde_json::to_string_pretty(&file).unwrap()));
    sample.open().unwrap_err()
}

fn records(file: &mut Value) -> &mut Vec<Value> {
    file["records"].as_array_mut().unwrap()
}

#[test]
fn refuses_the_wrong_key_by_name() {
    let sample = Sample::new();
    let other = MasterKey::generate(&SystemRandom).unwrap();
    let error = Keystore::open(&sample.path, &other, &sample.memory).unwrap_err();
    assert!(matches!(error, StoreError::WrongKey { .. }), "{error}");
    assert!(error.to_string().contains(&sample.master.id()) && error.to_string().contains(&other.id()));
}

#[test]
fn refuses_the_file_cut_anywhere() {
    let sample = Sample::new();
    let whole = sample.text();
    for cut in 0..whole.len() {
        sample.write(&whole[..cut]);
        let error = sample.open().unwrap_err();
        assert!(matches!(error, StoreError::Truncated { .. }), "cut at {cut}: {error}");
    }
}

#[test]
fn refuses_every_flipped_bit() {
    let sample = Sample::new();
    let whole = sample.text().into_bytes();
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        sample.write(&changed);
        assert!(sample.open().is_err(), "bit {} of {:?}", bit % 8, &sample.text().get(bit / 8..));
    }
}

#[test]
fn refuses_swapped_records_by_name() {
    let whole = after(|file| records(file).swap(0, 1));
    assert!(matches!(whole, StoreError::RecordsSwapped { .. }), "{whole}");
    let ciphertexts = after(|file| {
        for field in ["wrapped_key", "sealed"] {
            let one = file["records"][0][field].take();
            let other = file["records"][1][field].take();
            file["records"][0][field] = other;
            file["records"][1][field] = one;
        }
    });
    assert!(matches!(ciphertexts, StoreError::RecordsSwapped { .. }), "{ciphertexts}");
}

#[test]
fn refuses_a_dropped_and_an_added_record_by_name() {
    let dropped = after(|file| drop(records(file).remove(1)));
    assert!(matches!(&dropped, StoreError::RecordDropped { name, .. } if name.as_str() == "stripe"), "{dropped}");
    let twice = after(|file| {
        let copy = records(file)[0].clone();
        records(file).push(copy);
    });
    assert!(matches!(twice, StoreError::RecordAdded { .. }), "{twice}");
    let both = after(|file| {
        drop(records(file).remove(1));
        drop(file["manifest"]["entries"].as_array_mut().unwrap().remove(1));
    });
    assert!(matches!(both, StoreError::ManifestChanged { .. }), "{both}");
}

#[test]
fn refuses_a_record_whose_bounds_were_changed_by_name() {
    let changed = after(|file| file["records"][0]["bounds"]["hosts"][0] = "evil.example:443".into());
    assert!(matches!(&changed, StoreError::RecordChanged { name, .. } if name.as_str() == "openai"), "{changed}");
}

#[test]
fn refuses_a_downgraded_and_a_newer_format_by_name() {
    assert!(matches!(after(|file| file["format_version"] = 0.into()), StoreError::DowngradedFormat { found: 0, .. }));
    assert!(matches!(after(|file| file["format_version"] = 2.into()), StoreError::NewerFormat { found: 2, .. }));
    assert!(matches!(after(|file| file["format"] = "other".into()), StoreError::Malformed { .. }));
}

#[test]
fn refuses_an_older_generation_than_this_machine_has_seen_and_takes_it_on_a_fresh_one() {
    let sample = Sample::new();
    let old = sample.text();
    sample.put("third", "sk-third-0123456789abcdef", "api.example.com");
    sample.write(old);
    let error = Keystore::open(&sample.path, &sample.master, &sample.memory).unwrap_err();
    assert!(matches!(error, StoreError::RolledBack { found: 3, seen: 4, .. }), "{error}");
    assert!(Keystore::edit(&sample.path, &sample.master, &sample.memory).is_err(), "nor is it changed");
    assert_eq!(sample.open().unwrap().generation(), 3);
}

#[test]
fn looking_refuses_as_opening_does_and_remembers_nothing() {
    let sample = Sample::new();
    let fresh = GenerationMemory::in_process();
    assert_eq!(Keystore::inspect(&sample.path, &sample.master, &fresh).unwrap().generation(), 3);
    let old = sample.text();
    sample.put("third", "sk-third-0123456789abcdef", "api.example.com");
    Keystore::inspect(&sample.path, &sample.master, &fresh).unwrap();
    sample.write(old);
    assert!(Keystore::inspect(&sample.path, &sample.master, &fresh).is_ok());
    assert!(matches!(
        Keystore::inspect(&sample.path, &sample.master, &sample.memory),
        Err(StoreError::RolledBack { .. })
    ));
}

#[test]
fn refuses_fields_that_are_unknown_or_there_twice() {
    assert!(matches!(after(|file| file["extra"] = 1.into()), StoreError::Malformed { .. }));
    assert!(matches!(after(|file| file["records"][0]["extra"] = 1.into()), StoreError::Malformed { .. }));
    let sample = Sample::new();
    sample.write(sample.text().replacen("\"generation\"", "\"generation\": 9,\n  \"generation\"", 1));
    assert!(matches!(sample.open(), Err(StoreError::Malformed { line: 7, .. })));
}

#[test]
fn refuses_to_create_over_a_file_and_to_edit_while_another_does() {
    let sample = Sample::new();
    let before = sample.text();
    let again = Keystore::create(&sample.path, &sample.master, &sample.memory, &SystemRandom).unwrap_err();
    assert!(matches!(again, StoreError::Exists { .. }));
    let editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    let second = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap_err();
    assert!(matches!(second, StoreError::Busy { .. }), "{second}");
    drop(editor);
    assert_eq!(sample.text(), before, "nothing that is not committed happened");
}

#[test]
fn put_never_overwrites_and_rotation_moves_versions_on() {
    let sample = Sample::new();
    let name = name_of("openai");
    let put = |secret: &str| {
        let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory)?;
        let secret = ApiKey::parse(secret.as_bytes()).unwrap();
        let put = editor.put(&name, &secret, Bounds::parse(&bounds("api.openai.com")).unwrap(), &SystemRandom)?;
        editor.commit(&sample.memory).map(|_| put)
    };
    let rotate = || {
        let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory)?;
        let rotated = editor.rotate(&name)?;
        editor.commit(&sample.memory).map(|_| rotated)
    };
    let states = || {
        let store = sample.open().unwrap();
        let info = store.list().iter().find(|info| info.name == "openai").unwrap().clone();
        let states = info.versions.iter().map(|version| (version.version.get(), version.state.as_str()));
        states.collect::<Vec<_>>()
    };
    let number = |version: u32| NonZeroU32::new(version).unwrap();

    assert!(matches!(rotate(), Err(StoreError::NoNext { .. })));
    assert!(matches!(put("sk-openai-0123456789abcdef"), Err(StoreError::SameSecret { .. })));
    assert_eq!(put("sk-openai-2-0123456789abcdef").unwrap().state, VersionState::Next);
    assert_eq!(states(), [(1, "current"), (2, "next")]);
    assert!(put("sk-openai-3-0123456789abcdef").unwrap_err().to_string().contains("assay key rotate openai"));
    assert_eq!(rotate().unwrap(), Rotated { current: number(2), previous: number(1), dropped: None });
    assert_eq!(states(), [(1, "previous"), (2, "current")]);
    put("sk-openai-3-0123456789abcdef").unwrap();
    assert_eq!(rotate().unwrap().dropped, Some(number(1)));
    assert_eq!(states(), [(2, "previous"), (3, "current")]);
    assert_eq!(sample.open().unwrap().key("openai").unwrap().version(), number(3));
}

#[test]
fn remove_takes_all_versions_and_an_unknown_name_is_an_error() {
    let sample = Sample::new();
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    assert!(matches!(editor.remove(&name_of("absent")), Err(StoreError::NoSuchKey { .. })));
    assert!(matches!(editor.rotate(&name_of("absent")), Err(StoreError::NoSuchKey { .. })));
    editor.remove(&name_of("openai")).unwrap();
    let store = editor.commit(&sample.memory).unwrap();
    assert!(store.key("openai").is_none() && store.key("stripe").is_some());
    assert!(sample.open().unwrap().key("openai").is_none());
}

#[test]
fn a_list_tells_all_but_the_value() {
    let sample = Sample::new();
    let store = sample.open().unwrap();
    let list = serde_json::to_string(store.list()).unwrap();
    assert!(list.contains("api.openai.com:443") && list.contains("\"current\"") && list.contains("Bearer {key}"));
    for text in [list, sample.text(), format!("{store:?} {:?}", store.key("openai"))] {
        assert!(!text.contains("sk-openai") && !text.contains("0123456789abcdef"));
    }
    let fingerprint = store.key("openai").unwrap().fingerprint().to_string();
    assert_eq!(fingerprint.len(), 16);
    assert_ne!(fingerprint, store.key("stripe").unwrap().fingerprint().to_string());
}

#[test]
fn killed_at_any_step_of_a_write_it_opens_with_the_old_content_or_the_new() {
    let steps = [
        Step::CreateTemporary,
        Step::WriteFirstHalf,
        Step::WriteSecondHalf,
        Step::SyncTemporary,
        Step::Rename,
        Step::SyncDirectory,
        Step::Finished,
    ];
    for fatal in steps {
        let sample = Sample::new();
        let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
        let secret = ApiKey::parse(b"sk-third-0123456789abcdef").unwrap();
        editor
            .put(&name_of("third"), &secret, Bounds::parse(&bounds("api.example.com")).unwrap(), &SystemRandom)
            .unwrap();
        // Unwinding runs no clean-up of the writer's: all that is left is what a kill would leave.
        let killed = catch_unwind(AssertUnwindSafe(|| {
            editor.commit_step_by_step(&sample.memory, &mut |step| assert_ne!(step, fatal, "killed here"))
        }));
        assert!(killed.is_err(), "{fatal:?} is never reached");

        let store = Keystore::open(&sample.path, &sample.master, &sample.memory).unwrap();
        let is_new = matches!(fatal, Step::SyncDirectory | Step::Finished);
        assert_eq!(
            (store.generation(), store.key("third").is_some()),
            if is_new { (4, true) } else { (3, false) },
            "{fatal:?}"
        );
        sample.put("after", "sk-after-0123456789abcdef", "api.example.com");
        assert!(sample.open().unwrap().key("after").is_some(), "{fatal:?}: the next writer is not hindered");
        let names: Vec<_> =
            std::fs::read_dir(sample.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{fatal:?}: the store and its lock alone, not {names:?}");
    }
}

#[test]
fn a_link_to_the_store_stays_a_link() {
    let sample = Sample::new();
    let link = sample.dir.path().join("link.sealed");
    std::os::unix::fs::symlink(&sample.path, &link).unwrap();
    let mut editor = Keystore::edit(&link, &sample.master, &sample.memory).unwrap();
    editor.remove(&name_of("openai")).unwrap();
    editor.commit(&sample.memory).unwrap();
    assert!(link.is_symlink());
    assert!(sample.open_at(&link).unwrap().key("openai").is_none() && sample.open().unwrap().key("openai").is_none());
}
