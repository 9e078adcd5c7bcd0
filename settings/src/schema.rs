//! The JSON schema of the configuration file, for editors.
//!
//! Made from the same raw shapes that read the file, so that what an editor completes is what the loader takes.

use schemars::{Schema, generate::SchemaSettings, transform::{RecursiveTransform, Transform}};

use crate::file::RawDocument;

/// The schema of `assay.yaml`, JSON Schema draft-07.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<RawDocument>();
    RecursiveTransform(drop_formats).transform(&mut schema);
    schema.to_value()
}

/// `uint64` and the like are no JSON Schema formats, and editors warn about them.
fn drop_formats(schema: &mut Schema) {
    if schema.get("format").and_then(|format| format.as_str()).is_some_and(|format| format.starts_with("uint")) {
        schema.remove("format");
    }
}
