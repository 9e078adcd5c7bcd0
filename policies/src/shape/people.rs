//! The shapes of `caller:` and `user:`: who is behind a request, beside the app.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value as Json;

use super::{At, Many, Read, shape};
use crate::problem::Problem;
use crate::yaml::{self, Node, Value};

/// Name of a caller, or `any`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallerWord {
    Any,
    Named(Box<str>),
}

impl Read for CallerWord {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        Some(match yaml::text(node, what, problems)? {
            "any" => Self::Any,
            name => Self::Named(name.into()),
        })
    }
}

impl JsonSchema for CallerWord {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Caller".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "Name of a caller in the configuration, or `any`." })
    }
}

shape! {
    /// The user: all that is written together.
    struct UserRule: "`user`", elsewhere &[
        ("sub", "it is called `subject`"),
        ("iss", "it is called `issuer`"),
        ("id", "it is called `subject`"),
        ("claim", "it is called `claims`: { name: value }"),
        ("role", "write claims: { role: … }"),
        ("roles", "write claims: { roles: … }"),
    ];
    /// Whether there is one.
    present: Option<At<bool>>;
    /// Who vouches for the user: name of an issuer, or names.
    issuer: Option<At<Many<String>>>;
    /// The user as the issuer names it (`sub`), or several.
    subject: Option<At<Many<String>>>;
    /// Claims of the user's token and what they must be; all of them.
    claims: Option<At<Claims>>;
}

/// Claims with the values that will do.
#[derive(Clone, Debug)]
pub(crate) struct Claims(pub(crate) Vec<At<(String, Vec<Json>)>>);

impl Read for Claims {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let entries = match &node.value {
            Value::Map(entries) if !entries.is_empty() => entries,
            _ => {
                problems.push(
                    Problem::error(
                        node.place,
                        "wrong_type",
                        format!("`{what}` must name claims, not {}", node.described()),
                    )
                    .with_hint("write, for example, claims: { role: [editor, admin] }"),
                );
                return None;
            }
        };
        let mut found = Vec::new();
        for entry in entries {
            let items = yaml::one_or_many(&entry.value, &entry.key, problems);
            let values = items.iter().filter_map(|item| value_of(item, &entry.key, problems)).collect();
            found.push(At { value: (entry.key.clone(), values), place: entry.place });
        }
        Some(Self(found))
    }
}

fn value_of(node: &Node, claim: &str, problems: &mut Vec<Problem>) -> Option<Json> {
    match &node.value {
        Value::Text(text) => {
            problems.extend(yaml::yaml_1_1(node));
            Some(text.as_str().into())
        }
        Value::Bool(value) => Some((*value).into()),
        Value::Int(number) if node.spelled() == number.to_string() => Some((*number).into()),
        _ => {
            problems.push(
                Problem::error(
                    node.place,
                    "wrong_type",
                    format!("the claim `{claim}` can't be compared with {}", node.described()),
                )
                .with_hint(format!(
                    "write a text, a whole number, true or false; a text that looks like a number needs quotes: \"{}\"",
                    node.spelled()
                )),
            );
            None
        }
    }
}

impl JsonSchema for Claims {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Claims".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = serde_json::json!({ "type": ["string", "integer", "boolean"] });
        json_schema!({
            "type": "object",
            "minProperties": 1,
            "additionalProperties": { "anyOf": [one.clone(), { "type": "array", "items": one, "minItems": 1 }] }
        })
    }
}
