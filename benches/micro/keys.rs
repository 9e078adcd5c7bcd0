//! Before stage 7, at a start or when the store has changed: 10,000 keys are opened, every record proven and unsealed once.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "a bench: criterion's own functions have no docs, a panic stops it"
)]

use attest_core::random::SystemRandom;
use criterion::{Criterion, criterion_group, criterion_main};
use keystore::{ApiKey, Bounds, BoundsText, GenerationMemory, KeyName, Keystore, MasterKey};
use recipes::RecipeText;

const KEYS: usize = 10_000;

fn open(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.sealed");
    let master = MasterKey::generate(&SystemRandom).expect("randomness");
    let memory = GenerationMemory::in_process();
    Keystore::create(&path, &master, &memory, &SystemRandom).expect("a new store");
    let bounds = BoundsText {
        schemes: vec!["https".into()],
        hosts: vec!["api.bench".into()],
        methods: vec!["GET".into(), "POST".into()],
        paths: vec!["/v1/chat/completions".into(), "/v1/files/**".into()],
        recipe: RecipeText::Header { name: "authorization".into(), template: "Bearer {key}".into() },
        trust: "public".into(),
    };
    let bounds = Bounds::parse(&bounds).expect("bounds");
    let mut editor = Keystore::edit(&path, &master, &memory).expect("the store");
    for number in 0..KEYS {
        let name = KeyName::parse(&format!("key-{number}")).expect("a name");
        let secret =
            ApiKey::parse(format!("sk-bench-{number:05}-0123456789abcdef0123456789").as_bytes()).expect("a key");
        editor.put(&name, &secret, bounds.clone(), &SystemRandom).expect("room");
    }
    editor.commit(&memory).expect("a disk");
    let mut group = c.benchmark_group("keystore");
    group.sample_size(10);
    group.bench_function("open_10000", |b| b.iter(|| Keystore::open(&path, &master, &memory).expect("it opens")));
    group.finish();
}

criterion_group!(benches, open);
criterion_main!(benches);
