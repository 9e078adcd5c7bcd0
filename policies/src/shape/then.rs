//! The shape of `then:`: what happens to the requests of a rule.

use std::num::{NonZeroU32, NonZeroU64};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::values::Span;
use super::{At, ListOf, Read, Required, Tried, shape};
use crate::class::{Action, Class};
use crate::limit::{Count, Per};
use crate::problem::Problem;
use crate::yaml::{self, Fields, Node, Place, Value, scalar};

/// An action, with what belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Then {
    pub(crate) place: Place,
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
    /// How much; past any of them the answer is 429, never the next rule.
    limits: Option<ListOf<LimitShape>>;
}

/// What people put under `block`.
const NOT_IN_BLOCK: &[(&str, &str)] = &[
    (
        "status",
        "every refusal looks the same to the client, or it would tell forgers how far they got; write `then: block`, and what is answered, alike for all, under `refusals`",
    ),
    (
        "body",
        "every refusal looks the same to the client, or it would tell forgers how far they got; write `then: block`, and what is answered, alike for all, under `refusals`",
    ),
    ("class", "what is refused has no class; write `then: block`"),
    ("limits", "what is refused is not counted; write `then: block`"),
];

shape! {
    /// So many requests in a window, each for one of something.
    struct LimitShape: "a limit", elsewhere &[
        ("limit", "it is called `requests`, `bytes` or `tokens`"),
        ("rate", "it is called `requests`, with `window`"),
        ("rps", "write { requests: N, per: …, window: 1s }"),
        ("algorithm", "it is called `count`: sliding or fixed"),
        ("key", "it is called `per`"),
        ("period", "it is called `window`"),
        ("interval", "it is called `window`"),
    ];
    /// Unique in the policy. Counts are kept under it over reloads. Default: the rule's name and a number.
    name: Option<At<String>>;
    /// How many requests in a window; or `bytes`, or `tokens`.
    requests: Option<Tried<HowMany>>;
    /// How many bytes of bodies, of request and response together: a number, or 64KiB, 10MiB.
    bytes: Option<Tried<Bytes>>;
    /// How many tokens of a language model, as the upstream's `usage` tells them.
    tokens: Option<Tried<HowMuch>>;
    /// Counted for each of these.
    per: Required<Per>, or "write for what it is counted: per: device, address, user, caller, app, route, token, key or all";
    /// From 1s to 31d; of a budget, a part of a day or whole days.
    window: Required<Span>, or "write in what time: window: 1m";
    /// Of requests, how many may come at once. Default: all of them.
    burst: Option<At<HowMany>>;
    /// sliding (default for requests) or fixed: a budget for each whole window in UTC (always for bytes and tokens).
    count: Option<At<Count>>;
    /// What one request takes of a budget before it is known what it uses. Bytes: 64KiB by default; tokens: no default.
    reserve: Option<Tried<Bytes>>;
}

/// How many, at least one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HowMany(pub(crate) NonZeroU32);

impl Read for HowMany {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let number = yaml::number(node, what, 1, i64::from(u32::MAX), problems)?;
        u32::try_from(number).ok().and_then(NonZeroU32::new).map(Self)
    }
}

impl JsonSchema for HowMany {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HowMany".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}

/// How much, at least one and at most 2^53: what JSON numbers carry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HowMuch(pub(crate) NonZeroU64);

const MOST: i64 = 1 << 53;

impl Read for HowMuch {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let number = yaml::number(node, what, 1, MOST, problems)?;
        u64::try_from(number).ok().and_then(NonZeroU64::new).map(Self)
    }
}

impl JsonSchema for HowMuch {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HowMuch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": MOST })
    }
}

/// A number, or one with a unit of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub(crate) NonZeroU64);

impl Read for Bytes {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let Value::Text(text) = &node.value else {
            return HowMuch::read(node, what, problems).map(|amount| Self(amount.0));
        };
        match scalar::size(text) {
            Ok(size) => NonZeroU64::new(size).filter(|size| size.get() <= MOST.unsigned_abs()).map(Self),
            Err(hint) => {
                problems.push(
                    Problem::error(node.place, "wrong_number", format!("`{what}` can't be {}", node.described()))
                        .with_hint(hint),
                );
                None
            }
        }
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": MOST },
            { "type": "string", "pattern": "^[1-9][0-9]*(B|KiB|MiB|GiB)$" }
        ] })
    }
}

impl Read for Then {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let action = Action::read(node, what, problems)?;
            return Some(Self { place: node.place, action, class: None, limits: Vec::new() });
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
                return Some(Self { place: node.place, action: Action::Block, class: None, limits: Vec::new() });
            }
            _ => return None,
        };
        let passing = Passing::read(&entry.value, &entry.key, problems)?;
        let limits = passing.limits.map(|limits| limits.0).unwrap_or_default();
        Some(Self { place: node.place, action, class: passing.class, limits })
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
