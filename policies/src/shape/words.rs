//! The words of the language: actions, classes, modes, verdicts, tiers, kinds of Evidence.
//!
//! In: one word of the file. Out: what it means. The lists come from the types, so that a new verdict can't be forgotten.

use std::borrow::Cow;

use attest_core::evidence_kind::{EvidenceKind, EvidenceKinds};
use attest_core::tier::Tier;
use attest_core::token::asv::{DeviceState, annotations};
use attest_core::verdict::Verdict;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Read, word_list};
use crate::class::{Action, Class};
use crate::limit::{Count, Per};
use crate::problem::Problem;
use crate::verdicts::Verdicts;
use crate::yaml::{self, Node};

word_list!(Action: "allow" => Self::Allow, "deprioritize" => Self::Deprioritize, "block" => Self::Block);
word_list!(Class:
    "critical" => Self::Critical,
    "attested" => Self::Attested,
    "partial" => Self::Partial,
    "unattested" => Self::Unattested,
);
word_list!(Per:
    "device" => Self::Device,
    "address" => Self::Address,
    "user" => Self::User,
    "caller" => Self::Caller,
    "app" => Self::App,
    "token" => Self::Token,
    "key" => Self::Key,
    "route" => Self::Route,
    "all" => Self::All,
);

word_list!(Count: "sliding" => Self::Sliding, "fixed" => Self::Fixed);

/// `mode:` of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It decides.
    #[default]
    Enforce,
    /// It is counted, then treated as absent.
    Monitor,
    /// It is checked when the file is loaded, and otherwise absent.
    Disabled,
}
word_list!(Mode: "enforce" => Self::Enforce, "monitor" => Self::Monitor, "disabled" => Self::Disabled);

/// A verdict, the group `invalid`, or `any`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VerdictWord(pub(crate) Verdicts);

fn verdict_words() -> Vec<&'static str> {
    Verdict::ALL
        .into_iter()
        .filter(|verdict| *verdict != Verdict::Unverifiable)
        .map(Verdict::as_str)
        .chain(["invalid", "any"])
        .collect()
}

impl Read for VerdictWord {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let explained = match &node.value {
            yaml::Value::Text(text) => match text.to_lowercase().as_str() {
                "unverifiable" => Some(
                    "it never reaches a rule: `our_faults: cannot_verify` says what happens when the fault is ours",
                ),
                "unattested" | "untrusted" => Some(
                    "name what is meant: `missing` (no token), `invalid` (a bad one), `failed`, `revoked`, `expired`, or `any`",
                ),
                "all" | "*" => Some("write `any`"),
                "none" | "absent" | "unknown" => Some("write `missing` for a request without a token"),
                "valid" | "genuine" | "ok" | "verified" => Some("write `attested`"),
                "banned" => Some("write `revoked`"),
                _ => None,
            },
            _ => None,
        };
        if let Some(hint) = explained {
            problems.push(
                Problem::error(node.place, "unknown_word", format!("`{what}` can't be {}", node.described()))
                    .with_hint(hint),
            );
            return None;
        }
        match yaml::one_of(node, what, &verdict_words(), problems)? {
            "any" => Some(Self(Verdicts::ANY)),
            "invalid" => Some(Self(Verdicts::INVALID)),
            word => word.parse().ok().map(|verdict| Self(Verdicts::one(verdict))),
        }
    }
}

impl JsonSchema for VerdictWord {
    fn schema_name() -> Cow<'static, str> {
        "Verdict".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": verdict_words() })
    }
}

/// A tier of the appraisal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TierWord(pub(crate) Tier);

fn tier_words() -> Vec<&'static str> {
    Tier::ALL.into_iter().map(Tier::as_str).collect()
}

impl Read for TierWord {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        yaml::one_of(node, what, &tier_words(), problems)?.parse().ok().map(Self)
    }
}

impl JsonSchema for TierWord {
    fn schema_name() -> Cow<'static, str> {
        "Tier".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": tier_words() })
    }
}

/// What an operator said about a device, as far as a rule can see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeviceStateWord(pub(crate) DeviceState);

/// A device that was made to fail, or banned, is settled before rules are asked.
const DEVICE_STATES: [DeviceState; 2] = [DeviceState::Normal, DeviceState::ForcedPass];

impl Read for DeviceStateWord {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let settled = match &node.value {
            yaml::Value::Text(text) if text == DeviceState::ForcedFail.as_str() => "failed",
            yaml::Value::Text(text) if text == DeviceState::Banned.as_str() => "revoked",
            _ => {
                let word = yaml::one_of(node, what, &DEVICE_STATES.map(DeviceState::as_str), problems)?;
                return DEVICE_STATES.into_iter().find(|state| state.as_str() == word).map(Self);
            }
        };
        problems.push(
            Problem::error(node.place, "unknown_word", format!("`{what}` can't be {}", node.described()))
                .with_hint(format!("that is settled before rules are asked: write verdict: {settled}")),
        );
        None
    }
}

impl JsonSchema for DeviceStateWord {
    fn schema_name() -> Cow<'static, str> {
        "DeviceState".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": DEVICE_STATES.map(DeviceState::as_str) })
    }
}

/// What a token may be marked with, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnnotationWord(pub(crate) u32);
word_list!(AnnotationWord: "dev" => Self(annotations::DEV as u32));

/// A kind of Evidence, or `platform`: any kind that the maker of the platform vouches for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EvidenceWord(pub(crate) EvidenceKinds);

fn evidence_words() -> Vec<&'static str> {
    EvidenceKind::ALL.into_iter().map(EvidenceKind::as_str).chain(["platform"]).collect()
}

impl Read for EvidenceWord {
    fn read(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let word = yaml::one_of(node, what, &evidence_words(), problems)?;
        if word == "platform" {
            let platform = EvidenceKind::ALL.into_iter().filter(|kind| kind.is_platform());
            return Some(Self(platform.fold(EvidenceKinds::EMPTY, EvidenceKinds::with)));
        }
        word.parse().ok().map(|kind| Self(EvidenceKinds::EMPTY.with(kind)))
    }
}

impl JsonSchema for EvidenceWord {
    fn schema_name() -> Cow<'static, str> {
        "Evidence".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": evidence_words() })
    }
}
