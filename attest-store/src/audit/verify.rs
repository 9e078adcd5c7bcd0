//! In: every chain in the database, and checkpoints from the log stream. Out: what is wrong with them. The chains are read a
//! page at a time: memory does not grow with their length.

use std::collections::{BTreeMap, BTreeSet};

use attest_core::b64u;
use aws_lc_rs::hmac;
use serde::Serialize;
use subtle::ConstantTimeEq as _;

use super::{COLUMNS, START, SignedCheckpoint, checkpoint, head_mac, link, parse};
use crate::{
    error::StoreError,
    sql::{Tx, values},
    store::{Inner, Store},
};

/// What verifying found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Every writer's chain.
    pub writers: Vec<WriterReport>,
    /// What is wrong; empty: nothing. At most [`MAX_PROBLEMS`] are listed.
    pub problems: Vec<Problem>,
}

/// One chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WriterReport {
    /// Whose.
    pub writer: String,
    /// Entries in it.
    pub entries: u64,
    /// Checkpoints it was held against.
    pub checkpoints: u64,
}

/// Something wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whose chain.
    pub writer: String,
    /// The first entry that it shows at.
    pub number: u64,
    /// What, in a sentence.
    pub what: &'static str,
}

/// Problems listed at most.
pub const MAX_PROBLEMS: usize = 100;
/// Entries in memory at once.
const PAGE: i64 = 500;

impl Store {
    /// Holds every chain against itself, its end, and `checkpoints` from the log stream.
    ///
    /// # Errors
    /// [`StoreError`] where the database can't be read. What is wrong with a chain is in the report.
    pub fn verify_audit(&self, checkpoints: &[SignedCheckpoint]) -> Result<AuditReport, StoreError> {
        let inner = &self.0;
        let mut report = AuditReport { writers: Vec::new(), problems: Vec::new() };
        let mut expected: BTreeMap<&str, BTreeMap<u64, Vec<&str>>> = BTreeMap::new();
        for signed in checkpoints {
            let said = &signed.checkpoint;
            if checkpoint::is_genuine(&inner.secrets.audit_checkpoint, signed)? {
                expected.entry(&said.writer).or_default().entry(said.count).or_default().push(&said.head);
            } else {
                report.problem(&said.writer, said.count, "a checkpoint is not signed by this store's key");
            }
        }
        self.read(|tx| {
            let mut writers: BTreeSet<String> = expected.keys().map(|writer| (*writer).to_owned()).collect();
            for row in tx.rows("SELECT writer FROM audit_heads UNION SELECT DISTINCT writer FROM audit", &[])? {
                writers.insert(row.text(0)?);
            }
            for writer in writers {
                let said = expected.remove(writer.as_str()).unwrap_or_default();
                verify_chain(tx, inner, &writer, &said, &mut report)?;
            }
            Ok(())
        })?;
        Ok(report)
    }
}

impl AuditReport {
    fn problem(&mut self, writer: &str, number: u64, what: &'static str) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { writer: writer.to_owned(), number, what });
        }
    }
}

fn verify_chain(
    tx: &Tx<'_>,
    inner: &Inner,
    writer: &str,
    said: &BTreeMap<u64, Vec<&str>>,
    report: &mut AuditReport,
) -> Result<(), StoreError> {
    let key = super::key(inner);
    let (mut count, mut before) = (0_u64, START);
    let held_against = |count: u64, head: &[u8; 32], report: &mut AuditReport| {
        let head = b64u::encode(head);
        if said.get(&count).is_some_and(|heads| heads.iter().any(|expected| *expected != head)) {
            report.problem(writer, count, "a checkpoint says that this entry was another one");
        }
    };
    held_against(0, &before, report);
    loop {
        let rows = tx.rows(
            &format!("SELECT {COLUMNS} FROM audit WHERE writer = $1 AND number > $2 ORDER BY number LIMIT $3"),
            values![writer, super::number(count), PAGE],
        )?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            let (entry, mac) = parse(row)?;
            if entry.number != count.saturating_add(1) {
                report.problem(writer, count.saturating_add(1), "entries were dropped before the one after it");
            } else if !bool::from(link(&key, &entry, &before).ct_eq(&mac)) {
                report.problem(writer, entry.number, "the entry was changed, or another one stood before it");
            }
            (count, before) = (entry.number, mac);
            held_against(count, &before, report);
        }
    }
    verify_end(tx, &key, writer, (count, &before), report)?;
    if said.last_key_value().is_some_and(|(last, _)| *last > count) {
        report.problem(writer, count, "the chain was cut: a checkpoint has seen more entries");
    }
    let checkpoints = said.values().map(|heads| u64::try_from(heads.len()).unwrap_or(u64::MAX)).sum();
    report.writers.push(WriterReport { writer: writer.to_owned(), entries: count, checkpoints });
    Ok(())
}

fn verify_end(
    tx: &Tx<'_>,
    key: &hmac::Key,
    writer: &str,
    (count, last): (u64, &[u8; 32]),
    report: &mut AuditReport,
) -> Result<(), StoreError> {
    let Some(row) = tx.row("SELECT count, head, mac FROM audit_heads WHERE writer = $1", values![writer])? else {
        if count > 0 {
            report.problem(writer, count, "the record of where the chain ends is gone");
        }
        return Ok(());
    };
    let (written, head, mac): (u64, [u8; 32], [u8; 32]) = (row.u64(0)?, row.bytes(1)?, row.bytes(2)?);
    if !bool::from(head_mac(key, writer, written, &head).ct_eq(&mac)) {
        report.problem(writer, written, "the record of where the chain ends was changed");
    } else if written > count {
        report.problem(writer, count, "the chain was cut: entries are missing at its end");
    } else if written < count || head != *last {
        report.problem(writer, count, "the chain does not end where it says it does");
    }
    Ok(())
}
