use super::*;
use crate::RecipeText;
use crate::kit::{SECRET, Sample, Seen};

fn secrets(secrets: &Secrets) -> Vec<String> {
    secrets.0.iter().map(|part| String::from_utf8(part.to_vec()).unwrap()).collect()
}

#[test]
fn a_header_refuses_secrets_that_would_end_it_or_not_come_through() {
    let header = Header::parse("Authorization", "Bearer {key}").unwrap();
    let refused = |secret: &[u8]| header.ready(secret).err().unwrap();
    assert_eq!(refused(b"sk-0123456789abc\r\nX-Evil: 1"), SecretError::ControlByte);
    assert_eq!(refused(b"sk-0123456789abcdef\n"), SecretError::ControlByte);
    assert_eq!(refused("sk-0123456789abcdé".as_bytes()), SecretError::NotAscii);
    assert_eq!(refused(b"\xff\xfe012345678901234567"), SecretError::NotAscii);
    assert_eq!(refused(b" sk-0123456789abcdef"), SecretError::OuterSpace);
}

#[test]
fn a_header_is_the_template_with_the_key_in_it() {
    let text = RecipeText::Header { name: "Authorization".into(), template: "Bearer {key}".into() };
    let seen = Sample::get("/v1").with(&text, SECRET).unwrap();
    assert_eq!(seen.headers, [("authorization".into(), "Bearer sk-0123456789abcdef".into())]);
    assert_eq!(seen.derived, [""; 0]);
}

#[test]
fn basic_refuses_colons_in_the_user_and_a_key_in_both_places_or_none() {
    let refused = |user: &str, password: &str| Basic::parse(user, password).unwrap_err();
    assert!(matches!(refused("a:b", "{key}"), RecipeError::Member { member: "user", .. }));
    assert_eq!(refused("a", "b"), RecipeError::NotOnePlace { what: "key", times: 0 });
    assert_eq!(refused("{key}", "{key}"), RecipeError::NotOnePlace { what: "key", times: 2 });
    assert_eq!(refused("a\n", "{key}"), RecipeError::NotPrintable);
    let basic = Basic::parse("{key}", "").unwrap();
    assert_eq!(basic.ready(b"sk-01234567:9abcdef").err().unwrap(), SecretError::Colon);
}

/// RFC 7617 section 2.
#[test]
fn basic_is_what_the_rfc_s_example_says() {
    let (ready, _) = Basic::parse("Aladdin", "{key}").unwrap().ready(b"open sesame").unwrap();
    let seen = Seen::of(&ready.apply());
    assert_eq!(seen.headers, [("authorization".into(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".into())]);
}

#[test]
fn basic_as_stripe_and_twilio_have_it() {
    let decoded = |text: &RecipeText| {
        let seen = Sample::get("/v1").with(text, SECRET).unwrap();
        let text = data_encoding::BASE64.decode(&seen.header("authorization").as_bytes()[6..]).unwrap();
        String::from_utf8(text).unwrap()
    };
    let stripe = RecipeText::Basic { user: "{key}".into(), password: String::new() };
    assert_eq!(decoded(&stripe), "sk-0123456789abcdef:");
    let twilio = RecipeText::Basic { user: "AC0123".into(), password: "{key}".into() };
    assert_eq!(decoded(&twilio), "AC0123:sk-0123456789abcdef");
    let (_, known) = Basic::parse("{key}", "").unwrap().ready(SECRET).unwrap();
    assert_eq!(secrets(&known), ["sk-0123456789abcdef", "c2stMDEyMzQ1Njc4OWFiY2RlZjo="]);
}

#[test]
fn a_cookie_refuses_what_would_begin_another_one() {
    assert!(Cookie::parse("a b", "{key}").is_err());
    assert!(Cookie::parse("a=b", "{key}").is_err());
    assert!(Cookie::parse("session", "x; {key}").is_err());
    let cookie = Cookie::parse("session", "{key}").unwrap();
    for bad in ["sk-0123456789;a=bcd", "sk-0123456789,abcd", "sk-0123456789\"abcd", "sk-0123456789 abcd"] {
        assert_eq!(cookie.ready(bad.as_bytes()).err().unwrap(), SecretError::NotACookie, "{bad}");
    }
}

#[test]
fn a_cookie_stands_beside_the_others_and_in_place_of_the_client_s_own() {
    let text = RecipeText::Cookie { name: "Sess_id".into(), template: "{key}".into() };
    let with = |sample: Sample| sample.with(&text, SECRET).unwrap().header("cookie").to_owned();
    assert_eq!(with(Sample::get("/")), "Sess_id=sk-0123456789abcdef");
    let sample = Sample::get("/").header("cookie", "a=1; sess-ID = mine;;b=2; Sess_id=x").header("cookie", "c=Sess_id");
    assert_eq!(with(sample), "a=1; b=2; c=Sess_id; Sess_id=sk-0123456789abcdef");
}
