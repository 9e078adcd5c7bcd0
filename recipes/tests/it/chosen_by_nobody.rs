//! Nothing about a recipe can be chosen by who sends a request: whatever he writes into its slots is gone, and what goes
//! out in them is the same for everybody.

use attest_core::target::Scheme;
use attest_core::time::UnixTime;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use recipes::{Changes, Draft, DraftBody, LargeBody, Recipe, RecipeText, Sigv4Place};

const SECRET: &[u8] = b"AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG";

fn sigv4() -> RecipeText {
    RecipeText::AwsSigv4 {
        region: "eu-central-1".to_owned(),
        service: "s3".to_owned(),
        place: Sigv4Place::Header,
        headers: vec![],
        large_body: LargeBody::Unsigned,
    }
}

fn headers_of(recipe: &RecipeText, query: &str, headers: &HeaderMap) -> (Vec<(HeaderName, HeaderValue)>, String) {
    let credential = Recipe::parse(recipe).unwrap().credential(SECRET).unwrap();
    let draft = Draft {
        method: &Method::GET,
        scheme: Scheme::Https,
        host: "bucket.s3.example.com",
        path: "/a",
        query: Some(query),
        headers,
        body: DraftBody::Empty,
        now: UnixTime::from_secs(1_440_938_160),
    };
    match credential.apply(&draft).unwrap() {
        Changes::Header(name, value) => (vec![(name, value)], query.to_owned()),
        Changes::Many { headers, target, .. } => {
            let query = target.as_ref().map_or(Some(query), |target| target.query());
            (headers, query.unwrap_or_default().to_owned())
        }
        Changes::Nothing => (vec![], query.to_owned()),
    }
}

proptest! {
    #[test]
    fn a_signature_is_the_same_whatever_the_client_signed_before(
        own in "[!-~]{0,30}", slot in prop_oneof![
            Just("x-amz-date"), Just("x-amz-security-token"), Just("authorization"), Just("cookie"), Just("user-agent"),
            Just("x-forwarded-for"), Just("connection"),
        ],
        parameter in prop_oneof![
            Just("X-Amz-Signature"), Just("x_amz_signature"), Just("%58-Amz-Date"), Just("X-Amz-Expires[]"),
            Just("AWSAccessKeyId"), Just("X-Amz-Security-Token"),
        ],
        value in "[a-z0-9]{0,9}",
    ) {
        let mut headers = HeaderMap::new();
        headers.insert(slot, HeaderValue::from_str(&own).unwrap());
        let (with, sent) = headers_of(&sigv4(), &format!("{parameter}={value}&list-type=2"), &headers);
        let (without, _) = headers_of(&sigv4(), "list-type=2", &HeaderMap::new());
        prop_assert_eq!(sent, "list-type=2");
        prop_assert_eq!(with, without);
    }

    #[test]
    fn a_header_is_the_same_whatever_stands_in_its_place(own in "[!-~]{0,30}", query in "[a-z=&]{0,20}") {
        let text = RecipeText::Header { name: "x-api-key".to_owned(), template: "{key}".to_owned() };
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_str(&own).unwrap());
        let (with, _) = headers_of(&text, &query, &headers);
        prop_assert_eq!(with, [(HeaderName::from_static("x-api-key"), HeaderValue::from_bytes(SECRET).unwrap())]);
    }
}
