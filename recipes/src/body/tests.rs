use proptest::prelude::*;
use serde_json::Value;

use crate::kit::{SECRET, Sample};
use crate::{ApplyError, MAX_BODY, Recipe, RecipeText};

fn json(pointer: &str) -> RecipeText {
    RecipeText::JsonField { pointer: pointer.to_owned(), template: "{key}".to_owned() }
}

fn form() -> RecipeText {
    RecipeText::FormField { name: "api_key".to_owned(), template: "{key}".to_owned() }
}

fn in_json(pointer: &str, body: &str) -> Result<String, ApplyError> {
    Sample::post("/v1", "application/json", body).with(&json(pointer), SECRET).map(|seen| seen.body.unwrap())
}

fn in_form(body: &str) -> String {
    Sample::post("/v1", "application/x-www-form-urlencoded", body).with(&form(), SECRET).unwrap().body.unwrap()
}

#[test]
fn refuses_pointers_that_lead_nowhere() {
    for pointer in ["", "a", "/", "/a//b", "/a~2", "/a~", "/é", "/a/b/c/d/e/f/g/h/i", &format!("/{}", "a".repeat(65))]
    {
        assert!(Recipe::parse(&json(pointer)).is_err(), "{pointer:?}");
    }
}

#[test]
fn refuses_bodies_that_are_absent_unread_compressed_or_of_another_type() {
    for (text, good, content_type) in
        [(json("/key"), "{}", "application/json"), (form(), "a=1", "application/x-www-form-urlencoded")]
    {
        let post = |content_type: &str| Sample::post("/v1", content_type, good);
        let refused = |sample: Sample| sample.with(&text, SECRET).unwrap_err();
        assert_eq!(refused(Sample::get("/v1")), ApplyError::NoBody);
        assert_eq!(refused(post(content_type).unread()), ApplyError::BodyTooLarge);
        assert_eq!(refused(Sample::post("/v1", content_type, "a".repeat(MAX_BODY + 1))), ApplyError::BodyTooLarge);
        assert_eq!(refused(post(content_type).header("content-encoding", "gzip")), ApplyError::BodyType);
        assert_eq!(refused(post("multipart/form-data; boundary=x")), ApplyError::BodyType);
        assert_eq!(refused(post("text/plain")), ApplyError::BodyType);
        assert_eq!(refused(post(&format!("{content_type}; charset=utf-16"))), ApplyError::BodyType);
        assert_eq!(refused(post(content_type).header("content-type", content_type)), ApplyError::BodyType);
        let mut untyped = post(content_type);
        untyped.headers.clear();
        assert_eq!(refused(untyped), ApplyError::BodyType);
        assert!(post(&format!("{}; Charset=\"UTF-8\"", content_type.to_uppercase())).with(&text, SECRET).is_ok());
    }
}

#[test]
fn refuses_bodies_with_two_meanings_or_no_place() {
    for body in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        "[]",
        "1",
        "{",
        "{}x",
        "{'a':1}",
        "\u{feff}{}",
        &format!("{}{}", r#"{"a":"#.repeat(200), "}".repeat(200)),
    ] {
        assert_eq!(in_json("/key", body), Err(ApplyError::BodyForm), "{body}");
    }
    for body in [r#"{"auth":1}"#, r#"{"auth":[]}"#, r#"{"auth":null}"#, r#"{"auth":{"a":1,"a":2}}"#] {
        assert_eq!(in_json("/auth/key", body), Err(ApplyError::BodyForm), "{body}");
    }
    let broken = Sample::post("/v1", "application/json", b"{\"a\":\"\xff\"}");
    assert_eq!(broken.with(&json("/key"), SECRET).unwrap_err(), ApplyError::BodyForm);
}

