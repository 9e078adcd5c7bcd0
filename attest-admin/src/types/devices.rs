//! Devices: what was seen of them, and what an operator decided.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What an operator decided of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// Nothing: its Evidence decides.
    Normal,
    /// It passes whatever its Evidence is worth.
    ForcedPass,
    /// It fails whatever its Evidence is worth.
    ForcedFail,
    /// It fails, and its tokens are refused at gateways.
    Banned,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its id, the `did` of its tokens.
    pub id: String,
    /// The key set that the id belongs to.
    pub key_set: String,
    /// When it was first seen.
    pub first_seen: i64,
    /// When it was last seen.
    pub last_seen: i64,
    /// The app that it last attested for.
    pub app: Option<String>,
    /// The version that it last stated.
    pub version: Option<String>,
    /// Its platform.
    pub platform: Option<String>,
    /// Attestations that passed.
    pub passed: u64,
    /// Attestations that failed.
    pub failed: u64,
    /// What spoke against it the last time.
    pub last_reasons: Vec<String>,
    /// What the SDK found on it the last time.
    pub last_findings: Vec<String>,
    /// What was decided of it. A decision that is over is no longer told.
    pub state: DeviceState,
    /// When the decision ends; absent: when it is taken back.
    pub until: Option<i64>,
    /// Why it was decided.
    pub reason: Option<String>,
    /// Who decided.
    pub marked_by: Option<String>,
    /// Until when it passes as a debug device; absent when it does not.
    pub enrolled_until: Option<i64>,
    /// The counter of its last assertion, where its platform has one.
    pub counter: Option<u32>,
    /// The device that it was before its key was renewed.
    pub renewed_from: Option<String>,
    /// The device that it became when its key was renewed.
    pub renewed_to: Option<String>,
}

/// Which devices of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeviceQuery {
    /// In this state alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub state: Option<DeviceState>,
    /// That last attested for this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Enrolled for development, when true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<bool>,
    /// Seen since this moment, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_after: Option<i64>,
    /// Entries on the page: 1 to 500, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A decision about a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// What is decided; `normal` takes a decision back. `forced_pass` needs the role `admin`.
    pub state: DeviceState,
    /// When it ends, Unix seconds. A forced pass needs it, at most 30 days ahead; absent: until it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Why, for those who read it later.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
}

/// A debug device, simulator or CI runner to let pass, with a mark in its tokens that only routes with `allow_dev` take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// When that ends, Unix seconds, at most 90 days ahead.
    pub until: i64,
    /// Whose it is, for those who read it later.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
}

/// Why something is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// For those who read it later.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
}
