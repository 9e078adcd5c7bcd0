//! Tokens of this API, and test tokens for routes that take them.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a token may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read.
    Viewer,
    /// Register and retire builds; ban, fail, enrol and forget devices; issue test tokens.
    Operator,
    /// Force passes, rotate keys, revoke apps and issue times, make tokens, read the audit log.
    Admin,
}

/// A token of this API; its text is told once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdminToken {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The apps that it sees; absent: all, and what belongs to none.
    pub apps: Option<Vec<String>>,
    /// When it was made.
    pub created: i64,
    /// Who made it.
    pub created_by: String,
    /// When it is over.
    pub until: i64,
    /// When it was revoked.
    pub revoked: Option<i64>,
}

/// A token to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name: 1 to 64 of the characters A-Z a-z 0-9 . _ + -
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The apps that it is limited to; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<Vec<String>>,
    /// When it is over, Unix seconds, at most 366 days ahead.
    pub until: i64,
}

/// A token that was made. Its text is in this answer and nowhere else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The apps that it is limited to; absent: none.
    pub apps: Option<Vec<String>>,
    /// When it is over.
    pub until: i64,
    /// The token.
    pub token: String,
}

impl fmt::Debug for CreatedToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("CreatedToken").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// A test token to issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTestToken {
    /// The app that it is to name.
    pub app: String,
    /// The version that it is to name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The verdict that gateways are to find, such as `attested`, `failed` or `expired`; `attested` when it is not given.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// What it is to be bound to: base64url of SHA-256 over the bound headers' values, as in a token's `pay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 43, max_length = 43)]
    pub binding: Option<String>,
    /// How long it is to live, seconds; without it as long as the service's other tokens, which is the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub seconds: Option<u32>,
}

/// A test token: signed with the real key, marked `dev`. Only routes with `allow_dev` take it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestToken {
    /// The token.
    pub token: String,
    /// When it is over.
    pub until: i64,
}

impl fmt::Debug for TestToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TestToken").field("until", &self.until).finish_non_exhaustive()
    }
}
