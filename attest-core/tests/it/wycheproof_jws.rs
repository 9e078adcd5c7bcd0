//! Wycheproof's JSON Web Signature, Key and Crypto tests, at the level of the signature (their payloads have no `exp`).

use attest_core::token::key_set::{KeySet, KeySetError};
use serde_json::Value;

use crate::vectors;

/// Valid tests that we refuse on purpose, and why.
fn refused_on_purpose(key: &Value, jws: &str) -> Option<&'static str> {
    match (key["alg"].as_str().unwrap_or_default(), header_alg(jws).as_str()) {
        (_, "RS384" | "RS512" | "PS384" | "PS512") => Some("RSA is supported with SHA-256 alone"),
        ("ES521", _) => Some("ES521 is no algorithm; P-521 is not supported"),
        _ if jws.contains('?') => {
            Some("marked valid with a `?` put into the text; RFC 7515 section 2 allows no such character")
        }
        _ => None,
    }
}

#[derive(Default)]
struct Counts {
    accepted: usize,
    refused: usize,
    on_purpose: usize,
    contradictory: usize,
}

fn run(file: &str, folder: &std::path::Path) -> Counts {
    let mut counts = Counts::default();
    for group in vectors::json(folder, file)["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        let set = KeySet::from_jwks("wycheproof", vectors::public_jwk(key).to_string().as_bytes());
        let tests: Vec<_> =
            group["tests"].as_array().unwrap().iter().filter(|test| test.get("jws").is_some()).collect();
        for test in &tests {
            let jws = test["jws"].as_str().map_or_else(|| test["jws"].to_string(), str::to_owned);
            let good = set.as_ref().is_ok_and(|set| vectors::signature_is_good(jws.as_bytes(), set));
            let case = format!("{file} {} {}", test["tcId"], test["comment"]);
            let same_text_valid = tests.iter().any(|other| other["jws"] == test["jws"] && other["result"] == "valid");
            let on_purpose = refused_on_purpose(key, &jws);
            let (expected, counter) = match test["result"].as_str().unwrap() {
                // The padding that should be wrong was lost on its way into the file: the same text is valid above.
                "invalid" if same_text_valid => (true, &mut counts.contradictory),
                "invalid" => (false, &mut counts.refused),
                _ if on_purpose.is_some() => (false, &mut counts.on_purpose),
                _ => (true, &mut counts.accepted),
            };
            assert_eq!(good, expected, "{case}: {on_purpose:?} {:?}", set.as_ref().err());
            *counter += 1;
        }
    }
    let Counts { accepted, refused, on_purpose, contradictory } = &counts;
    println!(
        "wycheproof {file}: {accepted} accepted, {refused} refused, {on_purpose} valid ones refused on purpose, \
         {contradictory} contradictory"
    );
    counts
}

fn header_alg(jws: &str) -> String {
    let header = jws.split('.').next().and_then(|part| attest_core::b64u::decode(part.as_bytes(), 4096).ok());
    let header: Option<Value> = header.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    header.and_then(|header| header["alg"].as_str().map(str::to_owned)).unwrap_or_default()
}

#[test]
fn every_invalid_jws_is_refused_and_every_valid_one_of_our_algorithms_accepted() {
    let Some(folder) = vectors::folder("01-wycheproof/testvectors_v1") else { return };
    let counts = run("json_web_signature_test.json", &folder);
    assert!(counts.refused >= 353 && counts.accepted >= 20 && counts.on_purpose > 0 && counts.contradictory == 2);
}

#[test]
fn every_invalid_key_or_key_set_is_refused() {
    let Some(folder) = vectors::folder("01-wycheproof/testvectors_v1") else { return };
    let keys = run("json_web_key_test.json", &folder);
    assert!(keys.refused >= 21 && keys.accepted >= 5 && keys.on_purpose == 0);
    let crypto = run("json_web_crypto_test.json", &folder);
    assert!(crypto.refused > 0 && crypto.accepted > 0 && crypto.on_purpose + crypto.contradictory == 0);
}

#[test]
fn a_weak_key_is_refused_when_it_is_loaded_and_not_only_when_it_is_used() {
    let Some(folder) = vectors::folder("01-wycheproof/testvectors_v1") else { return };
    let mut weak = 0;
    for group in vectors::json(&folder, "json_web_key_test.json")["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        let loaded = KeySet::from_jwks("wycheproof", vectors::public_jwk(key).to_string().as_bytes());
        let comment = group["tests"][0]["comment"].as_str().unwrap();
        match comment {
            "key_too_short" | "empty_key" | "rejects1024bitRsaKey" | "rejectsKeyWithRocaVulnerability" => {
                assert!(matches!(loaded, Err(KeySetError::Weak(_))), "{comment}: {loaded:?}");
                weak += 1;
            }
            "rejectsPublicExponent1" => assert_eq!(loaded.err(), Some(KeySetError::Invalid)),
            // Its second key has stray bits in its base64url besides.
            "rejectsDuplicateKid" => assert!(loaded.is_err()),
            "rejectsValid" => assert_eq!(loaded.err(), Some(KeySetError::Mixed)),
            _ => {}
        }
    }
    assert!(weak >= 8, "{weak}");
}
