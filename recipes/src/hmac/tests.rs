use proptest::prelude::*;

use super::*;
use crate::kit::{NOW, SECRET, Sample};
use crate::{MAX_BODY, Needs, Recipe, RecipeText};

fn text(message: &str) -> RecipeText {
    RecipeText::Hmac {
        algorithm: HmacAlgorithm::Sha256,
        secret: SecretEncoding::Text,
        encoding: SignatureEncoding::Hex,
        message: message.to_owned(),
        timestamp: TimestampForm::Unix,
        timestamp_header: Some("X-Timestamp".to_owned()),
        name: "X-Signature".to_owned(),
        template: "t={timestamp},v1={signature}".to_owned(),
    }
}

fn forms(algorithm: HmacAlgorithm, encoding: SignatureEncoding) -> Forms {
    Forms { algorithm, secret: SecretEncoding::Text, encoding, timestamp: TimestampForm::Unix }
}

fn signature(forms: Forms, key: &[u8], body: &str) -> String {
    let recipe = Hmac::parse(forms, "{body}", None, "x-signature", "{signature}").unwrap();
    let algorithm = match forms.algorithm {
        HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
        HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
        HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
    };
    let key = HmacKey { recipe, key: hmac::Key::new(algorithm, key) };
    let changes = key.apply(&Sample::post("/", "text/plain", body).draft()).unwrap();
    crate::kit::Seen::of(&changes).header("x-signature").to_owned()
}

#[test]
fn refuses_messages_that_are_open_ended_or_the_same_for_everything() {
    for bad in [
        "",
        "{",
        "{method",
        "{nonsense}",
        "{}",
        "{header:}",
        "{header:a b}",
        "{path}{header:Host}",
        "{METHOD}",
        "a\nb",
        "{timestamp}",
        "x",
    ] {
        assert!(Recipe::parse(&text(bad)).is_err(), "{bad:?}");
    }
    assert!(Recipe::parse(&text(&"{path}".repeat(32))).is_ok());
    assert!(Recipe::parse(&text(&"{path}".repeat(33))).is_err());
    assert!(Recipe::parse(&text(&format!("{{path}}{}", "a".repeat(1_019)))).is_err());
}

#[test]
fn refuses_headers_that_are_not_sent_as_they_are_signed() {
    // The body may be written anew, and the connection is the gateway's; what stands in a slot of the recipe's was taken out.
    for name in ["Content-Length", "transfer-encoding", "Connection", "Expect", "Via", "Authorization", "X-Signature"] {
        assert!(Recipe::parse(&text(&format!("{{path}}{{header:{name}}}"))).is_err(), "{name}");
    }
    let why = Recipe::parse(&text("{path}{header:x-timestamp}")).unwrap_err().to_string();
    assert!(why.contains("{timestamp}"), "{why}");
    for name in ["Content-Type", "User-Agent", "X-Request-Id", "Digest"] {
        assert!(Recipe::parse(&text(&format!("{{path}}{{header:{name}}}"))).is_ok(), "{name}");
    }
}

#[test]
fn refuses_templates_without_one_signature_and_a_time_in_its_place() {
    let with = |new: &str, header: &str| {
        let mut text = text("{path}");
        if let RecipeText::Hmac { template, timestamp_header, .. } = &mut text {
            (*template, *timestamp_header) = (new.to_owned(), Some(header.to_owned()));
        }
        Recipe::parse(&text).map(drop)
    };
    assert_eq!(with("{timestamp}", "x-t"), Err(RecipeError::NotOnePlace { what: "signature", times: 0 }));
    assert!(with("{signature}{signature}", "x-t").is_err());
    assert!(with("{timestamp}{timestamp}{signature}", "x-t").is_err());
    assert!(with("{signature}", "X-SIGNATURE").is_err());
    assert!(with("{signature}", "Host").is_err());
    assert!(with("{signature}", "Date").is_ok());
}

#[test]
fn refuses_drafts_in_which_a_part_is_absent_or_there_twice() {
    let text = text("{path}{header:x-id}");
    assert_eq!(Sample::get("/").with(&text, SECRET), Err(ApplyError::SignedHeader));
    let twice = Sample::get("/").header("x-id", "1").header("x-id", "2");
    assert_eq!(twice.with(&text, SECRET), Err(ApplyError::SignedHeader));
    let body = RecipeText::clone(&self::text("{body_sha256}"));
    let sample = Sample::post("/", "text/plain", "a");
    assert_eq!(sample.clone().unread().with(&body, SECRET), Err(ApplyError::BodyTooLarge));
    let large = Sample::post("/", "text/plain", "a".repeat(MAX_BODY + 1));
    assert_eq!(large.with(&body, SECRET), Err(ApplyError::BodyTooLarge));
    // The head alone is signed, whatever the body.
    assert!(sample.unread().with(&self::text("{path}"), SECRET).is_ok());
}

