use std::collections::HashMap as Model;

use super::*;
use crate::crypto::sha256;
use crate::feed::REVOCATIONS_FORMAT;
use proptest::prelude::*;
use serde_json::json;

const NOW: UnixTime = UnixTime::from_secs(5_000);

fn id(number: u64) -> DeviceId {
    DeviceId::from_bytes(*sha256(&[&number.to_be_bytes()]).first_chunk().unwrap())
}

fn entry(number: u64, kind: RevocationKind, value: impl ToString) -> RevocationEntry {
    RevocationEntry { number, kind, value: value.to_string(), since: 0, until: None, lifted: false }
}

fn document(from: u64, entries: Vec<RevocationEntry>) -> RevocationDocument {
    let number = entries.last().map_or(from, |entry| entry.number);
    let orders = Some(vec![]);
    RevocationDocument {
        format: REVOCATIONS_FORMAT.into(),
        number,
        latest: number,
        issued: 5_000,
        from,
        entries,
        orders,
    }
}

fn claims(did: &str) -> Claims {
    let claims = json!({"exp": 6_000, "iat": 4_000, "did": did, "app": "shop"});
    Claims::parse(claims.to_string().as_bytes()).unwrap()
}

fn said(index: &Index) -> Option<RevocationKind> {
    let facts = Facts { build: 12, ..Facts::default() };
    index.revokes(&claims(&id(1).to_string()), &facts, Some("k1"), NOW)
}

#[test]
fn each_kind_revokes_what_it_names_and_nothing_else() {
    use RevocationKind::{App, Build, Device, IssuedBefore, Kid};
    assert_eq!(said(&Index::default()), None);
    for (kind, hits, misses) in [
        (Device, id(1).to_string(), id(2).to_string()),
        (App, "shop".into(), "shops".into()),
        (Build, "12".into(), "13".into()),
        (Kid, "k1".into(), "k2".into()),
        (IssuedBefore, "4001".into(), "4000".into()),
    ] {
        assert_eq!(said(&Index::of(&[entry(1, kind, &hits)]).unwrap()), Some(kind));
        assert_eq!(said(&Index::of(&[entry(1, kind, &misses)]).unwrap()), None, "{kind}");
        let lifted = RevocationEntry { lifted: true, ..entry(2, kind, &hits) };
        assert_eq!(said(&Index::of(&[entry(1, kind, &hits), lifted]).unwrap()), None, "{kind}");
    }
}

