//! The audit log: who changed what, and whether it is whole.

use attest_core::time::UnixTime;

use super::{Administrator, page, told};
use crate::{
    problem::Problem,
    types::{
        self, AuditEntry, AuditProblem, AuditReport, AuditVerify, AuditWriter, ChainEnd, Checkpoint, MAX_CHECKPOINTS,
        PageQuery,
    },
};

impl Administrator<'_> {
    /// The entries, the newest first.
    ///
    /// # Errors
    /// [`Problem`]; `forbidden` for a token that is limited to apps, as for the other operations on the log.
    pub fn audit(&self, query: &PageQuery) -> Result<types::Page<AuditEntry>, Problem> {
        self.0.unlimited()?;
        let listing = self.0.store.audit_entries(page(query.limit, query.after.as_deref())?)?;
        Ok(told(listing, entry))
    }

    /// Checks every chain, and holds it against checkpoints.
    ///
    /// # Errors
    /// [`Problem`]. What is wrong with the log is in the report.
    pub fn verify_audit(&self, verify: &AuditVerify) -> Result<AuditReport, Problem> {
        self.0.unlimited()?;
        if verify.checkpoints.len() > MAX_CHECKPOINTS {
            return Err(Problem::invalid("checkpoints", format!("at most {MAX_CHECKPOINTS}")));
        }
        let checkpoints: Vec<_> = verify.checkpoints.iter().map(stored).collect();
        let report = self.0.store.verify_audit(&checkpoints)?;
        let writer = |w: attest_store::WriterReport| AuditWriter {
            writer: w.writer,
            entries: w.entries,
            checkpoints: w.checkpoints,
        };
        let problem =
            |p: attest_store::Problem| AuditProblem { writer: p.writer, number: p.number, what: p.what.to_owned() };
        Ok(AuditReport {
            intact: report.problems.is_empty(),
            writers: report.writers.into_iter().map(writer).collect(),
            problems: report.problems.into_iter().map(problem).collect(),
        })
    }

    /// A signed checkpoint of this process's own chain.
    ///
    /// # Errors
    /// [`Problem`].
    pub fn checkpoint(&self) -> Result<Checkpoint, Problem> {
        self.0.unlimited()?;
        let attest_store::SignedCheckpoint { checkpoint, signature } = self.0.store.checkpoint()?;
        let attest_store::Checkpoint { writer, count, head, at } = checkpoint;
        Ok(Checkpoint { checkpoint: ChainEnd { writer, count, head, at }, signature })
    }
}

fn stored(kept: &Checkpoint) -> attest_store::SignedCheckpoint {
    let ChainEnd { writer, count, head, at } = kept.checkpoint.clone();
    let checkpoint = attest_store::Checkpoint { writer, count, head, at };
    attest_store::SignedCheckpoint { checkpoint, signature: kept.signature.clone() }
}

fn entry(entry: attest_store::AuditEntry) -> AuditEntry {
    AuditEntry {
        sequence: entry.sequence,
        writer: entry.writer,
        number: entry.number,
        at: UnixTime::from_millis(entry.at).secs(),
        actor: entry.actor,
        role: entry.role,
        origin: entry.origin,
        action: entry.action,
        target: entry.target,
        detail: serde_json::from_str(&entry.detail).unwrap_or(serde_json::Value::String(entry.detail)),
    }
}
