//! Attacks: signature headers of webhooks, as anybody can send them to a route with a webhook. Input: a byte for what to do,
//! then the header's value; or the changes to a genuine one.
//!
//! Holds: no header makes a body count that was not signed; however a body is cut, the answer is the same; what is read has
//! one timestamp and every signature; and a value longer than any genuine one is not read at all.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use assay_fuzz::{edited, pieces};
use attest_core::time::UnixTime;
use aws_lc_rs::hmac;
use callers::webhook::signature::{MAX_BYTES, MAX_MACS, Timestamp, base64, github, hex, standard, stripe};
use callers::webhook::{Delivery, Scheme, Webhook, WebhookSecret};
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const SECRET: &[u8] = b"fuzzing: a webhook's secret";
const SIGNED: i64 = 1_800_000_000;
const BODY: &[u8] = br#"{"id":"evt_1"}"#;

static WEBHOOKS: LazyLock<[Webhook; 2]> = LazyLock::new(|| {
    [Scheme::Stripe, Scheme::GitHub].map(|scheme| {
        let secret = WebhookSecret::from_text(SECRET).expect("long enough");
        Webhook::new(scheme, vec![secret], Duration::from_secs(300)).expect("a secret and a tolerance")
    })
});

/// What Stripe and GitHub would send with the body.
static GENUINE: LazyLock<[String; 2]> = LazyLock::new(|| {
    let mac = |text: &[u8]| {
        HEXLOWER.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), text).as_ref())
    };
    [format!("t={SIGNED},v1={}", mac(&[b"1800000000.", BODY].concat())), format!("sha256={}", mac(BODY))]
});

fuzz_target!(|data: &[u8]| {
    let Some(([mode, cut], text)) = data.split_first_chunk::<2>() else { return };
    let which = usize::from(mode % 2);
    let genuine = GENUINE[which].as_bytes();
    let value = if mode % 4 < 2 { text.to_vec() } else { edited(genuine, text) };

    readers(&value);
    let Ok(header) = HeaderValue::from_bytes(&value) else { return };
    let right = judged(which, &header, BODY, *cut);
    assert_eq!(right, judged(which, &header, BODY, 255), "cut by {cut}");
    assert_eq!(judged(which, &header, b"{}", *cut), None, "nobody signed this body");
    if value == genuine {
        assert!(right.is_some());
    }
});

/// A delivery with this signature and body.
fn judged(which: usize, header: &HeaderValue, body: &[u8], cut: u8) -> Option<Delivery> {
    let webhook = &WEBHOOKS[which];
    let mut headers = HeaderMap::new();
    headers.insert(webhook.header(), header.clone());
    let mut unread = webhook.open(&headers, UnixTime::from_secs(SIGNED))?.ok()?;
    pieces(body, &[cut]).for_each(|piece| unread.update(piece));
    unread.finish().ok()
}

fn readers(value: &[u8]) {
    let items = |start: &[u8]| value.split(|byte| *byte == b',').filter(|item| item.starts_with(start)).count();
    if let Some(claimed) = stripe(value) {
        assert!(value.len() <= MAX_BYTES && items(b"t=") == 1);
        assert!((1..=MAX_MACS).contains(&claimed.macs.len()) && items(b"v1=") == claimed.macs.len());
        assert_eq!(Timestamp::parse(claimed.timestamp.text()), Some(claimed.timestamp));
    }
    if let Some(macs) = standard(value) {
        assert!(value.len() <= MAX_BYTES && (1..=MAX_MACS).contains(&macs.len()));
    }
    if let Some(mac) = github(value) {
        assert_eq!(hex(&value[7..]), Some(mac));
    }
    let _ = base64(value);
}
