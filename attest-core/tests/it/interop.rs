//! Our tokens read by an independent implementation, and its tokens read by us.

use std::sync::Arc;

use attest_core::device_key::DeviceId;
use attest_core::time::UnixTime;
use attest_core::token::Algorithm;
use attest_core::token::issue::{SigningKey, TokenClaims, issue};
use attest_core::token::key_set::{KeySet, KeySetDraft, VerificationKey};
use attest_core::token::verify::{Expect, authenticate, check};
use attest_core::verdict::Verdict;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde_json::{Value, json};

const SECRET: [u8; 64] = [5; 64];
const NOW: UnixTime = UnixTime::from_secs(4_000_000_000);

fn claims() -> TokenClaims<'static> {
    TokenClaims {
        iss: "https://issuer.example",
        aud: "api.example",
        iat: NOW,
        exp: UnixTime::from_secs(4_000_000_300),
        jti: [1; 16],
        did: Some(DeviceId::from_bytes([2; 16])),
        asv: "",
        arc: "",
        app: Some("shop"),
        ver: None,
        pay: None,
        cnf_jkt: None,
        ipk: None,
        ip: None,
    }
}

fn read_by_them(token: &str, key: &DecodingKey, alg: jsonwebtoken::Algorithm) -> Value {
    let mut validation = Validation::new(alg);
    validation.set_audience(&["api.example"]);
    validation.set_issuer(&["https://issuer.example"]);
    decode::<Value>(token, key, &validation).unwrap().claims
}

#[test]
fn hmac_tokens_of_ours_are_read_by_jsonwebtoken() {
    attest_core::install_crypto();
    for (ours, theirs) in [
        (Algorithm::HS256, jsonwebtoken::Algorithm::HS256),
        (Algorithm::HS384, jsonwebtoken::Algorithm::HS384),
        (Algorithm::HS512, jsonwebtoken::Algorithm::HS512),
    ] {
        let token = issue(&claims(), &SigningKey::hmac("k", ours, &SECRET).unwrap()).unwrap();
        let read = read_by_them(&token, &DecodingKey::from_secret(&SECRET), theirs);
        assert_eq!((read["app"].as_str(), read["exp"].as_i64()), (Some("shop"), Some(4_000_000_300)));
    }
}

#[test]
fn es256_tokens_of_ours_are_read_by_jsonwebtoken_and_its_by_us() {
    attest_core::install_crypto();
    let pkcs8 = SigningKey::generate_pkcs8(Algorithm::ES256).unwrap();
    let signing = SigningKey::from_pkcs8("k", Algorithm::ES256, &pkcs8).unwrap();
    let jwk = signing.public_jwk().unwrap();
    let (x, y) = (jwk["x"].as_str().unwrap(), jwk["y"].as_str().unwrap());
    let theirs = DecodingKey::from_ec_components(x, y).unwrap();
    let token = issue(&claims(), &signing).unwrap();
    assert_eq!(read_by_them(&token, &theirs, jsonwebtoken::Algorithm::ES256)["app"], "shop");

    let header = Header { kid: Some("k".into()), ..Header::new(jsonwebtoken::Algorithm::ES256) };
    let token = encode(&header, &json!({"exp": 4_000_000_300_i64}), &EncodingKey::from_ec_der(&pkcs8)).unwrap();
    let keys = KeySet::from_jwks("theirs", json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap();
    let auth = Arc::new(authenticate(token.as_bytes(), &keys).unwrap());
    assert_eq!(check(&auth, &Expect::valid_at(NOW)).verdict(), Verdict::Attested);
}

#[test]
fn their_hmac_tokens_are_read_by_us() {
    attest_core::install_crypto();
    let token =
        encode(&Header::default(), &json!({"exp": 4_000_000_300.5}), &EncodingKey::from_secret(&SECRET)).unwrap();
    let key = VerificationKey::hmac(None, Algorithm::HS256, &SECRET, None).unwrap();
    let keys = KeySet::new(KeySetDraft::imported("theirs", vec![key])).unwrap();
    let auth = Arc::new(authenticate(token.as_bytes(), &keys).unwrap());
    assert_eq!(auth.claims().exp(), UnixTime::from_millis(4_000_000_300_500));
}
