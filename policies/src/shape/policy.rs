//! The shape of a policy and of its rules.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::conditions::When;
use super::refusals::RefusalsShape;
use super::then::Then;
use super::values::Moment;
use super::words::{Mode, VerdictWord};
use super::{At, ListOf, Read, Required, Tried, shape};
use crate::class::Action;
use crate::problem::Problem;
use crate::verdicts::Verdicts;
use crate::yaml::{self, Node, Value};

shape! {
    /// Who may do what: the first rule that matches decides.
    struct PolicyShape: "a policy", elsewhere &[
        ("name", "it is called `policy`"),
        ("include", "it is an entry of `rules`: rules: [{ include: rules/common.yaml }]"),
        ("allow_everything", "it is called `danger_allow_everything`"),
        ("danger_block_everything", "it is called `block_everything`"),
        ("errors", "it is called `refusals`"),
        ("responses", "it is called `refusals`"),
        ("mode", "for the whole policy it is `enforcement: monitor`; `mode` belongs to a rule"),
        ("enforce_percent", "write enforcement: { failed: 10, others: 100 }"),
        ("rule", "it is called `rules`, a list"),
    ];
    /// Its name, in log and metrics. Default: the route's.
    policy: Option<At<String>>;
    /// What happens when no rule matches.
    default: Required<Action>, or "write `default: block`";
    /// Must be true where `default` is allow.
    danger_default_allow: Option<At<bool>>;
    /// Must be true where nothing is let through: no rule does, or every rule that does has an end, and `default` is block.
    block_everything: Option<At<bool>>;
    /// Must be true where everything is let through, and nothing is refused, put behind or limited.
    danger_allow_everything: Option<At<bool>>;
    /// monitor, enforce (default), or for each verdict how many percent of the refusals take effect.
    enforcement: Option<At<Enforcement>>;
    /// Bodies of the API's own for refusals.
    refusals: Option<At<RefusalsShape>>;
    /// From top to bottom, the first that matches decides.
    rules: Option<Tried<ListOf<At<RuleEntry>>>>;
}

shape! {
    /// One rule.
    struct RuleShape: "a rule", elsewhere &[
        ("action", "it is called `then`"),
        ("if", "it is called `when`"),
        ("verdict", "it belongs under `when`: when: { verdict: attested }"),
        ("path", "it belongs under `when`"),
        ("method", "it belongs under `when`"),
        ("limits", "it belongs under the action: then: { allow: { limits: [ … ] } }"),
        ("class", "it belongs under the action: then: { deprioritize: { class: partial } }"),
        ("enforce_percent", "a share is set for the whole policy: enforcement: { failed: 10, others: 100 }"),
        ("expires", "it is called `until`"),
    ];
    /// Unique in the policy; log, metrics and counts go by it.
    name: Required<String>, or "every rule has one: log and metrics go by it";
    /// Which requests.
    #[schemars(extend("required" = ["verdict"]))]
    when: Required<When>, or "write when: { verdict: attested }";
    /// What happens to them.
    then: Required<Then>, or "write `then: allow`, `deprioritize` or `block`";
    /// enforce (default), monitor (counted, then treated as absent), disabled.
    mode: Option<At<Mode>>;
    /// Only on what lets through or is monitored: past this moment the rule is absent.
    until: Option<At<Moment>>;
}

/// An entry of `rules`: a rule. Those of an included file stand in its place by the time that it is read.
#[derive(Clone, Debug)]
pub(crate) struct RuleEntry(pub(crate) RuleShape);

impl Read for RuleEntry {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        RuleShape::read(node, what, problems).map(Self)
    }
}

impl JsonSchema for RuleEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RuleOrInclude".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rule = generator.subschema_for::<RuleShape>();
        json_schema!({ "anyOf": [rule, {
            "type": "object",
            "properties": { "include": { "type": "string", "description": "A file with `rules` alone, whose rules stand here." } },
            "required": ["include"],
            "additionalProperties": false
        }] })
    }
}

/// How many percent of the final refusals take effect.
#[derive(Clone, Debug)]
pub(crate) enum Enforcement {
    All,
    None,
    Shares(Vec<At<Share>>),
}

/// One row: these verdicts (nothing: all others), so many percent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) verdicts: Option<Verdicts>,
    pub(crate) percent: u8,
}

impl Read for Enforcement {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            if let Value::Int(number) = node.value {
                problems.push(
                    Problem::error(node.place, "wrong_type", "`enforcement` needs verdicts, each with its share")
                        .with_hint(format!("for all of them alike write enforcement: {{ others: {number} }}")),
                );
                return None;
            }
            return Some(match yaml::one_of(node, what, &["enforce", "monitor"], problems)? {
                "monitor" => Self::None,
                _ => Self::All,
            });
        };
        let mut shares = Vec::new();
        for entry in entries {
            let percent = match &entry.value.value {
                Value::Text(text) if text == "enforce" => Some(100),
                Value::Text(text) if text == "monitor" => Some(0),
                _ => yaml::number(&entry.value, &entry.key, 0, 100, problems),
            };
            let verdicts = if entry.key == "others" {
                Some(None)
            } else if entry.key == "other" || entry.key == "rest" || entry.key == "default" {
                problems.push(
                    Problem::error(entry.place, "unknown_word", format!("`enforcement` can't name `{}`", entry.key))
                        .with_hint("did you mean `others`?"),
                );
                None
            } else {
                let key = Node::new(Value::Text(entry.key.clone()), entry.place);
                VerdictWord::read(&key, "enforcement", problems).map(|word| Some(word.0))
            };
            if let (Some(verdicts), Some(percent)) = (verdicts, percent.and_then(|percent| u8::try_from(percent).ok()))
            {
                shares.push(At { value: Share { verdicts, percent }, place: entry.place });
            }
        }
        Some(Self::Shares(shares))
    }
}

impl JsonSchema for Enforcement {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Enforcement".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let verdict = generator.subschema_for::<VerdictWord>();
        json_schema!({ "anyOf": [
            { "type": "string", "enum": ["enforce", "monitor"] },
            {
                "type": "object",
                "propertyNames": { "anyOf": [verdict, { "const": "others" }] },
                "additionalProperties": { "anyOf": [
                    { "type": "integer", "minimum": 0, "maximum": 100 },
                    { "type": "string", "enum": ["enforce", "monitor"] }
                ] }
            }
        ] })
    }
}
