//! serde's derived code, driven over the tree.
//!
//! In: a node. Out: a raw shape. A problem inside a [`Field`](super::Field) is noted with its place and does not stop
//! its neighbours; an unknown, repeated or not yet built key is noted and skipped; a key without a value is noted.

use policies::yaml::{Node, Value, listed};
use serde::{
    de::{Deserializer, Error, Unexpected, Visitor},
    forward_to_deserialize_any,
};

use super::{
    Fault, Notes,
    access::{Entries, Items, Known, Placed, Word},
};
use crate::file::retired;

/// How [`Field`](super::Field) asks for a value with its place.
pub(crate) const FIELD: &str = "$assay::field";
/// How [`Either`](super::Either) asks which of two a node is.
pub(crate) const EITHER: &str = "$assay::either";
/// How [`Subtree`](super::Subtree) asks for a node as it is.
pub(crate) const SUBTREE: &str = "$assay::subtree";

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
pub(super) struct De<'a, 'de> {
    pub(super) node: &'de Node,
    pub(super) notes: &'a Notes<'de>,
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
            _ => {
                Err(Fault::new(format!("expected `true` or `false`, found {}", self.node.described())).hint(match self
                    .node
                    .spelled()
                    .to_lowercase()
                    .as_str()
                {
                    "yes" | "on" | "y" | "true" | "1" => "write true, without quotes",
                    "no" | "off" | "n" | "false" | "0" => "write false, without quotes",
                    _ => "write true or false",
                }))
            }
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
            let hint = || retired::value(name).map_or_else(|| format!("write {{ {what}: … }}"), str::to_owned);
            return Err(match self.node.value {
                Value::Null => self.mismatch(&visitor),
                _ if retired::holds_a_secret(name) => {
                    self.notes.hide(self.node.place.line);
                    Fault::new("expected fields, and found something that may be a secret").hint(hint())
                }
                _ => Fault::new(format!("expected fields, found {}", self.node.described())).hint(hint()),
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
            EITHER => match &self.node.value {
                Value::Map(_) | Value::List(_) => visitor.visit_newtype_struct(self),
                _ => visitor.visit_some(self),
            },
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
            Value::Text(text) => visitor.visit_enum(Word(text)).map_err(|fault| match instead_of_word(name, text) {
                Some(hint) if !fault.has_hint() => fault.hint(hint),
                _ => fault,
            }),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                Err(Fault::unknown_variant(&self.node.spelled(), words))
            }
            Value::Null | Value::List(_) | Value::Map(_) => Err(match self.node.value {
                Value::Null => self.mismatch(&visitor),
                _ => Fault::new(format!("expected one of {}, found {}", listed(words), self.node.described())),
            }),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { f32 f64 char bytes byte_buf unit unit_struct tuple }
}

/// What to write where a word was expected that stands for a whole list, or in place of fields.
fn instead_of_word(name: &str, text: &str) -> Option<String> {
    match name {
        "AllWord" => Some(format!("write a list of what may be called: [{text}]")),
        "AnyWord" => Some(format!("write any, or {{ allow: [{text}] }}")),
        "NoneWord" => Some("write none, or fields: { limit: 64KiB }".to_owned()),
        _ => None,
    }
}
