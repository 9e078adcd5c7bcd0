//! The keys that tokens are signed with; never their secrets.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Published, and not signing yet.
    Next,
    /// It signs.
    Active,
    /// It signs no more; its tokens are still taken.
    Retiring,
    /// It is over; its secret is wiped.
    Retired,
}

/// One signing key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SigningKey {
    /// Its id, the `kid` of its tokens.
    pub kid: String,
    /// Its algorithm, as in `alg`.
    pub algorithm: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made.
    pub created: i64,
    /// Since when gateways may know it.
    pub published: i64,
    /// When it is to sign, where that was asked for and is still to come.
    pub activates: Option<i64>,
    /// When the last token of a retiring one is over.
    pub ends: Option<i64>,
    /// Whether its tokens were revoked with it.
    pub revoked: bool,
}

/// A key set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeySet {
    /// Its name in the configuration.
    pub name: String,
    /// How a failed app's token differs: `decoy`, `sealed` or `open`.
    pub concealment: String,
    /// From when on the next key may sign without locking anyone out: every gateway knows it by then.
    pub safe_from: Option<i64>,
    /// What the configuration asks for and the set can't become by itself, in a sentence.
    pub differs: Option<String>,
    /// Its keys, by state, the newest first.
    pub keys: Vec<SigningKey>,
}

/// When the next key takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RotateWhen {
    /// As soon as every gateway knows it: now, or at the moment that the answer names.
    #[default]
    Safe,
    /// At once. Gateways that have not fetched it yet refuse its tokens until they have.
    Now,
}

/// A rotation that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// When the next key takes over.
    #[serde(default)]
    pub when: RotateWhen,
}

/// What a rotation does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rotation {
    /// The key that signs until then.
    pub from: String,
    /// The key that signs from then on.
    pub to: String,
    /// When.
    pub at: i64,
    /// Whether that is still to come.
    pub scheduled: bool,
    /// Whom it locks out, and for how long.
    pub warning: Option<String>,
}
