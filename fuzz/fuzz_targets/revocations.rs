//! Attacks: what was revoked, on its way from the service to gateways. Input: a byte, then the payload of a document, or
//! changes to a chain of genuine ones.
//!
//! Holds: every order that is taken has an end within its bound, and holds no longer, on any route; no payload makes an index forget what it does not lift, count wrongly or go back; what is applied survives
//! printing; and a signature over one kind of document is good for no other.
#![no_main]

use std::sync::LazyLock;

use assay_fuzz::edited;
use attest_core::device_key::DeviceId;
use attest_core::feed::{
    FeedKey, FeedPublicKey, MAX_EXTENSION, MAX_ORDER_LASTS, MAX_ORDERS, Order, OrderKind, REVOCATIONS_FORMAT,
    RevocationDocument, RevocationEntry, RevocationKind,
};
use attest_core::orders::{LATE, Orders};
use attest_core::revocations::Index;
use attest_core::time::UnixTime;
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<(FeedKey, FeedPublicKey)> = LazyLock::new(|| {
    attest_core::install_crypto();
    let key = FeedKey::from_seed(&[12; 32]).expect("a seed");
    let public = key.public_key().expect("its public half");
    (key, public)
});

/// An order of each kind.
fn orders() -> Vec<Order> {
    let of = |(kind, id): (&OrderKind, u64)| Order {
        id,
        kind: *kind,
        routes: if id == 1 { vec![] } else { vec!["paid".to_owned()] },
        since: 1_000,
        until: 4_600,
        reason: "an attack".to_owned(),
        by: "ann".to_owned(),
        extend_by: (*kind == OrderKind::ExtendTokens).then_some(600),
    };
    OrderKind::ALL.iter().zip(1..).map(of).collect()
}

/// What holds of orders that were taken.
fn orders_hold(orders: &[Order]) {
    assert!(orders.len() <= MAX_ORDERS && orders.windows(2).all(|pair| pair[0].id < pair[1].id));
    for order in orders {
        let lasts = order.ends().since(UnixTime::from_secs(order.since)).expect("it ends after it began");
        assert!(lasts <= MAX_ORDER_LASTS);
    }
    let all = Orders::new(orders.to_vec());
    let last = orders.iter().map(Order::ends).max().unwrap_or_default();
    for route in ["paid", "", "another"] {
        assert!(all.mode(route, last.plus(LATE)).order().is_none(), "nothing holds for ever");
        assert!(all.extend(route, last).is_zero() && all.extend(route, UnixTime::default()) <= MAX_EXTENSION);
    }
}

/// A first document of a few entries of every kind.
static FIRST: LazyLock<RevocationDocument> = LazyLock::new(|| {
    let device = DeviceId::from_bytes([7; 16]).to_string();
    let values = [device.as_str(), "shop", "12", "k1", "1800000000"];
    let entries = RevocationKind::ALL.iter().zip(values).zip(1..).map(|((kind, value), number)| RevocationEntry {
        number,
        kind: *kind,
        value: value.to_owned(),
        since: 0,
        until: None,
        lifted: false,
    });
    let entries: Vec<_> = entries.collect();
    let format = REVOCATIONS_FORMAT.to_owned();
    RevocationDocument { format, number: 5, latest: 5, issued: 0, from: 0, entries, orders: Some(orders()) }
});

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let payload = match mode % 2 {
        0 => data.to_vec(),
        _ => edited(&FIRST.to_payload().expect("it is sound"), data),
    };
    let Ok(document) = RevocationDocument::parse(&payload) else { return };
    let printed = document.to_payload().expect("what was read can be written");
    assert_eq!(RevocationDocument::parse(&printed).as_ref(), Ok(&document));

    orders_hold(document.orders.as_deref().unwrap_or_default());

    let (key, public) = &*KEY;
    let signed = key.sign_revocations(&printed);
    assert!(public.verify_revocations(&signed).is_ok() && public.verify(&signed).is_err());

    let mut index = Index::default();
    index.apply(&FIRST).expect("the first one");
    let before = (index.number(), index.devices());
    match index.apply(&document) {
        Ok(()) => {
            assert_eq!(index.number(), document.number);
            assert_eq!(index.is_complete(), document.is_latest());
            assert!(index.number() >= before.0, "it never goes back");
            let entries = document.entries.len();
            assert!(document.from == 0 || index.devices().abs_diff(before.1) <= entries);
        }
        Err(_) => assert_eq!((index.number(), index.devices()), before, "a refusal changes nothing"),
    }
});
