//! Reading it all again. In: a directory, the audit key, checkpoints that were kept elsewhere. Out: a [`Report`] that names every
//! entry that was changed, dropped, moved or cut off.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;

use crate::chain::AuditError;
use crate::checkpoint::Checkpoint;
use crate::key::AuditKey;
use crate::segment;

mod walk;

use walk::Walk;

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
    /// Requests that had a key, but no entry: there was no room for it when it was due.
    pub dropped: u64,
    /// Checkpoints that it was held against.
    pub checkpoints: u64,
    /// Checkpoints of entries that were forgotten since, because the log is bounded.
    pub too_old: u64,
    /// Bytes of a last line that is not whole: it is being written, or its writer died. Nothing was done in its name.
    #[serde(skip_serializing_if = "is_zero")]
    pub torn: u64,
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
    #[error("was changed, or was never written by this writer")]
    Changed,
    /// A line verifies, but with the hash of another line before it.
    #[error("follows another entry than the one before it")]
    Unlinked,
    /// Entries are missing inside of the chain, or at its beginning.
    #[error("is missing, with all up to {through}: dropped")]
    Dropped {
        /// The last that is missing.
        through: u64,
    },
    /// An entry stands where another belongs.
    #[error("stands in the wrong place: reordered")]
    Reordered,
    /// An entry is there twice.
    #[error("is there twice")]
    Repeated,
    /// Entries that a checkpoint knows of are missing at the end.
    #[error("is missing, with all up to {through}: cut off")]
    Cut {
        /// The last that the checkpoint knows of.
        through: u64,
    },
    /// A checkpoint knows another entry of this number: the chain was written anew, or turned back and gone on with.
    #[error("is not what the checkpoint says: written anew")]
    Rewritten,
    /// Entries under a key that is not the one given.
    #[error(
        "and what follows was authenticated by the key store whose audit key is {key}: it can't be verified with this one"
    )]
    OtherKey {
        /// Its id.
        key: String,
    },
    /// A checkpoint that the audit key did not make.
    #[error("has a checkpoint that was changed, or was never made by us")]
    ForgedCheckpoint,
    /// There is no chain of the writer of a checkpoint.
    #[error("is missing, with the whole chain")]
    NoChain,
}

/// Problems that are told.
pub const MAX_PROBLEMS: usize = 100;

/// Verifies every chain in `dir`.
///
/// Reads what is there; a writer that goes on meanwhile does not disturb.
///
/// # Errors
/// `Io` where files can't be read.
pub fn verify(dir: &Path, key: &AuditKey, checkpoints: &[Checkpoint]) -> Result<Report, AuditError> {
    let mut report = Report { intact: true, writers: Vec::new(), problems: Vec::new() };
    let mut walks = walk_all(dir, key)?;
    for checkpoint in checkpoints {
        let end = &checkpoint.checkpoint;
        let mut tell = |fault| report.tell(&end.writer, end.count, fault);
        if !checkpoint.is_by(key) {
            tell(Fault::ForgedCheckpoint);
        } else if let Some(walk) = walks.get_mut(&end.writer) {
            walk.hold_against(end);
        } else {
            tell(Fault::NoChain);
        }
    }
    for walk in walks.into_values() {
        let (writer, problems) = walk.finish();
        problems.into_iter().for_each(|(number, fault)| report.tell(&writer.writer, number, fault));
        report.writers.push(writer);
    }
    Ok(report)
}

/// Every chain. A file that went between listing and reading was forgotten in that moment, and the entry that says so may be
/// in a file that was not listed: all is listed again.
fn walk_all(dir: &Path, key: &AuditKey) -> Result<BTreeMap<String, Walk>, AuditError> {
    let mut again = 0;
    loop {
        let chains = segment::list(dir).map_err(|source| AuditError::Io { path: dir.to_path_buf(), source })?;
        let walks =
            chains.iter().map(|(writer, segments)| Ok((writer.to_string(), Walk::along(writer, segments, key)?)));
        match walks.collect() {
            Err(AuditError::Io { source, .. }) if source.kind() == ErrorKind::NotFound && again < 3 => again += 1,
            walked => return walked,
        }
    }
}

impl Report {
    fn tell(&mut self, writer: &str, number: u64, fault: Fault) {
        self.intact = false;
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { writer: writer.to_owned(), number, fault });
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
