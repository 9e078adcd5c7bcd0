//! The JSON schema of the configuration file, for editors.
//!
//! Made from the same raw shapes that read the file, so that what an editor completes is what the loader takes.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::file::RawDocument;

/// The schema of `assay.yaml`, JSON Schema draft-07, with that of policies inside.
#[must_use]
pub fn schema() -> Value {
    let mut schema = Value::from(SchemaSettings::draft07().into_generator().into_root_schema_for::<RawDocument>());
    drop_formats(&mut schema);
    let mut policy = policies::schema();
    rename(&mut policy);
    if let (Some(own), Some(policy)) =
        (schema.get_mut("definitions").and_then(Value::as_object_mut), policy.as_object_mut())
    {
        if let Some(Value::Object(inner)) = policy.remove("definitions") {
            own.extend(inner.into_iter().map(|(name, shape)| (format!("{POLICY}{name}"), shape)));
        }
        policy.remove("$schema");
        policy.remove("title");
        own.insert("ResultPolicy".to_owned(), Value::Object(std::mem::take(policy)));
    }
    schema
}

/// The schema of a file that policies include: `rules:` alone, in the shapes of a policy.
#[must_use]
pub fn rules_schema() -> Value {
    let mut schema = policies::schema();
    if let Some(whole) = schema.as_object_mut() {
        let rules = whole.get("properties").and_then(|properties| properties.get("rules")).cloned();
        whole.insert("properties".to_owned(), serde_json::json!({ "rules": rules }));
        whole.insert("required".to_owned(), serde_json::json!(["rules"]));
        whole.insert("title".to_owned(), "rules that policies include".into());
        whole.remove("description");
    }
    schema
}

/// Before the names of the shapes of policies, which have names like ours.
const POLICY: &str = "Policy";
const SHAPES: &str = "#/definitions/";

/// Points every reference between the shapes of policies to their names here.
fn rename(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(shape)) = members.get_mut("$ref")
                && let Some(name) = shape.strip_prefix(SHAPES)
            {
                *shape = format!("{SHAPES}{POLICY}{name}");
            }
            members.values_mut().for_each(rename);
        }
        Value::Array(items) => items.iter_mut().for_each(rename),
        _ => {}
    }
}

/// `uint64` and the like are no JSON Schema formats, and editors warn about them.
fn drop_formats(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                members.remove("format");
            }
            members.values_mut().for_each(drop_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_formats),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` in `value`.
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn shapes_of_policies_are_all_there_and_replace_none_of_ours() {
        let own = Value::from(SchemaSettings::draft07().into_generator().into_root_schema_for::<RawDocument>());
        let (own, policy, whole) = (&own["definitions"], &policies::schema()["definitions"], schema());
        let count = |value: &Value| value.as_object().unwrap().len();
        assert_eq!(count(&whole["definitions"]), count(own) + count(policy) + 1);
        let mut found = Vec::new();
        references(&whole, &mut found);
        assert!(found.len() > 50);
        for name in found {
            assert!(whole["definitions"].get(name.strip_prefix(SHAPES).unwrap()).is_some(), "{name} is there");
        }
        assert!(whole["definitions"]["ResultPolicy"]["properties"]["default"].is_object());
    }
}
