//! A record and what it is bound to.

use super::*;
use attest_core::random::SystemRandom;

fn facts() -> RecordFacts {
    let bounds = Bounds::parse(&crate::store::tests_support::bounds("api.example.com")).unwrap();
    RecordFacts { id: RecordId([9; 16]), name: KeyName::parse("vendor").unwrap(), version: NonZeroU32::MIN, bounds }
}

fn keys() -> StoreKeys {
    crate::store_keys::tests::fresh()
}

#[test]
fn a_change_of_any_bound_makes_the_record_unusable() {
    let keys = keys();
    let secret = ApiKey::parse(b"sk-0123456789abcdef").unwrap();
    let record = SealedRecord::seal(facts(), &secret, &keys, &SystemRandom).unwrap();
    assert_eq!(record.unseal(&keys).unwrap().expose(), secret.expose());

    let with_bounds = |change: &dyn Fn(&mut crate::BoundsText)| {
        let mut text = record.bounds.to_text();
        change(&mut text);
        SealedRecord { bounds: Bounds::parse(&text).unwrap(), ..record.clone() }
    };
    let changed = [
        with_bounds(&|text| text.hosts = vec!["evil.example".into()]),
        with_bounds(&|text| text.hosts.push("evil.example".into())),
        with_bounds(&|text| text.methods.push("DELETE".into())),
        with_bounds(&|text| text.paths = vec!["/**".into()]),
        with_bounds(&|text| text.trust = format!("sha256:{}", "0".repeat(64))),
        with_bounds(&|text| {
            text.recipe = crate::bounds::RecipeText::Header { name: "x-other".into(), template: "{key}".into() };
        }),
        SealedRecord { name: KeyName::parse("other").unwrap(), ..record.clone() },
        SealedRecord { version: NonZeroU32::new(2).unwrap(), ..record.clone() },
        SealedRecord { id: RecordId([8; 16]), ..record.clone() },
        SealedRecord { fingerprint: Fingerprint([0; 8]), ..record.clone() },
    ];
    for other in changed {
        assert_eq!(other.unseal(&keys).unwrap_err(), DoesNotUnseal, "{other:?}");
        assert_ne!(other.hash(), record.hash());
    }
}

#[test]
fn halves_of_two_records_do_not_fit_together() {
    let keys = keys();
    let secret = ApiKey::parse(b"sk-0123456789abcdef").unwrap();
    let seal = || SealedRecord::seal(facts(), &secret, &keys, &SystemRandom).unwrap();
    let halves = |record: &SealedRecord| match record.body.clone() {
        Body::Wrapped { wrapped_key, sealed } => (wrapped_key, sealed),
        Body::Accepted { .. } => unreachable!(),
    };
    let one = seal();
    let ((wrapped_key, sealed), (other_key, other_sealed)) = (halves(&one), halves(&seal()));
    let with = |body| SealedRecord { body, ..one.clone() };
    assert!(with(Body::Wrapped { wrapped_key: other_key, sealed: sealed.clone() }).unseal(&keys).is_err());
    assert!(with(Body::Wrapped { wrapped_key: wrapped_key.clone(), sealed: other_sealed }).unseal(&keys).is_err());
    assert!(with(Body::Wrapped { wrapped_key, sealed }).unseal(&keys).is_ok());
    assert!(one.unseal(&self::keys()).is_err(), "another key-encryption key");
}
