use proptest::prelude::*;

use super::*;
use crate::kit::{Sample, Seen};
use crate::{Recipe, RecipeText};

const SECRET: &[u8] = b"AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// That of S3's pages, with another slash.
const S3_SECRET: &[u8] = b"AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn text(service: &str, place: Sigv4Place, large_body: LargeBody) -> RecipeText {
    RecipeText::AwsSigv4 {
        region: "us-east-1".to_owned(),
        service: service.to_owned(),
        place,
        headers: vec!["Content-Type".to_owned(), "range".to_owned()],
        large_body,
    }
}

fn s3() -> RecipeText {
    text("s3", Sigv4Place::Header, LargeBody::Unsigned)
}

fn signed(sample: &Sample) -> Seen {
    sample.with(&s3(), SECRET).unwrap()
}

/// What stands under the signature: the names in `SignedHeaders`.
fn names(seen: &Seen) -> String {
    let (_, rest) = seen.header("authorization").split_once("SignedHeaders=").unwrap();
    rest.split_once(',').unwrap().0.to_owned()
}

#[test]
fn refuses_names_expiries_and_headers_that_can_t_be_signed() {
    let parse = |region: &str, service: &str, place, headers: &[&str], large| {
        let headers: Vec<String> = headers.iter().map(ToString::to_string).collect();
        Sigv4::parse(region, service, place, &headers, large).map(drop)
    };
    let header = Sigv4Place::Header;
    for bad in ["", "US-EAST-1", "a/b", "a b", &"a".repeat(65)] {
        assert!(parse(bad, "s3", header, &[], LargeBody::Refuse).is_err(), "{bad:?}");
        assert!(parse("a", bad, header, &[], LargeBody::Refuse).is_err(), "{bad:?}");
    }
    for expires_secs in [0, 604_801] {
        assert!(parse("a", "b", Sigv4Place::Query { expires_secs }, &[], LargeBody::Refuse).is_err());
    }
    let presigned = Sigv4Place::Query { expires_secs: 60 };
    assert!(parse("a", "s3", presigned, &[], LargeBody::Refuse).is_err());
    assert!(parse("a", "execute-api", presigned, &[], LargeBody::Refuse).is_ok());
    let never =
        ["Connection", "expect", "X-Forwarded-For", "User-Agent", "host", "content-length", "traceparent", "via"];
    for name in never.into_iter().chain(["authorization", "X-Amzn-Trace-Id", "x-assay-verdict", "not a header"]) {
        assert!(parse("a", "b", header, &[name], LargeBody::Refuse).is_err(), "{name}");
    }
    let many: Vec<String> = (0..33).map(|n| format!("x-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(parse("a", "b", header, &many, LargeBody::Refuse).is_err());
}

#[test]
fn refuses_secrets_that_are_no_aws_keys() {
    let recipe = Recipe::parse(&s3()).unwrap();
    for bad in [
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        "AKIAIOSFODNN7EXAMPLE:tooshort",
        "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG:short",
        "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG:token-0123456789:more",
        "AK IA IOSFODNN7:wJalrXUtnFEMI/K7MDENG",
        "AKIAIOSFODNN7EXAMPLE:wJalrXUtn\nFEMI/K7MDENG",
        r#"{"AccessKeyId":"AKIAIOSFODNN7EXAMPLE"}"#,
        r#"{"AccessKeyId":7,"SecretAccessKey":"wJalrXUtnFEMI/K7MDENG"}"#,
        r#"{"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"a","SecretAccessKey":"b"}"#,
        r#"["AKIAIOSFODNN7EXAMPLE"]"#,
    ] {
        assert!(matches!(recipe.credential(bad.as_bytes()), Err(SecretError::AwsKey { .. })), "{bad}");
    }
}

#[test]
fn both_forms_of_a_key_sign_alike() {
    let exported = br#"{"Version":1,"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY","SessionToken":null}"#;
    let sample = Sample::get("/bucket/a");
    assert_eq!(sample.with(&s3(), exported).unwrap(), signed(&sample));
}

/// The first example of "Signature Calculations for the Authorization Header", Amazon S3, but for the host.
#[test]
fn s3_s_own_example_has_the_signature_that_its_page_says() {
    let sample = Sample { now: attest_core::time::UnixTime::from_secs(1_369_353_600), ..Sample::get("/test.txt") };
    let sample = sample.header("range", "bytes=0-9");
    let credential = Recipe::parse(&s3()).unwrap().credential(S3_SECRET).unwrap();
    let draft = Draft { host: "examplebucket.s3.amazonaws.com", ..sample.draft() };
    let seen = Seen::of(&credential.apply(&draft).unwrap());
    assert_eq!(
        seen.header("authorization"),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
         Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    );
    assert_eq!(seen.header("x-amz-content-sha256"), EMPTY_SHA256);
    assert_eq!((seen.header("x-amz-date"), &seen.target), ("20130524T000000Z", &None));
}

/// The example of "Authenticating Requests: Using Query Parameters", Amazon S3.
#[test]
fn s3_s_own_presigned_example_has_the_signature_that_its_page_says() {
    let sample = Sample { now: attest_core::time::UnixTime::from_secs(1_369_353_600), ..Sample::get("/test.txt") };
    let text = text("s3", Sigv4Place::Query { expires_secs: 86_400 }, LargeBody::Unsigned);
    let credential = Recipe::parse(&text).unwrap().credential(S3_SECRET).unwrap();
    let draft = Draft { host: "examplebucket.s3.amazonaws.com", ..sample.draft() };
    let seen = Seen::of(&credential.apply(&draft).unwrap());
    let target = seen.target.unwrap();
    assert!(
        target.ends_with("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"),
        "{target}"
    );
    assert_eq!(seen.headers, []);
}

#[test]
fn only_listed_headers_and_x_amz_are_signed() {
    let sample = Sample::get("/bucket/a")
        .header("user-agent", "x")
        .header("connection", "close")
        .header("expect", "100-continue")
        .header("x-forwarded-for", "1.2.3.4")
        .header("x-amzn-trace-id", "1")
        .header("content-type", "text/plain")
        .header("x-amz-acl", "private")
        .header("x-amz-meta-a", "  b   c ");
    assert_eq!(names(&signed(&sample)), "content-type;host;x-amz-acl;x-amz-content-sha256;x-amz-date;x-amz-meta-a");
}

#[test]
fn what_the_client_signed_itself_is_replaced() {
    let sample =
        Sample::get("/bucket/a?X-Amz-Signature=00&x-amz-credential=me&X-Amz-Date=1&list-type=2&AWSAccessKeyId=me")
            .header("x-amz-date", "20000101T000000Z")
            .header("x-amz-security-token", "the-client-s-own-token")
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    let seen = signed(&sample);
    assert_eq!(seen.target.as_deref(), Some("/bucket/a?list-type=2"));
    assert_eq!(seen.header("x-amz-content-sha256"), EMPTY_SHA256);
    assert_eq!(seen.header("x-amz-date"), "20150830T123600Z");
    assert_eq!(names(&seen), "host;x-amz-content-sha256;x-amz-date");
    let plain = signed(&Sample::get("/bucket/a?list-type=2"));
    assert_eq!(plain.header("authorization"), seen.header("authorization"));
}

#[test]
fn a_session_token_is_signed_sent_and_known_to_the_guard() {
    let secret = [SECRET, b":session-token-0123456789"].concat();
    let seen = Sample::get("/bucket/a").with(&s3(), &secret).unwrap();
    assert_eq!(seen.header("x-amz-security-token"), "session-token-0123456789");
    assert!(names(&seen).ends_with(";x-amz-date;x-amz-security-token"));
    let credential = Recipe::parse(&s3()).unwrap().credential(&secret).unwrap();
    assert!(credential.secrets().iter().any(|part| &part[..] == b"session-token-0123456789"));
    let presigned = text("s3", Sigv4Place::Query { expires_secs: 60 }, LargeBody::Unsigned);
    let target = Sample::get("/a").with(&presigned, &secret).unwrap().target.unwrap();
    assert!(target.contains("&X-Amz-Security-Token=session-token-0123456789&X-Amz-Signature="), "{target}");
}

#[test]
fn bodies_are_hashed_to_64_kib_and_then_unsigned_or_refused() {
    let put = |body: &[u8]| Sample::post("/bucket/a", "text/plain", body);
    let hash = |seen: Result<Seen, ApplyError>| seen.unwrap().header("x-amz-content-sha256").to_owned();
    let strict = text("execute-api", Sigv4Place::Header, LargeBody::Refuse);
    let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(hash(put(b"hello").with(&strict, SECRET)), hello);
    assert_eq!(hash(put(b"hello").with(&s3(), SECRET)), hello);
    assert_eq!(hash(put(b"").with(&strict, SECRET)), EMPTY_SHA256);
    assert_eq!(hash(put(b"x").unread().with(&s3(), SECRET)), "UNSIGNED-PAYLOAD");
    assert_eq!(hash(put(&vec![0; MAX_BODY + 1]).with(&s3(), SECRET)), "UNSIGNED-PAYLOAD");
    assert_eq!(put(b"x").unread().with(&strict, SECRET), Err(ApplyError::BodyTooLarge));
    assert_eq!(put(&vec![0; MAX_BODY + 1]).with(&strict, SECRET), Err(ApplyError::BodyTooLarge));
    assert!(put(&vec![0; MAX_BODY]).with(&strict, SECRET).is_ok());
}

#[test]
fn chunks_of_an_sdk_stay_chunks_where_bodies_may_be_unsigned() {
    let upload = |kind: &str| {
        Sample::post("/bucket/a", "text/plain", "5\r\nhello\r\n0\r\n\r\n").header("x-amz-content-sha256", kind)
    };
    let trailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    let sample =
        upload(trailer).header("x-amz-trailer", "x-amz-checksum-crc32").header("x-amz-decoded-content-length", "5");
    let seen = signed(&sample);
    assert_eq!(seen.header("x-amz-content-sha256"), trailer);
    assert!(names(&seen).contains("x-amz-decoded-content-length;x-amz-trailer"));
    let strict = text("s3", Sigv4Place::Header, LargeBody::Refuse);
    assert_eq!(upload(trailer).with(&strict, SECRET), Err(ApplyError::UnsignedBody));
    for signed in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-"] {
        assert_eq!(upload(signed).with(&s3(), SECRET), Err(ApplyError::SignedChunks), "{signed}");
    }
    let twice = upload(trailer).header("x-amz-content-sha256", trailer);
    assert_eq!(twice.with(&s3(), SECRET), Err(ApplyError::SignedChunks));
}

#[test]
fn a_plus_is_sent_as_the_space_that_it_means() {
    assert_eq!(signed(&Sample::get("/b?prefix=a+b&x=%2B")).target.as_deref(), Some("/b?prefix=a%20b&x=%2B"));
    assert_eq!(signed(&Sample::get("/b?prefix=a%20b")).target, None);
    // In a path it means itself, and S3 is told so.
    assert_eq!(signed(&Sample::get("/b/a+b!c")).target.as_deref(), Some("/b/a%2Bb%21c"));
}

#[test]
fn a_query_that_would_be_cut_off_is_not_signed() {
    let query = RecipeText::Query { name: "key".to_owned(), template: "{key}".to_owned() };
    for target in ["/b?a+b#c", "/b?a=1#c&x-amz-date=1"] {
        assert_eq!(Sample::get(target).with(&s3(), SECRET), Err(ApplyError::Target), "{target}");
        assert_eq!(Sample::get(target).with(&query, SECRET), Err(ApplyError::Target), "{target}");
    }
}

#[test]
fn only_s3_signs_the_path_as_it_is_sent() {
    assert_eq!(canonical::path("/model/anthropic.claude%3A0/invoke"), "/model/anthropic.claude%253A0/invoke");
    assert_eq!(canonical::path("/model/a:0"), "/model/a%3A0");
}

#[test]
fn another_day_has_another_key_and_the_same_moment_the_same_signature() {
    let credential = Recipe::parse(&s3()).unwrap().credential(SECRET).unwrap();
    let at = |secs: i64| {
        let sample = Sample { now: attest_core::time::UnixTime::from_secs(secs), ..Sample::get("/a") };
        Seen::of(&credential.apply(&sample.draft()).unwrap()).header("authorization").to_owned()
    };
    let (today, tomorrow) = (at(1_440_938_160), at(1_440_938_160 + 86_400));
    assert_ne!(today, tomorrow);
    assert_eq!(at(1_440_938_160), today);
    let ancient = Sample { now: attest_core::time::UnixTime::from_secs(-1), ..Sample::get("/a") };
    assert!(matches!(credential.apply(&ancient.draft()), Err(ApplyError::Signing)));
}

proptest! {
    #[test]
    fn what_is_sent_decodes_to_what_was_asked_for(query in "([a-z]{1,3}=[a-z+%&]{0,6}){0,4}", path in "(/[a-z+:!%]{1,5}){1,3}") {
        let seen = signed(&Sample::get(&format!("{path}?{query}")));
        let sent = seen.target.unwrap_or(format!("{path}?{query}"));
        let (sent_path, sent_query) = sent.split_once('?').unwrap_or((&sent, ""));
        prop_assert_eq!(
            percent::decode(sent_path, false).collect::<Vec<_>>(),
            percent::decode(&path, false).collect::<Vec<_>>()
        );
        let parts = |query: &str| -> Vec<Vec<u8>> {
            query.split('&').filter(|part| !part.is_empty()).map(|part| percent::decode(part, true).collect()).collect()
        };
        prop_assert_eq!(parts(sent_query), parts(&query));
    }

    #[test]
    fn the_order_of_parameters_changes_nothing(mut pairs in proptest::collection::vec("[a-z]{1,3}=[a-z%]{0,3}", 0..6)) {
        let one = signed(&Sample::get(&format!("/a?{}", pairs.join("&"))));
        pairs.reverse();
        let other = signed(&Sample::get(&format!("/a?{}", pairs.join("&"))));
        prop_assert_eq!(one.derived, other.derived);
    }
}
