//! A value that is either one plain word or number, or something with parts: `adaptive` or `{ adaptive: … }`.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Visitor};

use super::de::EITHER;

/// Which of the two is seen from the node, so that what is wrong inside is told of the one that was meant.
#[derive(Debug)]
pub(crate) enum Either<P, S> {
    /// A text, a number, `true` or `false`.
    Plain(P),
    /// A map or a list.
    Structured(S),
}

impl<'de, P: Deserialize<'de>, S: Deserialize<'de>> Deserialize<'de> for Either<P, S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple_struct(EITHER, 1, EitherVisitor(PhantomData))
    }
}

struct EitherVisitor<P, S>(PhantomData<(P, S)>);

impl<'de, P: Deserialize<'de>, S: Deserialize<'de>> Visitor<'de> for EitherVisitor<P, S> {
    type Value = Either<P, S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_some<D: Deserializer<'de>>(self, plain: D) -> Result<Self::Value, D::Error> {
        P::deserialize(plain).map(Either::Plain)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, structured: D) -> Result<Self::Value, D::Error> {
        S::deserialize(structured).map(Either::Structured)
    }
}

impl<P: JsonSchema, S: JsonSchema> JsonSchema for Either<P, S> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}_or_{}", P::schema_name(), S::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "anyOf": [generator.subschema_for::<P>(), generator.subschema_for::<S>()] })
    }
}
