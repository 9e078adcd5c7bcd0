use super::*;
use crate::feed::{FeedError, FeedKey, MAX_ORDER_ROUTES, MAX_ORDERS, OrderKind};
use proptest::prelude::*;
use serde_json::json;

fn entry(number: u64, kind: RevocationKind, value: &str) -> RevocationEntry {
    RevocationEntry { number, kind, value: value.into(), since: 1_000, until: None, lifted: false }
}

fn document() -> RevocationDocument {
    let device = DeviceId::from_bytes([7; 16]).to_string();
    RevocationDocument {
        format: REVOCATIONS_FORMAT.into(),
        number: 5,
        latest: 9,
        issued: 1_000,
        from: 1,
        entries: vec![entry(2, RevocationKind::Device, &device), entry(5, RevocationKind::Build, "12")],
        orders: Some(vec![]),
    }
}

fn refused(change: impl FnOnce(&mut RevocationDocument)) -> Option<FeedError> {
    let mut document = document();
    change(&mut document);
    let text = serde_json::to_vec(&document).unwrap();
    // What can't be parsed is not signed either.
    assert_eq!(document.to_payload().is_err(), !document.is_sound());
    RevocationDocument::parse(&text).err()
}

#[test]
fn refuses_numbers_that_do_not_rise_or_lie_outside() {
    let no = Some(FeedError::NotADocument);
    assert_eq!(refused(|_| ()), None);
    assert_eq!(refused(|d| d.entries[1].number = 2), no);
    assert_eq!(refused(|d| d.entries[0].number = 1), no);
    assert_eq!(refused(|d| d.entries[1].number = 6), no);
    assert_eq!(refused(|d| d.from = 6), no);
    assert_eq!(refused(|d| d.latest = 4), no);
    assert_eq!(refused(|d| d.format = "assay-keysets-v1".into()), Some(FeedError::UnknownFormat));
    let many = |d: &mut RevocationDocument| {
        d.entries = (2..).take(MAX_REVOCATION_ENTRIES + 1).map(|n| entry(n, RevocationKind::Build, "1")).collect();
        (d.number, d.latest) = (1_000_000, 1_000_000);
    };
    assert_eq!(refused(many), no);
}

#[test]
fn refuses_values_that_are_not_of_their_kind() {
    use RevocationKind::{App, Build, Device, IssuedBefore, Kid};
    let long = "k".repeat(257);
    for (kind, value) in [
        (Device, ""),
        (Device, "AAAA"),
        (Device, "BwcHBwcHBwcHBwcHBwcHBx"),
        (App, ""),
        (App, &long),
        (Kid, ""),
        (Kid, &long),
        (Build, "0"),
        (Build, "+1"),
        (Build, "01"),
        (Build, "4294967296"),
        (IssuedBefore, "-1"),
        (IssuedBefore, "1.5"),
        (IssuedBefore, "now"),
    ] {
        assert_eq!(refused(|d| d.entries[1] = entry(5, kind, value)), Some(FeedError::NotADocument), "{kind} {value}");
    }
    for (kind, value) in [(App, "shop"), (Kid, "k1"), (Build, "1"), (IssuedBefore, "0")] {
        assert_eq!(refused(|d| d.entries[1] = entry(5, kind, value)), None, "{kind} {value}");
    }
}

#[test]
fn refuses_members_that_it_does_not_know() {
    let mut text = serde_json::to_value(document()).unwrap();
    text["entries"][0]["scope"] = json!("all");
    assert_eq!(RevocationDocument::parse(text.to_string().as_bytes()).err(), Some(FeedError::NotADocument));
    let mut text = serde_json::to_value(document()).unwrap();
    text["entries"][0]["kind"] = json!("network");
    assert_eq!(RevocationDocument::parse(text.to_string().as_bytes()).err(), Some(FeedError::NotADocument));
}

#[test]
fn its_signature_is_good_for_no_other_document() {
    let key = FeedKey::from_seed(&[1; 32]).unwrap();
    let public = key.public_key().unwrap();
    let payload = document().to_payload().unwrap();
    let signed = key.sign_revocations(&payload);
    assert_eq!(public.verify_revocations(&signed).as_deref(), Ok(payload.as_slice()));
    assert_eq!(public.verify(&signed), Err(FeedError::BadSignature));
    assert_eq!(public.verify_revocations(&key.sign(&payload)), Err(FeedError::BadSignature));
}

#[test]
fn words_read_back() {
    for kind in RevocationKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    assert_eq!("devices".parse::<RevocationKind>(), Err(NotARevocationKind));
}

#[test]
fn the_largest_document_can_be_fetched() {
    let value = "a".repeat(MAX_VALUE_BYTES);
    let order = |id| Order {
        id: u64::MAX - MAX_ORDERS as u64 + id,
        kind: OrderKind::ExtendTokens,
        routes: vec!["r".repeat(64); MAX_ORDER_ROUTES],
        since: i64::MAX / 1_000 - 1,
        until: i64::MAX / 1_000,
        // Four bytes each, and two with its escape: the longest that a character gets.
        reason: "\u{1f6a8}".repeat(200),
        by: "\"".repeat(256),
        extend_by: Some(86_400),
    };
    let formats = [
        (REVOCATIONS_FORMAT, MAX_REVOCATION_ENTRIES, Some((1..=MAX_ORDERS as u64).map(order).collect())),
        (REVOCATIONS_FORMAT_1, MAX_REVOCATION_ENTRIES_1, None),
    ];
    for (format, entries, orders) in formats {
        let one = |n: usize| RevocationEntry {
            since: i64::MAX,
            until: Some(i64::MAX),
            ..entry(u64::MAX - (entries - n) as u64, RevocationKind::App, &value)
        };
        let full = RevocationDocument {
            format: format.into(),
            number: u64::MAX,
            latest: u64::MAX,
            from: 0,
            entries: (0..entries).map(one).collect(),
            orders,
            ..document()
        };
        let signed = FeedKey::from_seed(&[1; 32]).unwrap().sign_revocations(&full.to_payload().unwrap());
        assert!(signed.to_json().len() <= crate::feed::MAX_DOCUMENT_BYTES, "{format} {}", signed.to_json().len());
    }
}

proptest! {
    #[test]
    fn never_panics_and_what_parses_reads_back(
        numbers in proptest::collection::vec(0_u64..40, 0..6),
        (from, number, latest) in (0_u64..20, 0_u64..40, 0_u64..40),
        text in "\\PC{0,60}",
    ) {
        let _ = RevocationDocument::parse(text.as_bytes());
        let entries = numbers.iter().map(|number| entry(*number, RevocationKind::Build, "3")).collect();
        let document = RevocationDocument { from, number, latest, entries, ..document() };
        let parsed = RevocationDocument::parse(&serde_json::to_vec(&document).unwrap());
        let sound = from <= number && number <= latest
            && numbers.windows(2).all(|pair| pair[0] < pair[1])
            && numbers.iter().all(|one| (from + 1..=number).contains(one));
        prop_assert_eq!(parsed.is_ok(), sound);
        if let Ok(parsed) = parsed {
            prop_assert_eq!(RevocationDocument::parse(&parsed.to_payload().unwrap()), Ok(document));
        }
    }
}
