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
pub(crate) struct Notes<'n> {
    pub(crate) file: String,
    pub(crate) problems: RefCell<Vec<Problem>>,
    pub(crate) subtrees: RefCell<Vec<&'n Node>>,
}

impl Notes<'_> {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), problems: RefCell::default(), subtrees: RefCell::default() }
    }

    pub(crate) fn note(&self, place: Place, code: &'static str, fault: Fault) {
        let mut problem = Problem::error(place, code, fault.message).in_file(&self.file);
        problem.hint = fault.hint;
        self.problems.borrow_mut().push(problem);
    }
}

/// Fills the shape `T` from `node`. `None`: not even its outermost form is right, and that has been noted.
pub(crate) fn read<'n, T: serde::Deserialize<'n>>(node: &'n Node, notes: &Notes<'n>) -> Option<T> {
    match T::deserialize(De { node, notes }) {
        Ok(shape) => Some(shape),
        Err(fault) => {
            notes.note(node.place, "wrong_type", fault);
            None
        }
    }
}

#[derive(Clone, Copy)]
struct De<'a, 'n> {
    node: &'n Node,
    notes: &'a Notes<'n>,
}

impl<'n> De<'_, 'n> {
    fn mismatch<'de, V: Visitor<'de>>(self, visitor: &V) -> Fault {
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
    fn integer<'de, V: Visitor<'de>>(self, visitor: &V) -> Result<u64, Fault> {
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
        fn $method<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
            let number = self.integer(&visitor)?;
            visitor.visit_u64(number)
        }
    )*};
}

impl<'n> Deserializer<'n> for De<'_, 'n> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => Err(self.mismatch(&visitor)),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(_) | Value::Float(_) => self.deserialize_u64(visitor),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Null => Err(self.mismatch(&visitor)),
            _ => Err(Fault::new(format!("expected `true` or `false`, found {}", self.node.described()))),
        }
    }

    integers! { deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 }

    fn deserialize_str<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_str(text),
            // A name may look like a number: it counts as it is spelled.
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => visitor.visit_str(&self.node.spelled()),
            Value::Null | Value::List(_) | Value::Map(_) => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    /// Whatever stands there is "some": a key without a value is a mistake, not an absence.
    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items { items: items.iter(), notes: self.notes }),
            Value::Null | Value::Map(_) => Err(self.mismatch(&visitor)),
            _ => Err(Fault::new(format!("expected a list, found `{}`", self.node.spelled()))
                .hint(format!("write [{}]", self.node.spelled()))),
        }
    }

    fn deserialize_map<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Map(entries) => {
                visitor.visit_map(Entries { entries: entries.iter(), value: None, notes: self.notes })
            }
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'n>>(
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

    fn deserialize_tuple_struct<V: Visitor<'n>>(
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

    fn deserialize_enum<V: Visitor<'n>>(
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

    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { f32 f64 char bytes byte_buf unit unit_struct tuple }
}

/// A value for [`Field`](super::Field): line, column, width, then the value, or the end where the value is wrong.
struct Placed<'a, 'n> {
    de: De<'a, 'n>,
    step: u8,
}

impl<'n> SeqAccess<'n> for Placed<'_, 'n> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
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

struct Items<'a, 'n> {
    items: std::slice::Iter<'n, Node>,
    notes: &'a Notes<'n>,
}

impl<'n> SeqAccess<'n> for Items<'_, 'n> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.items.next().map(|node| seed.deserialize(De { node, notes: self.notes })).transpose()
    }
}

/// A map with keys that the operator chooses.
struct Entries<'a, 'n> {
    entries: std::slice::Iter<'n, Entry>,
    value: Option<&'n Node>,
    notes: &'a Notes<'n>,
}

impl<'n> MapAccess<'n> for Entries<'_, 'n> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(&entry.value);
        seed.deserialize(Key(entry)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let node = self.value.take().ok_or_else(|| Fault::new("a value without a key"))?;
        seed.deserialize(De { node, notes: self.notes })
    }
}

/// The key of an entry, with its place, for `Field<String>`.
struct Key<'n>(&'n Entry);

impl<'n> Deserializer<'n> for Key<'n> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(&self.0.key)
    }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_tuple_struct<V: Visitor<'n>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(PlacedKey { entry: self.0, step: 0 })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple map struct enum identifier ignored_any
    }
}

struct PlacedKey<'n> {
    entry: &'n Entry,
    step: u8,
}

impl<'n> SeqAccess<'n> for PlacedKey<'n> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
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
struct Known<'a, 'n> {
    shape: &'static str,
    fields: &'static [&'static str],
    entries: std::slice::Iter<'n, Entry>,
    value: Option<&'n Node>,
    notes: &'a Notes<'n>,
}

impl<'n> MapAccess<'n> for Known<'_, 'n> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        for entry in self.entries.by_ref() {
            if self.fields.contains(&entry.key.as_str()) {
                self.value = Some(&entry.value);
                return seed.deserialize(StrDeserializer::new(&entry.key)).map(Some);
            }
            self.notes.note(entry.place, "unknown_field", unknown(self.shape, self.fields, &entry.key));
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<S::Value, Fault> {
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

struct Word<'n>(&'n str);

impl<'n> EnumAccess<'n> for Word<'n> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'n>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        seed.deserialize(StrDeserializer::new(self.0)).map(|word| (word, self))
    }
}

impl<'n> VariantAccess<'n> for Word<'n> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'n>>(self, _: S) -> Result<S::Value, Fault> {
        Err(Fault::new(format!("`{}` needs a value", self.0)))
    }

    fn tuple_variant<V: Visitor<'n>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(Fault::new(format!("`{}` needs a value", self.0)))
    }

    fn struct_variant<V: Visitor<'n>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Fault> {
        Err(Fault::new(format!("`{}` needs a value", self.0)))
    }
}
