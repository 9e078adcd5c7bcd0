//! Records sealed by somebody who can't read the store.

use super::*;
use crate::operator::OperatorKey;
use crate::pending::{PendingFingerprint, PendingRecord, SealToError, seal_to};

/// A record for the sample's store, as a laptop makes it.
pub(super) fn sealed(sample: &Sample, name: &str, secret: &str) -> PendingRecord {
    let public = Keystore::head(&FileDocument::to_read(&sample.path)).unwrap().public_key;
    let bounds = Bounds::parse(&bounds("api.example.com")).unwrap();
    seal_to(&public, &name_of(name), &ApiKey::parse(secret.as_bytes()).unwrap(), bounds).unwrap()
}

/// Adds it to the file, without any key.
pub(super) fn append(sample: &Sample, record: &PendingRecord) {
    Keystore::append_pending(&FileDocument::to_write(&sample.path).unwrap(), record.clone()).unwrap();
}

fn edit(sample: &Sample) -> Editor {
    Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap()
}

fn states(store: &Keystore) -> Vec<(&str, PendingState)> {
    store.pending().iter().map(|info| (info.name.as_str(), info.state)).collect()
}

/// A store that lists one operator, and his key.
fn with_operator() -> (Sample, OperatorKey) {
    let sample = Sample::new();
    let operator = OperatorKey::create_file(&sample.dir.path().join("ann.key"), &SystemRandom).unwrap();
    let mut editor = edit(&sample);
    editor.add_operator(&name_of("ann"), operator.public()).unwrap();
    editor.commit(&sample.memory).unwrap();
    (sample, operator)
}

fn signed(sample: &Sample, record: PendingRecord, operator: &OperatorKey) -> PendingRecord {
    let head = Keystore::head(&FileDocument::to_read(&sample.path)).unwrap();
    record.signed(operator, &head)
}

#[test]
fn what_is_pending_is_never_injected_and_changes_no_generation() {
    let sample = Sample::new();
    append(&sample, &sealed(&sample, "third", "sk-third-0123456789abcdef"));
    append(&sample, &sealed(&sample, "openai", "sk-openai-mallory-0123456789"));
    let store = sample.open().unwrap();
    assert_eq!(store.generation(), 3);
    assert!(store.key("third").is_none());
    assert_eq!(store.key("openai").unwrap().version().get(), 1);
    assert_eq!(states(&store), [("third", PendingState::Waiting), ("openai", PendingState::Waiting)]);
    assert!(!sample.text().contains("0123456789abcdef"));
}

#[test]
fn accepted_it_is_current_under_a_new_name_and_next_under_one_that_exists() {
    let sample = Sample::new();
    let (third, again) = (
        sealed(&sample, "third", "sk-third-0123456789abcdef"),
        sealed(&sample, "openai", "sk-openai-2-0123456789abcdef"),
    );
    append(&sample, &third);
    append(&sample, &again);
    let mut editor = edit(&sample);
    assert_eq!(editor.accept(&name_of("third"), Some(third.fingerprint())).unwrap().state, VersionState::Current);
    assert_eq!(editor.accept(&name_of("openai"), None).unwrap().state, VersionState::Next);
    assert!(matches!(editor.accept(&name_of("third"), None), Err(StoreError::NoSuchPending { .. })));
    editor.commit(&sample.memory).unwrap();
    let store = sample.open().unwrap();
    assert!(store.key("third").is_some() && store.pending().is_empty());
    let mut editor = edit(&sample);
    editor.rotate(&name_of("openai")).unwrap();
    editor.commit(&sample.memory).unwrap();
    assert_eq!(sample.open().unwrap().key("openai").unwrap().version().get(), 2);
}

#[test]
fn of_two_under_one_name_the_fingerprint_tells_which() {
    let sample = Sample::new();
    let ours = sealed(&sample, "third", "sk-third-0123456789abcdef");
    append(&sample, &sealed(&sample, "third", "sk-mallory-0123456789abcdef"));
    append(&sample, &ours);
    let mut editor = edit(&sample);
    assert!(matches!(editor.accept(&name_of("third"), None), Err(StoreError::WhichPending { count: 2, .. })));
    let unknown = PendingFingerprint::parse(&"0".repeat(32)).unwrap();
    assert!(matches!(editor.accept(&name_of("third"), Some(unknown)), Err(StoreError::NoSuchPending { .. })));
    let copied = ours.fingerprint().to_string().to_uppercase();
    editor.accept(&name_of("third"), PendingFingerprint::parse(&copied)).unwrap();
    assert_eq!(editor.reject(&name_of("third"), None).unwrap(), 1);
    assert!(matches!(editor.reject(&name_of("third"), None), Err(StoreError::NoSuchPending { .. })));
}

