use super::*;
use crate::b64u;
use crate::token::Algorithm;

fn hmac(kid: Option<&str>, secret: &[u8], decoy: Option<&[u8]>) -> VerificationKey {
    VerificationKey::hmac(kid, Algorithm::HS256, secret, decoy).unwrap()
}

fn own(keys: Vec<VerificationKey>, concealment: Concealment) -> Result<KeySet, KeySetError> {
    KeySet::new(KeySetDraft { kind: KeySetKind::Own, concealment, ..KeySetDraft::imported("own", keys) })
}

fn header(alg: Algorithm, kid: Option<&str>) -> Header {
    Header { alg: Some(alg), kid: kid.map(Box::from), typ: None, sealed: false }
}

/// The public key of RFC 7515 A.3.
const EC: &str = concat!(
    r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","#,
    r#""y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#
);

#[test]
fn refuses_weak_secrets() {
    let short = VerificationKey::hmac(None, Algorithm::HS256, &[1; 15], None);
    assert!(matches!(short, Err(KeySetError::Weak(_))));
    let short_decoy = VerificationKey::hmac(None, Algorithm::HS256, &[1; 32], Some(&[2; 31]));
    assert!(matches!(short_decoy, Err(KeySetError::Weak(_))));
    let same = VerificationKey::hmac(None, Algorithm::HS256, &[1; 32], Some(&[1; 32]));
    assert_eq!(same.err(), Some(KeySetError::DecoyEqualsSecret));
    let not_hmac = VerificationKey::hmac(None, Algorithm::ES256, &[1; 32], None);
    assert_eq!(not_hmac.err(), Some(KeySetError::WrongType));
    assert!(matches!(own(vec![hmac(None, &[1; 31], None)], Concealment::Open), Err(KeySetError::Weak(_))));
}

#[test]
fn refuses_sets_that_would_break_concealment() {
    let public = VerificationKey::from_jwk(EC.as_bytes()).unwrap();
    assert_eq!(own(vec![public], Concealment::Decoy).err(), Some(KeySetError::DecoyNeedsHmac));
    assert_eq!(own(vec![hmac(None, &[1; 32], None)], Concealment::Decoy).err(), Some(KeySetError::DecoyMissing));
    assert!(own(vec![hmac(None, &[1; 32], Some(&[2; 32]))], Concealment::Decoy).is_ok());
}

#[test]
fn refuses_sets_in_which_a_name_or_an_algorithm_is_ambiguous() {
    assert_eq!(own(vec![], Concealment::Open).err(), Some(KeySetError::Empty));
    let twice = vec![hmac(Some("k"), &[1; 32], None), hmac(Some("k"), &[2; 32], None)];
    assert_eq!(own(twice, Concealment::Open).err(), Some(KeySetError::DuplicateKid));
    let mixed = vec![hmac(Some("k"), &[1; 32], None), VerificationKey::from_jwk(EC.as_bytes()).unwrap()];
    assert_eq!(own(mixed, Concealment::Open).err(), Some(KeySetError::Mixed));
    let many = (0..65).map(|n| hmac(Some(&n.to_string()), &[1; 32], None)).collect();
    assert_eq!(own(many, Concealment::Open).err(), Some(KeySetError::TooMany));
}

#[test]
fn a_token_selects_only_keys_of_its_algorithm() {
    let set = own(vec![hmac(Some("a"), &[1; 32], None), hmac(Some("b"), &[2; 32], None)], Concealment::Open).unwrap();
    let kids = |alg, kid| set.select(&header(alg, kid)).map(|keys| keys.len());
    assert_eq!(kids(Algorithm::HS256, Some("a")), Ok(1));
    assert_eq!(kids(Algorithm::HS256, None), Ok(2));
    assert_eq!(kids(Algorithm::HS256, Some("c")), Err((Verdict::UnknownKey, "unknown_kid")));
    assert_eq!(kids(Algorithm::HS512, Some("a")), Err((Verdict::BadSignature, "alg_not_the_keys")));
    assert_eq!(kids(Algorithm::HS512, None), Err((Verdict::BadSignature, "alg_not_the_keys")));
    let nameless = own(vec![hmac(None, &[1; 32], None)], Concealment::Open).unwrap();
    assert_eq!(nameless.select(&header(Algorithm::HS256, Some("approov"))).map(|keys| keys.len()), Ok(1));
}

