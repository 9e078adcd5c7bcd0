//! What a store refuses, each by its name; what a rotation does.

mod hostile;
mod kek;
mod killed;
mod pending;
mod scale;

use std::num::NonZeroU32;

use attest_core::random::SystemRandom;
use attest_core::time::UnixTime;
use serde_json::Value;

use super::tests_support::{Sample, bounds, name_of};
use super::*;
use crate::ApiKey;
use crate::bounds::Bounds;
use crate::document::FileDocument;

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
    assert!(matches!(after(|file| file["format_version"] = 1.into()), StoreError::DowngradedFormat { found: 1, .. }));
    assert!(matches!(after(|file| file["format_version"] = 3.into()), StoreError::NewerFormat { found: 3, .. }));
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
fn refuses_what_is_below_the_pinned_minimum_even_on_a_fresh_machine() {
    let sample = Sample::new();
    let pinned = |least| GenerationMemory::in_process().at_least(least);
    let error = Keystore::open(&sample.path, &sample.master, &pinned(4)).unwrap_err();
    assert!(matches!(error, StoreError::BelowMinimum { found: 3, least: 4, .. }), "{error}");
    assert!(Keystore::open(&sample.path, &sample.master, &pinned(3)).is_ok());
}

#[test]
fn an_accepted_rollback_is_remembered_and_the_pinned_minimum_is_not_lifted_by_it() {
    let sample = Sample::new();
    let old = sample.text();
    sample.put("third", "sk-third-0123456789abcdef", "api.example.com");
    sample.write(&old);
    let accept = |memory| Keystore::accept_rollback("keys", old.as_bytes(), &sample.master, memory);
    let pinned = GenerationMemory::in_process().at_least(4);
    assert!(matches!(accept(&pinned), Err(StoreError::BelowMinimum { .. })));
    assert_eq!(accept(&sample.memory).unwrap(), (3, Some(4)));
    assert_eq!(Keystore::open(&sample.path, &sample.master, &sample.memory).unwrap().generation(), 3);
}

#[test]
fn refuses_to_write_over_what_was_changed_without_the_lock() {
    let sample = Sample::new();
    let old = sample.text();
    sample.put("third", "sk-third-0123456789abcdef", "api.example.com");
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    editor.remove(&name_of("openai")).unwrap();
    // What a checkout from Git does.
    sample.write(&old);
    let error = editor.commit(&sample.memory).unwrap_err();
    assert!(matches!(error, StoreError::ChangedMeanwhile { .. }), "{error}");
    assert_eq!(sample.text(), old);
}

#[test]
fn refuses_a_secret_that_the_recipe_can_not_use_and_leaves_the_store_as_it_is() {
    let sample = Sample::new();
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    let two_lines = ApiKey::parse(b"sk-0123456789abcdef\r\nX-Evil: 1").unwrap();
    let bounds = Bounds::parse(&bounds("api.example.com")).unwrap();
    let error = editor.put(&name_of("third"), &two_lines, bounds, &SystemRandom).unwrap_err();
    assert!(matches!(&error, StoreError::SecretRefused { .. }), "{error}");
    assert!(!error.to_string().contains("0123456789"));
    assert!(editor.commit(&sample.memory).unwrap().key("third").is_none());
}

#[test]
fn a_disabled_key_is_off_until_its_end_or_until_it_is_enabled() {
    let sample = Sample::new();
    let edit = |change: &dyn Fn(&mut Editor)| {
        let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
        change(&mut editor);
        editor.commit(&sample.memory).unwrap();
        sample.open().unwrap()
    };
    let (openai, stripe, at) = (name_of("openai"), name_of("stripe"), UnixTime::from_secs(1_000));
    let store = edit(&|editor| {
        assert!(matches!(editor.disable(&name_of("absent"), None), Err(StoreError::NoSuchKey { .. })));
        editor.disable(&openai, Some(at)).unwrap();
        editor.disable(&stripe, None).unwrap();
    });
    let off = |store: &Keystore, name, now| store.key(name).unwrap().is_disabled(UnixTime::from_secs(now));
    assert!(off(&store, "openai", 999) && !off(&store, "openai", 1_000));
    assert!(off(&store, "stripe", 999) && off(&store, "stripe", i64::MAX / 1_000_000_000));
    assert_eq!(store.list()[0].disabled, Some(Disabled { until: Some(at) }));
    assert!(sample.text().contains("\"until\": 1000") && sample.text().contains("\"until\": null"));

    let longer = sample.text().replace("\"until\": null", "\"until\": 1");
    let genuine = sample.text();
    sample.write(longer);
    assert!(matches!(sample.open(), Err(StoreError::ManifestChanged { .. })));
    sample.write(genuine);
    let store = edit(&|editor| {
        assert!(editor.enable(&stripe).unwrap());
        assert!(!editor.enable(&stripe).unwrap());
        editor.remove(&openai).unwrap();
    });
    assert!(!off(&store, "stripe", 999) && store.key("openai").is_none());
}

