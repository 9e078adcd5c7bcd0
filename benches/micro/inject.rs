//! Stages 7 and 9: a key opened and its header made, its bounds checked against the request; and the search for the key in an
//! answer of 1 MiB that comes in pieces of 16 KiB, as JSON and as bytes without any order.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "a bench: criterion's own functions have no docs, a panic stops it"
)]

use std::hint::black_box;
use std::time::Instant;

use admission::{Admission, Capacity, Class, Limit, Seat, Who};
use attest_core::random::{Random, SystemRandom};
use attest_core::target::Scheme;
use attest_core::time::UnixTime;
use attest_core::token::danger::{DangerInjectUnattested, unseal_unattested};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, Method};
use keystore::bounds::RecipeText;
use keystore::{
    ApiKey, Bounds, BoundsText, GenerationMemory, Guard, KeyHandle, KeyName, Keystore, MasterKey, OutgoingRequest,
    Trust,
};
use recipes::{Draft, DraftBody};

const SECRET: &str = "sk-bench-0123456789abcdef0123456789abcdef";
const MIB: usize = 1 << 20;
const PIECE: usize = 16 << 10;

fn handle() -> KeyHandle {
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
    let mut editor = Keystore::edit(&path, &master, &memory).expect("the store");
    let (name, secret) = (KeyName::parse("api").expect("a name"), ApiKey::parse(SECRET.as_bytes()).expect("a key"));
    editor.put(&name, &secret, Bounds::parse(&bounds).expect("bounds"), &SystemRandom).expect("room");
    editor.commit(&memory).expect("a disk").key("api").expect("the key")
}

fn seat() -> Seat {
    let now = Instant::now();
    let house = Admission::new(Capacity::of(Limit::Fixed(1)), now, 1);
    house.try_enter(Who { class: Class::Attested, client: 1 }, now).expect("a free seat")
}

fn open(c: &mut Criterion) {
    let handle = handle();
    let right = unseal_unattested(DangerInjectUnattested::read_from_configuration());
    let (seat, headers, now) = (seat(), HeaderMap::new(), UnixTime::from_secs(1_800_000_000));
    let request = OutgoingRequest {
        scheme: Scheme::Https,
        host: "api.bench",
        port: 443,
        method: &Method::POST,
        path: "/v1/files/7",
        trust: Trust::PublicRoots,
    };
    let draft = Draft {
        method: request.method,
        scheme: request.scheme,
        host: request.host,
        path: request.path,
        query: None,
        headers: &headers,
        body: DraftBody::Empty,
        now,
    };
    c.bench_function("inject_header", |b| {
        b.iter(|| {
            let key = handle.open(&right, &seat, black_box(&request), now).expect("within its bounds");
            key.apply(black_box(&draft)).is_ok()
        });
    });
}

fn guard(c: &mut Criterion) {
    let guard = Guard::for_secret(SECRET.as_bytes(), format!("Bearer {SECRET}").as_bytes()).expect("a long key");
    let json: Vec<u8> = br#"{"id":"item-0017","name":"Blue skates","price":129.5,"tags":["sale","s"]},"#
        .iter()
        .copied()
        .cycle()
        .take(MIB)
        .collect();
    let mut noise = vec![0; MIB];
    SystemRandom.fill(&mut noise).expect("randomness");
    let mut group = c.benchmark_group("guard");
    group.throughput(Throughput::Bytes(MIB as u64));
    for (name, body) in [("json_1MiB", Bytes::from(json)), ("random_1MiB", Bytes::from(noise))] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut stream = guard.stream();
                for at in (0..MIB).step_by(PIECE) {
                    black_box(stream.push(body.slice(at..at + PIECE), at + PIECE == MIB));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, open, guard);
criterion_main!(benches);
