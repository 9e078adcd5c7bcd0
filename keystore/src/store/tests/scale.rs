//! Ten thousand keys.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn ten_thousand_keys_are_loaded_within_a_second() {
    let sample = Sample::new();
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    let bounds = Bounds::parse(&bounds("api.example.com")).unwrap();
    for number in 0..9_998 {
        let secret = ApiKey::parse(format!("sk-number-{number:05}-0123456789abcdef").as_bytes()).unwrap();
        editor.put(&name_of(&format!("key-{number:05}")), &secret, bounds.clone(), &SystemRandom).unwrap();
    }
    editor.commit(&sample.memory).unwrap();
    let started = Instant::now();
    let store = sample.open().unwrap();
    let took = started.elapsed();
    assert_eq!(store.list().len(), 10_000);
    // Without optimisation it is the test's own code that is slow.
    let most = if cfg!(debug_assertions) { Duration::from_secs(20) } else { Duration::from_secs(1) };
    assert!(took <= most, "{took:?}");
    println!("10,000 keys in {took:?}");
}

#[test]
fn refuses_one_key_too_many() {
    let sample = Sample::new();
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    let bounds = Bounds::parse(&bounds("api.example.com")).unwrap();
    let put = |editor: &mut Editor, number: usize| {
        let secret = ApiKey::parse(format!("sk-number-{number:05}-0123456789abcdef").as_bytes()).unwrap();
        editor.put(&name_of(&format!("key-{number:05}")), &secret, bounds.clone(), &SystemRandom)
    };
    for number in 2..MAX_RECORDS {
        put(&mut editor, number).unwrap();
    }
    assert!(matches!(put(&mut editor, MAX_RECORDS), Err(StoreError::Full { most: MAX_RECORDS, .. })));
}
