//! Stage 9: what the search for the key adds to passing on an answer of 1 MiB, beside not searching, in one run.
//!
//! A thread reads pieces of 16 KiB from one loopback connection, opens each as TLS does (the API is reached over TLS),
//! searches it or not, seals it and writes it to another. Told is that thread's CPU time, the kernel's part included: less
//! than a gateway spends on such an answer, so the share in a gateway is smaller. `derived`: a minted token is looked for too.
//! The last table is what it takes to begin looking for something: once for a token's life, once for each signature.
//!
//! On a machine that does something else beside it the shares differ by some hundredths from run to run.

#![allow(missing_docs, clippy::expect_used, reason = "a bench: a wrong assumption ends it")]

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use bytes::Bytes;
use keystore::Guard;
use rustix::time::{ClockId, clock_gettime};

const SECRET: &str = "sk-bench-0123456789abcdef0123456789abcdef";
const TOKEN: &str =
    "ya29.a0AfH6SMBx-bench_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefgh";
const SIGNATURE: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const MIB: usize = 1 << 20;
const PIECE: usize = 16 << 10;
const TAG: usize = 16;
const ROUNDS: usize = 60;
const WARM: usize = 5;

fn key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("32 bytes"))
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Both ends of a loopback connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let one = TcpStream::connect(listener.local_addr().expect("bound")).expect("loopback");
    let (other, _) = listener.accept().expect("loopback");
    (one, other)
}

/// An answer of JSON, cut into pieces; sealed where it comes over TLS.
fn answer(tls: bool) -> Vec<u8> {
    let json = br#"{"id":"item-0017","name":"Blue skates","price":129.5,"tags":["sale","s"]},"#;
    let json: Vec<u8> = json.iter().copied().cycle().take(MIB).collect();
    if !tls {
        return json;
    }
    let sealed = json.chunks(PIECE).map(|piece| {
        let mut piece = piece.to_vec();
        key().seal_in_place_append_tag(nonce(), Aad::empty(), &mut piece).expect("short");
        piece
    });
    sealed.collect::<Vec<_>>().concat()
}

/// CPU time of passing on one answer.
fn pass_on(from: &mut TcpStream, to: &mut TcpStream, tls: bool, guard: Option<&Arc<Guard>>) -> Duration {
    let key = key();
    let began = cpu();
    let mut stream = guard.map(Guard::stream);
    for at in 0..MIB / PIECE {
        let mut piece = vec![0; if tls { PIECE + TAG } else { PIECE }];
        from.read_exact(&mut piece).expect("the answer");
        if tls {
            key.open_in_place(nonce(), Aad::empty(), &mut piece).expect("sealed with it");
            piece.truncate(PIECE);
        }
        let mut piece = Bytes::from(piece);
        if let Some(stream) = &mut stream {
            piece = stream.push(piece, at + 1 == MIB / PIECE);
        }
        if tls {
            let mut sealed = Vec::with_capacity(piece.len() + TAG);
            sealed.extend_from_slice(&piece);
            key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut sealed).expect("short");
            to.write_all(&sealed).expect("the client");
        } else {
            to.write_all(&piece).expect("the client");
        }
    }
    cpu() - began
}

/// Medians over rounds in which all kinds take turns.
fn compare(tls: bool, guards: &[Option<Arc<Guard>>]) -> Vec<Duration> {
    let ((mut api, mut from), (mut to, mut client)) = (pair(), pair());
    let answer = answer(tls);
    let rounds = (ROUNDS + WARM) * guards.len();
    let sends = std::thread::spawn(move || (0..rounds).for_each(|_| api.write_all(&answer).expect("loopback")));
    let reads = std::thread::spawn(move || {
        let mut sink = vec![0; 64 << 10];
        while client.read(&mut sink).is_ok_and(|read| read > 0) {}
    });
    let mut times = vec![Vec::with_capacity(ROUNDS); guards.len()];
    for round in 0..ROUNDS + WARM {
        for (guard, times) in guards.iter().zip(&mut times) {
            let time = pass_on(&mut from, &mut to, tls, guard.as_ref());
            if round >= WARM {
                times.push(time);
            }
        }
    }
    drop(to);
    sends.join().and_then(|()| reads.join()).expect("both end");
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    times.into_iter().map(median).collect()
}

fn main() {
    let guard = Guard::for_secret(SECRET.as_bytes(), format!("Bearer {SECRET}").as_bytes()).expect("a long key");
    let derived = guard.with(&[TOKEN]).expect("a long token");
    let guards = [None, Some(guard.clone()), Some(derived)];
    println!("{:<18}{:>14}{:>14}{:>10}{:>14}{:>10}", "1 MiB of JSON", "no guard", "guard", "", "derived too", "");
    for (name, tls) in [("over TLS", true), ("in the clear", false)] {
        let times = compare(tls, &guards);
        let [none, key, both] = times.as_slice() else { continue };
        let share = |time: &Duration| time.as_secs_f64() / none.as_secs_f64();
        println!("{name:<18}{none:>14.1?}{key:>14.1?}{:>9.3}x{both:>14.1?}{:>9.3}x", share(key), share(both));
    }
    println!();
    for (name, one) in [("a signature, 64 hexadecimal digits", SIGNATURE), ("a token of 100 characters", TOKEN)] {
        let began = Instant::now();
        (0..200).for_each(|_| drop(black_box(guard.with(&[black_box(one)]).expect("long"))));
        println!("to look for {name:<38}{:>10.1?}", began.elapsed() / 200);
    }
}
