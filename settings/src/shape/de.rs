//! serde's derived code, driven over the tree.
//!
//! In: a node. Out: a raw shape. A problem inside a [`Field`](super::Field) is noted with its place and does not stop
//! its neighbours; an unknown, repeated or not yet built key is noted and skipped; a key without a value is noted.

use std::cell::RefCell;

use policies::{
    Problem,
    yaml::{Entry, Node, Place, Value, listed, nearest},
};
use serde::{
    de::{DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor, value::StrDeserializer},
    forward_to_deserialize_any,
};

use super::Fault;
use crate::file::retired;

/// How [`Field`](super::Field) asks for a value with its place.
pub(crate) const FIELD: &str = "$assay::field";
/// How [`Subtree`](super::Subtree) asks for a node as it is.
pub(crate) const SUBTREE: &str = "$assay::subtree";

/// What was noted on the way.
#[derive(Debug)]
pub(crate) struct Notes<'de> {
    pub(crate) file: String,
    pub(crate) problems: RefCell<Vec<Problem>>,
    pub(crate) subtrees: RefCell<Vec<&'de Node>>,
}

impl Notes<'_> {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), problems: RefCell::default(), subtrees: RefCell::default() }
    }

    pub(crate) fn note(&self, place: Place, code: &'static str, fault: Fault) {
        let mut problem = Problem::error(place, code, fault.message).in_file(&self.file);
        problem.hint = fault.hint;
        self.push(problem);
    }

    /// Keeps a problem, up to [`MAX_PROBLEMS`]: a hostile file must not make a report of megabytes.
    pub(crate) fn push(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        match problems.len() {
            0..MAX_PROBLEMS => problems.push(problem),
            MAX_PROBLEMS => problems.push(
                Problem::error(Place::default(), "too_many_problems", format!("more than {MAX_PROBLEMS} problems; the rest is not shown"))
                    .in_file(&self.file),
            ),
            _ => {}
        }
    }
}

/// Problems that one report holds at most.
pub const MAX_PROBLEMS: usize = 100;

/// Fills the shape `T` from `node`. `None`: not even its outermost form is right, and that has been noted.
pub(crate) fn read<'de, T: serde::Deserialize<'de>>(node: &'de Node, notes: &Notes<'de>) -> Option<T> {
    match T::deserialize(De { node, notes }) {
        Ok(shape) => Some(shape),
        Err(fault) => {
            notes.note(node.place, "wrong_type", fault);
            None
        }
    }
}

#[derive(Clone, Copy)]
struct De<'a, 'de> {
    node: &'de Node,
    notes: &'a Notes<'de>,
}

impl<'de> De<'_, 'de> {
    fn mismatch<V: Visitor<'de>>(self, visitor: &V) -> Fault {
        if self.node.value == Value::Null {
            return Fault::new("this has no value").hint("give it one, or take the line out");
        }
        let spelled = self.node.spelled();
        let found = match &self.node.value {
            Value::Null => Unexpected::Unit,
            Value::List(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
            Value::Text(text) => Unexpected::Str(text),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => Unexpected::Other(&spelled),
        };
        Fault::invalid_type(found, visitor)
    }

    /// A whole number, as it is spelled: `0403`, `1e3` and `0x10` mean different things to different YAML tools.
    fn integer<V: Visitor<'de>>(self, visitor: &V) -> Result<u64, Fault> {
        let spelled = self.node.spelled();
        match &self.node.value {
            Value::Int(_) | Value::Float(_) => {}
            Value::Text(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(self.mismatch(visitor).hint("take the quotes off"));
            }
            _ => return Err(self.mismatch(visitor)),
        }
        let plain = spelled.bytes().all(|b| b.is_ascii_digit()) && (spelled == "0" || !spelled.starts_with('0'));
        if !plain {
            return Err(Fault::new(format!("`{spelled}` is not a plain whole number"))
                .hint("write digits only: no sign, point, exponent, underscore or leading zero"));
        }
        spelled.parse().map_err(|_| Fault::new(format!("`{spelled}` is too large")))
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let number = self.integer(&visitor)?;
            visitor.visit_u64(number)
        }
    )*};
}

