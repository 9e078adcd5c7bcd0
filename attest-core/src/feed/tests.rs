use super::*;
use crate::token::Algorithm;
use crate::token::issue::SigningKey;
use serde_json::json;

fn key() -> FeedKey {
    FeedKey::from_seed(&[1; 32]).unwrap()
}

fn document() -> KeySetDocument {
    KeySetDocument {
        format: FORMAT.into(),
        number: 7,
        issued: 1_000,
        key_sets: vec![KeySetEntry {
            name: "default".into(),
            issuer: "https://a.example".into(),
            audience: "a".into(),
            concealment: "decoy".into(),
            max_lifetime_secs: 600,
            verdict_key: SecretBytes::new(&[3; 32]),
            keys: vec![KeyDocument {
                kid: "k1".into(),
                alg: "HS256".into(),
                state: KeyState::Active,
                secret: Some(SecretBytes::new(&[4; 32])),
                decoy: Some(SecretBytes::new(&[5; 32])),
                public_jwk: None,
            }],
        }],
        revoked: Revoked::default(),
    }
}

#[test]
fn refuses_another_key_a_change_and_another_domain() {
    let signed = key().sign(b"payload");
    let public = key().public_key().unwrap();
    assert_eq!(public.verify(&signed), Ok(b"payload".to_vec()));
    let other = FeedKey::from_seed(&[2; 32]).unwrap().public_key().unwrap();
    assert_eq!(other.verify(&signed), Err(FeedError::BadSignature));
    let changed = SignedDocument { payload: b64u::encode(b"payloae"), ..signed.clone() };
    assert_eq!(public.verify(&changed), Err(FeedError::BadSignature));
    let moved = SignedDocument { payload: b64u::encode(b"assay-feed-v1\0payload"), ..signed.clone() };
    assert_eq!(public.verify(&moved), Err(FeedError::BadSignature));
    let padded = SignedDocument { payload: format!("{}=", signed.payload), ..signed };
    assert_eq!(public.verify(&padded), Err(FeedError::NotADocument));
}

#[test]
fn refuses_texts_that_are_no_pinned_key_and_no_document() {
    let public = key().public_key().unwrap();
    assert_eq!(FeedPublicKey::parse(&format!("{public}\n")).unwrap().to_string(), public.to_string());
    for text in ["", "ed25519:", "ed25519:AAAA", &public.to_string()[8..], &format!("{public}A")] {
        assert_eq!(text.parse::<FeedPublicKey>().err(), Some(FeedError::NotAKey), "{text}");
    }
    let signed = key().sign(b"x");
    assert_eq!(SignedDocument::parse(signed.to_json().as_bytes()), Ok(signed));
    for text in ["", "{}", r#"{"payload":"","signature":"","more":1}"#, r#"{"payload":"","payload":"","signature":""}"#]
    {
        assert_eq!(SignedDocument::parse(text.as_bytes()), Err(FeedError::NotADocument), "{text}");
    }
}

#[test]
fn a_document_comes_back_and_becomes_key_sets() {
    let payload = document().to_payload().unwrap();
    let again = KeySetDocument::parse(&payload).unwrap();
    assert_eq!(again, document());
    let sets = again.key_sets().unwrap();
    assert_eq!((sets[0].name(), sets[0].issuer(), sets[0].keys().len()), ("default", Some("https://a.example"), 1));
    assert_eq!(again.issued().secs(), 1_000);
}

#[test]
fn a_revoked_key_is_gone_and_a_set_without_keys_is_refused() {
    let mut document = document();
    document.revoked.kids = vec!["k1".into()];
    assert_eq!(document.key_sets().err(), Some(FeedError::KeySet(KeySetError::Empty)));
}

#[test]
fn refuses_documents_that_would_weaken_a_check() {
    let refused = |change: fn(&mut KeySetDocument)| {
        let mut document = document();
        change(&mut document);
        KeySetDocument::parse(&document.to_payload().unwrap()).and_then(|document| document.key_sets()).err()
    };
    assert_eq!(refused(|d| d.format = "assay-keysets-v2".into()), Some(FeedError::UnknownFormat));
    assert_eq!(refused(|d| d.key_sets[0].max_lifetime_secs = 0), Some(FeedError::NotADocument));
    assert_eq!(refused(|d| d.key_sets[0].concealment = "none".into()), Some(FeedError::NotADocument));
    assert_eq!(refused(|d| d.key_sets[0].verdict_key = SecretBytes::new(&[3; 31])), Some(FeedError::NotADocument));
    let key = |error| Some(FeedError::KeySet(error));
    assert_eq!(refused(|d| d.key_sets[0].keys[0].decoy = None), key(KeySetError::DecoyMissing));
    assert_eq!(
        refused(|d| d.key_sets[0].keys[0].decoy = Some(SecretBytes::new(&[4; 32]))),
        key(KeySetError::DecoyEqualsSecret)
    );
    assert_eq!(refused(|d| d.key_sets[0].keys[0].secret = None), key(KeySetError::WrongType));
    assert_eq!(refused(|d| d.key_sets[0].keys[0].public_jwk = Some(json!({}))), key(KeySetError::WrongType));
    assert_eq!(refused(|d| d.key_sets[0].keys[0].alg = "none".into()), key(KeySetError::NotForVerifying));
}

#[test]
fn a_public_key_must_carry_the_name_and_algorithm_of_its_entry() {
    let signing =
        SigningKey::from_pkcs8("k1", Algorithm::ES256, &SigningKey::generate_pkcs8(Algorithm::ES256).unwrap()).unwrap();
    let mut document = document();
    document.key_sets[0].concealment = "open".into();
    document.key_sets[0].keys[0] = KeyDocument {
        kid: "k1".into(),
        alg: "ES256".into(),
        state: KeyState::Next,
        secret: None,
        decoy: None,
        public_jwk: signing.public_jwk(),
    };
    assert!(document.key_sets().is_ok());
    document.key_sets[0].concealment = "decoy".into();
    assert_eq!(document.key_sets().err(), Some(FeedError::KeySet(KeySetError::DecoyNeedsHmac)));
    document.key_sets[0].keys[0].kid = "k2".into();
    assert_eq!(document.key_sets().err(), Some(FeedError::KeySet(KeySetError::WrongType)));
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?} {:?} {:?}", document(), key().sign(b"x"), key());
    assert!(shown.contains("[redacted]") && !shown.contains(&b64u::encode(&[4; 32])) && !shown.contains("4, 4, 4"));
}
