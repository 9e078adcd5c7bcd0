//! The shapes of a file of cases: one declaration each for reader, messages and editor schema.

use std::borrow::Cow;

use attest_core::verdict::Verdict;
use http::{HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json};

use crate::class::{Action, Class};
use crate::problem::Problem;
use crate::shape::values::{MethodName, Moment, Span};
use crate::shape::words::{AnnotationWord, DeviceStateWord, EvidenceWord, TierWord};
use crate::shape::{At, ListOf, Many, NonEmpty, Read, Required, shape, word_list};
use crate::yaml::{self, Node, Value};

shape! {
    /// Cases for a policy: what comes in, and what must come of it.
    struct FileShape: "a file of cases", elsewhere &[
        ("tests", "it is called `cases`"),
        ("name", "each case has a name; the file has none"),
        ("defaults", "it is called `given`: what all cases start from"),
        ("rules", "this is a file of cases; the policy stands in a file of its own: policy: ../policies/shop.yaml"),
        ("default", "this is a file of cases; the policy stands in a file of its own: policy: ../policies/shop.yaml"),
    ];
    /// The policy file, relative to this one. `assay policy test --policy` or `--route` overrule it.
    policy: Option<At<String>>;
    /// Name of the route that the requests take.
    route: Option<At<String>>;
    /// Whether the route adds a key.
    injects: Option<At<bool>>;
    /// What the configuration says of the route, where `injects` is true.
    danger_inject_unattested: Option<At<bool>>;
    /// Whether the route verifies a user's token.
    user: Option<At<bool>>;
    /// Names of the callers that the route takes.
    callers: Option<At<Many<String>>>;
    /// The named lists that the policy refers to.
    lists: Option<At<ListShapes>>;
    /// What all cases start from.
    given: Option<Unread>;
    /// The cases.
    cases: Required<ListOf<At<CaseShape>>>, or "write cases: and a list, each with name, given and expect";
}

shape! {
    /// One request, and what must come of it.
    struct CaseShape: "a case", elsewhere &[
        ("when", "it is called `given`"),
        ("request", "it is called `given`: facts of the request and of its token together"),
        ("then", "it is called `expect`"),
        ("verdict", "it belongs under `given`"),
        ("path", "it belongs under `given`"),
        ("rule", "it belongs under `expect`"),
        ("action", "it belongs under `expect`"),
    ];
    /// What it shows; unique in its file.
    name: Required<String>, or "say what the case shows: name: an old app still gets the catalogue";
    /// The request and its token: what differs from the file's own `given`.
    given: Option<Unread>;
    /// What must come of it.
    expect: Required<NonEmpty<Expect>>, or "write expect: { rule: …, action: … }";
}

shape! {
    /// A request, and what its token proved.
    struct Given: "`given`", elsewhere &[
        ("version", "it is called `app_version`"),
        ("ver", "it is called `app_version`"),
        ("network", "it is called `address`: one client's address"),
        ("ip", "it is called `address`"),
        ("header", "it is called `headers`: { X-Name: value }"),
        ("time", "it is called `at`"),
        ("now", "it is called `at`"),
        ("device_id", "it is called `device`"),
        ("query", "rules don't look at the query"),
        ("url", "write method, host and path"),
        ("route", "it belongs to the file: all its cases are about one route"),
    ];
    /// The verdict on the token.
    verdict: Option<At<VerdictName>>;
    /// The method. Default: GET.
    method: Option<At<MethodName>>;
    /// The host. Default: localhost.
    host: Option<At<String>>;
    /// The path, with or without query. Default: /.
    path: Option<At<String>>;
    /// The client's address. Default: 192.0.2.1.
    address: Option<At<String>>;
    /// Headers of the request.
    headers: Option<At<CaseHeaders>>;
    /// The moment. Default: now.
    at: Option<At<Moment>>;
    /// The app that the token names.
    app: Option<At<String>>;
    /// Its version.
    app_version: Option<At<String>>;
    /// Tier of the appraisal.
    tier: Option<At<TierWord>>;
    /// Kinds of Evidence that held.
    evidence: Option<At<Many<EvidenceWord>>>;
    /// For how long the token has been expired.
    expired_for: Option<At<Span>>;
    /// The device that the token names.
    device: Option<At<String>>;
    /// What an operator said about the device.
    device_state: Option<At<DeviceStateWord>>;
    /// How long ago the device was first seen.
    device_age: Option<At<Span>>;
    /// What the token is marked with.
    annotation: Option<At<Many<AnnotationWord>>>;
    /// A caller that is not an app and has proven who it is.
    caller: Option<At<String>>;
    /// A user whose own token was verified.
    user: Option<At<CaseUser>>;
    /// What an order, or the guard, has put the route into. Default: normal.
    mode: Option<At<ModeWord>>;
}

