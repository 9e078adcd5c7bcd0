//! What serde's derived code is handed piece by piece: the items of a list, the entries of a map, a value with its place.
//!
//! Here problems are noted and skipped, so that the shape around them is filled all the same.

use policies::yaml::{Entry, Node, listed, nearest};
use serde::{
    de::{
        DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
        value::StrDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{Fault, Notes, de::De};
use crate::file::retired;

/// A value for [`Field`](super::Field): line, column, width, then the value, or the end where the value is wrong.
pub(super) struct Placed<'a, 'de> {
    pub(super) de: De<'a, 'de>,
    pub(super) step: u8,
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

pub(super) struct Items<'a, 'de> {
    pub(super) items: std::slice::Iter<'de, Node>,
    pub(super) notes: &'a Notes<'de>,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.items.next().map(|node| seed.deserialize(De { node, notes: self.notes })).transpose()
    }
}

/// A map with keys that the operator chooses.
pub(super) struct Entries<'a, 'de> {
    pub(super) entries: std::slice::Iter<'de, Entry>,
    pub(super) value: Option<&'de Node>,
    pub(super) notes: &'a Notes<'de>,
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

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
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
pub(super) struct Known<'a, 'de> {
    pub(super) shape: &'static str,
    pub(super) fields: &'static [&'static str],
    pub(super) entries: std::slice::Iter<'de, Entry>,
    pub(super) value: Option<&'de Node>,
    pub(super) notes: &'a Notes<'de>,
}

impl<'de> MapAccess<'de> for Known<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        for entry in self.entries.by_ref() {
            if self.fields.contains(&entry.key.as_str()) {
                self.value = Some(&entry.value);
                return seed.deserialize(StrDeserializer::new(&entry.key)).map(Some);
            }
            if retired::holds_a_secret(&entry.key) {
                self.notes.hide(entry.place.line);
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

pub(super) struct Word<'de>(pub(super) &'de str);

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
