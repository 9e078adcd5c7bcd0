//! Attacks: the keystore's file, by somebody who can write it and has no key. Input: raw bytes, or changes to a genuine
//! store with two keys.
//!
//! Holds: what opens is what was sealed: same keys, versions, bounds and generation, whatever was changed around them.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use assay_fuzz::{edited, folder, private_file};
use attest_core::random::SeededRandom;
use keystore::bounds::RecipeText;
use keystore::{ApiKey, Bounds, BoundsText, GenerationMemory, KeyName, Keystore, MasterKey};
use libfuzzer_sys::fuzz_target;

struct Genuine {
    master: MasterKey,
    bytes: Vec<u8>,
    contents: String,
}

static GENUINE: LazyLock<Genuine> = LazyLock::new(|| {
    attest_core::install_crypto();
    let random = SeededRandom::new(7);
    let (master, memory) = (MasterKey::generate(&random).expect("seeded"), GenerationMemory::in_process());
    let path = folder().join("genuine.keys");
    Keystore::create(&path, &master, &memory, &random).expect("a new store");
    let mut editor = Keystore::edit(&path, &master, &memory).expect("nobody else writes");
    for (name, secret) in [("maps", &b"sk-maps-0123456789abcdef"[..]), ("mail", b"sk-mail-0123456789abcdef")] {
        let (name, secret) = (KeyName::parse(name).expect("a name"), ApiKey::parse(secret).expect("a secret"));
        editor.put(&name, &secret, bounds(), &random).expect("room");
    }
    editor.commit(&memory).expect("written");
    let contents = seen(&path, &master).expect("it opens");
    Genuine { master, bytes: std::fs::read(&path).expect("readable"), contents }
});

fn bounds() -> Bounds {
    let text = BoundsText {
        schemes: vec!["https".to_owned()],
        hosts: vec!["api.example.com".to_owned()],
        methods: vec!["GET".to_owned()],
        paths: vec!["/v1/**".to_owned()],
        recipe: RecipeText::Header { name: "x-api-key".to_owned(), template: "{key}".to_owned() },
        trust: "public".to_owned(),
    };
    Bounds::parse(&text).expect("good bounds")
}

fn seen(path: &Path, master: &MasterKey) -> Option<String> {
    let store = Keystore::open(path, master, &GenerationMemory::in_process()).ok()?;
    Some(format!("{} {} {:?}", store.id(), store.generation(), store.list()))
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let bytes = if mode % 2 == 0 { data.to_vec() } else { edited(&GENUINE.bytes, data) };
    let path = private_file("a.keys", &bytes);
    if let Some(contents) = seen(&path, &GENUINE.master) {
        assert_eq!(contents, GENUINE.contents);
    }
});