/// A `given` that is read once it is known what it adds to.
#[derive(Clone, Debug)]
pub(crate) struct Unread(pub(crate) Node);

impl Read for Unread {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        if matches!(node.value, Value::Map(_)) {
            return Some(Self(node.clone()));
        }
        problems.push(
            Problem::error(node.place, "wrong_type", format!("`{what}` must be a map, not {}", node.described()))
                .with_hint("write given: { verdict: attested, path: /v1/items }"),
        );
        None
    }
}

impl JsonSchema for Unread {
    fn schema_name() -> Cow<'static, str> {
        Given::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Given::json_schema(generator)
    }
}

shape! {
    /// What must come of it. What is not named is not looked at.
    struct Expect: "`expect`", elsewhere &[
        ("status", "a case is about the policy: name `action` and, where it matters, `rule`"),
        ("limit", "it is called `limits`, also for one"),
        ("priority", "it is called `class`"),
    ];
    /// The rule that decides; `default` where none matches, `cannot_verify` where the fault is ours.
    rule: Option<At<String>>;
    /// What happens.
    action: Option<At<Action>>;
    /// The class of what is let through.
    class: Option<At<Class>>;
    /// What would happen, were everything enforced.
    would: Option<At<Action>>;
    /// Names of the limits that it counts against, all of them.
    limits: Option<At<Names>>;
    /// Names of the monitored rules that matched, all of them.
    monitored: Option<At<Names>>;
}

shape! {
    /// A user.
    struct CaseUser: "`user`", elsewhere &[("sub", "it is called `subject`"), ("iss", "it is called `issuer`")];
    /// Who vouches for the user: name of an issuer of the configuration.
    issuer: Required<String>, or "name the issuer of the user's token";
    /// The user: `sub` of the token.
    subject: Required<String>, or "name the user: `sub` of the token";
    /// Further claims of the token.
    claims: Option<At<CaseClaims>>;
}

/// `mode:` of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModeWord {
    Normal,
    Lockdown,
    Monitor,
    Guard,
}
word_list!(ModeWord:
    "normal" => Self::Normal,
    "lockdown" => Self::Lockdown,
    "monitor" => Self::Monitor,
    "guard" => Self::Guard,
);

/// One verdict.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VerdictName(pub(crate) Verdict);

impl Read for VerdictName {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        if let Value::Text(text) = &node.value
            && (text == "invalid" || text == "any")
        {
            problems.push(
                Problem::error(node.place, "unknown_word", format!("a request has one verdict, not `{text}`"))
                    .with_hint("write one, such as `bad_signature`; more of them are more cases"),
            );
            return None;
        }
        yaml::one_of(node, what, &Verdict::ALL.map(Verdict::as_str), problems)?.parse().ok().map(Self)
    }
}

impl JsonSchema for VerdictName {
    fn schema_name() -> Cow<'static, str> {
        "OneVerdict".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Verdict::ALL.map(Verdict::as_str) })
    }
}

/// A list of names that may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names(pub(crate) Vec<String>);

impl Read for Names {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let before = problems.len();
        let names = items.iter().filter_map(|item| yaml::text(item, what, problems).map(str::to_owned)).collect();
        (problems.len() == before).then_some(Self(names))
    }
}

