//! Approov's published requests: the tokens as they are, and the binding to `Authorization`.

use std::sync::Arc;

use attest_core::b64u;
use attest_core::time::UnixTime;
use attest_core::token::Algorithm;
use attest_core::token::key_set::{KeySet, KeySetDraft, KeySetKind, VerificationKey};
use attest_core::token::verify::{BindingStyle, BindingValue, Expect, authenticate, check};
use attest_core::verdict::Verdict;
use serde_json::Value;

use crate::{lifetime, vectors};

/// The secret of Approov's quickstarts, published by them for these requests.
const DUMMY: &str = "h+CX0tOzdAAR9l15bWAqvq7w9olk66daIH+Xk+IAHhVVHszjDzeGobzNnqyRze3lw/WVyWrc2gZfh3XXfBOmww==";

struct Request {
    path: String,
    token: Option<String>,
    authorization: Option<String>,
}

fn requests(items: &Value, path: &str, out: &mut Vec<Request>) {
    for item in items.as_array().unwrap() {
        let path = format!("{path}/{}", item["name"].as_str().unwrap());
        if item.get("item").is_some() {
            requests(&item["item"], &path, out);
            continue;
        }
        let header = |name: &str| {
            let headers = item["request"]["header"].as_array().unwrap();
            headers
                .iter()
                .find(|header| header["key"] == name)
                .map(|header| header["value"].as_str().unwrap().to_owned())
        };
        out.push(Request { token: header("Approov-Token"), authorization: header("Authorization"), path });
    }
}

fn approov_set(secret: &[u8]) -> KeySet {
    let key = VerificationKey::hmac(None, Algorithm::HS256, secret, None).unwrap();
    KeySet::new(KeySetDraft { kind: KeySetKind::Approov, ..KeySetDraft::imported("approov", vec![key]) }).unwrap()
}

fn judge(token: &str, keys: &KeySet, binding: Option<BindingValue<'_>>, pay_optional: bool) -> Verdict {
    let now = UnixTime::from_secs(1_700_000_000);
    match authenticate(token.as_bytes(), keys) {
        Ok(auth) => check(&Arc::new(auth), &Expect { binding, pay_optional, ..Expect::valid_at(now) }).verdict(),
        Err((verdict, _)) => verdict,
    }
}

fn verdict_on(request: &Request, token: &str, keys: &KeySet, bound: bool, pay_optional: bool) -> Verdict {
    let values = request.authorization.as_ref().map(|value| [value.as_bytes()]);
    let binding = bound.then_some(match &values {
        Some(values) => BindingValue::Present { values, style: BindingStyle::Concatenated },
        None => BindingValue::HeaderMissing,
    });
    judge(token, keys, binding, pay_optional)
}

#[test]
fn the_quickstart_requests_are_judged_as_published() {
    let Some(folder) = vectors::folder("05-approov-tokens") else { return };
    let collection = vectors::json(&folder, "hello-world.postman_collection.json");
    let mut all = Vec::new();
    requests(&collection["item"], "", &mut all);
    let keys = approov_set(&data_encoding::BASE64.decode(DUMMY.as_bytes()).unwrap());
    let (mut good, mut bad) = (0, 0);
    for request in &all {
        let Some(token) = &request.token else { continue };
        let verdict = verdict_on(request, token, &keys, request.path.contains("Binding"), false);
        let expected = !request.path.contains("/invalid requests/");
        assert_eq!(verdict == Verdict::Attested, expected, "{}: {verdict}", request.path);
        *if expected { &mut good } else { &mut bad } += 1;
    }
    println!("approov quickstarts: {good} accepted, {bad} refused");
    assert!(good == 2 && bad >= 12);
}

#[test]
fn the_kong_requests_are_judged_as_published_under_a_key_of_ours() {
    let Some(folder) = vectors::folder("05-approov-tokens") else { return };
    let collection = vectors::json(&folder, "approov-2-kong-plugin.postman_collection.json");
    let mut all = Vec::new();
    requests(&collection["item"], "", &mut all);
    let (mut good, mut bad) = (0, 0);
    for request in &all {
        let Some(token) = &request.token else { continue };
        let token = token.strip_prefix("Bearer ").unwrap_or(token);
        // Their secret is not published here: header and payload are theirs, the signature ours, unless the signature
        // is what is wrong.
        let parts: Vec<&str> = token.split('.').collect();
        let signed = match parts[..] {
            [header, payload, _] if !request.path.contains("Invalid Signature") => {
                let decode = |part: &str| b64u::decode(part.as_bytes(), 4096).unwrap();
                lifetime::sign(&decode(header), &decode(payload))
            }
            _ => token.to_owned(),
        };
        // On purpose: Kong can't find a key without `kid`; we have one key for this issuer, and it fits any name.
        if request.path.contains("Missing  `kid`") {
            continue;
        }
        // Published as accepted without `pay` on a bound route: there `danger_pay_optional` is set.
        let optional = request.path.contains("Without token binding");
        let verdict = verdict_on(request, &signed, &lifetime::key_set(), request.path.contains("/forms/"), optional);
        let expected = !request.path.contains("/invalid requests/");
        assert_eq!(verdict == Verdict::Attested, expected, "{}: {verdict}", request.path);
        *if expected { &mut good } else { &mut bad } += 1;
    }
    println!("approov kong: {good} accepted, {bad} refused");
    assert!(good == 3 && bad >= 5);
}

#[test]
fn the_published_tokens_pass_as_they_are_and_the_changed_ones_do_not() {
    let keys = approov_set(&data_encoding::BASE64.decode(DUMMY.as_bytes()).unwrap());
    let float = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJleHAiOjQ3MDg2ODMyMDUuODkxOTEyfQ.";
    assert_eq!(
        judge(&format!("{float}c8I4KNndbThAQ7zlgX4_QDtcxCrD9cff1elaCJe9p9U"), &keys, None, false),
        Verdict::Attested
    );
    // The last character carries stray bits: the same bytes to a lax decoder.
    assert_eq!(
        judge(&format!("{float}c8I4KNndbThAQ7zlgX4_QDtcxCrD9cff1elaCJe9p9V"), &keys, None, false),
        Verdict::Malformed
    );
    assert_eq!(
        judge(&format!("{float}_ZdLOZmK4KXSIpVlhOpHBgboSHHTWer-X6oLqFIDQWI"), &keys, None, false),
        Verdict::BadSignature
    );
}
