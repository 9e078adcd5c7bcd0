//! `lists:` as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{names::FilePath, text::text_type, units::shown};
use crate::shape::{Either, Fault, Field};

/// A named list that policies refer to. Exactly one of `networks`, `devices` and `paths`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "List")]
pub(crate) struct RawList {
    /// Networks and addresses, for `network: { list: NAME }`: a file with one a line, or a list right here.
    #[serde(default)]
    pub(crate) networks: Field<ListSource>,
    /// Devices by their id, for `device: { list: NAME }`: a file with one a line, or a list right here.
    #[serde(default)]
    pub(crate) devices: Field<ListSource>,
    /// Path patterns, for `path: { list: NAME }`: a file with one a line, or a list right here.
    #[serde(default)]
    pub(crate) paths: Field<ListSource>,
}

/// The file with the entries, or the entries.
pub(crate) type ListSource = Either<FilePath, Vec<Field<Entry>>>;

text_type!(
    /// One entry; what it has to be is the list's matter.
    Entry(String), "an entry of the list",
    { "type": "string", "minLength": 1, "maxLength": 1024 },
    entry
);

fn entry(text: &str) -> Result<String, Fault> {
    if text.trim() != text || text.is_empty() || text.chars().any(char::is_control) {
        return Err(Fault::new(format!("`{}` can't be an entry of a list", shown(text)))
            .hint("one entry each, without spaces around it"));
    }
    Ok(text.to_owned())
}
