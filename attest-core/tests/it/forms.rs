//! Every algorithm in every form: what we sign we verify, and a token of one form is worth nothing as one of another.

use std::sync::Arc;
use std::time::Duration;

use attest_core::b64u;
use attest_core::device_key::{DeviceId, DevicePrivateKey, DevicePublicKey};
use attest_core::time::UnixTime;
use attest_core::token::Algorithm;
use attest_core::token::asv::{self, AsvBlock, AsvContext, VerdictKey};
use attest_core::token::issue::{IssueError, SigningKey, TokenClaims, issue, jti_text};
use attest_core::token::key_set::{Concealment, KeySet, KeySetDraft, KeySetError, KeySetKind, VerificationKey};
use attest_core::token::verify::{Expect, authenticate, check};
use attest_core::verdict::Verdict;
use jwt_compact::{AlgorithmExt, UntrustedToken};
use serde_json::{Value, json};

const NOW: UnixTime = UnixTime::from_secs(4_000_000_000);
const PUBLIC: [Algorithm; 5] =
    [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::RS256, Algorithm::PS256];

pub(crate) fn signing(alg: Algorithm) -> SigningKey {
    SigningKey::from_pkcs8("k1", alg, &SigningKey::generate_pkcs8(alg).unwrap()).unwrap()
}

pub(crate) fn key_set(key: &SigningKey, concealment: Concealment) -> Result<KeySet, KeySetError> {
    let public = VerificationKey::from_jwk(key.public_jwk().unwrap().to_string().as_bytes())?;
    KeySet::new(KeySetDraft {
        kind: KeySetKind::Own,
        concealment,
        verdict_key: Some(VerdictKey::new([3; 32])),
        ..KeySetDraft::imported("default", vec![public])
    })
}

/// A token of five minutes with a verdict inside; `asv` replaces the sealed claim.
pub(crate) fn token(key: &SigningKey, passed: bool, asv: Option<&str>, jti: [u8; 16]) -> String {
    let exp = NOW.plus(Duration::from_secs(300));
    let context = AsvContext { iss: "us", aud: "api", kid: key.kid(), iat: NOW, exp };
    let block = AsvBlock { passed, ..AsvBlock::default() };
    let sealed = asv::seal(&VerdictKey::new([3; 32]), &jti_text(&jti), context, &block);
    let claims = TokenClaims {
        iss: "us",
        aud: "api",
        iat: NOW,
        exp,
        jti,
        did: Some(DeviceId::from_bytes([2; 16])),
        asv: asv.unwrap_or(&sealed),
        arc: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        app: Some("shop"),
        ver: None,
        pay: None,
        cnf_jkt: None,
        ipk: None,
        ip: None,
    };
    issue(&claims, key).unwrap()
}

fn verdict(token: &str, keys: &KeySet) -> (Verdict, &'static str) {
    match authenticate(token.as_bytes(), keys) {
        Ok(auth) => {
            let verified = check(&Arc::new(auth), &Expect::valid_at(NOW));
            (verified.verdict(), verified.reason())
        }
        Err(refusal) => refusal,
    }
}

#[test]
fn each_public_key_algorithm_signs_open_and_sealed_and_neither_form_passes_for_the_other() {
    for alg in PUBLIC {
        let key = signing(alg);
        let (open, sealed) = (key_set(&key, Concealment::Open).unwrap(), key_set(&key, Concealment::Sealed).unwrap());
        let plain = token(&key, true, None, [1; 16]);
        let key = key.sealed().unwrap();
        let closed = token(&key, true, None, [1; 16]);
        assert_eq!(verdict(&plain, &open), (Verdict::Attested, "good"), "{alg}");
        assert_eq!(verdict(&closed, &sealed), (Verdict::Attested, "good"), "{alg}");
        assert_eq!(verdict(&plain, &sealed), (Verdict::BadSignature, "alg_not_the_keys"), "{alg}");
        assert_eq!(verdict(&closed, &open), (Verdict::BadSignature, "alg_not_the_keys"), "{alg}");

        // The signature moved below the other header.
        let (header, rest) = plain.split_once('.').unwrap();
        let (sealed_header, sealed_rest) = closed.split_once('.').unwrap();
        let moved = [format!("{sealed_header}.{rest}"), format!("{header}.{sealed_rest}")];
        assert_eq!(verdict(&moved[0], &sealed), (Verdict::BadSignature, "signature_wrong"), "{alg}");
        assert_eq!(verdict(&moved[1], &open), (Verdict::BadSignature, "signature_wrong"), "{alg}");
    }
}

#[test]
fn a_sealed_verdict_decides_and_without_one_the_token_is_malformed() {
    let key = signing(Algorithm::ES256);
    let keys = key_set(&key, Concealment::Sealed).unwrap();
    let key = key.sealed().unwrap();
    assert_eq!(verdict(&token(&key, false, None, [1; 16]), &keys), (Verdict::Failed, "failed_appraisal"));
    let closed = (Verdict::Malformed, "asv_does_not_open");
    assert_eq!(verdict(&token(&key, true, Some(""), [1; 16]), &keys), closed);
    let other = token(&key, true, None, [2; 16]);
    let payload = b64u::decode(other.split('.').nth(1).unwrap().as_bytes(), 4096).unwrap();
    let of_another: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(verdict(&token(&key, true, of_another["asv"].as_str(), [1; 16]), &keys), closed);
}

