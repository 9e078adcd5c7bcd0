//! In: the body or the query of a request. Out: one of the types of [`crate::types`]. What is proven: at most 64 KiB, not
//! nested deeper than a request of ours, no member twice, none that is unknown; a refusal names the member and repeats
//! nothing of its value.

use attest_core::json::{self, JsonError, Limits};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::{Code, Problem};

/// Bytes of a body.
pub const MAX_BODY: usize = 64 * 1024;
const LIMITS: Limits = Limits { max_bytes: MAX_BODY, max_depth: 8, max_members: 4096 };
/// What a refusal names as at fault when no member is.
const BODY: &str = "body";
const QUERY: &str = "query";
/// Names longer than this are not repeated.
const MAX_NAME: usize = 64;

/// Reads a JSON object.
///
/// # Errors
/// `too_large` over 64 KiB; `invalid` otherwise, with the member at fault.
pub fn body<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let members = json::parse_object(text, LIMITS).map_err(|error| match error {
        JsonError::TooLong => Problem::new(Code::TooLarge),
        other => Problem::invalid(BODY, other.to_string()),
    })?;
    serde_path_to_error::deserialize(Value::Object(members)).map_err(|error| refused(&error, BODY))
}

/// Reads the parameters after `?`.
///
/// # Errors
/// `invalid`, with the parameter at fault.
pub fn query<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(text.as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map_err(|error| refused(&error, QUERY))
}

/// The reason in our words: serde's own repeat the value.
fn refused<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>, whole: &str) -> Problem {
    let said = error.inner().to_string();
    let path = error.path().to_string();
    let parent = if path == "." || path.len() > MAX_NAME { None } else { Some(path.as_str()) };
    let quoted = |before: &str| said.strip_prefix(before)?.split_once('`').map(|(name, _)| name);
    if let Some(name) = quoted("missing field `") {
        return Problem::invalid(joined(parent, name), "it is needed");
    }
    if let Some(name) = quoted("duplicate field `") {
        return Problem::invalid(name, "it stands more than once");
    }
    if let Some(name) = quoted("unknown field `") {
        return Problem::invalid(
            if named(name) { name } else { whole },
            format!("there is no such member{}", expected(&said)),
        );
    }
    Problem::invalid(parent.unwrap_or(whole), format!("it can't be read{}", expected(&said)))
}

/// What serde would have taken: our own names and types, nothing of the caller's.
fn expected(said: &str) -> String {
    said.rsplit_once(", expected ").map_or_else(String::new, |(_, what)| format!(": expected {what}"))
}

fn joined(parent: Option<&str>, name: &str) -> String {
    match parent {
        // The path of a missing member ends with its parent; of some formats, with itself.
        Some(parent) if parent != name && !parent.ends_with(&format!(".{name}")) => format!("{parent}.{name}"),
        Some(_) | None => name.to_owned(),
    }
}

fn named(name: &str) -> bool {
    name.len() <= MAX_NAME
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{DeviceQuery, Mark, NewBuild};
    use proptest::prelude::*;

    fn refusal<T: DeserializeOwned + std::fmt::Debug>(text: &str) -> (String, String) {
        let problem = body::<T>(text.as_bytes()).unwrap_err();
        assert_eq!(problem.code, Code::Invalid);
        (problem.field.unwrap(), problem.detail.unwrap())
    }

    #[test]
    fn refuses_what_it_does_not_know_by_name() {
        let (field, detail) = refusal::<Mark>(r#"{"state":"banned","reason":"r","untill":5}"#);
        assert_eq!(field, "untill");
        assert!(detail.contains("`until`"), "{detail}");
        let (field, _) = refusal::<NewBuild>(r#"{"app":"a","platform":"linux","version":"1","package":{"ids":"x"}}"#);
        assert_eq!(field, "ids");
    }

    #[test]
    fn refuses_what_is_missing_twice_or_of_another_type_and_repeats_no_value() {
        assert_eq!(refusal::<Mark>(r#"{"state":"banned"}"#).0, "reason");
        assert_eq!(refusal::<Mark>(r#"{"state":"banned","state":"normal","reason":"r"}"#).1, "a member occurs twice");
        let (field, detail) = refusal::<Mark>(r#"{"state":"s3cret","reason":"r"}"#);
        assert_eq!(field, "state");
        assert!(!detail.contains("s3cret") && detail.contains("`banned`"), "{detail}");
        let (field, detail) = refusal::<Mark>(r#"{"state":"banned","reason":"r","until":"s3cret"}"#);
        assert_eq!(field, "until");
        assert!(!detail.contains("s3cret"), "{detail}");
        let long = format!(r#"{{"{}":1}}"#, "x".repeat(1000));
        assert_eq!(refusal::<Mark>(&long).0, "body");
    }

    #[test]
    fn refuses_too_much_and_too_deep() {
        let large = format!(r#"{{"reason":"{}"}}"#, "r".repeat(MAX_BODY));
        assert_eq!(body::<Mark>(large.as_bytes()).unwrap_err().code, Code::TooLarge);
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(60_000 / 2), "]".repeat(60_000 / 2));
        assert_eq!(refusal::<Mark>(&deep).1, "nested too deeply");
    }

    #[test]
    fn parameters_are_held_to_the_same() {
        let field = |text| query::<DeviceQuery>(text).unwrap_err().field.unwrap();
        assert_eq!(field("limit=5&limit=6"), "limit");
        assert_eq!(field("limits=5"), "limits");
        assert_eq!(field("limit=-1"), "limit");
        let read = query::<DeviceQuery>("limit=5&state=banned&app=a%20b").unwrap();
        assert_eq!((read.limit, read.app.as_deref()), (Some(5), Some("a b")));
        assert_eq!(query::<DeviceQuery>("").unwrap(), DeviceQuery::default());
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused_in_few_words(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for input in [text.as_bytes(), &bytes] {
                if let Err(problem) = body::<NewBuild>(input) {
                    prop_assert!(problem.to_string().len() < 300);
                }
            }
            if let Err(problem) = query::<DeviceQuery>(&text) {
                prop_assert!(problem.to_string().len() < 300);
            }
        }

        #[test]
        fn what_is_printed_is_read_back(version in "[a-z0-9.]{1,20}", label in "[a-z]{0,9}", until in any::<i64>()) {
            let build = NewBuild {
                app: "a".into(), platform: "linux".into(), version, label, measurement: None,
                package: crate::types::Package::default(), libraries: vec![],
            };
            prop_assert_eq!(body::<NewBuild>(&serde_json::to_vec(&build).unwrap()).unwrap(), build);
            let mark = Mark { state: crate::types::DeviceState::Banned, until: Some(until), reason: "r".into() };
            prop_assert_eq!(body::<Mark>(&serde_json::to_vec(&mark).unwrap()).unwrap(), mark);
        }
    }
}
