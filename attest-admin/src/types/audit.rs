//! The audit log: who changed what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its place among the entries of all writers.
    pub sequence: i64,
    /// Who wrote it: each service and each machine with a command line has a chain of its own.
    pub writer: String,
    /// Its number in that chain, from 1.
    pub number: u64,
    /// When.
    pub at: i64,
    /// Who asked for it: a token's name, or a user at the machine.
    pub actor: String,
    /// In which role.
    pub role: String,
    /// Where from: `local`, `service`, or an address.
    pub origin: String,
    /// What was done, such as `device.ban`.
    pub action: String,
    /// To what.
    pub target: String,
    /// The particulars.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
}

/// What a writer's chain had come to at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChainEnd {
    /// Whose chain.
    pub writer: String,
    /// How many entries it had.
    pub count: u64,
    /// The last one's MAC, base64url.
    pub head: String,
    /// When, Unix milliseconds.
    pub at: i64,
}

/// A checkpoint, signed: one line of JSON, as in the service's log. Kept elsewhere, it shows what was cut off since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// What is signed.
    pub checkpoint: ChainEnd,
    /// Its Ed25519 signature, base64url.
    pub signature: String,
}

/// Which checkpoints the log is to be held against.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditVerify {
    /// Checkpoints that were kept, at most [`MAX_CHECKPOINTS`].
    #[serde(default)]
    #[schema(max_items = 64)]
    pub checkpoints: Vec<Checkpoint>,
}

/// Checkpoints of one verification.
pub const MAX_CHECKPOINTS: usize = 64;

/// One writer's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditWriter {
    /// Who wrote it.
    pub writer: String,
    /// Entries in it.
    pub entries: u64,
    /// Checkpoints that it was held against.
    pub checkpoints: u64,
}

/// Something wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditProblem {
    /// Whose chain.
    pub writer: String,
    /// The first entry that it shows at.
    pub number: u64,
    /// What, in a sentence.
    pub what: String,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditReport {
    /// Whether nothing was changed, dropped or cut.
    pub intact: bool,
    /// The chains.
    pub writers: Vec<AuditWriter>,
    /// What is wrong; at most 100 are told.
    pub problems: Vec<AuditProblem>,
}
