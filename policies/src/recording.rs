//! What a decision was made of, written down so that another policy can be tried on it.
//!
//! In: a decision of the gateway. Out: a [`Record`], one line of JSON. Proven: it holds no token, no query, no value of a header, no
//! device id and no whole address: a device is a keyed hash, an address its /24 or /48. What of the policy can't be asked again from that
//! (a header's value, a list of devices, a share) stands in it as the answer that it gave, under a fingerprint of the question.
//!
//! The gateway makes records ([`Recorder`]); `assay policy test --replay` and `assay policy explain --decision` read them.

mod fingerprint;
mod lines;
mod log_line;
mod pseudonyms;
mod recorder;
mod replay;
mod sample;
mod walk;
pub(crate) mod words;

use std::collections::BTreeMap;

use attest_core::evidence_kind::EvidenceKinds;
use attest_core::tier::Tier;
use attest_core::token::asv::DeviceState;
use attest_core::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::class::{Action, Class};

pub use fingerprint::MAX_ANSWERS;
pub use lines::for_each_line;
pub use pseudonyms::Pseudonyms;
pub use recorder::{Facts, Recorder};
pub use replay::{BrokenLine, Difference, Gap, Reached, Replay, Report};
pub(crate) use sample::Asked;
pub use sample::Sample;

/// The form of [`Record`] that this program writes and reads.
pub const VERSION: u8 = 1;

/// The most that one record may take, in bytes of JSON.
pub const MAX_LINE: usize = 64 * 1024;

/// One decision: who asked for what, as far as rules look, and what came of it. Members without a value are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub v: u8,
    /// The decision's id, as in answer and log.
    pub id: String,
    /// When, in Unix seconds.
    pub at: i64,
    /// The route.
    pub route: String,
    /// The policy's name.
    pub policy: String,
    /// Which configuration of the gateway decided.
    pub generation: u64,

    /// The verdict on the token.
    #[serde(with = "words::one")]
    pub verdict: Verdict,
    /// Whether a genuine signature stands behind what the token says.
    #[serde(default, skip_serializing_if = "is_false")]
    pub genuine: bool,
    /// Whether the token may open a key.
    #[serde(default, skip_serializing_if = "is_false")]
    pub may_unseal: bool,
    /// Tier of the appraisal.
    #[serde(with = "words::maybe", default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Kinds of Evidence that held.
    #[serde(with = "words::kinds", default, skip_serializing_if = "no_kinds")]
    pub kinds: EvidenceKinds,
    /// The app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How many seconds the token had been expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_for: Option<u64>,
    /// The device, as a keyed hash of 16 hexadecimal digits ([`Pseudonyms::device`]); only of a genuine token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What an operator said about the device.
    #[serde(with = "words::maybe", default, skip_serializing_if = "Option::is_none")]
    pub device_state: Option<DeviceState>,
    /// How many seconds the device had been known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_age: Option<u64>,
    /// Annotations of the token, one bit each.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub annotations: u32,
    /// The caller that is no app, where one was proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// Who vouches for the user, where a user was proven. Who the user is is not written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_issuer: Option<String>,

    /// The method.
    pub method: String,
    /// The canonical host, with its port where that is not the scheme's own.
    pub host: String,
    /// The canonical path, without query.
    pub path: String,
    /// The client's network: an IPv4 /24 or an IPv6 /48.
    pub network: String,
    /// Whether the route adds a key.
    #[serde(default, skip_serializing_if = "is_false")]
    pub injects: bool,
    /// Of the headers that the policy looks at: which were there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, bool>,
    /// The answers to what can't be asked again, by the fingerprint of the question: `true`, `false`, or `null` where there was
    /// nothing to ask (no genuine signature).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<String, Option<bool>>,

    /// The rule that decided; `default` or `cannot_verify` where none did.
    pub rule: String,
    /// What happened.
    #[serde(with = "words::one")]
    pub action: Action,
    /// The class of what was let through.
    #[serde(with = "words::maybe", default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// What would have happened, had the refusal taken effect.
    #[serde(with = "words::maybe", default, skip_serializing_if = "Option::is_none")]
    pub would: Option<Action>,
    /// The sender's bucket, 0 to 99, where `enforcement` asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<u8>,
    /// Whether a rule let it through, and it was refused because it had no right to the route's key.
    #[serde(default, skip_serializing_if = "is_false")]
    pub withheld: bool,
    /// The monitored rules that matched on the way, each with its action.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub monitored: Vec<(String, String)>,
    /// What overruled the policy ([`Mode::as_str`](crate::Mode::as_str)): `lockdown`, `monitor` or `guard`. Absent: nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// Why a line is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Longer than [`MAX_LINE`].
    TooLong,
    /// Not JSON, or a member is absent or of another kind; what is wrong.
    NotARecord(String),
    /// Of another form than [`VERSION`].
    OtherVersion(u8),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {MAX_LINE} bytes"),
            Self::NotARecord(why) => write!(f, "not a record: {why}"),
            Self::OtherVersion(other) => write!(f, "of form {other}, and this program reads form {VERSION}"),
        }
    }
}

impl std::error::Error for Broken {}

impl Record {
    /// The line, without the line feed at its end.
    #[must_use]
    pub fn line(&self) -> String {
        // Nothing in it can fail to be written: all keys are text.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads one line.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn parse(line: &[u8]) -> Result<Self, Broken> {
        if line.len() > MAX_LINE {
            return Err(Broken::TooLong);
        }
        // The form first: what another one is called here is not wrong there.
        #[derive(Deserialize)]
        struct Form {
            v: u8,
        }
        let broken = |error: serde_json::Error| Broken::NotARecord(error.to_string());
        let Form { v } = serde_json::from_slice(line).map_err(broken)?;
        if v != VERSION {
            return Err(Broken::OtherVersion(v));
        }
        serde_json::from_slice(line).map_err(broken)
    }

    /// What the policy's own rules said, whatever share or order kept it from taking effect.
    #[must_use]
    pub fn meant(&self) -> Action {
        self.would.unwrap_or(self.action)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn no_kinds(kinds: &EvidenceKinds) -> bool {
    kinds.is_empty()
}

#[cfg(test)]
mod tests;
