//! lua-resty-jwt's cases about `exp` and `nbf`, at the level of time: their secret is too short for us, so each
//! payload is signed anew.

use std::sync::Arc;
use std::time::Duration;

use attest_core::b64u;
use attest_core::time::UnixTime;
use attest_core::token::Algorithm;
use attest_core::token::key_set::{KeySet, KeySetDraft, VerificationKey};
use attest_core::token::verify::{Expect, authenticate, check};
use attest_core::verdict::Verdict;
use serde_json::Value;

use crate::vectors;

const SECRET: [u8; 32] = [7; 32];

/// Signs a payload with HS256, as an issuer with our test secret would.
pub(crate) fn sign(header: &[u8], payload: &[u8]) -> String {
    let input = format!("{}.{}", b64u::encode(header), b64u::encode(payload));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &SECRET);
    format!("{input}.{}", b64u::encode(aws_lc_rs::hmac::sign(&key, input.as_bytes()).as_ref()))
}

/// The key set of that issuer.
pub(crate) fn key_set() -> KeySet {
    let key = VerificationKey::hmac(None, Algorithm::HS256, &SECRET, None).unwrap();
    KeySet::new(KeySetDraft::imported("test", vec![key])).unwrap()
}

#[test]
fn what_the_published_cases_refuse_for_its_time_we_refuse_too() {
    let Some(folder) = vectors::folder("04-jwt-lifetime") else { return };
    let file = vectors::json(&folder, "lua-resty-jwt-static-cases.json");
    let (mut accepted, mut refused, mut stricter) = (0, 0, 0);
    for case in file["cases"].as_array().unwrap() {
        let about_time = case["file"].as_str().unwrap().contains("lifecycle")
            || case["name"].as_str().unwrap().contains("lifetime grace period");
        let Some(claims) = case["decoded"][0].get("claims").filter(|claims| about_time && claims.is_object()) else {
            continue;
        };
        let name = format!("{} {}", case["file"], case["name"]);
        let verdict = judge(claims, &name);
        let theirs = case["upstream_response"].as_str().unwrap();
        if theirs.starts_with("true") {
            if verdict == Verdict::Attested {
                accepted += 1;
            } else {
                // On purpose: a token without `exp`, or with `exp` 0, has no end; no leeway gives it one.
                assert!(claims.get("exp").is_none_or(|exp| exp == 0), "{name}: {verdict}");
                stricter += 1;
            }
        } else if claims.get("exp").is_some_and(|exp| exp == 9_999_999_999_u64) && claims.get("nbf").is_none() {
            // Refused there because the caller demands `nbf`, which we never do.
            assert!(theirs.contains("'nbf' claim is required"), "{name}");
            assert_eq!(verdict, Verdict::Attested, "{name}");
            accepted += 1;
        } else {
            assert_ne!(verdict, Verdict::Attested, "{name}");
            refused += 1;
        }
    }
    println!("jwt lifetime: {accepted} accepted, {refused} refused, {stricter} refused although accepted there");
    assert!(accepted >= 3 && refused >= 15 && stricter >= 3);
}

fn judge(claims: &Value, name: &str) -> Verdict {
    let token = sign(br#"{"alg":"HS256","typ":"JWT"}"#, claims.to_string().as_bytes());
    let leeway = if name.contains("super large") { Duration::from_secs(9_999_999_999) } else { Duration::ZERO };
    let expect = Expect { leeway, ..Expect::valid_at(UnixTime::from_secs(1_700_000_000)) };
    match authenticate(token.as_bytes(), &key_set()) {
        Ok(auth) => check(&Arc::new(auth), &expect).verdict(),
        Err((verdict, _)) => verdict,
    }
}