#[test]
fn a_key_without_kid_may_be_tried_eight_times_and_no_more() {
    let keys = (0..20).map(|n| hmac(Some(&n.to_string()), &[n; 32], None)).collect();
    let set = own(keys, Concealment::Open).unwrap();
    assert_eq!(set.select(&header(Algorithm::HS256, None)).map(|keys| keys.len()), Ok(8));
}

#[test]
fn jwks_pass_over_keys_for_other_purposes_and_refuse_unsound_ones() {
    let set = |keys: &str| parse_jwks(format!("{{\"keys\":[{keys}]}}").as_bytes()).map(|keys| keys.len());
    let encryption = EC.replace("{", r#"{"use":"enc","#);
    assert_eq!(set(&format!("{EC},{encryption}")), Ok(1));
    assert_eq!(set(&encryption), Err(KeySetError::NotForVerifying));
    assert_eq!(set(""), Err(KeySetError::NotForVerifying));
    assert_eq!(set("1"), Err(KeySetError::NotAJwk));
    assert_eq!(set(&EC.replace("{", r#"{"d":"AA","#)), Err(KeySetError::PrivateKey));
    assert_eq!(set(&EC.replace("{", r#"{"alg":"RS256","#)), Err(KeySetError::WrongType));
    assert_eq!(set(&EC.replace("{", r#"{"alg":7,"#)), Err(KeySetError::NotAJwk));
    assert_eq!(set(&EC.replace("f83O", "f83P")), Err(KeySetError::Invalid));
    assert_eq!(set(&EC.replace("a0\"", "a0=\"")), Err(KeySetError::Invalid));
    assert_eq!(set(&EC.replace("EC", "RSA")), Err(KeySetError::NotAJwk));
    assert_eq!(set(&EC.replace("P-256", "P-521")), Err(KeySetError::NotForVerifying));
    assert_eq!(parse_jwks(br#"{"keys":[],"keys":[]}"#).err(), Some(KeySetError::NotAJwk));
    assert_eq!(parse_jwks(EC.as_bytes()).map(|keys| keys.len()), Ok(1));
}

#[test]
fn refuses_a_pem_that_is_private_or_of_another_algorithm() {
    let private = b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
    assert_eq!(VerificationKey::from_pem(None, Algorithm::ES256, private).err(), Some(KeySetError::PrivateKey));
    assert_eq!(VerificationKey::from_pem(None, Algorithm::ES256, b"hello").err(), Some(KeySetError::NotAPemKey));
    assert_eq!(VerificationKey::from_pem(None, Algorithm::HS256, b"hello").err(), Some(KeySetError::WrongType));
    let point = b64u::decode_array::<32>(b"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU").unwrap();
    let prefix = data_encoding::HEXLOWER.decode(b"3059301306072a8648ce3d020106082a8648ce3d03010703420004").unwrap();
    let y = b64u::decode_array::<32>(b"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0").unwrap();
    let der = [prefix.as_slice(), &point, &y].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", data_encoding::BASE64.encode(&der));
    assert!(VerificationKey::from_pem(Some("k"), Algorithm::ES256, pem.as_bytes()).is_ok());
    assert!(VerificationKey::from_pem(Some("k"), Algorithm::RS256, pem.as_bytes()).is_err());
    assert!(VerificationKey::from_pem(Some("k"), Algorithm::ES384, pem.as_bytes()).is_err());
}

#[test]
fn debug_shows_no_key() {
    let set = own(vec![hmac(Some("k"), &[0x41; 32], Some(&[0x42; 32]))], Concealment::Decoy).unwrap();
    let shown = format!("{set:?}");
    assert!(shown.contains("HS256 k") && !shown.contains("AAAA") && !shown.contains("65, 65"));
}
