//! Property lists, binary and XML. Comes in: bytes. Goes out: texts, lists and dictionaries; what else there is counts
//! as [`Value::Other`]. Nothing in them is followed deeper than [`MAX_DEPTH`] or beyond [`MAX_VALUES`], and a key that is
//! there twice is refused.

mod binary;
mod xml;

use std::collections::BTreeMap;

const MAX_DEPTH: usize = 32;
const MAX_VALUES: usize = 100_000;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Array(Vec<Value>),
    Dictionary(BTreeMap<String, Value>),
    /// A number, a date, bytes, a truth value.
    Other,
}

impl Value {
    /// A dictionary's value.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Dictionary(members) => members.get(key),
            _ => None,
        }
    }
}

/// The document's value.
pub(super) fn parse(document: &[u8]) -> Option<Value> {
    if document.starts_with(b"bplist00") { binary::parse(document) } else { xml::parse(document) }
}