#[test]
fn a_set_that_conceals_badly_is_refused_with_the_reason() {
    let key = signing(Algorithm::ES256);
    assert_eq!(key_set(&key, Concealment::Decoy).err(), Some(KeySetError::DecoyNeedsHmac));
    let hmac = || VerificationKey::hmac(Some("k"), Algorithm::HS256, &[1; 32], None).unwrap();
    let draft = |kind, concealment, verdict_key, key| KeySetDraft {
        kind,
        concealment,
        verdict_key,
        ..KeySetDraft::imported("x", vec![key])
    };
    let opens = || Some(VerdictKey::new([3; 32]));
    let refused = |draft| KeySet::new(draft).err();
    let own = KeySetKind::Own;
    assert_eq!(refused(draft(own, Concealment::Sealed, opens(), hmac())), Some(KeySetError::SealedNeedsPublicKey));
    let public = || VerificationKey::from_jwk(key.public_jwk().unwrap().to_string().as_bytes()).unwrap();
    let needs_key = Some(KeySetError::SealedNeedsVerdictKey);
    assert_eq!(refused(draft(own, Concealment::Sealed, None, public())), needs_key);
    assert_eq!(refused(draft(KeySetKind::Imported, Concealment::Sealed, opens(), public())), needs_key);
    let secret = SigningKey::hmac("k", Algorithm::HS256, &[1; 32]).unwrap();
    assert_eq!(secret.sealed().err(), Some(KeySetError::SealedNeedsPublicKey));
}

#[test]
fn a_private_key_is_for_one_algorithm() {
    for alg in PUBLIC {
        let der = SigningKey::generate_pkcs8(alg).unwrap();
        let rsa = |alg| matches!(alg, Algorithm::RS256 | Algorithm::PS256);
        for other in Algorithm::ALL.into_iter().filter(|other| *other != alg && !(rsa(*other) && rsa(alg))) {
            assert!(SigningKey::from_pkcs8("k", other, &der).is_err(), "{alg} as {other}");
        }
        assert!(SigningKey::from_pkcs8("k", alg, &der[1..]).is_err());
        assert!(!format!("{:?}", signing(alg)).contains("BEGIN"));
    }
    assert_eq!(SigningKey::generate_pkcs8(Algorithm::HS256).err(), Some(IssueError::Signing));
}

#[test]
fn two_stock_libraries_read_open_tokens_and_refuse_every_sealed_one() {
    attest_core::install_crypto();
    let key = signing(Algorithm::ES256);
    let jwk = key.public_jwk().unwrap();
    let coordinate = |name: &str| b64u::decode_array::<32>(jwk[name].as_str().unwrap().as_bytes()).unwrap();
    let point = [&[4][..], &coordinate("x"), &coordinate("y")].concat();
    let theirs = jsonwebtoken::DecodingKey::from_ec_components(jwk["x"].as_str().unwrap(), jwk["y"].as_str().unwrap());
    let theirs = theirs.unwrap();
    let jsonwebtoken_reads = |token: &str| {
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
        validation.set_audience(&["api"]);
        jsonwebtoken::decode::<Value>(token, &theirs, &validation).is_ok()
    };
    let public = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).unwrap();
    let jwt_compact_reads = |token: &str| {
        let Ok(untrusted) = UntrustedToken::new(token) else { return false };
        jwt_compact::alg::Es256.validator::<Value>(&public).validate(&untrusted).is_ok()
    };
    let plain = token(&key, true, None, [1; 16]);
    assert!(jsonwebtoken_reads(&plain) && jwt_compact_reads(&plain));

    let key = key.sealed().unwrap();
    for (n, passed) in [(1, true), (2, false)] {
        let sealed = token(&key, passed, None, [n; 16]);
        // Not even where it is told not to look at the signature.
        assert!(!jsonwebtoken_reads(&sealed) && jsonwebtoken::dangerous::insecure_decode::<Value>(&sealed).is_err());
        assert!(!jwt_compact_reads(&sealed));
        // Nor does it become one by putting a usual header in front.
        let (_, rest) = sealed.split_once('.').unwrap();
        let dressed = format!("{}.{rest}", b64u::encode(br#"{"alg":"ES256","typ":"JWT"}"#));
        assert!(!jsonwebtoken_reads(&dressed) && !jwt_compact_reads(&dressed));
    }
}

#[test]
fn the_header_of_a_sealed_token_is_the_documented_one() {
    let key = signing(Algorithm::PS256).sealed().unwrap();
    let header: Value = serde_json::from_slice(&b64u::decode(key.header().as_bytes(), 256).unwrap()).unwrap();
    let expected = json!({"alg": "ASSAY-PS256", "crit": ["asv"], "kid": "k1", "typ": "assay-sealed+jwt"});
    assert_eq!(header, expected);
}

#[test]
fn ipk_is_the_device_key_as_approov_writes_it() {
    let device = DevicePrivateKey::generate().unwrap().public_key().unwrap();
    let spki = device.to_spki_der();
    // Read by an independent implementation.
    use p256::pkcs8::DecodePublicKey;
    let read = p256::PublicKey::from_public_key_der(&spki).unwrap();
    let again = DevicePublicKey::parse(p256::EncodedPoint::from(read).as_bytes()).unwrap();
    assert_eq!(again.as_bytes(), device.as_bytes());

    let key = SigningKey::hmac("k", Algorithm::HS256, &[1; 32]).unwrap();
    let exp = NOW.plus(Duration::from_secs(300));
    let claims = TokenClaims {
        iss: "us",
        aud: "api",
        iat: NOW,
        exp,
        jti: [1; 16],
        did: None,
        asv: "",
        arc: "",
        app: None,
        ver: None,
        pay: None,
        cnf_jkt: None,
        ipk: Some(&device),
        ip: None,
    };
    let token = issue(&claims, &key).unwrap();
    let payload = b64u::decode(token.split('.').nth(1).unwrap().as_bytes(), 4096).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(payload["ipk"].as_str(), Some(data_encoding::BASE64.encode(&spki).as_str()));
    assert!(payload.get("did").is_none());
}
