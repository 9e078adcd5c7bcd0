//! In: who did what to what. Out: entries in one chain per writer. What is proven: an entry is written in the transaction of
//! its change, before the change can take effect; nobody without the audit key can change, drop, reorder or cut an entry
//! unseen ([`Store::verify_audit`]), and with the checkpoints of the log stream nobody can turn the whole back either.
//!
//! `mac(n) = HMAC-SHA-256(audit key, domain | writer | n | mac(n-1) | fields)`, every field with its length in front; `mac(0)`
//! is 32 zero bytes. Where a chain ends is written down beside it, authenticated too.

use attest_core::time::UnixTime;
use aws_lc_rs::hmac;
use serde::Serialize;
use subtle::ConstantTimeEq as _;

use crate::{
    actor::{Actor, Role},
    check,
    error::StoreError,
    page::{Listing, Page},
    sql::{Row, Tx, values},
    store::{Inner, Store, count_up},
};

mod checkpoint;
mod verify;

pub use self::{
    checkpoint::{Checkpoint, SignedCheckpoint},
    verify::{AuditReport, MAX_PROBLEMS, Problem, WriterReport},
};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Its place among the entries of all writers; listings go by it.
    pub sequence: i64,
    /// Whose chain it is in.
    pub writer: String,
    /// Its place in that chain, from 1.
    pub number: u64,
    /// When, Unix milliseconds.
    pub at: i64,
    /// Who did it.
    pub actor: String,
    /// In which role.
    pub role: String,
    /// From where: `local`, `service`, or an address.
    pub origin: String,
    /// What was done, such as `device.ban`.
    pub action: String,
    /// To what, such as a device's id.
    pub target: String,
    /// The particulars: one JSON value.
    pub detail: String,
}

/// An entry on its way in.
pub(crate) struct Line<'a> {
    pub(crate) at: UnixTime,
    pub(crate) actor: &'a Actor,
    pub(crate) action: &'a str,
    pub(crate) target: &'a str,
    pub(crate) detail: &'a str,
}

impl Store {
    /// Entries of all writers, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit_entries(&self, page: Page) -> Result<Listing<AuditEntry>, StoreError> {
        let rows = self.read(|tx| {
            tx.rows(
                &format!("SELECT {COLUMNS} FROM audit WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2"),
                values![page.after.unwrap_or(i64::MAX), page.fetch()],
            )
        })?;
        let entries = rows.iter().map(|row| Ok(parse(row)?.0)).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Listing::cut(entries, page, |entry| entry.sequence))
    }

    /// Writes an entry of its own, for an action outside the store: `action` up to 64 characters, `target` up to 200,
    /// `detail` up to 4 KiB of JSON.
    ///
    /// # Errors
    /// `NotAText`; else the action must not be taken.
    pub fn audit(
        &self,
        actor: &Actor,
        action: &str,
        target: &str,
        detail: &serde_json::Value,
    ) -> Result<(), StoreError> {
        check::text("action", action, 64)?;
        check::text("target", target, 200)?;
        if detail.to_string().len() > MAX_DETAIL {
            return Err(StoreError::TooMany { what: "bytes of detail", max: MAX_DETAIL });
        }
        self.change(actor, (Role::Viewer, first_app(actor)), |change| change.audit(action, target, detail))
    }
}

/// What an actor may do goes by what it does; that it did it is always written.
fn first_app(actor: &Actor) -> Option<&str> {
    actor.apps.as_ref().and_then(|apps| apps.first()).map(String::as_str)
}

const MAX_DETAIL: usize = 4096;
const COLUMNS: &str = "sequence, writer, number, at, actor, role, origin, action, target, detail, mac";
const DOMAIN: &[u8] = b"assay-audit-v1\0";
const HEAD_DOMAIN: &[u8] = b"assay-audit-head-v1\0";
/// The link before the first.
const START: [u8; 32] = [0; 32];

