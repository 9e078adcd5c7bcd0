//! `operations:` as they are written: what of an API a route lets through.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use super::{
    names::Name,
    requests::{Call, Header, Paths},
    text::text_type,
    units::{Size, shown},
};
use crate::shape::{Either, Fault, Field, Subtree, Table};

/// The operations of a route: `all`, or a list of calls and of names.
pub(crate) type RawOperations = Either<AllWord, Vec<Field<OperationRef>>>;

/// One of them: the name of one that the upstream's preset has, or a call written out.
pub(crate) type OperationRef = Either<Name, RawOperation>;

/// Every call, typed out by somebody who means it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum AllWord {
    All,
}

/// One thing that may be called.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Operation")]
pub(crate) struct RawOperation {
    /// Method and path, as the upstream sees them after `rewrite`: POST /v1/embeddings. Default: those of `use`; without it
    /// they have to be there.
    #[serde(default)]
    pub(crate) call: Field<Call>,
    /// An operation of the upstream's preset, by name; rules in `body` stand beside its own. Default: none.
    #[serde(default, rename = "use")]
    pub(crate) preset: Field<Name>,
    /// Sends it to another path; where `call` ends in `/**`, so does this. Default: the path of `call`.
    #[serde(default)]
    pub(crate) to: Field<Paths>,
    /// Which query parameters go upstream; any: whatever a client sends. Default: with a key none, without one any.
    #[serde(default)]
    pub(crate) query: Field<Either<AnyWord, RawQuery>>,
    /// Request headers that go upstream beside those that only say how a request is framed, what form of answer is wanted
    /// and which program asks; the rest is taken out. Default: with a key none, without one all.
    #[serde(default)]
    pub(crate) headers: Field<Vec<Field<Header>>>,
    /// What its body may be; none: no body. Default: with a key none, without one any.
    #[serde(default)]
    pub(crate) body: Field<Either<NoneWord, RawBody>>,
}

/// Whatever a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum AnyWord {
    Any,
}

/// Nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum NoneWord {
    None,
}

/// Which query parameters go upstream. Names are compared after decoding.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Query")]
pub(crate) struct RawQuery {
    /// Parameters that a client may send; any: all but those in `forbid`. Others are 400. Default: none.
    #[serde(default)]
    pub(crate) allow: Field<Either<AnyWord, Vec<Field<Parameter>>>>,
    /// Parameters that every request has with this value, whatever the client sent. Default: none.
    #[serde(default)]
    pub(crate) fixed: Field<Table<ParameterValue>>,
    /// Parameters that are 400, where `allow` is any. Default: none.
    #[serde(default)]
    pub(crate) forbid: Field<Vec<Field<Parameter>>>,
}

/// What a request body may be. Fields are named by JSON pointers: /stream_options/include_usage; in a form
/// `/card/number` is `card[number]`. With rules about fields a body is uncompressed, at most 64KiB, judged whole and written
/// anew.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Body")]
pub(crate) struct RawBody {
    /// The most that is taken; more is 413. Up to 1GiB, with rules about fields up to 64KiB. Default: that of `use`; without
    /// it it has to be there.
    #[serde(default)]
    pub(crate) limit: Field<Size>,
    /// Its type; another is 415. Default: json with rules about fields, else any.
    #[serde(default, rename = "type")]
    pub(crate) kind: Field<TypeWord>,
    /// Fields that a client has to send. Default: none.
    #[serde(default)]
    pub(crate) required: Field<Vec<Field<FieldPath>>>,
    /// Fields that every request has with this value, whatever the client sent. Default: none.
    #[serde(default)]
    pub(crate) fixed: Field<Table<FieldValue>>,
    /// Numbers: a larger one is lowered to this, an absent one becomes this. Default: none.
    #[serde(default)]
    pub(crate) cap: Field<Table<u64>>,
    /// Fields that have one of these values; with null among them they may be absent. Default: none.
    #[serde(default)]
    pub(crate) one_of: Field<Table<Vec<Field<FieldValue>>>>,
    /// Fields that are 400. Default: none.
    #[serde(default)]
    pub(crate) forbid: Field<Vec<Field<FieldPath>>>,
    /// The members of the body that a client may send; others are 400. Default: any.
    #[serde(default)]
    pub(crate) only: Field<Vec<Field<FieldPath>>>,
    /// What is fixed for some requests: usage reporting for those that stream. Default: nothing.
    #[serde(default)]
    pub(crate) conditional: Field<Vec<Field<RawCondition>>>,
}

/// What is fixed where fields have certain values.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Condition")]
pub(crate) struct RawCondition {
    /// All of these fields have these values; null is absent too. A field of another type is 400.
    pub(crate) when: Field<Table<FieldValue>>,
    /// Then these fields have these values.
    pub(crate) fixed: Field<Table<FieldValue>>,
}

/// The type of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum TypeWord {
    Json,
    Form,
    Any,
}

text_type!(
    /// The name of a query parameter.
    Parameter(String), "the name of a query parameter",
    { "type": "string", "minLength": 1, "maxLength": 64, "description": "The name of a query parameter, decoded." },
    any_text
);

text_type!(
    /// The value of a query parameter.
    ParameterValue(String), "a text",
    { "type": ["string", "number", "boolean"], "description": "A value, decoded." },
    any_text
);

text_type!(
    /// The path of a field.
    FieldPath(String), "the path of a field such as `/model`",
    { "type": "string", "pattern": "^/", "description": "The path of a field (JSON pointer): /model, /stream_options/include_usage." },
    field_path
);

/// Whatever JSON can hold. Read in [`crate::check`], because `null` counts here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldValue(pub(crate) Subtree);

impl<'de> Deserialize<'de> for FieldValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Subtree::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for FieldValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FieldValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "description": "A value as JSON has it." })
    }
}

// What is wrong with names and values the rules themselves say, in `crate::check`.
fn any_text(text: &str) -> Result<String, Fault> {
    Ok(text.to_owned())
}

fn field_path(text: &str) -> Result<String, Fault> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    let fault = Fault::new(format!("`{}` is not the path of a field", shown(text)));
    Err(fault.hint(format!("write /{}", shown(&text.trim_start_matches("$.").replace('.', "/")))))
}
