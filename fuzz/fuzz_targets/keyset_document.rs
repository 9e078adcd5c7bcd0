//! Attacks: the key sets on their way from the service to gateways. Input: a byte, then a payload, or the JSON of a
//! signed document.
//!
//! Holds: nothing that we did not sign verifies; what we signed does, to the last byte and not with one changed; and a
//! document survives printing.
#![no_main]

use std::sync::LazyLock;

use assay_fuzz::same;
use attest_core::feed::{FeedKey, FeedPublicKey, KeySetDocument, SignedDocument};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static KEY: LazyLock<(FeedKey, FeedPublicKey)> = LazyLock::new(|| {
    attest_core::install_crypto();
    let key = FeedKey::from_seed(&[11; 32]).expect("a seed");
    let public = key.public_key().expect("its public half");
    let public = FeedPublicKey::parse(&public.to_string()).expect("what was printed can be read");
    (key, public)
});

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let (key, public) = &*KEY;
    if mode % 2 == 0 {
        let Ok(document) = SignedDocument::parse(data) else { return };
        assert!(public.verify(&document).is_err(), "we did not sign this");
        // What was written with escapes is not base64url and verifies nowhere; it need not survive printing.
        if let Ok(again) = SignedDocument::parse(document.to_json().as_bytes()) {
            assert!(public.verify(&again).is_err());
        }
        return;
    }
    let signed = key.sign(data);
    let arrived = SignedDocument::parse(signed.to_json().as_bytes()).expect("what was printed can be read");
    assert!(arrived == signed);
    assert_eq!(public.verify(&arrived).as_deref(), Ok(data));
    changed_is_refused(&signed, public);

    let Ok(document) = KeySetDocument::parse(data) else { return };
    let printed = document.to_payload().expect("it can be printed");
    let again = KeySetDocument::parse(&printed).expect("what was printed can be read");
    assert!(same(&value(&printed), &value(&again.to_payload().expect("it can be printed"))));
    assert_eq!(document.key_sets().map(|sets| sets.len()).ok(), again.key_sets().map(|sets| sets.len()).ok());
});

fn changed_is_refused(signed: &SignedDocument, public: &FeedPublicKey) {
    let mut changed: Value = serde_json::from_str(&signed.to_json()).expect("JSON");
    let Some(payload) = changed.get("payload").and_then(Value::as_str).filter(|payload| !payload.is_empty()) else {
        return;
    };
    let flipped = format!("{}{}", if payload.starts_with('A') { 'B' } else { 'A' }, &payload[1..]);
    changed["payload"] = flipped.into();
    let changed = SignedDocument::parse(changed.to_string().as_bytes()).expect("still a document");
    assert!(public.verify(&changed).is_err());
}

fn value(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("JSON")
}