#[test]
fn refuses_to_seal_what_the_recipe_can_not_use_and_for_another_store() {
    let (sample, other) = (Sample::new(), Sample::new());
    let public = sample.open().unwrap().public_key();
    let bounds = Bounds::parse(&bounds("api.example.com")).unwrap();
    let two_lines = ApiKey::parse(b"sk-0123456789abcdef\nX-Evil: 1").unwrap();
    assert!(matches!(seal_to(&public, &name_of("third"), &two_lines, bounds), Err(SealToError::Secret(_))));
    let foreign = sealed(&other, "third", "sk-third-0123456789abcdef");
    let refused = Keystore::append_pending(&FileDocument::to_write(&sample.path).unwrap(), foreign);
    assert!(matches!(refused, Err(StoreError::OtherRecipient { .. })));
}

#[test]
fn a_record_that_was_changed_or_put_there_by_hand_waits_for_nothing_and_keeps_nobody_out() {
    let (sample, other) = (Sample::new(), Sample::new());
    append(&sample, &sealed(&sample, "third", "sk-third-0123456789abcdef"));
    let mut file: Value = serde_json::from_str(&sample.text()).unwrap();
    let mut elsewhere = file["pending"][0].clone();
    elsewhere["bounds"]["hosts"][0] = "evil.example:443".into();
    let foreign = serde_json::to_value(sealed(&other, "fourth", "sk-fourth-0123456789abcdef")).unwrap();
    file["pending"].as_array_mut().unwrap().extend([elsewhere, foreign]);
    sample.write(format!("{file:#}\n"));
    let store = sample.open().unwrap();
    assert_eq!(
        states(&store),
        [
            ("third", PendingState::Waiting),
            ("third", PendingState::DoesNotOpen),
            ("fourth", PendingState::OtherPublicKey)
        ]
    );
    let refused = edit(&sample).accept(&name_of("fourth"), None).unwrap_err();
    assert!(matches!(refused, StoreError::NotAcceptable { why: PendingState::OtherPublicKey, .. }), "{refused}");
}

#[test]
fn every_flipped_bit_of_a_pending_record_makes_it_another_one_or_the_file_none() {
    let sample = Sample::new();
    append(&sample, &sealed(&sample, "third", "sk-third-0123456789abcdef"));
    let whole = sample.text().into_bytes();
    let genuine = sample.open().unwrap().pending()[0].fingerprint.clone();
    let from = sample.text().find("\"pending\"").unwrap();
    for bit in from * 8..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        sample.write(&changed);
        let Ok(store) = sample.open() else { continue };
        assert_eq!(store.list().len(), 2, "bit {bit}");
        for info in store.pending() {
            assert!(info.fingerprint != genuine && info.state != PendingState::Waiting, "bit {bit}");
        }
    }
}

#[test]
fn signed_by_a_listed_operator_it_is_part_of_the_store_at_once() {
    let (sample, ann) = with_operator();
    append(&sample, &signed(&sample, sealed(&sample, "third", "sk-third-0123456789abcdef"), &ann));
    append(&sample, &signed(&sample, sealed(&sample, "openai", "sk-openai-2-0123456789abcdef"), &ann));
    let store = sample.open().unwrap();
    assert!(store.key("third").is_some() && store.pending().is_empty());
    assert_eq!(store.list()[0].versions[1].state, VersionState::Next, "a name that exists waits for its rotation");
    let told = |signed: &[SignedIn]| signed.iter().map(|one| (one.name.to_string(), one.signer)).collect::<Vec<_>>();
    let expected = [("third".to_owned(), ann.public()), ("openai".to_owned(), ann.public())];
    assert_eq!(told(store.signed_in()), expected, "whoever changes the store has to say so");
    // The next change makes it a record like any other.
    let mut editor = edit(&sample);
    assert_eq!(told(editor.signed_in()), expected);
    editor.rotate(&name_of("openai")).unwrap();
    assert!(editor.commit(&sample.memory).unwrap().signed_in().is_empty());
    let file: Value = serde_json::from_str(&sample.text()).unwrap();
    assert_eq!((file["pending"].as_array().unwrap().len(), file["records"].as_array().unwrap().len()), (0, 4));
    assert!(sample.open().unwrap().key("third").is_some());
}

