//! A policy as it was read, and the schema that editors check it against.
//!
//! In: a node of a YAML document. Out: a [`RawPolicy`], which [`crate::compile()`] turns into rules.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::shape::policy::PolicyShape;
use crate::yaml::{Node, Place};

/// A policy as it stands in its file: nothing about it has been checked but that it is YAML.
///
/// It may be a file of its own ([`crate::parse_file`]) or stand inside another document.
#[derive(Clone, Debug)]
pub struct RawPolicy(pub(crate) Node);

impl RawPolicy {
    /// Where it begins.
    #[must_use]
    pub fn place(&self) -> Place {
        self.0.place
    }
}

impl From<Node> for RawPolicy {
    fn from(node: Node) -> Self {
        Self(node)
    }
}

impl JsonSchema for RawPolicy {
    fn schema_name() -> Cow<'static, str> {
        "ResultPolicy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = PolicyShape::json_schema(generator);
        without_null(&mut schema);
        schema
    }
}

/// The JSON schema (draft 7, which YAML editors read) of a policy file.
#[must_use]
pub fn schema() -> Value {
    draft_07::<RawPolicy>("Assay result policy")
}

/// The schema of a whole file.
pub(crate) fn draft_07<T: JsonSchema>(title: &str) -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    let mut value = Value::from(schema);
    strip_null(&mut value);
    value
}

fn without_null(schema: &mut Schema) {
    let mut value = Value::from(std::mem::take(schema));
    strip_null(&mut value);
    if let Ok(stripped) = Schema::try_from(value) {
        *schema = stripped;
    }
}

/// A field that may be left out is not one that may be `null`.
fn strip_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(strip_null),
        Value::Object(members) => {
            members.values_mut().for_each(strip_null);
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|one| one != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    members.insert("type".to_owned(), one);
                }
            }
            let without_choice = match members.get_mut("anyOf") {
                Some(Value::Array(choices)) => {
                    choices.retain(|choice| choice.get("type").is_none_or(|one| one != "null"));
                    match choices.as_slice() {
                        [Value::Object(only)] => Some(only.clone()),
                        _ => None,
                    }
                }
                _ => None,
            };
            if let Some(only) = without_choice {
                members.remove("anyOf");
                for (name, member) in only {
                    members.entry(name).or_insert(member);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_draft_7_closed_and_complete() {
        let schema = schema();
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], serde_json::json!(["default"]));
        let rule = &schema["definitions"]["RuleShape"]["properties"]["when"];
        assert_eq!(rule["required"], serde_json::json!(["verdict"]), "an editor tells it before the loader does");
        let text = schema.to_string();
        for word in [
            "\"until\"",
            "\"danger_default_allow\"",
            "\"not_yet_valid\"",
            "\"app_version\"",
            "\"invalid\"",
            "\"expired_for\"",
            "\"device_age\"",
            "\"forced_pass\"",
            "\"caller\"",
            "\"claims\"",
            "\"percentage\"",
            "\"include\"",
            "\"list\"",
            "\"reserve\"",
            "\"sliding\"",
            "\"unavailable\"",
            "\"block_everything\"",
            "\"danger_allow_everything\"",
        ] {
            assert!(text.contains(word), "{word}");
        }
        assert!(!text.contains("\"null\"") && !text.contains("\"place\""), "{text}");
    }
}
