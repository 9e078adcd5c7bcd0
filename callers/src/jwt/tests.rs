use data_encoding::BASE64URL_NOPAD;

use aws_lc_rs::hmac;

use attest_core::token::Algorithm;
use attest_core::token::key_set::{KeySetDraft, VerificationKey};

use super::*;

pub(crate) const SECRET: &[u8] = b"an issuer's secret of 32 bytes..";
pub(crate) const NOW: i64 = 1_800_000_000;

/// An issuer of HS256 tokens.
pub(crate) fn issuer(name: &str) -> JwtIssuer {
    let key = VerificationKey::hmac(None, Algorithm::HS256, SECRET, None).unwrap();
    JwtIssuer {
        name: name.into(),
        keys: Arc::new(KeySet::new(KeySetDraft::imported(name, vec![key])).unwrap()),
        id: 7,
        issuer: "https://idp.example".into(),
        audience: "api.example".into(),
        leeway: Duration::from_secs(30),
        max_lifetime: Duration::from_secs(86_400),
    }
}

/// A JWT with these claims.
pub(crate) fn jwt(secret: &[u8], claims: &Value) -> String {
    let encode = |text: &[u8]| BASE64URL_NOPAD.encode(text);
    let signed = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(claims.to_string().as_bytes()));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", encode(mac.as_ref()))
}

/// Claims that are good, with these on top.
pub(crate) fn claims(more: Value) -> Value {
    let mut all =
        serde_json::json!({ "iss": "https://idp.example", "aud": "api.example", "sub": "u-1", "exp": NOW + 600 });
    let (Value::Object(all_of), Value::Object(more)) = (&mut all, more) else { panic!("claims are an object") };
    all_of.extend(more);
    all
}

fn reason(text: &str, now: i64) -> Option<NotGood> {
    issuer("idp").verify(text.as_bytes(), &JwtCache::new(), UnixTime::from_secs(now)).err()
}

#[test]
fn refuses_what_another_key_signed_or_another_api_was_meant_by() {
    let no = |reason, exp_passed| Some(NotGood { reason, exp_passed });
    let good = jwt(SECRET, &claims(serde_json::json!({})));
    assert_eq!(reason(&good, NOW), None);
    assert_eq!(
        reason(&jwt(b"another secret of 32 bytes.....", &claims(serde_json::json!({}))), NOW),
        no("signature_wrong", false)
    );
    let with = |more| jwt(SECRET, &claims(more));
    assert_eq!(reason(&with(serde_json::json!({ "aud": "other.example" })), NOW), no("aud_differs", false));
    assert_eq!(reason(&with(serde_json::json!({ "aud": [] })), NOW), no("aud_missing", false));
    assert_eq!(reason(&with(serde_json::json!({ "iss": "https://idp.example/" })), NOW), no("iss_differs", false));
    assert_eq!(reason(&with(serde_json::json!({ "nbf": NOW + 60 })), NOW), no("nbf_ahead", false));
    assert_eq!(reason(&with(serde_json::json!({ "exp": NOW + 90_000 })), NOW), no("lifetime_too_long", false));
    assert_eq!(reason(&with(serde_json::json!({ "cnf": { "jkt": "x" } })), NOW), no("proof_missing", false));
    assert_eq!(reason(&good, NOW + 631), no("exp_passed", true));
    assert!(reason("opaque", NOW).is_some() && reason("", NOW).is_some());
}

#[test]
fn time_is_asked_each_time_also_of_a_token_that_was_seen() {
    let (issuer, cache) = (issuer("idp"), JwtCache::new());
    let text = jwt(SECRET, &claims(serde_json::json!({ "role": "admin" })));
    let first = issuer.verify(text.as_bytes(), &cache, UnixTime::from_secs(NOW)).unwrap();
    let second = issuer.verify(text.as_bytes(), &cache, UnixTime::from_secs(NOW + 1)).unwrap();
    assert!(Arc::ptr_eq(&first, &second) && cache.len() == 1);
    assert_eq!(second.claims()["role"], "admin");
    assert!(issuer.verify(text.as_bytes(), &cache, UnixTime::from_secs(NOW + 700)).is_err());
    // What another issuer's keys, or another edition of these, made of it is not believed.
    let other = JwtIssuer { id: 8, ..issuer };
    let third = other.verify(text.as_bytes(), &cache, UnixTime::from_secs(NOW)).unwrap();
    assert!(!Arc::ptr_eq(&first, &third));
}

#[test]
fn nothing_made_up_fills_the_cache() {
    let (issuer, cache) = (issuer("idp"), JwtCache::new());
    for n in 0..50 {
        let text = jwt(b"another secret of 32 bytes.....", &claims(serde_json::json!({ "n": n })));
        assert!(issuer.verify(text.as_bytes(), &cache, UnixTime::from_secs(NOW)).is_err());
    }
    assert!(cache.is_empty());
}
