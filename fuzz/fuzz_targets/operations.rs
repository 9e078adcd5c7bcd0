//! Attacks: the rules of an operation, with a body, a form and a query of a client's own. Input: which of the three, then
//! the text.
//!
//! Holds: what is let through keeps every rule in the eyes of another reader; sent once more it passes unchanged; a refusal is
//! short and repeats no value.
#![no_main]

use std::collections::HashSet;
use std::sync::LazyLock;

use attest_core::target::PathGlob;
use http::Method;
use libfuzzer_sys::fuzz_target;
use operations::{Body, BodyText, BodyType, Condition, Json, Operation, Query, QueryText};
use serde_json::Value;

static CHAT: LazyLock<Body> = LazyLock::new(|| body(BodyType::Json));
static FORM: LazyLock<Body> = LazyLock::new(|| body(BodyType::Form));

fn body(kind: BodyType) -> Body {
    let text = BodyText {
        limit: 65_536,
        kind,
        required: vec!["/messages".to_owned()],
        fixed: vec![("/user".to_owned(), Json::from("app")), ("/meta/source".to_owned(), Json::from("app"))],
        cap: vec![("/max_tokens".to_owned(), 16)],
        one_of: vec![("/model".to_owned(), vec![Json::from("small"), Json::from("tiny")])],
        forbid: vec!["/tools".to_owned()],
        only: None,
        conditional: vec![Condition {
            when: vec![("/stream".to_owned(), Json::from(true))],
            fixed: vec![("/stream_options/include_usage".to_owned(), Json::from(true))],
        }],
    };
    Body::new(text).expect("rules that hold")
}

static CALL: LazyLock<Operation> = LazyLock::new(|| {
    let mut text = QueryText::only(["q", "expand[]"]);
    text.fixed.insert("v".to_owned(), "1".to_owned());
    let path = PathGlob::parse("/x").expect("a path");
    Operation::closed(Method::GET, path).with_query(Query::new(text).expect("rules that hold"))
});

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else { return };
    match which % 3 {
        0 => json(data),
        1 => form(data),
        _ => query(data),
    }
});

fn json(data: &[u8]) {
    let Some(sent) = judged(&CHAT, data) else { return };
    let sent: Value = serde_json::from_slice(&sent).expect("what goes out is JSON");
    assert!(["small", "tiny"].contains(&sent["model"].as_str().expect("a model")));
    assert!((0.0..=16.0).contains(&sent["max_tokens"].as_f64().expect("a number")));
    assert!(sent["user"] == "app" && sent["meta"]["source"] == "app");
    assert!(sent.get("messages").is_some() && sent.get("tools").is_none());
    assert!(sent["stream"] != true || sent["stream_options"]["include_usage"] == true);
}

fn form(data: &[u8]) {
    let Some(sent) = judged(&FORM, data) else { return };
    let text = String::from_utf8(sent).expect("text");
    let pairs = text.split('&').map(|pair| pair.split_once('=').expect("a pair"));
    let fields: Vec<(String, String)> = pairs.map(|(name, value)| (plain(name), plain(value))).collect();
    let of = |name: &str| {
        fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert!(matches!(of("model")[..], ["small" | "tiny"]), "{text}");
    assert!(
        matches!(of("max_tokens")[..], [number] if number.parse::<f64>().is_ok_and(|number| number <= 16.0)),
        "{text}"
    );
    assert_eq!((of("user"), of("meta[source]")), (vec!["app"], vec!["app"]), "{text}");
    assert!(!fields.iter().any(|(name, _)| name == "tools" || name.starts_with("tools[")), "{text}");
    let single: Vec<_> = fields.iter().map(|(name, _)| name).filter(|name| !name.contains("[]")).collect();
    assert_eq!(single.iter().collect::<HashSet<_>>().len(), single.len(), "{text}");
}

fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match CALL.target("/x", Some(text)) {
        Ok(target) => {
            let target = target.expect("something is fixed");
            let query = target.strip_prefix("/x?").expect("a query");
            let names: Vec<String> = query.split('&').filter_map(|pair| pair.split('=').next()).map(plain).collect();
            assert!(names.iter().all(|name| ["q", "expand[]", "v"].contains(&name.as_str())), "{target}");
            assert_eq!(names.iter().filter(|name| *name == "v").count(), 1, "{target}");
            assert_eq!(CALL.target("/x", Some(query)), Ok(Some(target.clone())));
        }
        Err(refusal) => assert!(refusal.to_string().len() < 160),
    }
}

fn judged(rules: &Body, data: &[u8]) -> Option<Vec<u8>> {
    match rules.judge(data) {
        Ok(sent) => {
            let sent = sent.expect("there are rules");
            assert_eq!(rules.judge(&sent), Ok(Some(sent.clone())), "twice is once");
            Some(sent)
        }
        Err(refusal) => {
            assert!(refusal.to_string().len() < 160);
            None
        }
    }
}

/// Decoded by a reader of its own; a broken escape stays as it is.
fn plain(text: &str) -> String {
    let mut rest = text.as_bytes();
    let mut out = Vec::new();
    while let Some((byte, after)) = rest.split_first() {
        let escape = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        (out, rest) = match (byte, escaped) {
            (b'%', Some(escaped)) => ([out, vec![escaped]].concat(), &after[2..]),
            (b'+', _) => ([out, vec![b' ']].concat(), after),
            (byte, _) => ([out, vec![*byte]].concat(), after),
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}
