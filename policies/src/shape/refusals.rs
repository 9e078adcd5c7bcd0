//! The shape of `refusals:`: what clients get in place of the gateway's own words.

use http::{HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{At, Read, Required, shape};
use crate::problem::Problem;
use crate::yaml::{self, Node, Value};

shape! {
    /// Bodies of the API's own for refusals, one for each group of answers that must look alike.
    struct RefusalsShape: "`refusals`", elsewhere &[
        ("missing", "it is called `required`: no token, or one whose time has passed (401)"),
        ("failed", "all tokens that are not let through get the same answer: it is called `refused`"),
        ("invalid", "all tokens that are not let through get the same answer: it is called `refused`"),
        ("blocked", "it is called `refused`"),
        ("unverifiable", "it is called `unavailable`"),
        ("budget", "it is called `limited`"),
    ];
    /// 401: no token, or one whose own time has passed.
    required: Option<At<RefusalShape>>;
    /// 403: every other token that is not let through.
    refused: Option<At<RefusalShape>>;
    /// 429: a limit or a budget.
    limited: Option<At<RefusalShape>>;
    /// 503: no capacity to spare.
    overloaded: Option<At<RefusalShape>>;
    /// 503: the fault is ours.
    unavailable: Option<At<RefusalShape>>;
}

shape! {
    /// A body and what goes with it.
    struct RefusalShape: "a refusal", elsewhere &[
        ("status", "the status stays as it is: the SDK and other clients go by it"),
        ("type", "it is called `content_type`"),
        ("json", "it is called `body`, with content_type: application/json"),
        ("file", "it is called `body_file`"),
    ];
    /// The body, at most 16 KiB. `{decision}` and `{code}` are filled in.
    body: Option<At<String>>;
    /// A file with the body, in place of `body`.
    body_file: Option<At<String>>;
    /// Its media type.
    content_type: Required<String>, or "write, for example, content_type: application/json";
    /// More headers.
    headers: Option<At<FixedHeaders>>;
}

/// Headers with their values.
#[derive(Clone, Debug)]
pub(crate) struct FixedHeaders(pub(crate) Vec<At<(HeaderName, HeaderValue)>>);

impl Read for FixedHeaders {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            problems.push(
                Problem::error(node.place, "wrong_type", format!("`{what}` must be a map, not {}", node.described()))
                    .with_hint("write the names of headers, each with its value: { X-Api-Version: \"1\" }"),
            );
            return None;
        };
        let mut found = Vec::new();
        for entry in entries {
            let text = yaml::text(&entry.value, &entry.key, problems);
            let name = HeaderName::from_bytes(entry.key.as_bytes()).ok().filter(|name| !is_ours(name.as_str()));
            let Some(name) = name else {
                problems.push(
                    Problem::error(entry.place, "bad_header", format!("a refusal can't set the header `{}`", entry.key))
                        .with_hint("headers that frame the message, carry cookies or belong to the gateway's own answers stay as they are"),
                );
                continue;
            };
            let Some(text) = text else { continue };
            match HeaderValue::from_str(text) {
                Ok(value) => found.push(At { value: (name, value), place: entry.place }),
                Err(_) => problems.push(
                    Problem::error(
                        entry.value.place,
                        "bad_header",
                        format!("the value of `{name}` can't stand in a header"),
                    )
                    .with_hint("one line of visible characters"),
                ),
            }
        }
        Some(Self(found))
    }
}

impl JsonSchema for FixedHeaders {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FixedHeaders".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": { "type": "string" } })
    }
}

/// Whether the gateway sets the header itself, or a message could not be read with another value of it.
fn is_ours(name: &str) -> bool {
    const WHOLE: [&str; 16] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "grpc-status",
        "keep-alive",
        "proxy-authenticate",
        "retry-after",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
        "location",
    ];
    WHOLE.contains(&name)
        || ["ratelimit", "x-ratelimit", "x-assay-", "access-control-"].iter().any(|own| name.starts_with(own))
}