#[test]
fn a_signature_counts_only_from_a_listed_operator_over_this_record_on_top_of_this_document() {
    let (sample, ann) = with_operator();
    let mallory = OperatorKey::create_file(&sample.dir.path().join("mallory.key"), &SystemRandom).unwrap();
    let head = Keystore::head(&FileDocument::to_read(&sample.path)).unwrap();
    let record = || sealed(&sample, "third", "sk-third-0123456789abcdef");
    let mut moved = record();
    moved.signature = record().signed(&ann, &head).signature;
    let elsewhere = UnprovenHead { store: [7; 16], ..head.clone() };
    let another = UnprovenHead { manifest: [7; 32], ..head.clone() };
    let mut posing = record().signed(&mallory, &head);
    posing.signature =
        posing.signature.map(|signature| crate::pending::OperatorSignature { operator: ann.public(), ..signature });
    for (record, state) in [
        (record().signed(&mallory, &head), PendingState::UnknownOperator),
        (posing, PendingState::BadSignature),
        (moved, PendingState::BadSignature),
        (record().signed(&ann, &elsewhere), PendingState::BadSignature),
        (record().signed(&ann, &another), PendingState::StaleSignature),
    ] {
        let before = sample.text();
        append(&sample, &record);
        let store = sample.open().unwrap();
        assert!(store.key("third").is_none(), "{state:?}");
        assert_eq!(states(&store), [("third", state)]);
        sample.write(before);
    }
}

#[test]
fn a_signed_record_from_the_history_does_not_come_back() {
    let (sample, ann) = with_operator();
    let leaked = signed(&sample, sealed(&sample, "third", "sk-leaked-0123456789abcdef"), &ann);
    append(&sample, &leaked);
    let mut editor = edit(&sample);
    editor.remove(&name_of("third")).unwrap();
    editor.commit(&sample.memory).unwrap();
    append(&sample, &leaked);
    let store = sample.open().unwrap();
    assert!(store.key("third").is_none());
    assert_eq!(states(&store), [("third", PendingState::StaleSignature)]);
}

/// Who can write the file but not open it shows an operator a later generation than there is, and keeps what he signs.
#[test]
fn a_signature_made_over_a_forged_head_is_not_good_later() {
    let (sample, ann) = with_operator();
    let genuine = sample.text();
    let mut forged: Value = serde_json::from_str(&genuine).unwrap();
    let next = sample.open().unwrap().generation() + 1;
    forged["generation"] = next.into();
    sample.write(format!("{forged:#}\n"));
    let hoarded = signed(&sample, sealed(&sample, "third", "sk-leaked-0123456789abcdef"), &ann);
    sample.write(&genuine);
    sample.put("fourth", "sk-fourth-0123456789abcdef", "api.example.com");
    assert_eq!(sample.open().unwrap().generation(), next);
    append(&sample, &hoarded);
    let store = sample.open().unwrap();
    assert!(store.key("third").is_none());
    assert_eq!(states(&store), [("third", PendingState::StaleSignature)]);
}

#[test]
fn who_is_off_the_list_signs_nothing_in() {
    let (sample, ann) = with_operator();
    let mut editor = edit(&sample);
    assert!(matches!(editor.add_operator(&name_of("bob"), ann.public()), Err(StoreError::OperatorExists { .. })));
    assert!(matches!(editor.remove_operator(&name_of("bob")), Err(StoreError::NoSuchOperator { .. })));
    editor.remove_operator(&name_of("ann")).unwrap();
    editor.commit(&sample.memory).unwrap();
    append(&sample, &signed(&sample, sealed(&sample, "third", "sk-third-0123456789abcdef"), &ann));
    assert_eq!(states(&sample.open().unwrap()), [("third", PendingState::UnknownOperator)]);
}

#[test]
fn refuses_more_than_there_is_room_for_and_takes_a_record_again_with_its_signature() {
    let (sample, ann) = with_operator();
    let record = sealed(&sample, "third", "sk-third-0123456789abcdef");
    append(&sample, &record);
    append(&sample, &signed(&sample, record, &ann));
    let file: Value = serde_json::from_str(&sample.text()).unwrap();
    assert_eq!(file["pending"].as_array().unwrap().len(), 1);

    let one = serde_json::to_value(sealed(&sample, "fourth", "sk-fourth-0123456789abcdef")).unwrap();
    let mut file = file;
    file["pending"] = vec![one; MAX_PENDING].into();
    sample.write(format!("{file:#}\n"));
    let more = sealed(&sample, "fifth", "sk-fifth-0123456789abcdef");
    let refused = Keystore::append_pending(&FileDocument::to_write(&sample.path).unwrap(), more);
    assert!(matches!(refused, Err(StoreError::Full { most: MAX_PENDING, .. })));
}
