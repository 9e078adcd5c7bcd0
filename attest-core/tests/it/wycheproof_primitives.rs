//! Wycheproof's signature and MAC tests, through the keys that verify tokens.

use attest_core::token::Algorithm;
use attest_core::token::key_set::{SignatureState, VerificationKey};
use serde_json::Value;

use crate::vectors;

/// Runs a file; `key` makes the key of a group, `signature` names the member. Returns (accepted, refused).
fn run(file: &str, signature: &str, key: impl Fn(&Value, &Value) -> Option<VerificationKey>) -> (usize, usize) {
    let Some(folder) = vectors::folder("01-wycheproof/testvectors_v1") else { return (usize::MAX, usize::MAX) };
    let (mut accepted, mut refused) = (0, 0);
    for group in vectors::json(&folder, file)["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let Some(key) = key(group, test) else { continue };
            let state = key.verify(&vectors::hex(&test["msg"]), &vectors::hex(&test[signature]));
            let case = format!("{file} {} {}", test["tcId"], test["comment"]);
            match test["result"].as_str().unwrap() {
                "valid" => {
                    assert_eq!(state, SignatureState::Genuine, "{case}");
                    accepted += 1;
                }
                "invalid" => {
                    assert_eq!(state, SignatureState::Bad, "{case}");
                    refused += 1;
                }
                // "acceptable": a PKCS#1 encoding with an absent NULL; either answer is right.
                _ => {}
            }
        }
    }
    println!("wycheproof {file}: {accepted} accepted, {refused} refused");
    (accepted, refused)
}

fn pem(group: &Value, alg: Algorithm) -> Option<VerificationKey> {
    let pem = group["publicKeyPem"].as_str().unwrap();
    Some(VerificationKey::from_pem(None, alg, pem.as_bytes()).unwrap_or_else(|error| panic!("{error}: {pem}")))
}

#[test]
fn es256() {
    let (accepted, refused) =
        run("ecdsa_secp256r1_sha256_p1363_test.json", "sig", |group, _| pem(group, Algorithm::ES256));
    assert!(accepted >= 173 && refused >= 89);
}

#[test]
fn eddsa() {
    let (accepted, refused) = run("ed25519_test.json", "sig", |group, _| pem(group, Algorithm::EdDSA));
    assert!(accepted >= 88 && refused >= 63);
}

#[test]
fn rs256() {
    let (accepted, refused) =
        run("rsa_signature_2048_sha256_test.json", "sig", |group, _| pem(group, Algorithm::RS256));
    assert!(accepted >= 9 && refused >= 249);
}

#[test]
fn hs256_with_whole_tags_only() {
    let key = |group: &Value, test: &Value| {
        // Shortened tags are valid MACs and no JWS signatures: see the next test.
        let whole = group["tagSize"] == 256;
        let key = VerificationKey::hmac(None, Algorithm::HS256, &vectors::hex(&test["key"]), None);
        whole.then(|| key.ok()).flatten()
    };
    let (accepted, refused) = run("hmac_sha256_test.json", "tag", key);
    assert!(accepted > 20 && refused > 30, "{accepted} {refused}");
}

#[test]
fn a_shortened_tag_is_no_signature() {
    let Some(folder) = vectors::folder("01-wycheproof/testvectors_v1") else { return };
    let mut count = 0;
    for group in vectors::json(&folder, "hmac_sha256_test.json")["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let key = VerificationKey::hmac(None, Algorithm::HS256, &vectors::hex(&test["key"]), None);
            if group["tagSize"] == 128
                && let Ok(key) = key
            {
                let state = key.verify(&vectors::hex(&test["msg"]), &vectors::hex(&test["tag"]));
                assert_eq!(state, SignatureState::Bad, "{}", test["tcId"]);
                count += 1;
            }
        }
    }
    println!("wycheproof hmac_sha256_test.json: {count} shortened tags refused");
    assert!(count > 0);
}
