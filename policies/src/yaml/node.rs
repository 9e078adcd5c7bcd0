//! The tree: values with their places.
//!
//! In: whatever `serde-saphyr` hands over. Out: [`Node`]s. A node can stand anywhere in a type that derives
//! `Deserialize`; read with [`super::parse`] it also remembers how its scalars were spelled.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// Where something stands in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1; 0 is "the file as a whole".
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// Characters, for the caret.
    pub width: usize,
    /// First byte in the text, and how many; absent where the text was not at hand.
    pub bytes: Option<(usize, usize)>,
    /// Which file: 0 is the one that was read, others are included ones, in their order.
    pub source: u16,
}

impl Place {
    pub(super) fn of(location: Location) -> Self {
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let span = location.span();
        let bytes = match (span.byte_offset(), span.byte_len()) {
            (Some(start), Some(len)) => Some((size(start), size(len))),
            _ => None,
        };
        Self { line: size(location.line()), column: size(location.column()), width: size(span.len()), bytes, source: 0 }
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
    spelling: Option<String>,
}

/// One `key: value` of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key; a number or a word that is one in YAML counts as its text.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// What it is set to.
    pub value: Node,
}

/// What a YAML node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`, unquoted.
    Bool(bool),
    /// A whole number, unquoted.
    Int(i64),
    /// Another number, unquoted.
    Float(f64),
    /// Text, quoted or not.
    Text(String),
    /// `[…]` or lines with `- `.
    List(Vec<Node>),
    /// `{…}` or lines with `key: `.
    Map(Vec<Entry>),
}

impl Node {
    /// A node made by the program, not by a file.
    #[must_use]
    pub fn new(value: Value, place: Place) -> Self {
        Self { value, place, spelling: None }
    }

    /// Says of this tree from which file it is.
    pub(crate) fn set_source(&mut self, source: u16) {
        self.place.source = source;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.set_source(source)),
            Value::Map(entries) => {
                for entry in entries {
                    entry.place.source = source;
                    entry.value.set_source(source);
                }
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {}
        }
    }

    /// How a scalar was written (`3.10` stays `3.10`); for lists and maps what they are.
    #[must_use]
    pub fn spelled(&self) -> String {
        if let Some(spelling) = &self.spelling {
            return spelling.clone();
        }
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Text(value) => value.clone(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// What it is, in a sentence: "the number `3.10`", "a list".
    #[must_use]
    pub fn described(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(_) => format!("`{}` (true or false)", self.spelled()),
            Value::Int(_) | Value::Float(_) => format!("the number `{}`", self.spelled()),
            Value::Text(text) if text.chars().count() > 60 => "a long text".to_owned(),
            Value::Text(text) => format!("`{text}`"),
            Value::List(_) | Value::Map(_) => self.spelled(),
        }
    }

    /// Remembers how numbers and booleans of this tree are spelled in `text`, which it was read from.
    pub fn spell_from(&mut self, text: &str) {
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.spell_from(text)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| entry.value.spell_from(text)),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                self.spelling = self
                    .place
                    .bytes
                    .and_then(|(start, len)| text.get(start..start.checked_add(len)?))
                    .map(str::trim)
                    .filter(|spelling| !spelling.is_empty())
                    .map(str::to_owned);
            }
            Value::Null | Value::Text(_) => {}
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self::new(spanned.value, Place::of(spanned.referenced)))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map(Value::Int).map_err(|_| E::custom("a number beyond 9223372036854775807"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Node>()? {
            let place = key.place;
            let key = match key.value {
                Value::Text(text) => text,
                Value::List(_) | Value::Map(_) | Value::Null => {
                    return Err(A::Error::custom("the key of a map must be a word"));
                }
                _ => key.spelled(),
            };
            entries.push(Entry { key, place, value: map.next_value()? });
        }
        Ok(Value::Map(entries))
    }
}
