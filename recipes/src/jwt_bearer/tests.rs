use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::json;

use super::*;
use crate::kit::{NOW, Sample, Seen, rsa};
use crate::{Recipe, RecipeText};

const GOOGLE: &str = "https://oauth2.googleapis.com/token";
const EMAIL: &str = "robot@project.iam.gserviceaccount.com";

fn text(change: impl FnOnce(&mut RecipeText)) -> RecipeText {
    let mut text = RecipeText::JwtBearer {
        token_endpoint: Some(GOOGLE.to_owned()),
        issuer: None,
        subject: None,
        audience: None,
        scope: Some("https://www.googleapis.com/auth/cloud-platform".to_owned()),
        claims: BTreeMap::new(),
        algorithm: JwtAlgorithm::RS256,
        key_id: None,
        lifetime_secs: 3_600,
        name: "Authorization".to_owned(),
        template: "Bearer {token}".to_owned(),
    };
    change(&mut text);
    text
}

macro_rules! with {
    ($($member:ident: $value:expr),+) => {
        text(|text| match text {
            RecipeText::JwtBearer { $($member),+, .. } => { $(*$member = $value;)+ }
            _ => unreachable!(),
        })
    };
}

fn service_account(change: impl FnOnce(&mut Map<String, Value>)) -> Vec<u8> {
    let mut key = json!({
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "0123456789abcdef",
        "private_key": rsa().0,
        "client_email": EMAIL,
        "client_id": "1",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": GOOGLE,
    });
    change(key.as_object_mut().unwrap());
    serde_json::to_vec_pretty(&key).unwrap()
}

fn refused(text: &RecipeText, secret: &[u8]) -> String {
    Recipe::parse(text).unwrap().credential(secret).unwrap_err().to_string()
}

fn claims(token: &str) -> (Option<String>, Value) {
    attest_core::install_crypto();
    let mut validation = Validation::new(Algorithm::RS256);
    (validation.validate_exp, validation.validate_aud) = (false, false);
    let decoded = decode::<Value>(token.as_bytes(), &DecodingKey::from_rsa_der(&rsa().1), &validation).unwrap();
    (decoded.header.kid, decoded.claims)
}

#[test]
fn refuses_lifetimes_and_claims_that_are_not_for_the_recipe_to_state() {
    for lifetime in [0, 119, 3_601] {
        assert!(Recipe::parse(&with!(lifetime_secs: lifetime)).is_err());
    }
    for name in ["iss", "exp", "aud", "sub", "iat", "scope"] {
        let extra = BTreeMap::from([(name.to_owned(), Value::from("x"))]);
        assert!(Recipe::parse(&with!(claims: extra)).is_err(), "{name}");
    }
    let large = BTreeMap::from([("x".to_owned(), Value::from("x".repeat(2_048)))]);
    assert!(Recipe::parse(&with!(claims: large)).is_err());
    assert!(Recipe::parse(&with!(issuer: Some(String::new()))).is_err());
}

#[test]
fn refuses_a_service_account_that_is_none_or_mints_elsewhere() {
    let with = |name: &str, value: Value| {
        let name = name.to_owned();
        refused(&text(|_| ()), &service_account(|key| drop(key.insert(name, value))))
    };
    assert!(with("token_uri", "https://evil.example.com/token".into()).contains("not the token_endpoint"));
    assert!(with("token_uri", "http://oauth2.googleapis.com/token".into()).contains("not the token_endpoint"));
    assert!(with("type", "authorized_user".into()).contains("not service_account"));
    assert!(with("client_email", "".into()).contains("no client_email"));
    assert!(with("private_key", 7.into()).contains("no private_key"));
    assert!(with("private_key", "not a key".into()).contains("no unencrypted private key"));
    assert!(with("nested", json!({})).contains("no JSON object"));
    assert!(refused(&text(|_| ()), b"{\"a\":1,\"a\":2}0123456789").contains("no JSON object"));
}

