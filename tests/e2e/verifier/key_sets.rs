//! Key sets of public keys, sealed and open, from the configuration file to the gateway's answer; and what a stock JWT
//! library makes of their tokens.

use attest_core::feed::SignedDocument;
use e2e::attester::Attester;
use e2e::command::assay;
use e2e::files::Files;
use e2e::house::{House, Plan};
use e2e::jwt;
use e2e::upstream::Recorder;
use e2e::wire::{self, get};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

const KEY: &str = "sk_live_0123456789abcdef";

fn house(tokens: &'static str) -> (House, Recorder) {
    let api = Recorder::start();
    let plan = Plan { apart: true, tokens, ..Plan::default() };
    (House::build(Files::new(), &api.address, KEY, plan), api)
}

fn jwks(house: &House) -> wire::Answer {
    get(&house.service.address, "/assay/v1/jwks.json", &[])
}

/// The key sets as gateways get them, without their signature.
fn for_gateways(house: &House) -> Value {
    let token = std::fs::read_to_string(house.files.at("secrets/gateway.token")).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let answer = get(&house.service.address, "/assay/v1/gateway/keysets", &[("Authorization", &bearer)]);
    assert_eq!(answer.status, 200);
    SignedDocument::parse(&answer.body).unwrap();
    let payload = answer.json()["payload"].as_str().unwrap().to_owned();
    serde_json::from_slice(&attest_core::b64u::decode(payload.as_bytes(), 1 << 20).unwrap()).unwrap()
}

/// As a careful backend checks a token of ours: algorithm, signature, issuer, audience, times.
fn stock_check(token: &str, jwk: &Jwk, algorithm: Algorithm) -> Result<Value, jsonwebtoken::errors::Error> {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&["https://attest.example"]);
    validation.set_audience(&["api.example"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    decode::<Value>(token, &DecodingKey::from_jwk(jwk)?, &validation).map(|token| token.claims)
}

/// The gateway's answer to a genuine app's token, and its log of a refused one.
fn passes_and_fails(house: &House, genuine: &str) {
    assert_eq!(house.get_as(genuine, "/own/x").status, 200);
    assert_eq!(house.get_as(genuine, "/paid/v1/paid").status, 200);
    let mut forged = genuine.to_owned();
    let last = forged.pop().unwrap();
    // Not in the last character, whose low bits need not count: one in the middle of the signature.
    let at = genuine.rfind('.').unwrap() + 20;
    let other = if forged.as_bytes()[at] == b'A' { "B" } else { "A" };
    forged.replace_range(at..=at, other);
    forged.push(last);
    let answer = house.get_as(&forged, "/own/x");
    assert_eq!((answer.status, &house.log_of(&answer)["verdict"]), (403, &"bad_signature".into()));
}

#[test]
fn a_sealed_key_set_conceals_who_failed_and_no_jwt_library_takes_its_tokens() {
    for (tokens, header, algorithm) in [
        ("algorithm: ES256, concealment: sealed", "ASSAY-ES256", Algorithm::ES256),
        ("algorithm: EdDSA, concealment: sealed", "ASSAY-EdDSA", Algorithm::EdDSA),
    ] {
        let (house, _api) = house(tokens);
        let (genuine, failed) = (house.token(), Attester::patched().token(&house.service));
        passes_and_fails(&house, &genuine);
        let answer = house.get_as(&failed, "/own/x");
        assert_eq!((answer.status, &house.log_of(&answer)["verdict"]), (403, &"failed".into()));

        // To whoever has them they are alike: header, names and lengths of claims, and length of the whole.
        let shape = |token: &str| {
            let claims = jwt::claims(token);
            let lengths: Vec<_> = claims
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), value.to_string().len()))
                .collect();
            (token.len(), jwt::header(token), lengths)
        };
        assert_eq!(shape(&genuine), shape(&failed));
        let said = jwt::header(&genuine);
        assert_eq!(
            (&said["alg"], &said["typ"], &said["crit"]),
            (&header.into(), &"assay-sealed+jwt".into(), &serde_json::json!(["asv"]))
        );

        // A library that is handed the very public key refuses both: the algorithm is none that it knows,
        assert_eq!(jwks(&house).status, 404, "nothing invites anybody to check them");
        let document = for_gateways(&house);
        let keys = document["key_sets"][0]["keys"].as_array().unwrap().clone();
        let key = keys.iter().find(|key| key["kid"] == jwt::kid(&genuine).as_str()).unwrap();
        assert!(key.get("secret").is_none() && key.get("decoy").is_none(), "gateways hold no secret of it");
        let jwk: Jwk = serde_json::from_value(key["public_jwk"].clone()).unwrap();
        for token in [&genuine, &failed] {
            assert!(decode_header(token).is_err());
            assert!(stock_check(token, &jwk, algorithm).is_err());
            // and with a header that it does know, the signature is not one over this text.
            let plain = serde_json::json!({ "alg": &header["ASSAY-".len()..], "kid": jwt::kid(token), "typ": "JWT" });
            let rest = token.split_once('.').unwrap().1;
            let dressed = format!("{}.{rest}", attest_core::b64u::encode(plain.to_string().as_bytes()));
            assert!(decode_header(&dressed).is_ok());
            let refused = stock_check(&dressed, &jwk, algorithm).unwrap_err();
            assert_eq!(refused.into_kind(), jsonwebtoken::errors::ErrorKind::InvalidSignature);
            let answer = house.get_as(&dressed, "/own/x");
            assert_eq!(answer.status, 403, "nor does the gateway take it so: {}", house.log_of(&answer));
        }
    }
}

