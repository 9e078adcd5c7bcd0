//! Documents by somebody who can write the file and has no key: whatever opens is what was sealed.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::operator::OperatorKey;
use crate::pending::PendingFingerprint;
use crate::recipient::PublicKey;

/// A store with all that a document can hold: a disabled key, an operator, a version that was accepted, one that pends.
struct Genuine {
    master: MasterKey,
    bytes: Vec<u8>,
    seen: String,
}

static GENUINE: LazyLock<Genuine> = LazyLock::new(|| {
    let sample = Sample::new();
    super::pending::append(&sample, &super::pending::sealed(&sample, "third", "sk-third-0123456789abcdef"));
    let operator = OperatorKey::create_file(&sample.dir.path().join("ann.key"), &SystemRandom).unwrap();
    let mut editor = Keystore::edit(&sample.path, &sample.master, &sample.memory).unwrap();
    editor.accept(&name_of("third"), None).unwrap();
    editor.add_operator(&name_of("ann"), operator.public()).unwrap();
    editor.disable(&name_of("stripe"), Some(UnixTime::from_secs(1_900_000_000))).unwrap();
    editor.commit(&sample.memory).unwrap();
    super::pending::append(&sample, &super::pending::sealed(&sample, "fourth", "sk-fourth-0123456789abcdef"));
    let bytes = sample.text().into_bytes();
    let Sample { master, .. } = sample;
    let seen = seen(&master, &bytes).unwrap();
    Genuine { master, bytes, seen }
});

/// All that is proven of a document; what pends is not.
fn seen(master: &MasterKey, bytes: &[u8]) -> Option<String> {
    let store = Keystore::open_bytes("a document", bytes, master, &GenerationMemory::in_process()).ok()?;
    let (kek, operators) = (store.kek(), store.operators());
    Some(format!(
        "{} {} {kek:?} {} {operators:?} {:?}",
        store.id(),
        store.generation(),
        store.public_key(),
        store.list()
    ))
}

fn holds(bytes: &[u8]) -> Result<(), TestCaseError> {
    let _ = Keystore::head_of_bytes("a document", bytes);
    if let Some(seen) = seen(&GENUINE.master, bytes) {
        prop_assert_eq!(&seen, &GENUINE.seen);
    }
    Ok(())
}

/// The JSON pointers of all values, the innermost too.
fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| pointers(member, format!("{at}/{name}"), found));
        }
        Value::Array(members) => {
            members.iter().enumerate().for_each(|(index, member)| pointers(member, format!("{at}/{index}"), found));
        }
        _ => {}
    }
    found.push(at);
}

proptest! {
    #[test]
    fn bytes_written_over_change_nothing_that_opens(
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..8), 0_usize..8), 1..4),
    ) {
        let mut bytes = GENUINE.bytes.clone();
        for (at, new, gone) in edits {
            let from = at.index(bytes.len());
            let to = bytes.len().min(from + gone);
            bytes.splice(from..to, new);
        }
        holds(&bytes)?;
    }

    #[test]
    fn a_value_in_the_place_of_another_changes_nothing_that_opens(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let mut file: Value = serde_json::from_slice(&GENUINE.bytes).unwrap();
        let mut all = Vec::new();
        pointers(&file, String::new(), &mut all);
        let moved = file.pointer(&all[from.index(all.len())]).unwrap().clone();
        *file.pointer_mut(&all[to.index(all.len())]).unwrap() = moved;
        holds(format!("{file:#}\n").as_bytes())?;
    }

    #[test]
    fn nothing_that_is_typed_in_breaks_a_reader(text in ".{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (PublicKey::parse(&text), OperatorPublicKey::parse(&text), PendingFingerprint::parse(&text));
        let _ = (serde_json::from_slice::<PendingRecord>(&bytes), MasterKey::from_text(&bytes));
        prop_assert!(Keystore::open_bytes("a document", &bytes, &GENUINE.master, &GenerationMemory::in_process()).is_err());
    }
}
