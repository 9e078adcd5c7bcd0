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
    if let (Some(own), Some(policy)) =
        (schema.get_mut("definitions").and_then(Value::as_object_mut), policy.as_object_mut())
    {
        if let Some(Value::Object(inner)) = policy.remove("definitions") {
            own.extend(inner);
        }
        policy.remove("$schema");
        policy.remove("title");
        own.insert("ResultPolicy".to_owned(), Value::Object(std::mem::take(policy)));
    }
    schema
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

    #[test]
    fn no_shape_here_has_the_name_of_one_of_policies() {
        let own = Value::from(SchemaSettings::draft07().into_generator().into_root_schema_for::<RawDocument>());
        for name in policies::schema()["definitions"].as_object().unwrap().keys() {
            assert!(own["definitions"].get(name).is_none(), "{name}");
        }
        assert!(schema()["definitions"]["ResultPolicy"]["properties"]["default"].is_object());
    }
}
