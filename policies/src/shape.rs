//! The shapes of the YAML: one declaration each for reader, messages and editor schema.
//!
//! In: [`Node`]s. Out: checked values with their places. Each shape is declared once, by `shape!` or `word_list!`, and from
//! that one declaration come its reader, the list of fields that "did you mean" knows, and its JSON schema.

pub(crate) mod conditions;
pub(crate) mod people;
pub(crate) mod policy;
pub(crate) mod refusals;
pub(crate) mod then;
pub(crate) mod values;
pub(crate) mod words;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::problem::Problem;
use crate::yaml::{self, Fields, Node, Place};

/// Something that can be read from one node.
pub(crate) trait Read: Sized {
    /// Reads `node`, the value of the field `what`. `None` only with a problem.
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self>;
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

impl<T: Read> Read for At<T> {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        T::read(node, what, problems).map(|value| Self { value, place: node.place })
    }
}

impl<T: Read> Read for Box<T> {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        T::read(node, what, problems).map(Self::new)
    }
}

impl Read for String {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        yaml::text(node, what, problems).map(str::to_owned)
    }
}

impl Read for bool {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        yaml::truth(node, what, problems)
    }
}

/// A field that must be there. Holds nothing only after a problem was told.
#[derive(Clone, Debug)]
pub(crate) struct Required<T>(pub(crate) Option<At<T>>);

/// A field that may be left out. Holds nothing when it was there and a problem was told: that is not being absent.
#[derive(Clone, Debug)]
pub(crate) struct Tried<T>(pub(crate) Option<At<T>>);

impl<T: Read> Read for Tried<T> {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        Some(Self(At::read(node, what, problems)))
    }
}

/// A map that must name at least one of its fields.
#[derive(Clone, Debug)]
pub(crate) struct NonEmpty<T>(pub(crate) T);

impl<T: Read> Read for NonEmpty<T> {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        if matches!(&node.value, yaml::Value::Map(entries) if entries.is_empty()) {
            problems.push(
                Problem::error(node.place, "empty_map", format!("`{what}` is empty"))
                    .with_hint("name at least one of its fields, or leave it out"),
            );
            return None;
        }
        T::read(node, what, problems).map(Self)
    }
}

/// One value or a list of them; any of them will do.
#[derive(Clone, Debug)]
pub(crate) struct Many<T>(pub(crate) Vec<At<T>>);

impl<T: Read> Read for Many<T> {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let items = yaml::one_or_many(node, what, problems);
        Some(Self(items.iter().filter_map(|item| At::read(item, what, problems)).collect()))
    }
}

/// A list, also of one.
#[derive(Clone, Debug)]
pub(crate) struct ListOf<T>(pub(crate) Vec<T>);

impl<T: Read> Read for ListOf<T> {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let yaml::Value::List(items) = &node.value else {
            problems.push(
                Problem::error(node.place, "wrong_type", format!("`{what}` must be a list, not {}", node.described()))
                    .with_hint("begin each entry with `- ` on a line of its own, or write [ … ]"),
            );
            return None;
        };
        Some(Self(items.iter().filter_map(|item| T::read(item, what, problems)).collect()))
    }
}

/// How a field of a shape takes its value from the map.
pub(crate) trait Field: Sized {
    /// Reads the field `name` of `fields`; `hint` is the remedy where it must be there and isn't.
    fn take(fields: &Fields<'_>, name: &str, hint: &str, problems: &mut Vec<Problem>) -> Self;
}

impl<T: Read> Field for Option<T> {
    fn take(fields: &Fields<'_>, name: &str, _hint: &str, problems: &mut Vec<Problem>) -> Self {
        fields.get(name).and_then(|node| T::read(node, name, problems))
    }
}

impl<T: Read> Field for Required<T> {
    fn take(fields: &Fields<'_>, name: &str, hint: &str, problems: &mut Vec<Problem>) -> Self {
        Self(fields.require(name, hint, problems).and_then(|node| At::read(node, name, problems)))
    }
}

/// Declares a map of the YAML.
macro_rules! shape {
    (
        $(#[$meta:meta])*
        struct $name:ident: $what:literal, elsewhere $elsewhere:expr;
        $( $(#[$field_meta:meta])* $field:ident: $type:ty $(, or $hint:literal)?; )*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(crate) struct $name {
            $( $(#[$field_meta])* pub(crate) $field: $type, )*
        }

        impl $crate::shape::Read for $name {
            fn read(
                node: &$crate::yaml::Node,
                _what: &str,
                problems: &mut Vec<$crate::problem::Problem>,
            ) -> Option<Self> {
                let fields = $crate::yaml::Fields::open(node, $what, &[$(stringify!($field)),*], $elsewhere, problems)?;
                $( let $field = <$type as $crate::shape::Field>::take(&fields, stringify!($field), concat!($($hint)?), problems); )*
                Some(Self { $($field),* })
            }
        }
    };
}

/// Declares a type whose values are words.
macro_rules! word_list {
    ($name:ident: $($word:literal => $value:expr),+ $(,)?) => {
        impl $crate::shape::Read for $name {
            fn read(
                node: &$crate::yaml::Node,
                what: &str,
                problems: &mut Vec<$crate::problem::Problem>,
            ) -> Option<Self> {
                match $crate::yaml::one_of(node, what, &[$($word),+], problems)? {
                    $($word => Some($value),)+
                    _ => None,
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($word),+] })
            }
        }
    };
}

/// Declares the schema of a value that is text with a form of its own.
macro_rules! text_schema {
    ($name:ident, $description:literal, $example:literal) => {
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $description, "examples": [$example] })
            }
        }
    };
}

pub(crate) use {shape, text_schema, word_list};

/// Makes the schema of a wrapper that of what it holds.
macro_rules! transparent {
    ($($name:ident),*) => { $(
        impl<T: JsonSchema> JsonSchema for $name<T> {
            fn inline_schema() -> bool {
                T::inline_schema()
            }

            fn schema_name() -> Cow<'static, str> {
                T::schema_name()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                T::json_schema(generator)
            }
        }
    )* };
}
transparent!(At, Required, Tried, NonEmpty);

impl<T: JsonSchema> JsonSchema for Many<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

impl<T: JsonSchema> JsonSchema for ListOf<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("ListOf_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({ "type": "array", "items": one })
    }
}
