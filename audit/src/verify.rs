//! Reading it all again. In: a directory, the audit key, checkpoints that were kept elsewhere. Out: a [`Report`] that names every
//! entry that was changed, dropped, moved or cut off.

use std::path::Path;

use serde::Serialize;

use crate::chain::AuditError;
use crate::checkpoint::Checkpoint;
use crate::key::AuditKey;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing was changed, dropped, moved or cut.
    pub intact: bool,
    /// The chains.
    pub writers: Vec<WriterReport>,
    /// What is wrong, at most [`MAX_PROBLEMS`].
    pub problems: Vec<Problem>,
}

/// One writer's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WriterReport {
    /// Whose.
    pub writer: String,
    /// Entries in it that verify.
    pub entries: u64,
    /// The number of the oldest that is kept.
    pub first: u64,
    /// The number of the newest.
    pub last: u64,
    /// Checkpoints that it was held against.
    pub checkpoints: u64,
}

/// Something wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whose.
    pub writer: String,
    /// The first entry that it shows at.
    pub number: u64,
    /// What.
    #[serde(flatten)]
    pub fault: Fault,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "fault", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// A line does not verify.
    #[error("was changed, or was not written by us")]
    Changed,
}

/// Problems that are told.
pub const MAX_PROBLEMS: usize = 100;

/// Verifies every chain in `dir`. `keys`: the audit key, and earlier ones where there are some that the chains don't carry.
///
/// # Errors
/// `Io` where files can't be read.
pub fn verify(_dir: &Path, _keys: Vec<AuditKey>, _checkpoints: &[Checkpoint]) -> Result<Report, AuditError> {
    Ok(Report { intact: false, writers: Vec::new(), problems: Vec::new() })
}