/// Adds `line` to this writer's chain.
pub(crate) fn append(tx: &Tx<'_>, inner: &Inner, line: &Line<'_>) -> Result<(), StoreError> {
    let key = key(inner);
    let head = Head::load(tx, &key, &inner.writer)?;
    // After an end that is not ours one number is left out: writing on must not make good what was cut off.
    let ahead = if head.is_genuine { 1 } else { 2 };
    let entry = AuditEntry {
        sequence: count_up(tx, "audit_sequence", 1)?,
        writer: inner.writer.clone(),
        number: head.count.saturating_add(ahead),
        at: line.at.millis(),
        actor: line.actor.name.clone(),
        role: line.actor.role.as_str().to_owned(),
        origin: line.actor.origin.to_string(),
        action: line.action.to_owned(),
        target: line.target.to_owned(),
        detail: line.detail.to_owned(),
    };
    let mac = link(&key, &entry, &head.head);
    tx.execute(
        "INSERT INTO audit (sequence, writer, number, at, actor, role, origin, action, target, detail, mac)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        values![
            entry.sequence,
            entry.writer.as_str(),
            number(entry.number),
            entry.at,
            entry.actor.as_str(),
            entry.role.as_str(),
            entry.origin.as_str(),
            entry.action.as_str(),
            entry.target.as_str(),
            entry.detail.as_str(),
            mac
        ],
    )?;
    tx.execute(
        "INSERT INTO audit_heads (writer, count, head, mac) VALUES ($1, $2, $3, $4)
         ON CONFLICT (writer) DO UPDATE SET count = excluded.count, head = excluded.head, mac = excluded.mac",
        values![entry.writer.as_str(), number(entry.number), mac, head_mac(&key, &entry.writer, entry.number, &mac)],
    )?;
    Ok(())
}

/// The key of entries and ends.
fn key(inner: &Inner) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &*inner.secrets.audit)
}

/// Where a chain ends.
struct Head {
    count: u64,
    head: [u8; 32],
    /// Whether we wrote it, or nobody did yet.
    is_genuine: bool,
}

impl Head {
    fn load(tx: &Tx<'_>, key: &hmac::Key, writer: &str) -> Result<Self, StoreError> {
        let Some(row) = tx.row("SELECT count, head, mac FROM audit_heads WHERE writer = $1", values![writer])? else {
            return Ok(Self { count: 0, head: START, is_genuine: true });
        };
        let (count, head, mac) = (row.u64(0)?, row.bytes(1)?, row.bytes::<32>(2)?);
        Ok(Self { count, head, is_genuine: head_mac(key, writer, count, &head).ct_eq(&mac).into() })
    }
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn parse(row: &Row) -> Result<(AuditEntry, [u8; 32]), StoreError> {
    let entry = AuditEntry {
        sequence: row.int(0)?,
        writer: row.text(1)?,
        number: row.u64(2)?,
        at: row.int(3)?,
        actor: row.text(4)?,
        role: row.text(5)?,
        origin: row.text(6)?,
        action: row.text(7)?,
        target: row.text(8)?,
        detail: row.text(9)?,
    };
    Ok((entry, row.bytes(10)?))
}

fn link(key: &hmac::Key, entry: &AuditEntry, before: &[u8; 32]) -> [u8; 32] {
    let mut mac = hmac::Context::with_key(key);
    mac.update(DOMAIN);
    let (count, at) = (entry.number.to_be_bytes(), entry.at.to_be_bytes());
    let sequence = entry.sequence.to_be_bytes();
    let fields: [&[u8]; 11] = [
        entry.writer.as_bytes(),
        &count,
        before,
        &sequence,
        &at,
        entry.actor.as_bytes(),
        entry.role.as_bytes(),
        entry.origin.as_bytes(),
        entry.action.as_bytes(),
        entry.target.as_bytes(),
        entry.detail.as_bytes(),
    ];
    for field in fields {
        mac.update(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(field);
    }
    to_array(mac.sign().as_ref())
}

fn head_mac(key: &hmac::Key, writer: &str, count: u64, head: &[u8; 32]) -> [u8; 32] {
    let mut mac = hmac::Context::with_key(key);
    mac.update(HEAD_DOMAIN);
    mac.update(&count.to_be_bytes());
    mac.update(head);
    mac.update(writer.as_bytes());
    to_array(mac.sign().as_ref())
}

fn to_array(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or(START)
}
