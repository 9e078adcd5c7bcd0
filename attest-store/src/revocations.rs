//! In: what gateways must refuse although its token is good. Out: a log with rising numbers, of which gateways fetch what is
//! new. One entry per thing: revoking or lifting it again gives that entry the next number.

use std::time::Duration;

use attest_core::{
    device_key::DeviceId,
    feed::{LIFTED_STAYS, RevocationEntry, RevocationKind},
    revocations::{MAX_REVOKED_DEVICES, MAX_REVOKED_OTHERS},
    time::UnixTime,
};
use serde_json::json;

use crate::{
    actor::{Actor, Role},
    check,
    error::StoreError,
    page::{Listing, Page},
    sql::{Row, Tx, values},
    store::{Change, Part, Store},
};

/// What is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revocation {
    /// Every token of a device.
    Device(DeviceId),
    /// Every token of an app.
    App(String),
    /// Every token that vouches for a build, by its number.
    Build(u32),
    /// Every token that a key signed.
    Kid(String),
    /// Every token issued before a moment.
    IssuedBefore(UnixTime),
}

/// A revocation as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRow {
    /// What gateways are told.
    pub entry: RevocationEntry,
    /// Why, for people.
    pub reason: String,
    /// Who revoked or lifted it.
    pub made_by: String,
}

/// How long an entry that is over stays, for clocks that differ.
const KEEP_ENDED: Duration = Duration::from_secs(24 * 3600);

const COLUMNS: &str = "number, kind, value, since, until, lifted, reason, made_by";

impl Revocation {
    /// The kind and the value as gateways are told.
    fn words(&self) -> (RevocationKind, String) {
        match self {
            Self::Device(device) => (RevocationKind::Device, device.to_string()),
            Self::App(app) => (RevocationKind::App, app.clone()),
            Self::Build(number) => (RevocationKind::Build, number.to_string()),
            Self::Kid(kid) => (RevocationKind::Kid, kid.clone()),
            Self::IssuedBefore(moment) => (RevocationKind::IssuedBefore, moment.secs().to_string()),
        }
    }
}

impl Store {
    /// Revokes, at gateways within seconds. An entry for a device stays until it is lifted; others as long as the tokens of
    /// now can live, and 7 days.
    ///
    /// # Errors
    /// `NotAText`, `NotAName`; `Refused` for what no token can be; `TooMany`; `Forbidden`.
    pub fn revoke(&self, actor: &Actor, what: &Revocation, reason: &str) -> Result<(), StoreError> {
        check::reason(reason)?;
        match what {
            Revocation::App(app) => check::name("app", app)?,
            Revocation::Kid(kid) => check::name("kid", kid)?,
            _ => {}
        }
        self.change(actor, (Role::Admin, app_of(what)), |change| {
            let (kind, value) = what.words();
            // One entry that gateways can't read would cost them all others.
            if !kind.takes(&value) {
                return Err(StoreError::Refused { why: "no token has such a build, or is as old" });
            }
            if let Revocation::IssuedBefore(moment) = what
                && *moment > change.now
            {
                return Err(StoreError::Refused {
                    why: "issued-before has to be in the past: tokens are issued meanwhile",
                });
            }
            let life = Self::revocation_life(&change.inner.token);
            let until = (kind != RevocationKind::Device).then(|| change.now.plus(life));
            change.audit("revocation.add", &target(kind, &value), &json!({ "reason": reason }))?;
            put(change, what, until, reason)
        })
    }

    /// Takes a revocation back. A ban is lifted by marking the device.
    ///
    /// # Errors
    /// `NotFound`; `Refused` for a banned device; `Forbidden`.
    pub fn lift(&self, actor: &Actor, what: &Revocation, reason: &str) -> Result<(), StoreError> {
        check::reason(reason)?;
        self.change(actor, (Role::Admin, app_of(what)), |change| {
            if let Revocation::Device(device) = what
                && crate::devices::is_banned(change.tx, device)?
            {
                return Err(StoreError::Refused {
                    why: "the device is banned: mark it as normal, which lifts this too",
                });
            }
            let (kind, value) = what.words();
            change.audit("revocation.lift", &target(kind, &value), &json!({ "reason": reason }))?;
            if lift_if_there(change, what)? { Ok(()) } else { Err(StoreError::NotFound { what: "revocation" }) }
        })
    }