impl JsonSchema for Names {
    fn schema_name() -> Cow<'static, str> {
        "Names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

/// Headers with their values.
#[derive(Clone, Debug)]
pub(crate) struct CaseHeaders(pub(crate) Vec<(HeaderName, HeaderValue)>);

impl Read for CaseHeaders {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            problems.push(
                Problem::error(node.place, "wrong_type", format!("`{what}` must be a map, not {}", node.described()))
                    .with_hint("write headers: { X-Beta: \"1\" }"),
            );
            return None;
        };
        let mut headers = Vec::new();
        for entry in entries {
            let Ok(name) = HeaderName::from_bytes(entry.key.as_bytes()) else {
                let message = format!("`{}` is not the name of a header", entry.key);
                problems.push(Problem::error(entry.place, "bad_header", message).with_hint("letters, digits and `-`"));
                continue;
            };
            for item in yaml::one_or_many(&entry.value, &entry.key, problems) {
                // An empty value is one too.
                let value = match &item.value {
                    Value::Text(text) if text.is_empty() => Some(""),
                    _ => yaml::text(item, &entry.key, problems),
                };
                match value.map(HeaderValue::from_str) {
                    Some(Ok(value)) => headers.push((name.clone(), value)),
                    Some(Err(_)) => problems.push(Problem::error(
                        item.place,
                        "bad_header",
                        format!("`{}` has a value with characters that no header may have", entry.key),
                    )),
                    None => {}
                }
            }
        }
        Some(Self(headers))
    }
}

impl JsonSchema for CaseHeaders {
    fn schema_name() -> Cow<'static, str> {
        "CaseHeaders".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = serde_json::json!({ "type": "string" });
        let any = serde_json::json!({ "anyOf": [one.clone(), { "type": "array", "items": one, "minItems": 1 }] });
        json_schema!({ "type": "object", "additionalProperties": any })
    }
}

/// Claims of a user's token.
#[derive(Clone, Debug)]
pub(crate) struct CaseClaims(pub(crate) Map<String, Json>);

impl Read for CaseClaims {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        match json_of(node) {
            Json::Object(claims) => Some(Self(claims)),
            _ => {
                let message = format!("`{what}` must be a map, not {}", node.described());
                problems.push(
                    Problem::error(node.place, "wrong_type", message).with_hint("write claims: { plan: \"paid\" }"),
                );
                None
            }
        }
    }
}

impl JsonSchema for CaseClaims {
    fn schema_name() -> Cow<'static, str> {
        "CaseClaims".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

fn json_of(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json_of).collect(),
        Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), json_of(&entry.value))).collect(),
    }
}

/// Lists by name, as the configuration has them.
#[derive(Clone, Debug)]
pub(crate) struct ListShapes(pub(crate) Vec<(String, At<ListShape>)>);

impl Read for ListShapes {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            problems.push(
                Problem::error(node.place, "wrong_type", format!("`{what}` must be a map, not {}", node.described()))
                    .with_hint("write lists: { datacentres: { networks: [203.0.113.0/24] } }"),
            );
            return None;
        };
        let lists = entries
            .iter()
            .filter_map(|entry| Some((entry.key.clone(), At::read(&entry.value, &entry.key, problems)?)))
            .collect();
        Some(Self(lists))
    }
}

impl JsonSchema for ListShapes {
    fn schema_name() -> Cow<'static, str> {
        "CaseLists".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<ListShape>();
        json_schema!({ "type": "object", "additionalProperties": list })
    }
}

shape! {
    /// One of `networks`, `devices`, `paths`: a file of its own, or entries.
    struct ListShape: "a list", elsewhere &[
        ("network", "it is called `networks`"),
        ("device", "it is called `devices`"),
        ("path", "it is called `paths`"),
        ("file", "write the kind, and the file as its value: networks: datacentres.txt"),
    ];
    /// Networks and addresses.
    networks: Option<At<Entries>>;
    /// Devices, as their tokens name them.
    devices: Option<At<Entries>>;
    /// Patterns of paths.
    paths: Option<At<Entries>>;
}

/// A file, relative to the one that names it, or the entries themselves.
#[derive(Clone, Debug)]
pub(crate) enum Entries {
    File(String),
    Here(Vec<At<String>>),
}

impl Read for Entries {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        match &node.value {
            Value::List(items) => {
                Some(Self::Here(items.iter().filter_map(|item| At::read(item, what, problems)).collect()))
            }
            _ => yaml::text(node, what, problems).map(|file| Self::File(file.to_owned())),
        }
    }
}

impl JsonSchema for Entries {
    fn schema_name() -> Cow<'static, str> {
        "Entries".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string", "description": "A file, one entry a line." },
            { "type": "array", "items": { "type": "string" } },
        ] })
    }
}
