use proptest::prelude::*;

use super::*;
use crate::kit::{NOW, Seen};

const TOKEN: &str = "ya29.0123456789abcdef";

fn header() -> TokenHeader {
    TokenHeader::parse("Authorization", "Bearer {token}").unwrap()
}

fn read(body: &str) -> Result<MintedToken, TokenError> {
    header().read(200, body.as_bytes(), NOW)
}

fn why(body: &str) -> &'static str {
    match read(body).unwrap_err() {
        TokenError::NotAToken { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn refuses_answers_without_a_token_that_a_header_can_carry() {
    assert!(why("<html>").contains("JSON"));
    assert!(why(r#"{"access_token":"a","access_token":"b"}"#).contains("JSON"));
    assert!(why("{}").contains("without an access_token"));
    assert!(why(r#"{"access_token":7}"#).contains("without an access_token"));
    assert!(why(r#"{"access_token":"short"}"#).contains("16 bytes"));
    assert!(why(&format!(r#"{{"access_token":"{}"}}"#, "a".repeat(8_193))).contains("8 KiB"));
    assert!(why(r#"{"access_token":"0123456789abcdef\r\nx-evil: 1"}"#).contains("printable"));
    assert!(why(&format!(r#"{{"access_token":"{TOKEN}","token_type":"mac"}}"#)).contains("bearer"));
    for bad in ["0", "-1", "1.5", "\"soon\"", "null", "\"0\""] {
        assert!(why(&format!(r#"{{"access_token":"{TOKEN}","expires_in":{bad}}}"#)).contains("expires_in"), "{bad}");
    }
}

/// RFC 6749 section 5.2.
#[test]
fn a_refusal_says_its_status_and_a_registered_code_and_nothing_else() {
    let refused = |status, body: &str| header().read(status, body.as_bytes(), NOW).unwrap_err();
    let error = refused(401, r#"{"error":"invalid_client","error_description":"sk-secret"}"#);
    assert_eq!(error, TokenError::Refused { status: 401, code: Some("invalid_client") });
    assert_eq!(error.to_string(), "the token endpoint answered 401: invalid_client");
    assert_eq!(refused(400, r#"{"error":"sk-0123456789abcdef"}"#), TokenError::Refused { status: 400, code: None });
    assert_eq!(refused(302, ""), TokenError::Refused { status: 302, code: None });
    assert_eq!(refused(503, "x").to_string(), "the token endpoint answered 503");
    // A token in an answer that is none counts for nothing.
    assert!(header().read(201, format!(r#"{{"access_token":"{TOKEN}"}}"#).as_bytes(), NOW).is_err());
}

/// RFC 6749 section 5.1.
#[test]
fn a_token_lives_as_long_as_it_says_and_a_day_at_most() {
    let until = |rest: &str| {
        let token = read(&format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer"{rest}}}"#)).unwrap();
        assert_eq!(token.value(), TOKEN);
        token.expires_at().since(NOW).unwrap().as_secs()
    };
    assert_eq!(until(r#","expires_in":3600,"example_parameter":"example_value""#), 3_600);
    assert_eq!(until(r#","expires_in":"599""#), 599);
    assert_eq!(until(r#","expires_in":18446744073709551615"#), 86_400);
    assert_eq!(until(""), 300);
}

#[test]
fn an_identity_token_alone_is_taken() {
    assert_eq!(read(&format!(r#"{{"id_token":"{TOKEN}"}}"#)).unwrap().value(), TOKEN);
}

#[test]
fn the_header_is_made_beforehand_and_debug_shows_none_of_it() {
    let token = read(&format!(r#"{{"access_token":"{TOKEN}","expires_in":60}}"#)).unwrap();
    assert_eq!(Seen::of(&header().apply(&token)).header("authorization"), format!("Bearer {TOKEN}"));
    assert!(!format!("{token:?}").contains(TOKEN));
    // The first call fills what the standard library keeps per thread.
    drop(header().apply(&token));
    let header = header();
    let count = allocation_counter::measure(|| drop(header.apply(&token)));
    assert_eq!(count.count_total, 0);
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic_and_what_it_takes_can_be_sent(
        status in prop_oneof![Just(200_u16), 100_u16..600], body in "[ -~]{0,80}", token in "[ -~]{0,40}",
    ) {
        let _ = header().read(status, body.as_bytes(), NOW);
        let answer = serde_json::json!({"access_token": token, "expires_in": 60}).to_string();
        if let Ok(minted) = header().read(200, answer.as_bytes(), NOW) {
            prop_assert_eq!(minted.value(), token);
        }
    }
}