    /// Revocations, lifted ones too, the newest first; a page goes on after an entry's number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn revocations(&self, page: Page) -> Result<Listing<RevocationRow>, StoreError> {
        let rows = self.read(|tx| {
            tx.rows(
                &format!("SELECT {COLUMNS} FROM revocations WHERE number < $1 ORDER BY number DESC LIMIT $2"),
                values![page.after.unwrap_or(i64::MAX), page.fetch()],
            )
        })?;
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Listing::cut(rows, page, |row| i64::try_from(row.entry.number).unwrap_or(i64::MAX)))
    }
}

fn app_of(what: &Revocation) -> Option<&str> {
    match what {
        Revocation::App(app) => Some(app),
        _ => None,
    }
}

fn target(kind: RevocationKind, value: &str) -> String {
    format!("{} {value}", kind.as_str())
}

/// Writes the entry of `what`, with the next number.
pub(crate) fn put(
    change: &Change<'_>,
    what: &Revocation,
    until: Option<UnixTime>,
    reason: &str,
) -> Result<(), StoreError> {
    let (kind, value) = what.words();
    let there = change
        .tx
        .row("SELECT number FROM revocations WHERE kind = $1 AND value = $2", values![kind.as_str(), value.as_str()])?;
    if there.is_none() {
        // What a gateway can hold, lifted ones included.
        let max = if kind == RevocationKind::Device { MAX_REVOKED_DEVICES } else { MAX_REVOKED_OTHERS };
        let rows = change.tx.row("SELECT count(*) FROM revocations WHERE kind = $1", values![kind.as_str()])?;
        let rows = rows.map_or(Ok(0), |row| row.int(0))?;
        if usize::try_from(rows).unwrap_or(usize::MAX) >= max {
            return Err(StoreError::TooMany { what: "revocations of one kind", max });
        }
    }
    write(change, kind, &value, until, false, reason)
}

/// Lifts the entry of `what`; whether there was one in force.
pub(crate) fn lift_if_there(change: &Change<'_>, what: &Revocation) -> Result<bool, StoreError> {
    let (kind, value) = what.words();
    let there = change.tx.row(
        "SELECT number FROM revocations WHERE kind = $1 AND value = $2 AND lifted = 0",
        values![kind.as_str(), value.as_str()],
    )?;
    if there.is_none() {
        return Ok(false);
    }
    write(change, kind, &value, None, true, "lifted")?;
    Ok(true)
}

fn write(
    change: &Change<'_>,
    kind: RevocationKind,
    value: &str,
    until: Option<UnixTime>,
    lifted: bool,
    reason: &str,
) -> Result<(), StoreError> {
    let number = change.touch(Part::Revocations)?;
    change.tx.execute(
        "INSERT INTO revocations (kind, value, number, since, until, lifted, reason, made_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (kind, value) DO UPDATE SET number = excluded.number, since = excluded.since,
             until = excluded.until, lifted = excluded.lifted, reason = excluded.reason, made_by = excluded.made_by",
        values![kind.as_str(), value, number, change.now, until, i64::from(lifted), reason, change.actor.name.as_str()],
    )?;
    Ok(())
}

/// The entries after `number`, in order.
pub(crate) fn load_after(tx: &Tx<'_>, number: i64) -> Result<Vec<RevocationEntry>, StoreError> {
    let rows =
        tx.rows(&format!("SELECT {COLUMNS} FROM revocations WHERE number > $1 ORDER BY number"), values![number])?;
    rows.iter().map(|row| Ok(parse(row)?.entry)).collect()
}

/// Forgets what no gateway needs any more: entries that are over, and lifted ones that were there for [`LIFTED_STAYS`].
pub(crate) fn prune(change: &Change<'_>) -> Result<(), StoreError> {
    let gone = change.tx.execute(
        "DELETE FROM revocations WHERE until < $1 OR (lifted = 1 AND since < $2)",
        values![change.now.minus(KEEP_ENDED), change.now.minus(LIFTED_STAYS)],
    )?;
    if gone > 0 {
        // Running services hold them in memory: they begin anew.
        change.touch(Part::RevocationsPruned)?;
    }
    Ok(())
}

fn parse(row: &Row) -> Result<RevocationRow, StoreError> {
    let kind: RevocationKind = row.text(1)?.parse().map_err(|_| StoreError::Damaged { what: "a revocation's kind" })?;
    Ok(RevocationRow {
        entry: RevocationEntry {
            number: row.u64(0)?,
            kind,
            value: row.text(2)?,
            since: row.time(3)?.secs(),
            until: row.opt_time(4)?.map(UnixTime::secs),
            lifted: row.int(5)? != 0,
        },
        reason: row.text(6)?,
        made_by: row.text(7)?,
    })
}