#[test]
fn a_token_of_no_build_is_not_one_of_build_zero_and_one_without_iat_is_as_old_as_can_be() {
    let index = Index::of(&[entry(1, RevocationKind::Build, 1)]).unwrap();
    assert_eq!(index.revokes(&claims(""), &Facts::default(), None, NOW), None);
    let undated = Claims::parse(br#"{"exp":6000}"#).unwrap();
    let index = Index::of(&[entry(1, RevocationKind::IssuedBefore, 0)]).unwrap();
    assert_eq!(index.revokes(&undated, &Facts::default(), None, NOW), Some(RevocationKind::IssuedBefore));
}

#[test]
fn a_revocation_ends_at_its_moment_and_not_before() {
    let until = RevocationEntry { until: Some(5_001), ..entry(1, RevocationKind::Device, id(1)) };
    let index = Index::of(std::slice::from_ref(&until)).unwrap();
    let at = |secs| index.revokes(&claims(&id(1).to_string()), &Facts::default(), None, UnixTime::from_secs(secs));
    assert_eq!(at(5_000), Some(RevocationKind::Device));
    assert_eq!(at(5_001), None);
    // A clock that is far off ends nothing; neither does an end after what 32 bits hold.
    assert_eq!(at(-1), Some(RevocationKind::Device));
    assert_eq!(at(i64::MAX / 1_000), Some(RevocationKind::Device));
    let late = RevocationEntry { until: Some(i64::MAX), ..until };
    assert!(said(&Index::of(&[late]).unwrap()).is_some());
}

#[test]
fn a_gap_an_older_document_and_one_too_large_are_refused_and_change_nothing() {
    let mut index = Index::default();
    index.apply(&document(0, vec![entry(3, RevocationKind::Device, id(1))])).unwrap();
    assert_eq!(index.apply(&document(4, vec![])), Err(IndexError::Gap { from: 4, have: 3 }));
    assert_eq!(index.apply(&document(0, vec![])), Err(IndexError::Older { got: 0, have: 3 }));
    let apps = |count: usize| (0..count).map(|n| entry(4 + n as u64, RevocationKind::App, n)).collect();
    assert_eq!(index.apply(&document(3, apps(MAX_REVOKED_OTHERS + 1))), Err(IndexError::TooMany));
    assert_eq!((index.number(), said(&index)), (3, Some(RevocationKind::Device)));
    assert_eq!(index.apply(&document(3, vec![])), Ok(()));
}

#[test]
fn a_document_from_the_beginning_replaces_what_was_known() {
    let mut index = Index::default();
    index.apply(&document(0, vec![entry(3, RevocationKind::Device, id(1))])).unwrap();
    index.apply(&document(0, vec![entry(4, RevocationKind::App, "other")])).unwrap();
    assert_eq!((said(&index), index.devices()), (None, 0));
}

#[test]
fn an_index_in_the_middle_of_its_documents_is_not_complete() {
    let mut index = Index::default();
    let first = RevocationDocument { latest: 9, ..document(0, vec![entry(3, RevocationKind::Device, id(1))]) };
    index.apply(&first).unwrap();
    assert!(!index.is_complete() && index.issued().secs() == 5_000);
    index.apply(&RevocationDocument { number: 9, latest: 9, ..document(3, vec![]) }).unwrap();
    assert!(index.is_complete() && index.number() == 9);
}

#[test]
fn a_million_devices_take_22_megabytes() {
    let entries: Vec<RevocationEntry> = (0..1_000_000).map(|n| entry(n + 1, RevocationKind::Device, id(n))).collect();
    let mut index = Index::of(&entries).unwrap();
    assert_eq!((index.devices(), index.bytes()), (1_000_000, 22_000_000));
    let revoked = |index: &Index, n| {
        index.revokes(&claims(&id(n).to_string()), &Facts::default(), None, NOW) == Some(RevocationKind::Device)
    };
    assert!((0..1_000_000).step_by(997).all(|n| revoked(&index, n)));
    assert!((1_000_000..2_000_000).step_by(997).all(|n| !revoked(&index, n)));
    // What is lifted later is gone, although the filter still suspects it.
    let lifted = RevocationEntry { lifted: true, ..entry(1_000_001, RevocationKind::Device, id(7)) };
    index.apply(&document(1_000_000, vec![lifted])).unwrap();
    assert!(!revoked(&index, 7) && index.devices() == 999_999);
}

#[test]
fn more_devices_than_the_bound_are_refused() {
    let mut devices = Devices::default();
    for n in 0..=MAX_REVOKED_DEVICES as u64 {
        devices.put(*id(n).as_bytes(), Some(FOR_EVER));
    }
    let index = Index { devices, ..Index::default() };
    assert_eq!(index.check_bounds(), Err(IndexError::TooMany));
}

proptest! {
    /// Whatever comes in whatever order and however it is cut into documents, the index says what a plain map says.
    #[test]
    fn it_agrees_with_a_plain_map(
        changes in proptest::collection::vec((0_u64..300, any::<bool>(), proptest::option::of(4_990_i64..5_010)), 0..600),
        cut in 1_usize..60,
    ) {
        let entries: Vec<RevocationEntry> = changes
            .iter()
            .enumerate()
            .map(|(at, (device, lifted, until))| {
                let one = entry(at as u64 + 1, RevocationKind::Device, id(*device));
                RevocationEntry { lifted: *lifted, until: *until, ..one }
            })
            .collect();
        let (mut index, mut model) = (Index::default(), Model::new());
        for part in entries.chunks(cut) {
            index.apply(&document(index.number(), part.to_vec())).unwrap();
            // As if every document brought many: the list is made anew each time.
            index.devices.settle_now();
        }
        for (device, lifted, until) in &changes {
            match lifted {
                true => drop(model.remove(device)),
                false => drop(model.insert(*device, until.unwrap_or(i64::MAX))),
            }
        }
        prop_assert_eq!(index.devices(), model.len());
        for device in 0..300 {
            let expected = model.get(&device).is_some_and(|until| NOW.secs() < *until);
            let said = index.revokes(&claims(&id(device).to_string()), &Facts::default(), None, NOW);
            prop_assert_eq!(said.is_some(), expected, "device {}", device);
        }
    }
}
