//! JSON that a stranger sent: bounded, and with one meaning.
//!
//! In: bytes. Out: an object in which no member occurred twice at any level (RFC 8259 section 4 leaves open which one
//! counts, and two parsers choose differently), no deeper and no larger than the caller allows.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How much JSON is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text.
    pub max_bytes: usize,
    /// Nested objects and arrays; the outermost object is 1. At most 100.
    pub max_depth: usize,
    /// Members and array elements, all levels together.
    pub max_members: usize,
}

/// Why the text is not an object that we read.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum JsonError {
    /// More than `max_bytes`.
    #[error("too long")]
    TooLong,
    /// Not JSON, or more behind the object.
    #[error("not JSON")]
    NotJson,
    /// JSON, but no object.
    #[error("not a JSON object")]
    NotAnObject,
    /// Nested deeper than `max_depth`.
    #[error("nested too deeply")]
    TooDeep,
    /// More than `max_members`.
    #[error("too many members")]
    TooManyMembers,
    /// One name twice in one object.
    #[error("a member occurs twice")]
    DuplicateMember,
    /// A number that no double holds, such as `1e400`.
    #[error("a number out of range")]
    NumberOutOfRange,
}

impl JsonError {
    /// The stable code of this reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::TooDeep => "too_deep",
            Self::TooManyMembers => "too_many_members",
            Self::DuplicateMember => "duplicate_member",
            Self::NumberOutOfRange => "number_out_of_range",
        }
    }
}

/// Parses one object, to its last byte.
///
/// # Errors
/// The first [`JsonError`] met.
pub fn parse_object(text: &[u8], limits: Limits) -> Result<Map<String, Value>, JsonError> {
    match parse_value(text, limits)? {
        Value::Object(members) => Ok(members),
        _ => Err(JsonError::NotAnObject),
    }
}

fn parse_value(text: &[u8], limits: Limits) -> Result<Value, JsonError> {
    if text.len() > limits.max_bytes {
        return Err(JsonError::TooLong);
    }
    let budget = Budget { members_left: Cell::new(limits.max_members), stopped: Cell::new(None) };
    let mut parser = serde_json::Deserializer::from_slice(text);
    let seed = Strict { budget: &budget, depth_left: limits.max_depth.min(100) };
    let parsed = seed.deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    parsed.map_err(|error| budget.stopped.get().unwrap_or_else(|| classify(&error)))
}

fn classify(error: &serde_json::Error) -> JsonError {
    // serde_json has no kind for it; the words are its own since 1.0.
    if error.to_string().starts_with("number out of range") { JsonError::NumberOutOfRange } else { JsonError::NotJson }
}

struct Budget {
    members_left: Cell<usize>,
    stopped: Cell<Option<JsonError>>,
}

impl Budget {
    fn stop<E: de::Error>(&self, why: JsonError) -> E {
        self.stopped.set(Some(why));
        E::custom("stopped")
    }

    fn take_member<E: de::Error>(&self) -> Result<(), E> {
        match self.members_left.get().checked_sub(1) {
            Some(left) => {
                self.members_left.set(left);
                Ok(())
            }
            None => Err(self.stop(JsonError::TooManyMembers)),
        }
    }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    budget: &'a Budget,
    depth_left: usize,
}

impl Strict<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => Err(self.budget.stop(JsonError::TooDeep)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.budget.stop(JsonError::NumberOutOfRange))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut out = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            self.budget.take_member()?;
            out.push(element);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut out = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            self.budget.take_member()?;
            if out.contains_key(&name) {
                return Err(self.budget.stop(JsonError::DuplicateMember));
            }
            let value = members.next_value_seed(inner)?;
            out.insert(name, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { max_bytes: 4096, max_depth: 4, max_members: 32 };

    fn refused(text: &str) -> JsonError {
        parse_object(text.as_bytes(), LIMITS).expect_err(text)
    }

    #[test]
    fn refuses_a_member_twice_at_every_level() {
        assert_eq!(refused(r#"{"a":1,"a":1}"#), JsonError::DuplicateMember);
        assert_eq!(refused(r#"{"a":1,"\u0061":2}"#), JsonError::DuplicateMember);
        assert_eq!(refused(r#"{"a":{"b":1,"b":2}}"#), JsonError::DuplicateMember);
        assert_eq!(refused(r#"{"a":[{"b":1,"b":2}]}"#), JsonError::DuplicateMember);
    }

    #[test]
    fn refuses_what_is_too_much() {
        assert_eq!(refused(&format!("{{\"a\":\"{}\"}}", "x".repeat(5000))), JsonError::TooLong);
        assert_eq!(refused(r#"{"a":[[[[1]]]]}"#), JsonError::TooDeep);
        let many: Vec<String> = (0..33).map(|n| format!("\"{n}\":0")).collect();
        assert_eq!(refused(&format!("{{{}}}", many.join(","))), JsonError::TooManyMembers);
        assert_eq!(refused(r#"{"a":1e400}"#), JsonError::NumberOutOfRange);
        assert_eq!(refused(&"[".repeat(2000)), JsonError::TooDeep);
    }

    #[test]
    fn refuses_what_is_not_one_object() {
        for text in [
            "",
            "{",
            "{}x",
            "{}{}",
            "{'a':1}",
            "{\"a\":NaN}",
            "{\"a\":01}",
            "{\"a\":1,}",
            "{\"\\ud800\":1}",
            "\u{feff}{}",
        ] {
            assert_eq!(refused(text), JsonError::NotJson, "{text}");
        }
        for text in ["1", "null", "[]", "\"x\""] {
            assert_eq!(refused(text), JsonError::NotAnObject, "{text}");
        }
        assert_eq!(parse_object(b"{\"a\":\"\xff\"}", LIMITS), Err(JsonError::NotJson));
    }

    #[test]
    fn private_names_of_the_json_library_are_plain_members() {
        let text = br#"{"x":{"$serde_json::private::RawValue":"[1]","$serde_json::private::Number":"2"}}"#;
        let parsed = parse_object(text, LIMITS).unwrap();
        assert!(parsed["x"]["$serde_json::private::RawValue"].is_string());
    }

    proptest! {
        #[test]
        fn never_panics_and_agrees_with_serde_json_where_it_accepts(
            text in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Ok(parsed) = parse_object(&text, LIMITS) {
                prop_assert_eq!(Value::Object(parsed), serde_json::from_slice::<Value>(&text).unwrap());
            }
        }

        #[test]
        fn near_json_never_panics(text in r#"[\{\}\[\]",:a-c0-9e+.\\-]{0,60}"#) {
            let _ = parse_object(text.as_bytes(), LIMITS);
        }
    }
}
