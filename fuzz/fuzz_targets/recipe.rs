//! Attacks: recipes as an operator writes them with secrets of any kind, and what a client writes where a key goes. Input:
//! which of the two, then a recipe and a secret, or a query, a form, a JSON object.
//!
//! Holds: what parses has one canonical text; a server that reads names in any case, decoded twice, with `_` as `-`, finds
//! our key once and nothing of the client's in its place; everything else stays what it was.
#![no_main]

use assay_fuzz::halves;
use attest_core::random::SeededRandom;
use attest_core::target::Scheme;
use attest_core::time::UnixTime;
use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use recipes::{Changes, Draft, DraftBody, LargeBody, Recipe, RecipeText, Sigv4Place};
use serde_json::Value;

const NOW: UnixTime = UnixTime::from_secs(1_440_938_160);
const KEY: &str = "AKIAIOSFODNN7EXAMPLE:key/0123456789+abcdef";

struct Sent {
    query: String,
    body: Vec<u8>,
    headers: Vec<(String, String)>,
}

fn sent(recipe: &Recipe, secret: &[u8], query: &str, content_type: &'static str, body: &[u8]) -> Option<Sent> {
    let credential = recipe.credential(secret).ok()?;
    let _ = credential.token_request(NOW, &SeededRandom::new(7));
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(content_type));
    let draft = Draft {
        method: &Method::POST,
        scheme: Scheme::Https,
        host: "api.example.com",
        path: "/v1/a",
        query: Some(query),
        headers: &headers,
        body: DraftBody::Whole(body),
        now: NOW,
    };
    match credential.apply(&draft).ok()? {
        Changes::Many { headers, target, body: changed, .. } => Some(Sent {
            query: target.as_ref().map_or(Some(query), |target| target.query()).unwrap_or_default().to_owned(),
            body: changed.map_or_else(|| body.to_vec(), |body| body.to_vec()),
            headers: headers
                .iter()
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
        }),
        _ => None,
    }
}

/// What a lenient server makes of a name: decoded twice.
fn folded(name: &str) -> String {
    fold(&decoded(&decoded(name.as_bytes(), true), false))
}

fn fold(name: &[u8]) -> String {
    let name = name.split(|byte| *byte == b'[' || *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).trim_start_matches(' ').to_ascii_lowercase().replace(['_', '.', ' '], "-")
}

fn decoded(text: &[u8], plus_is_space: bool) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|digit| char::from(*digit).to_digit(16));
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(byte) = text.get(at) {
        let escaped = digit(at + 1).zip(digit(at + 2)).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        match (*byte, escaped) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 2;
            }
            (b'+', _) if plus_is_space => out.push(b' '),
            (other, _) => out.push(other),
        }
        at += 1;
    }
    out
}

fn is_ours_once(query: &str, slot: &str) {
    let parts = query.split(['&', ';']).map(|part| part.split_once('=').unwrap_or((part, "")));
    let ours = parts.filter(|(name, _)| folded(name) == slot).map(|(_, value)| decoded(value.as_bytes(), true));
    assert_eq!(ours.collect::<Vec<_>>(), [KEY.as_bytes()], "{query}");
}

fn any_recipe(data: &[u8]) {
    let (text, secret) = halves(data, 0xff);
    let Ok(text) = serde_json::from_slice::<RecipeText>(text) else { return };
    let Ok(recipe) = Recipe::parse(&text) else { return };
    let again = Recipe::parse(&recipe.to_text()).expect("canonical text parses");
    assert_eq!(again, recipe);
    assert_eq!(again.to_text(), recipe.to_text());
    let _ = sent(&recipe, secret, "a=1", "application/json", b"{}");
}

fn in_a_query(query: &str) {
    let text = RecipeText::Query { name: "key".to_owned(), template: "{key}".to_owned() };
    let recipe = Recipe::parse(&text).expect("a recipe");
    if let Some(sent) = sent(&recipe, KEY.as_bytes(), query, "text/plain", b"") {
        is_ours_once(&sent.query, "key");
        let others = |query: &str| {
            query
                .split(['&', ';'])
                .filter(|part| !recipe.slots().is_query(part.split('=').next().unwrap_or("")))
                .map(str::to_owned)
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
        };
        assert_eq!(others(&sent.query), others(query));
    }
}

fn in_a_form(form: &str) {
    let text = RecipeText::FormField { name: "api_key".to_owned(), template: "{key}".to_owned() };
    let recipe = Recipe::parse(&text).expect("a recipe");
    if let Some(sent) = sent(&recipe, KEY.as_bytes(), "", "application/x-www-form-urlencoded", form.as_bytes()) {
        is_ours_once(std::str::from_utf8(&sent.body).expect("text"), "api-key");
    }
}

fn in_json(body: &[u8]) {
    let text = RecipeText::JsonField { pointer: "/auth/key".to_owned(), template: "{key}".to_owned() };
    let recipe = Recipe::parse(&text).expect("a recipe");
    let Some(sent) = sent(&recipe, KEY.as_bytes(), "", "application/json", body) else { return };
    // A number that no double holds passes as it is written; this reader has no value for it.
    let Ok(before) = serde_json::from_slice::<Value>(body) else { return };
    let mut after: Value = serde_json::from_slice(&sent.body).expect("it was written");
    let auth = after.as_object_mut().expect("an object").remove("auth").expect("ours");
    assert_eq!(auth["key"], KEY);
    let other = |members: &serde_json::Map<String, Value>, slot: &str| {
        members
            .iter()
            .filter(|(name, _)| !is_spelling(name, slot))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<serde_json::Map<_, _>>()
    };
    assert_eq!(after, Value::Object(other(before.as_object().expect("an object"), "auth")));
    let inside = before.get("auth").and_then(Value::as_object).cloned().unwrap_or_default();
    let kept = auth.as_object().expect("an object");
    assert_eq!(other(kept, "key"), other(&inside, "key"));
    assert_eq!(kept.keys().filter(|name| is_spelling(name, "key")).count(), 1);
}

/// As names of members are compared: without decoding.
fn is_spelling(name: &str, slot: &str) -> bool {
    fold(name.as_bytes()) == slot
}

fn signed(query: &str) {
    let text = RecipeText::AwsSigv4 {
        region: "eu-central-1".to_owned(),
        service: "s3".to_owned(),
        place: Sigv4Place::Header,
        headers: vec!["content-type".to_owned()],
        large_body: LargeBody::Unsigned,
    };
    let recipe = Recipe::parse(&text).expect("a recipe");
    let Some(one) = sent(&recipe, KEY.as_bytes(), query, "text/plain", b"x") else { return };
    // What was sent needs no change, and has the same signature.
    let two = sent(&recipe, KEY.as_bytes(), &one.query, "text/plain", b"x").expect("it was sent before");
    assert_eq!((&two.query, &two.headers), (&one.query, &one.headers));
    assert!(!one.query.contains('+') && !one.query.to_ascii_lowercase().starts_with("x-amz-signature="));
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    match (mode % 5, std::str::from_utf8(data)) {
        (0, _) => any_recipe(data),
        (1, Ok(query)) if query.is_ascii() => in_a_query(query),
        (2, Ok(form)) => in_a_form(form),
        (3, _) => in_json(data),
        (4, Ok(query)) if query.is_ascii() => signed(query),
        _ => {}
    }
});
