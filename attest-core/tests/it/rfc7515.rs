//! RFC 7515 A.1, A.2, A.3, A.5 and RFC 7519 3.1, 6.1: signature, and then time.

use std::sync::Arc;

use attest_core::time::UnixTime;
use attest_core::token::key_set::KeySet;
use attest_core::token::verify::{Expect, authenticate, check};
use attest_core::verdict::Verdict;

use crate::vectors;

#[test]
fn signed_examples_are_attested_in_their_time_and_expired_today_and_the_unsigned_one_never() {
    let Some(folder) = vectors::folder("03-rfc7515-7519") else { return };
    let file = vectors::json(&folder, "vectors.json");
    let cases = file["cases"].as_array().unwrap();
    let sets: Vec<Option<KeySet>> = cases
        .iter()
        .map(|case| {
            case["jwk"].is_object().then(|| KeySet::from_jwks("rfc", case["jwk"].to_string().as_bytes()).unwrap())
        })
        .collect();
    let (in_time, today) = (UnixTime::from_secs(1_300_819_379), UnixTime::from_secs(1_700_000_000));
    let mut signed = 0;
    for (case, own) in cases.iter().zip(&sets) {
        let token = case["token"].as_str().unwrap();
        for set in sets.iter().flatten() {
            match authenticate(token.as_bytes(), set) {
                Ok(auth) => {
                    let auth = Arc::new(auth);
                    assert!(std::ptr::eq(set, own.as_ref().unwrap()), "{} under a key that is not its own", case["id"]);
                    assert_eq!(check(&auth, &Expect::valid_at(in_time)).verdict(), Verdict::Attested);
                    assert_eq!(check(&auth, &Expect::valid_at(today)).verdict(), Verdict::Expired);
                    signed += 1;
                }
                Err(refusal) if own.is_none() => assert_eq!(refusal, (Verdict::Malformed, "alg_none")),
                Err((verdict, _)) => assert_eq!(verdict, Verdict::BadSignature),
            }
        }
    }
    println!("rfc 7515: {signed} signed examples verified, {} cases", cases.len());
    assert_eq!((signed, cases.len()), (3, 4));
}
