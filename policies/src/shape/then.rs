//! The shape of `then:`: what happens to the requests of a rule.

use std::num::NonZeroU32;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::values::Span;
use super::{At, ListOf, Read, Required, shape};
use crate::class::{Action, Class};
use crate::limit::Per;
use crate::problem::Problem;
use crate::yaml::{self, Fields, Node, Value};

/// An action, with what belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Then {
    pub(crate) action: Action,
    pub(crate) class: Option<At<Class>>,
    pub(crate) limits: Vec<LimitShape>,
}

shape! {
    /// How urgent it is, and how much of it.
    struct Passing: "an action that lets through", elsewhere &[
        ("limit", "it is called `limits`, a list"),
        ("priority", "it is called `class`: critical, attested, partial or unattested"),
        ("status", "refusals all look alike to the client; what lets through has no status"),
    ];
    /// `critical > attested > partial > unattested`. Default: for `allow` attested, or partial where the request is not
    /// attested; for `deprioritize` partial, or unattested.
    class: Option<At<Class>>;
    /// How many requests; past any of them the answer is 429, never the next rule.
    limits: Option<ListOf<LimitShape>>;
}

/// What people put under `block`.
const NOT_IN_BLOCK: &[(&str, &str)] = &[
    (
        "status",
        "every refusal looks the same to the client, or it would tell forgers how far they got; write `then: block`",
    ),
    (
        "body",
        "every refusal looks the same to the client, or it would tell forgers how far they got; write `then: block`",
    ),
    ("class", "what is refused has no class; write `then: block`"),
    ("limits", "what is refused is not counted; write `then: block`"),
];

shape! {
    /// So many requests in a window, each for one of something.
    struct LimitShape: "a limit", elsewhere &[
        ("bytes", "limits count `requests`"),
        ("tokens", "limits count `requests`"),
        ("limit", "it is called `requests`"),
        ("key", "it is called `per`"),
        ("period", "it is called `window`"),
        ("interval", "it is called `window`"),
    ];
    /// Unique in the policy. Counts are kept under it over reloads. Default: the rule's name and a number.
    name: Option<At<String>>;
    /// How many requests in a window.
    requests: Required<Count>, or "write how many: { requests: 60, per: address, window: 1m }";
    /// Counted for each of these.
    per: Required<Per>, or "write for what it is counted: per: device, address, app, route or all";
    /// From 1s to 31d.
    window: Required<Span>, or "write in what time: window: 1m";
}

/// How many, at least one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count(pub(crate) NonZeroU32);

impl Read for Count {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let number = yaml::number(node, what, 1, i64::from(u32::MAX), problems)?;
        u32::try_from(number).ok().and_then(NonZeroU32::new).map(Self)
    }
}

impl JsonSchema for Count {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}

impl Read for Then {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let action = Action::read(node, what, problems)?;
            return Some(Self { action, class: None, limits: Vec::new() });
        };
        let known = ["allow", "deprioritize", "block"];
        let before = problems.len();
        Fields::open(
            node,
            "`then`",
            &known,
            &[
                ("class", "it belongs to the action: then: { deprioritize: { class: partial } }"),
                ("limits", "it belongs to the action: then: { allow: { limits: [ … ] } }"),
                ("action", "write the action itself: then: allow"),
                ("deny", "it is called `block`"),
            ],
            problems,
        )?;
        let [entry] = entries.as_slice() else {
            if problems.len() == before {
                problems.push(
                    Problem::error(node.place, "one_action", "`then` must be one action")
                        .with_hint("write `then: allow`, or { deprioritize: { class: partial } }"),
                );
            }
            return None;
        };
        let action = match entry.key.as_str() {
            "allow" => Action::Allow,
            "deprioritize" => Action::Deprioritize,
            "block" => {
                Fields::open(&entry.value, "`block`", &[], NOT_IN_BLOCK, problems)?;
                return Some(Self { action: Action::Block, class: None, limits: Vec::new() });
            }
            _ => return None,
        };
        let passing = Passing::read(&entry.value, &entry.key, problems)?;
        Some(Self { action, class: passing.class, limits: passing.limits.map(|limits| limits.0).unwrap_or_default() })
    }
}

impl JsonSchema for Then {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Then".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let word = generator.subschema_for::<Action>();
        let passing = generator.subschema_for::<Passing>();
        json_schema!({
            "description": "allow, deprioritize (let through when there is capacity to spare) or block",
            "anyOf": [word, {
                "type": "object",
                "properties": {
                    "allow": { "description": "Let through, with a class or limits.", "allOf": [passing.clone()] },
                    "deprioritize": {
                        "description": "Let through when there is capacity to spare, with a class or limits.",
                        "allOf": [passing]
                    },
                    "block": { "description": "Refuse. Takes nothing: block: {}.", "type": "object", "maxProperties": 0 }
                },
                "additionalProperties": false,
                "minProperties": 1,
                "maxProperties": 1
            }]
        })
    }
}
