//! What gateways tell of themselves.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One gateway, as it last told of itself: its own word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gateway {
    /// Configured, or host and process.
    pub name: String,
    /// The version of Assay that it runs.
    pub version: String,
    /// The number of its configuration since its start.
    pub generation: u64,
    /// A digest of the files of that configuration.
    pub configuration: String,
    /// Whether its last reload was taken.
    pub reload_ok: bool,
    /// If not, a code for why; the text is in its own log and status.
    pub reload_error: Option<String>,
    /// How long it had been running when it told.
    pub uptime_secs: u64,
    /// The orders in force there, by number.
    pub orders: Vec<u64>,
    /// The revocation number that it has reached.
    pub revocations: Option<u64>,
    /// The number of its key sets.
    pub key_sets: Option<u64>,
    /// Its routes, 512 at most.
    pub routes: Vec<String>,
    /// Whether it has more than it named.
    pub more_routes: bool,
    /// Requests since its start.
    pub requests: u64,
    /// Of these, refused by verdict or policy.
    pub refused: u64,
    /// Of these, refused by a limit.
    pub limited: u64,
    /// Of these, refused because there was no room.
    pub overloaded: u64,
    /// When it was first heard of.
    pub first_seen: i64,
    /// When it was last heard of. After 7 days it is forgotten.
    pub last_seen: i64,
    /// Whether that is longer ago than a running gateway would let pass.
    pub silent: bool,
}