#[test]
fn an_open_key_set_is_for_any_jwt_library_and_tells_a_failed_app_so() {
    for (tokens, algorithm) in [
        ("algorithm: ES256, concealment: open", Algorithm::ES256),
        ("algorithm: EdDSA, concealment: open", Algorithm::EdDSA),
        ("algorithm: RS256, concealment: open", Algorithm::RS256),
    ] {
        let (house, _api) = house(tokens);
        let genuine = house.token();
        passes_and_fails(&house, &genuine);
        let failed = Attester::patched().attest(&house.service, |_| ());
        assert_eq!((failed.status, failed.code()), (403, "refused".to_owned()), "{tokens}: {}", failed.text());
        assert!(failed.json().get("token").is_none());

        let published = jwks(&house);
        assert_eq!((published.status, published.header("content-type")), (200, Some("application/json")));
        for private in ["\"d\"", "\"p\"", "\"k\""] {
            assert!(!published.text().contains(private), "{}", published.text());
        }
        let set: JwkSet = serde_json::from_slice(&published.body).unwrap();
        assert_eq!(set.keys.len(), 2, "the active key and the next");
        let jwk = set.find(&jwt::kid(&genuine)).expect("the key that signed");
        let claims = stock_check(&genuine, jwk, algorithm).unwrap();
        assert_eq!((&claims["app"], &claims["ver"]), (&"shop".into(), &"1.0".into()));
        let other = set.keys.iter().find(|key| key.common.key_id != jwk.common.key_id).unwrap();
        assert!(stock_check(&genuine, other, algorithm).is_err());

        // The command with the published file says what the gateway says; tokens outlive a rotation there, too.
        let file = house.files.write("jwks.json", &published.body);
        let check = [
            &"--json" as &dyn AsRef<std::ffi::OsStr>,
            &"token",
            &"check",
            &genuine,
            &"--jwks",
            &file,
            &"--issuer",
            &"https://attest.example",
            &"--audience",
            &"api.example",
        ];
        assert_eq!(assay(&check).ends(0).json()["verdict"], "attested");
        house.here(&["keyset", "rotate", "--now", "--yes"]).ends(0);
        let next = e2e::wait::until("a token of the next key", || {
            let token = house.token();
            (jwt::kid(&token) != jwt::kid(&genuine)).then_some(token)
        });
        assert!(stock_check(&next, other, algorithm).is_ok(), "it was published before it signed");
        for token in [&genuine, &next] {
            assert_eq!(house.get_as(token, "/own/x").status, 200);
        }
    }
}

#[test]
fn a_decoy_key_set_of_hmac_publishes_nothing_and_with_a_public_key_does_not_start() {
    let (house, _api) = house("algorithm: HS512, concealment: decoy");
    passes_and_fails(&house, &house.token());
    assert_eq!(jwks(&house).status, 404);
    assert_eq!(jwt::header(&house.token())["alg"], "HS512");
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        let service = std::fs::read_to_string(house.files.at("service.yaml")).unwrap().replace("HS512", algorithm);
        let file = house.files.write("wrong.yaml", service);
        for words in [["check"], ["service"]] {
            let ran = assay(&[&words[0], &"-c", &file]).ends(1);
            assert!(ran.err.contains("decoy") && ran.err.contains("which key"), "{}", ran.err);
        }
    }
}