#[test]
fn refuses_a_bare_key_where_nobody_is_named() {
    assert!(refused(&text(|_| ()), rsa().0.as_bytes()).contains("neither issuer nor subject"));
    let named = with!(issuer: Some("me".to_owned()));
    assert!(Recipe::parse(&named).unwrap().credential(rsa().0.as_bytes()).is_ok());
}

/// RFC 7523 section 2.1; "Using OAuth 2.0 for Server to Server Applications", Google.
#[test]
fn a_service_account_asks_for_a_token_as_google_says() {
    let credential = Recipe::parse(&text(|_| ())).unwrap().credential(&service_account(|_| ())).unwrap();
    let request = credential.token_request(NOW, &attest_core::random::SeededRandom::new(1)).unwrap().unwrap();
    assert_eq!(request.endpoint.to_string(), GOOGLE);
    let body = std::str::from_utf8(&request.body).unwrap();
    let (grant, assertion) = body.split_once("&assertion=").unwrap();
    assert!(grant.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&scope=https%3A%2F%2F"));
    let (key_id, claims) = claims(assertion);
    assert_eq!(key_id.as_deref(), Some("0123456789abcdef"));
    let expected = json!({
        "iss": EMAIL,
        "aud": GOOGLE,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "iat": NOW.secs() - 30,
        "exp": NOW.secs() + 3_570,
    });
    assert_eq!(claims, expected);
    assert!(matches!(credential.apply(&Sample::get("/").draft()), Err(ApplyError::NeedsToken)));
    // The private key alone is a secret too.
    assert_eq!(credential.secrets().len(), 2);
}

#[test]
fn what_the_recipe_states_counts_more_than_the_document() {
    let text = with!(issuer: Some("other".to_owned()), subject: Some("user@example.com".to_owned()),
        key_id: Some("k2".to_owned()), audience: Some("https://aud.example.com/".to_owned()), scope: None,
        claims: BTreeMap::from([("target_audience".to_owned(), "x".into())]));
    let credential = Recipe::parse(&text).unwrap().credential(&service_account(|_| ())).unwrap();
    let request = credential.token_request(NOW, &attest_core::random::SeededRandom::new(1)).unwrap().unwrap();
    let body = std::str::from_utf8(&request.body).unwrap().to_owned();
    let (key_id, claims) = claims(body.split_once("&assertion=").unwrap().1);
    assert_eq!(key_id.as_deref(), Some("k2"));
    assert_eq!((&claims["iss"], &claims["sub"]), (&"other".into(), &"user@example.com".into()));
    assert_eq!((&claims["aud"], &claims["target_audience"]), (&"https://aud.example.com/".into(), &"x".into()));
    assert_eq!(claims.get("scope"), None);
}

#[test]
fn without_an_endpoint_the_token_itself_is_sent_and_kept_for_most_of_its_life() {
    let text = with!(token_endpoint: None, lifetime_secs: 600, audience: Some("https://x.googleapis.com/".to_owned()));
    let credential = Recipe::parse(&text).unwrap().credential(&service_account(|_| ())).unwrap();
    assert!(credential.token_request(NOW, &attest_core::random::SeededRandom::new(1)).unwrap().is_none());
    let at = |now: UnixTime| {
        let sample = Sample { now, ..Sample::get("/") };
        let seen = Seen::of(&credential.apply(&sample.draft()).unwrap());
        let token = seen.header("authorization").strip_prefix("Bearer ").unwrap().to_owned();
        assert_eq!(seen.derived, std::slice::from_ref(&token));
        token
    };
    let first = at(NOW);
    let (_, said) = claims(&first);
    assert_eq!((&said["iss"], &said["sub"], &said["exp"]), (&EMAIL.into(), &EMAIL.into(), &(NOW.secs() + 570).into()));
    assert_eq!(at(NOW.plus(Duration::from_secs(449))), first);
    let second = at(NOW.plus(Duration::from_secs(450)));
    assert_ne!(second, first);
    // A clock that was set back does not keep a token from the future.
    assert_ne!(at(NOW), second);
}
