use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::kit::{p256, pem, rsa};

fn refused(algorithm: JwtAlgorithm, secret: &[u8]) -> String {
    SigningKey::load(algorithm, secret).err().unwrap().to_string()
}

fn verified(key: &SigningKey, algorithm: Algorithm, public: &DecodingKey) -> Value {
    attest_core::install_crypto();
    let claims = json!({"iss": "me", "exp": 4_000_000_000_u64, "n": [1, "é"]});
    let token = key.sign(Some("k1"), claims.as_object().unwrap()).unwrap();
    let decoded = decode::<Value>(token.as_bytes(), public, &Validation::new(algorithm)).unwrap();
    assert_eq!(decoded.header.kid.as_deref(), Some("k1"));
    assert_eq!(decoded.claims, claims);
    // And not with a byte of it changed.
    let mut bent = token.as_bytes().to_vec();
    let middle = bent.len() / 3;
    bent[middle] = if bent[middle] == b'A' { b'B' } else { b'A' };
    assert!(decode::<Value>(&bent, public, &Validation::new(algorithm)).is_err());
    decoded.claims
}

#[test]
fn refuses_what_is_no_key_for_the_algorithm() {
    let (rsa, (p256, _)) = (&rsa().0, p256());
    assert!(refused(JwtAlgorithm::RS256, b"not a key at all").contains("no unencrypted private key"));
    assert!(refused(JwtAlgorithm::RS256, p256.as_bytes()).contains("no RSA key"));
    assert!(refused(JwtAlgorithm::ES256, rsa.as_bytes()).contains("no key on the algorithm's curve"));
    assert!(refused(JwtAlgorithm::ES384, p256.as_bytes()).contains("no key on the algorithm's curve"));
    assert!(refused(JwtAlgorithm::EdDSA, p256.as_bytes()).contains("no Ed25519 key"));
    let encrypted = rsa.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert!(refused(JwtAlgorithm::RS256, encrypted.as_bytes()).contains("no unencrypted private key"));
    assert!(refused(JwtAlgorithm::RS256, pem("PRIVATE KEY", b"junk").as_bytes()).contains("no RSA key"));
    assert!(refused(JwtAlgorithm::HS256, &[b'a'; 31]).contains("as many bytes as the hash"));
    assert!(refused(JwtAlgorithm::HS512, &[b'a'; 63]).contains("as many bytes as the hash"));
}

#[test]
fn another_library_verifies_what_rsa_keys_signed() {
    let (private, public) = rsa();
    let public = DecodingKey::from_rsa_der(public);
    for (algorithm, other) in [
        (JwtAlgorithm::RS256, Algorithm::RS256),
        (JwtAlgorithm::RS384, Algorithm::RS384),
        (JwtAlgorithm::RS512, Algorithm::RS512),
        (JwtAlgorithm::PS256, Algorithm::PS256),
        (JwtAlgorithm::PS384, Algorithm::PS384),
        (JwtAlgorithm::PS512, Algorithm::PS512),
    ] {
        verified(&SigningKey::load(algorithm, private.as_bytes()).unwrap(), other, &public);
    }
}

#[test]
fn another_library_verifies_what_curves_and_shared_secrets_signed() {
    let (private, public) = p256();
    let key = SigningKey::load(JwtAlgorithm::ES256, private.as_bytes()).unwrap();
    verified(&key, Algorithm::ES256, &DecodingKey::from_ec_der(&public));
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let key = SigningKey::load(JwtAlgorithm::ES384, p384.serialize_pem().as_bytes()).unwrap();
    verified(&key, Algorithm::ES384, &DecodingKey::from_ec_der(rcgen::PublicKeyData::der_bytes(&p384)));
    let edwards = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let key = SigningKey::load(JwtAlgorithm::EdDSA, edwards.serialize_pem().as_bytes()).unwrap();
    verified(&key, Algorithm::EdDSA, &DecodingKey::from_ed_der(rcgen::PublicKeyData::der_bytes(&edwards)));
    let shared = [7_u8; 64];
    for (algorithm, other) in [
        (JwtAlgorithm::HS256, Algorithm::HS256),
        (JwtAlgorithm::HS384, Algorithm::HS384),
        (JwtAlgorithm::HS512, Algorithm::HS512),
    ] {
        verified(&SigningKey::load(algorithm, &shared).unwrap(), other, &DecodingKey::from_secret(&shared));
    }
}

#[test]
fn every_pem_form_of_a_key_is_read() {
    use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let sec1: EcPrivateKeyRfc5915Der<'_> = key.private_key().as_der().unwrap();
    assert!(SigningKey::load(JwtAlgorithm::ES256, pem("EC PRIVATE KEY", sec1.as_ref()).as_bytes()).is_ok());
    // PKCS #1 is what PKCS #8 wraps: after 26 bytes, for a key of 2048 bits.
    let pkcs8 = PrivateKeyDer::from_pem_slice(rsa().0.as_bytes()).unwrap();
    let pkcs1 = pem("RSA PRIVATE KEY", &pkcs8.secret_der()[26..]);
    assert!(SigningKey::load(JwtAlgorithm::RS256, pkcs1.as_bytes()).is_ok());
}

proptest! {
    #[test]
    fn no_secret_makes_it_panic(secret in "[ -~\n]{0,120}") {
        for algorithm in [JwtAlgorithm::RS256, JwtAlgorithm::ES256, JwtAlgorithm::EdDSA, JwtAlgorithm::HS256] {
            let _ = SigningKey::load(algorithm, secret.as_bytes());
            let framed = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n");
            let _ = SigningKey::load(algorithm, framed.as_bytes());
        }
    }
}