#[test]
fn refuses_secrets_that_are_not_in_the_stated_encoding_or_too_short_in_it() {
    let with = |encoding, secret: &[u8]| {
        let mut text = text("{path}");
        if let RecipeText::Hmac { secret, .. } = &mut text {
            *secret = encoding;
        }
        Recipe::parse(&text).unwrap().credential(secret).map(drop)
    };
    assert_eq!(with(SecretEncoding::Base64, b"not base64 at all!"), Err(SecretError::Encoding));
    assert_eq!(with(SecretEncoding::Hex, b"0123456789abcdefg0"), Err(SecretError::Encoding));
    assert_eq!(with(SecretEncoding::Hex, b"0123456789abcdef"), Err(SecretError::TooShort { len: 8 }));
    assert_eq!(with(SecretEncoding::Hex, b"0123456789ABCDEF0123456789abcdef"), Ok(()));
    assert_eq!(with(SecretEncoding::Base64, b"MDEyMzQ1Njc4OWFiY2RlZg=="), Ok(()));
}

/// RFC 4231 sections 4.3 and 4.7; RFC 2202 section 3.
#[test]
fn signatures_are_those_of_the_rfcs() {
    let hex = |algorithm, key: &[u8], body: &str| signature(forms(algorithm, SignatureEncoding::Hex), key, body);
    let message = "what do ya want for nothing?";
    assert_eq!(
        hex(HmacAlgorithm::Sha256, b"Jefe", message),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    assert_eq!(
        hex(HmacAlgorithm::Sha512, b"Jefe", message),
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
    );
    assert_eq!(hex(HmacAlgorithm::Sha1, b"Jefe", message), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    let long_key = "Test Using Larger Than Block-Size Key - Hash Key First";
    assert_eq!(
        hex(HmacAlgorithm::Sha256, &[0xaa; 131], long_key),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    );
    assert_eq!(
        signature(forms(HmacAlgorithm::Sha256, SignatureEncoding::Base64), b"Jefe", message),
        "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
    );
    assert_eq!(
        signature(forms(HmacAlgorithm::Sha256, SignatureEncoding::Base64url), b"Jefe", message),
        "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM"
    );
}

#[test]
fn every_part_stands_where_the_message_says() {
    let message =
        Message::parse("{method} {path}?{query}{nl}{host}{nl}{timestamp}.{body}.{body_sha256}.{header:X-Id}").unwrap();
    let sample = Sample::post("/v1/a?b=%20c", "text/plain", "hello").header("x-id", "  7 ");
    let mut out = Vec::new();
    message.write(&sample.draft(), "1440938160", |part| out.extend_from_slice(part)).unwrap();
    let expected = "POST /v1/a?b=%20c\napi.example.com\n1440938160.hello.\
        2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824.7";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn time_and_signature_stand_in_their_headers() {
    let seen = Sample::get("/v1").with(&text("{timestamp}{path}"), SECRET).unwrap();
    assert_eq!(seen.header("x-timestamp"), NOW.secs().to_string());
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), b"1440938160/v1");
    let expected = HEXLOWER.encode(tag.as_ref());
    assert_eq!(seen.header("x-signature"), format!("t=1440938160,v1={expected}"));
    assert_eq!(seen.derived, [expected]);
}

#[test]
fn a_body_is_asked_for_only_where_it_is_signed() {
    let needs = |message: &str| Recipe::parse(&text(message)).unwrap().needs();
    assert_eq!(needs("{path}"), Needs::Nothing);
    assert_eq!(needs("{path}{body}"), Needs::WholeBody);
    assert_eq!(needs("{body_sha256}"), Needs::WholeBody);
}

proptest! {
    #[test]
    fn no_message_makes_it_panic(message in "[ -~]{0,60}", place in "[{}a-z_:]{0,30}") {
        let _ = Message::parse(&message);
        let _ = Message::parse(&place);
    }

    #[test]
    fn another_body_path_or_time_has_another_signature(one in "[a-z]{1,8}", other in "[a-z]{1,8}") {
        prop_assume!(one != other);
        let text = text("{timestamp}{path}{body}");
        let signed = |path: &str, body: &str, secs: i64| {
            let sample = Sample { now: attest_core::time::UnixTime::from_secs(secs), ..Sample::post(path, "text/plain", body) };
            sample.with(&text, SECRET).unwrap().derived
        };
        let genuine = signed(&format!("/{one}/"), &one, 1);
        prop_assert_ne!(&genuine, &signed(&format!("/{other}/"), &one, 1));
        prop_assert_ne!(&genuine, &signed(&format!("/{one}/"), &other, 1));
        prop_assert_ne!(&genuine, &signed(&format!("/{one}/"), &one, 2));
    }
}
