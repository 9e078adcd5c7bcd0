//! Attacks: the response guard, as an upstream that echoes the key in pieces. Input: how many cuts, the cuts, then text in
//! which some bytes stand for a form of the key.
//!
//! Holds: wherever the body is cut, what leaves is the same and as long as what came; no whole key is in it; and it
//! agrees with the guard for headers on whether anything was found.
#![no_main]

use std::sync::{Arc, LazyLock};

use assay_fuzz::pieces;
use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use keystore::Guard;
use libfuzzer_sys::fuzz_target;

const SECRET: &[u8] = br#"sk-A/b+c=d&e"f<h>i'j k%20~(x)"#;

static GUARD: LazyLock<Arc<Guard>> =
    LazyLock::new(|| Guard::for_secret(SECRET, &[b"Bearer ", SECRET].concat()).expect("long enough"));

static FORMS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let shifted = |by: usize| BASE64.encode(&[&b"xyz"[..by], SECRET].concat()).into_bytes();
    let percent = SECRET.iter().map(|byte| format!("%{byte:02X}")).collect::<String>().into_bytes();
    let hex = [HEXLOWER.encode(SECRET).into_bytes(), HEXUPPER.encode(SECRET).into_bytes()];
    [
        vec![SECRET.to_vec(), SECRET[..SECRET.len() - 1].to_vec(), percent, shifted(0), shifted(1), shifted(2)],
        hex.to_vec(),
    ]
    .concat()
});

fuzz_target!(|data: &[u8]| {
    let Some((count, data)) = data.split_first() else { return };
    let Some((cuts, script)) = data.split_at_checked(usize::from(count % 8) + 1) else { return };
    let mut text = Vec::new();
    for byte in script {
        match FORMS.get(usize::from(byte.wrapping_sub(0x80))) {
            Some(form) if text.len() < 16_384 => text.extend_from_slice(form),
            _ => text.push(*byte),
        }
    }

    let mut whole = GUARD.stream();
    let at_once = whole.push(Bytes::copy_from_slice(&text), true);
    let mut stream = GUARD.stream();
    let mut out = Vec::new();
    pieces(&text, cuts).for_each(|piece| out.extend_from_slice(&stream.push(Bytes::copy_from_slice(piece), false)));
    out.extend_from_slice(&stream.push(Bytes::new(), true));

    assert_eq!(out, at_once, "cut by {cuts:?}");
    assert_eq!((out.len(), stream.held()), (text.len(), 0));
    assert_eq!(stream.findings(), whole.findings());
    assert!(!out.windows(SECRET.len()).any(|window| window == SECRET));
    let header = GUARD.scrub_header(&text);
    assert_eq!(header.is_some(), whole.findings() > 0);
});
