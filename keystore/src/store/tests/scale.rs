//! Ten thousand keys, and as many as there is room for. How long it takes is measured by the benches.

use super::*;

#[test]
fn ten_thousand_keys_are_loaded() {
    let sample = Sample::new();
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    let bounds = Bounds::parse(&bounds("api.example.com")).unwrap();
    for number in 0..9_998 {
        let secret = ApiKey::parse(format!("sk-number-{number:05}-0123456789abcdef").as_bytes()).unwrap();
        editor.put(&name_of(&format!("key-{number:05}")), &secret, bounds.clone(), &SystemRandom).unwrap();
    }
    editor.commit(&sample.memory).unwrap();
    let store = sample.open().unwrap();
    assert_eq!(store.list().len(), 10_000);
    assert!(store.key("key-00000").is_some() && store.key("key-09997").is_some());
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