#[test]
fn the_member_is_set_and_all_else_stays_as_it_was_written() {
    let body = r#"{ "n": 1.10e2, "big": 123456789012345678901234567890, "s":"\u0041\/", "o" : { "x": [1, 2] } }"#;
    assert_eq!(
        in_json("/key", body).unwrap(),
        r#"{"n":1.10e2,"big":123456789012345678901234567890,"s":"\u0041\/","o":{ "x": [1, 2] },"key":"sk-0123456789abcdef"}"#
    );
    assert_eq!(
        in_json("/auth/key", r#"{"auth":{"user":"a"},"b":1}"#).unwrap(),
        r#"{"b":1,"auth":{"user":"a","key":"sk-0123456789abcdef"}}"#
    );
    assert_eq!(in_json("/a/b/c", "{}").unwrap(), r#"{"a":{"b":{"c":"sk-0123456789abcdef"}}}"#);
}

/// RFC 6901 section 5: `/a~1b`, `/m~0n`, `/k"l`, `/ `.
#[test]
fn pointers_are_unescaped_as_in_the_rfc_s_examples() {
    for (pointer, name) in [("/a~1b", "a/b"), ("/m~0n", "m~n"), ("/k\"l", "k\"l"), ("/i\\j", "i\\j"), ("/c%d", "c%d")] {
        let body: Value = serde_json::from_str(&in_json(pointer, "{}").unwrap()).unwrap();
        assert_eq!(body[name], "sk-0123456789abcdef", "{pointer}");
    }
}

#[test]
fn the_client_s_own_member_is_gone_in_every_spelling() {
    for own in [
        "api_key",
        "API_KEY",
        "api-key",
        "Api.Key",
        r"\u0061pi_key",
        "api_key[]",
        "apiKey",
        "APIKEY",
        r"api_key\u0000x",
        "api_\u{212a}ey",
    ] {
        let body = format!(r#"{{"{own}":"mine","b":1}}"#);
        assert_eq!(in_json("/api_key", &body).unwrap(), r#"{"b":1,"api_key":"sk-0123456789abcdef"}"#, "{own}");
        let body = format!(r#"{{"auth":{{"{own}":{{"mine":1}}}},"AUTH":{{"api_key":"mine"}}}}"#);
        assert_eq!(in_json("/auth/api_key", &body).unwrap(), r#"{"auth":{"api_key":"sk-0123456789abcdef"}}"#, "{own}");
    }
}

#[test]
fn a_name_of_signs_alone_is_told_from_others() {
    assert_eq!(in_json("/$", r#"{"_":1,"$":2,"":3}"#).unwrap(), r#"{"_":1,"":3,"$":"sk-0123456789abcdef"}"#);
}

#[test]
fn a_key_with_quotes_and_backslashes_is_escaped() {
    let seen = Sample::post("/v1", "application/vnd.x+json", "{}").with(&json("/k"), br#"a"b\c","x":"0123456789"#);
    let body: Value = serde_json::from_str(&seen.unwrap().body.unwrap()).unwrap();
    assert_eq!(body, serde_json::json!({"k": r#"a"b\c","x":"0123456789"#}));
}

#[test]
fn a_form_gets_its_field_last_and_loses_the_client_s_own() {
    assert_eq!(in_form("a=1&b=%20"), "a=1&b=%20&api_key=sk-0123456789abcdef");
    for own in ["api_key=mine", "API-KEY=mine", "%61pi_key=mine", "api_key[]=mine", "apikey=mine"] {
        assert_eq!(in_form(&format!("a=1&{own}")), "a=1&api_key=sk-0123456789abcdef", "{own}");
    }
}

#[test]
fn an_empty_post_gets_a_body_and_its_type() {
    let mut sample = Sample::get("/v1");
    sample.method = http::Method::POST;
    let seen = sample.with(&form(), SECRET).unwrap();
    assert_eq!(seen.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(seen.body.unwrap(), "api_key=sk-0123456789abcdef");
    let seen = sample.with(&json("/a/key"), SECRET).unwrap();
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.body.unwrap(), r#"{"a":{"key":"sk-0123456789abcdef"}}"#);
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é\\\\\"]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-dkK_-]{1,3}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn only_the_member_differs(body in proptest::collection::btree_map("[a-dkK_-]{1,3}", tree(), 0..5)) {
        let before: serde_json::Map<String, Value> = body.into_iter().collect();
        let text = serde_json::to_string(&before).unwrap();
        let after = in_json("/k_k", &text).unwrap();
        let mut after: serde_json::Map<String, Value> = serde_json::from_str(&after).unwrap();
        prop_assert_eq!(after.remove("k_k").unwrap(), "sk-0123456789abcdef");
        let is_own = |name: &str| name.replace(['-', '_'], "").eq_ignore_ascii_case("kk");
        let rest = before.into_iter().filter(|(name, _)| !is_own(name));
        prop_assert_eq!(after, rest.collect::<serde_json::Map<_, _>>());
    }

    #[test]
    fn bytes_of_any_kind_give_a_body_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Sample::post("/v1", "application/json", &body).with(&json("/a/b"), SECRET);
        let _ = Sample::post("/v1", "application/x-www-form-urlencoded", &body).with(&form(), SECRET);
    }
}
