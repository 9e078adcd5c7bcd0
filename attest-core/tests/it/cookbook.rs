//! RFC 7520's cookbook: its signatures at the level of the signature, its keys at the level of loading.

use attest_core::token::key_set::{KeySet, KeySetError, VerificationKey};
use serde_json::Value;

use crate::vectors;

fn key_set(key: &Value) -> Result<KeySet, KeySetError> {
    let keys = match key {
        Value::Array(several) => serde_json::json!({ "keys": several }),
        one => one.clone(),
    };
    KeySet::from_jwks("cookbook", vectors::public_jwk(&keys).to_string().as_bytes())
}

#[test]
fn compact_signatures_of_our_algorithms_verify_and_every_other_form_is_refused() {
    let Some(folder) = vectors::folder("02-jose-cookbook") else { return };
    let (mut accepted, mut refused) = (0, 0);
    for (file, good) in [
        ("jws/4_1.rsa_v15_signature.json", true),
        // PS384: RSA is supported with SHA-256 alone.
        ("jws/4_2.rsa-pss_signature.json", false),
        // ES512: P-521 is not supported.
        ("jws/4_3.ecdsa_signature.json", false),
        ("jws/4_4.hmac-sha2_integrity_protection.json", true),
        // Detached payload, JSON serialisations, unencoded payload: no form of a token.
        ("jws/4_5.signature_with_detached_content.json", false),
        ("jws/4_6.protecting_specific_header_fields.json", false),
        ("jws/4_7.protecting_content_only.json", false),
        ("jws/4_8.multiple_signatures.json", false),
        ("curve25519/jws.json", true),
        ("rfc7797/4.2.hmac-sha2_b64_false.json", false),
        ("rfc7797/hmac-sha2_b64_false.json", false),
    ] {
        let example = vectors::json(&folder, file);
        let set = key_set(&example["input"]["key"]);
        for form in ["compact", "json", "json_flat"] {
            let Some(text) = example["output"].get(form) else { continue };
            let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
            let verified = set.as_ref().is_ok_and(|set| vectors::signature_is_good(text.as_bytes(), set));
            assert_eq!(verified, good && form == "compact", "{file} {form}");
            *if verified { &mut accepted } else { &mut refused } += 1;
        }
    }
    println!("cookbook signatures: {accepted} accepted, {refused} refused");
    assert!(accepted == 3 && refused >= 20);
}

#[test]
fn encrypted_objects_are_refused() {
    let Some(folder) = vectors::folder("02-jose-cookbook") else { return };
    let set = key_set(&vectors::json(&folder, "jwk/3_5.symmetric_key_mac_computation.json")).unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir(folder.join("jwe")).unwrap() {
        let example = vectors::json(&folder, entry.unwrap().path().to_str().unwrap());
        if let Some(compact) = example["output"]["compact"].as_str() {
            let outcome = attest_core::token::verify::authenticate(compact.as_bytes(), &set);
            assert_eq!(outcome.map(|_| ()), Err((attest_core::verdict::Verdict::Malformed, "encrypted")));
            count += 1;
        }
    }
    println!("cookbook encrypted objects: {count} refused");
    assert!(count > 5);
}

#[test]
fn keys_load_or_say_why_not() {
    let Some(folder) = vectors::folder("02-jose-cookbook") else { return };
    for (file, expected) in [
        ("jwk/3_1.ec_public_key.json", Err(KeySetError::NotForVerifying)),
        ("jwk/3_2.ec_private_key.json", Err(KeySetError::NotForVerifying)),
        ("jwk/3_3.rsa_public_key.json", Ok(())),
        ("jwk/3_4.rsa_private_key.json", Err(KeySetError::PrivateKey)),
        ("jwk/3_5.symmetric_key_mac_computation.json", Ok(())),
        ("jwk/3_6.symmetric_key_encryption.json", Err(KeySetError::NotForVerifying)),
    ] {
        let jwk = vectors::json(&folder, file).to_string();
        assert_eq!(VerificationKey::from_jwk(jwk.as_bytes()).map(|_| ()), expected, "{file}");
    }
}
