//! The containers of the raw shapes: they know their place and survive a wrong value.
//!
//! [`Field`] is in one of three states: absent; present and wrong, with the problem already noted; present and good.
//! What builds checked values from it (`crate::check`) needs to tell only "absent" and "good" apart.

use std::{borrow::Cow, fmt, marker::PhantomData};

use policies::yaml::Place;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::de::{FIELD, SUBTREE};

/// A value that may be absent or wrong, and where it stands.
#[derive(Debug)]
pub(crate) struct Field<T> {
    /// Absent: `None`.
    pub(crate) at: Option<Place>,
    /// Absent or wrong: `None`.
    pub(crate) value: Option<T>,
}

impl<T> Field<T> {
    pub(crate) const ABSENT: Self = Self { at: None, value: None };

    /// The value with its place, if there is a good one.
    pub(crate) fn good(&self) -> Option<(&T, Place)> {
        Some((self.value.as_ref()?, self.at?))
    }

    /// Whether the key is not in the file.
    pub(crate) fn is_absent(&self) -> bool {
        self.at.is_none()
    }
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self::ABSENT
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through `option`, because that is how serde's derive asks for a field that is not there.
        deserializer.deserialize_option(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_none<E>(self) -> Result<Field<T>, E> {
        Ok(Field::ABSENT)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field<T>, D::Error> {
        deserializer.deserialize_tuple_struct(FIELD, 4, self)
    }

    /// Line, column, width and the value; `super::de` ends the sequence early where the value is wrong.
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Field<T>, A::Error> {
        let mut number = || Ok(access.next_element::<usize>()?.unwrap_or_default());
        let place = Place { line: number()?, column: number()?, width: number()?, ..Place::default() };
        let value = access.next_element::<T>()?;
        Ok(Field { at: Some(place), value })
    }
}

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A mapping from names that the operator chooses, in the order of the file.
#[derive(Debug)]
pub(crate) struct Table<T>(pub(crate) Vec<Row<T>>);

/// One entry of a [`Table`].
#[derive(Debug)]
pub(crate) struct Row<T> {
    pub(crate) name: String,
    pub(crate) at: Place,
    pub(crate) value: Option<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

struct TableVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
    type Value = Table<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping from names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Table<T>, A::Error> {
        let mut rows = Vec::new();
        while let Some((key, value)) = access.next_entry::<Field<String>, Field<T>>()? {
            if let Field { at: Some(at), value: Some(name) } = key {
                rows.push(Row { name, at, value: value.value });
            }
        }
        Ok(Table(rows))
    }
}

impl<T: JsonSchema> JsonSchema for Table<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Table_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": generator.subschema_for::<T>(),
        })
    }
}

/// A part of the file that another reader takes: the number of its node among [`super::Notes::subtrees`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subtree(pub(crate) usize);

impl<'de> Deserialize<'de> for Subtree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Subtree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Subtree, E> {
                usize::try_from(number).map(Subtree).map_err(E::custom)
            }
        }
        deserializer.deserialize_tuple_struct(SUBTREE, 1, Number)
    }
}
