//! What gateways are told to refuse although its signature is genuine.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a revocation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevocationKind {
    /// One device, by its id.
    Device,
    /// All tokens of an app, by its name.
    App,
    /// All tokens of a build, by the registry's number of it.
    Build,
    /// All tokens of a signing key, by its kid.
    Kid,
    /// All tokens issued before a moment, Unix seconds.
    IssuedBefore,
}

/// One entry of the revocation feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revocation {
    /// Its number in the feed; a change of it has a new one.
    pub number: u64,
    /// What it names.
    pub kind: RevocationKind,
    /// Which one.
    pub value: String,
    /// Since when.
    pub since: i64,
    /// Until when; absent: until it is lifted.
    pub until: Option<i64>,
    /// Whether it was taken back.
    pub lifted: bool,
    /// Why.
    pub reason: String,
    /// Who revoked or lifted it.
    pub made_by: String,
}

/// A revocation to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRevocation {
    /// What it names.
    pub kind: RevocationKind,
    /// Which one.
    #[schema(min_length = 1, max_length = 64)]
    pub value: String,
    /// Why, for those who read it later.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
}

/// Takes a revocation back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Lift {
    /// What it names.
    pub kind: RevocationKind,
    /// Which one.
    #[schema(min_length = 1, max_length = 64)]
    pub value: String,
    /// Why, for those who read it later.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
}