#[test]
fn refuses_a_head_that_was_changed() {
    let changes: [&dyn Fn(&mut Value); 5] = [
        &|file| file["kek"]["provider"] = serde_json::json!({ "kind": "environment" }),
        &|file| file["generation"] = 9.into(),
        &|file| file["inner_key"] = file["recipient"]["private_key"].clone(),
        &|file| file["recipient"]["public_key"] = file["manifest"]["mac"].clone(),
        &|file| {
            let key = file["recipient"]["public_key"].clone();
            file["operators"] = serde_json::json!([{ "name": "mallory", "public_key": key }]);
        },
    ];
    for change in changes {
        let error = after(change);
        assert!(matches!(error, StoreError::ManifestChanged { .. }), "{error}");
    }
}

#[test]
fn a_head_is_read_without_any_key() {
    let sample = Sample::new();
    let head = Keystore::head(&FileDocument::to_read(&sample.path)).unwrap();
    let store = sample.open().unwrap();
    assert_eq!((head.generation, head.kek.id(), head.public_key), (3, sample.master.id().as_str(), store.public_key()));
    assert_eq!(head.kek.provider().kind(), "file");
    let absent = Keystore::head(&FileDocument::to_read(sample.dir.path().join("absent")));
    assert!(matches!(absent, Err(StoreError::Absent { .. })));
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
    assert!(matches!(sample.open(), Err(StoreError::Malformed { line: 6, .. })));
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
fn a_rotation_is_taken_back_and_what_waits_is_thrown_away_alone() {
    let sample = Sample::new();
    let name = name_of("openai");
    let secret = |text: &str| ApiKey::parse(text.as_bytes()).unwrap();
    let elsewhere = || Bounds::parse(&bounds("eu.api.openai.com")).unwrap();
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    assert!(matches!(editor.rotate_back(&name_of("absent")), Err(StoreError::NoSuchKey { .. })));
    assert!(matches!(editor.rotate_back(&name), Err(StoreError::NoPrevious { .. })));
    assert!(matches!(editor.remove_next(&name_of("absent")), Err(StoreError::NoSuchKey { .. })));
    assert!(matches!(editor.remove_next(&name), Err(StoreError::NoNext { .. })));

    // The same secret for another host is another version.
    let old = secret("sk-openai-0123456789abcdef");
    let number = |version: u32| NonZeroU32::new(version).unwrap();
    assert_eq!(editor.put(&name, &old, elsewhere(), &SystemRandom).unwrap().version, number(2));
    assert_eq!(editor.rotate(&name).unwrap().current, number(2));
    assert!(matches!(editor.put(&name, &old, elsewhere(), &SystemRandom), Err(StoreError::SameSecret { .. })));

    editor.put(&name, &secret("sk-mistyped-0123456789abcdef"), elsewhere(), &SystemRandom).unwrap();
    let back = editor.rotate_back(&name).unwrap();
    assert_eq!(back, Rotated { current: number(1), previous: number(2), dropped: None });
    assert_eq!(editor.remove_next(&name).unwrap(), number(3));
    editor.commit(&sample.memory).unwrap();
    let store = sample.open().unwrap();
    let info = store.list().iter().find(|info| info.name == "openai").unwrap();
    let states: Vec<_> = info.versions.iter().map(|v| (v.version.get(), v.state.as_str())).collect();
    assert_eq!(states, [(1, "current"), (2, "previous")]);
    assert_eq!(store.key("openai").unwrap().version(), number(1));
    assert!(store.key("stripe").is_some());
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
