//! What the service says of itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Role;

/// The service, as this token sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The service's version.
    pub version: String,
    /// Its clock.
    pub now: i64,
    /// The name of the token that asks.
    pub actor: String,
    /// Its role.
    pub role: Role,
    /// The apps that it is limited to; absent: none.
    pub apps: Option<Vec<String>>,
    /// The kid that signs now.
    pub active_key: Option<String>,
}
