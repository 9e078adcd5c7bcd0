//! The reader and the writer, held against serde_json.

use proptest::prelude::*;

use super::*;

fn refused(text: &str) -> NotJson {
    Json::parse(text.as_bytes()).unwrap_err()
}

#[test]
fn what_readers_differ_in_is_refused() {
    for (text, why) in [
        (r#"{"a":1,"a":2}"#, NotJson::Twice(13)),
        (r#"{"a":1,"\u0061":2}"#, NotJson::Twice(18)),
        (r#"{"a":{"b":1,"c":2,"b":3}}"#, NotJson::Twice(24)),
        (r#""\ud800""#, NotJson::Surrogate(2)),
        (r#""\udc00\ud800""#, NotJson::Surrogate(2)),
        (r#""\ud800\u0041""#, NotJson::Surrogate(2)),
        ("\u{feff}{}", NotJson::NotUtf8),
        ("[1e309]", NotJson::Range(6)),
    ] {
        assert_eq!(refused(text), why, "{text}");
    }
    assert_eq!(Json::parse(b"\"\xff\"").unwrap_err(), NotJson::NotUtf8);
    assert_eq!(Json::parse("{}".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>().as_slice()).ok(), None);
}

#[test]
fn what_lenient_readers_take_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "{}{}",
        "{} x",
        "{a:1}",
        "{'a':1}",
        "[1,]",
        "{\"a\":1,}",
        "[1 2]",
        "{\"a\" 1}",
        "// c\n1",
        "/* */1",
        "01",
        "+1",
        "1.",
        ".1",
        "1e",
        "-",
        "0x10",
        "NaN",
        "Infinity",
        "True",
        "nul",
        "\"a\nb\"",
        "\"\\x41\"",
        "\"\\u00g0\"",
        "\"\\u+041\"",
        "\"a",
        "\u{a0}1",
    ] {
        assert!(matches!(refused(text), NotJson::Grammar(_)), "{text:?}");
    }
}

#[test]
fn depth_has_an_end() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Json::parse(nested(MOST_DEPTH).as_bytes()).is_ok());
    assert_eq!(refused(&nested(MOST_DEPTH + 1)), NotJson::TooDeep);
    // A whole body of brackets ends where the bound is, not where the stack does.
    assert_eq!(refused(&"[".repeat(65_536)), NotJson::TooDeep);
}

#[test]
fn numbers_stay_as_they_were_written() {
    let text = "[1.0,1e3,1E+3,-0,0.10,12345678901234567890123,1e300]";
    assert_eq!(Json::parse(text.as_bytes()).unwrap().to_text(), text);
}

#[test]
fn blanks_and_needless_escapes_are_left_out() {
    let parsed =
        Json::parse(b" { \"a\\/\\u0041\" : [ true , null ] ,\t\"\\u00e9\\ud83d\\ude00\":\"\\u0000\\n\" } ").unwrap();
    assert_eq!(parsed.to_text(), "{\"a/A\":[true,null],\"é😀\":\"\\u0000\\n\"}");
}

#[test]
fn numbers_are_the_same_by_value_while_a_double_can_tell() {
    let same =
        |one: &str, other: &str| Json::parse(one.as_bytes()).unwrap().is_same(&Json::parse(other.as_bytes()).unwrap());
    assert!(same("1", "1.0") && same("1e3", "1000") && same("{\"a\":1,\"b\":2}", "{\"b\":2.0,\"a\":1}"));
    assert!(!same("9007199254740993", "9007199254740992") && !same("1", "\"1\"") && !same("[1]", "[1,1]"));
    assert!(!same("true", "1") && !same("{\"a\":1}", "{\"a\":1,\"b\":1}"));
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
        "[\\x00-\\x7f]{0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map("\\PC{0,4}", inner, 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_another_writer_writes_is_read_and_written_to_the_same(value in any_json()) {
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        let written = Json::parse(&pretty).unwrap().to_text();
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
        // A second time nothing changes: there is one text for a tree.
        prop_assert_eq!(Json::parse(written.as_bytes()).unwrap().to_text(), written);
    }

    #[test]
    fn what_is_taken_another_reader_takes_too(bytes in prop::collection::vec(prop::sample::select(b"{}[]\",:0123eE+-.truefalsn\\u \n\xc3\xa9".to_vec()), 0..40)) {
        if let Ok(json) = Json::parse(&bytes) {
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&json.to_text()).unwrap(), value);
        }
    }
}