impl<'de> Deserializer<'de> for De<'_, 'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => Err(self.mismatch(&visitor)),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(_) | Value::Float(_) => self.deserialize_u64(visitor),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Null => Err(self.mismatch(&visitor)),
            _ => Err(Fault::new(format!("expected `true` or `false`, found {}", self.node.described()))),
        }
    }

    integers! { deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_str(text),
            // A name may look like a number: it counts as it is spelled.
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => visitor.visit_str(&self.node.spelled()),
            Value::Null | Value::List(_) | Value::Map(_) => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    /// Whatever stands there is "some": a key without a value is a mistake, not an absence.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items { items: items.iter(), notes: self.notes }),
            Value::Null | Value::Map(_) => Err(self.mismatch(&visitor)),
            _ => Err(Fault::new(format!("expected a list, found `{}`", self.node.spelled()))
                .hint(format!("write [{}]", self.node.spelled()))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Map(entries) => {
                visitor.visit_map(Entries { entries: entries.iter(), value: None, notes: self.notes })
            }
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Value::Map(entries) = &self.node.value else {
            let what = fields.first().copied().unwrap_or("…");
            return Err(match self.node.value {
                Value::Null => self.mismatch(&visitor),
                _ => Fault::new(format!("expected fields, found {}", self.node.described()))
                    .hint(retired::value(name).map_or_else(|| format!("write {{ {what}: … }}"), str::to_owned)),
            });
        };
        visitor.visit_map(Known { shape: name, fields, entries: entries.iter(), value: None, notes: self.notes })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match name {
            FIELD => visitor.visit_seq(Placed { de: self, step: 0 }),
            SUBTREE => {
                let mut subtrees = self.notes.subtrees.borrow_mut();
                subtrees.push(self.node);
                visitor.visit_u64(subtrees.len() as u64 - 1)
            }
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if let Some(fault) = retired::word(name, &self.node.spelled()) {
            return Err(fault);
        }
        match &self.node.value {
            Value::Text(text) => visitor.visit_enum(Word(text)),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => Err(Fault::unknown_variant(&self.node.spelled(), words)),
            Value::Null | Value::List(_) | Value::Map(_) => {
                Err(match self.node.value {
                    Value::Null => self.mismatch(&visitor),
                    _ => Fault::new(format!("expected one of {}, found {}", listed(words), self.node.described())),
                })
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { f32 f64 char bytes byte_buf unit unit_struct tuple }
}

/// A value for [`Field`](super::Field): line, column, width, then the value, or the end where the value is wrong.
struct Placed<'a, 'de> {
    de: De<'a, 'de>,
    step: u8,
}

impl<'de> SeqAccess<'de> for Placed<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let place = self.de.node.place;
        self.step += 1;
        match self.step {
            1 => seed.deserialize((place.line as u64).into_deserializer()).map(Some),
            2 => seed.deserialize((place.column as u64).into_deserializer()).map(Some),
            3 => seed.deserialize((place.width as u64).into_deserializer()).map(Some),
            _ => match seed.deserialize(self.de) {
                Ok(value) => Ok(Some(value)),
                Err(fault) => {
                    self.de.notes.note(place, "invalid_value", fault);
                    Ok(None)
                }
            },
        }
    }
}

struct Items<'a, 'de> {
    items: std::slice::Iter<'de, Node>,
    notes: &'a Notes<'de>,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.items.next().map(|node| seed.deserialize(De { node, notes: self.notes })).transpose()
    }
}

/// A map with keys that the operator chooses.
struct Entries<'a, 'de> {
    entries: std::slice::Iter<'de, Entry>,
    value: Option<&'de Node>,
    notes: &'a Notes<'de>,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(&entry.value);
        seed.deserialize(Key(entry)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let node = self.value.take().ok_or_else(|| Fault::new("a value without a key"))?;
        seed.deserialize(De { node, notes: self.notes })
    }
}

/// The key of an entry, with its place, for `Field<String>`.
struct Key<'de>(&'de Entry);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(&self.0.key)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(PlacedKey { entry: self.0, step: 0 })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple map struct enum identifier ignored_any
    }
}

struct PlacedKey<'de> {
    entry: &'de Entry,
    step: u8,
}

impl<'de> SeqAccess<'de> for PlacedKey<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.step += 1;
        let place = self.entry.place;
        match self.step {
            1 => seed.deserialize((place.line as u64).into_deserializer()),
            2 => seed.deserialize((place.column as u64).into_deserializer()),
            3 => seed.deserialize((place.width as u64).into_deserializer()),
            _ => seed.deserialize(StrDeserializer::new(&self.entry.key)),
        }
        .map(Some)
    }
}

/// A map with keys that a shape knows; the others are noted and skipped.
struct Known<'a, 'de> {
    shape: &'static str,
    fields: &'static [&'static str],
    entries: std::slice::Iter<'de, Entry>,
    value: Option<&'de Node>,
    notes: &'a Notes<'de>,
}

impl<'de> MapAccess<'de> for Known<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        for entry in self.entries.by_ref() {
            if self.fields.contains(&entry.key.as_str()) {
                self.value = Some(&entry.value);
                return seed.deserialize(StrDeserializer::new(&entry.key)).map(Some);
            }
            self.notes.note(entry.place, "unknown_field", unknown(self.shape, self.fields, &entry.key));
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let node = self.value.take().ok_or_else(|| Fault::new("a value without a key"))?;
        seed.deserialize(De { node, notes: self.notes })
    }
}

fn unknown(shape: &str, fields: &[&str], key: &str) -> Fault {
    if let Some(fault) = retired::field(shape, key) {
        return fault;
    }
    let fault = Fault::new(format!("there is no field `{key}` here"));
    match nearest(key, fields) {
        Some(field) => fault.hint(format!("did you mean `{field}`?")),
        None => fault.hint(format!("the fields here are {}", listed(fields))),
    }
}

struct Word<'de>(&'de str);

impl<'de> EnumAccess<'de> for Word<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        seed.deserialize(StrDeserializer::new(self.0)).map(|word| (word, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, Fault> {
        Err(Fault::new(format!("`{}` needs a value", self.0)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(Fault::new(format!("`{}` needs a value", self.0)))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Fault> {
        Err(Fault::new(format!("`{}` needs a value", self.0)))
    }
}
