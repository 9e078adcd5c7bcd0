//! In: rows of devices. Out: the same with types; and of those that are marked, what appraisal must know.

use std::fmt;

use attest_core::{
    appraisal::DeviceState, device_key::DeviceId, reasons::Reasons, reference::Platform, time::UnixTime,
};

use crate::{
    error::StoreError,
    page::Revision,
    sql::{Row, Tx, values},
};

pub(super) const COLUMNS: &str = "id, place, key_set, first_seen, last_seen, app, version, platform, passed, failed, last_reasons, \
                       last_findings, state, until, reason, marked_by, enrolled_until, counter, renewed_from, renewed_to, \
                       revision";

/// What is known of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// Its id.
    pub id: DeviceId,
    /// Its place in listings.
    pub place: i64,
    /// The key set under whose salt the id was made; empty where only a mark is known.
    pub key_set: String,
    /// When it was first heard of.
    pub first_seen: UnixTime,
    /// When it was last heard of.
    pub last_seen: UnixTime,
    /// The app that it last passed as; empty: it never did.
    pub app: String,
    /// The version that it last passed as.
    pub version: String,
    /// The platform that it last passed on.
    pub platform: Option<Platform>,
    /// How often it passed.
    pub passed: i64,
    /// How often it failed.
    pub failed: i64,
    /// What spoke against it last.
    pub last_reasons: Reasons,
    /// What its app last reported, one a line.
    pub last_findings: Vec<String>,
    /// What an operator decided; past `until`, it no longer holds.
    pub state: DeviceState,
    /// When that ends; absent: when it is taken back.
    pub until: Option<UnixTime>,
    /// Why.
    pub reason: String,
    /// Who.
    pub marked_by: String,
    /// Until when it is enrolled for development.
    pub enrolled_until: Option<UnixTime>,
    /// The counter of its platform's assertions.
    pub counter: Option<u32>,
    /// The key that this one took over from.
    pub renewed_from: Option<DeviceId>,
    /// The key that took over from this one.
    pub renewed_to: Option<DeviceId>,
    /// Rises with every decision of an operator; sightings leave it.
    pub revision: Revision,
}

impl DeviceRow {
    /// The mark that holds at `now`.
    pub(super) fn state_at(&self, now: UnixTime) -> DeviceState {
        let over = self.until.is_some_and(|until| until <= now);
        if over { DeviceState::Normal } else { self.state }
    }

    /// Whether it is enrolled at `now`.
    pub(super) fn is_enrolled_at(&self, now: UnixTime) -> bool {
        self.enrolled_until.is_some_and(|until| until > now)
    }
}

/// One attestation, as the service saw it end.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    /// The device.
    pub device: DeviceId,
    /// What it said it was.
    pub app: String,
    /// Its version.
    pub version: String,
    /// Its platform.
    pub platform: Platform,
    /// How it ended.
    pub passed: bool,
    /// What spoke against it.
    pub reasons: Reasons,
    /// What its app reported.
    pub findings: Vec<String>,
    /// The device whose key proved that this one takes over from it.
    pub renewed_from: Option<DeviceId>,
    /// When.
    pub at: UnixTime,
}

impl fmt::Debug for Seen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Seen({}, passed: {})", self.device, self.passed)
    }
}

pub(super) fn find(tx: &Tx<'_>, id: &DeviceId) -> Result<Option<DeviceRow>, StoreError> {
    let row = tx.row(&format!("SELECT {COLUMNS} FROM devices WHERE id = $1"), values![*id.as_bytes()])?;
    row.as_ref().map(parse).transpose()
}

pub(super) fn found(tx: &Tx<'_>, id: &DeviceId) -> Result<DeviceRow, StoreError> {
    find(tx, id)?.ok_or(StoreError::NotFound { what: "device" })
}

/// Whether `id` is marked as banned.
pub(crate) fn is_banned(tx: &Tx<'_>, id: &DeviceId) -> Result<bool, StoreError> {
    Ok(find(tx, id)?.is_some_and(|row| row.state == DeviceState::Banned))
}

/// Which devices to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    /// In this state, over or not.
    pub state: Option<DeviceState>,
    /// Last passed as this app.
    pub app: Option<String>,
    /// Last passed as one of these, whatever else is asked: what the asker may see.
    pub apps: Option<Vec<String>>,
    /// Seen since.
    pub seen_after: Option<UnixTime>,
    /// Only those enrolled for development, over or not.
    pub enrolled_only: bool,
}

/// What an operator decided of a device, as appraisal needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) state: DeviceState,
    pub(crate) until: Option<UnixTime>,
    pub(crate) enrolled_until: Option<UnixTime>,
}

/// The marks that changed after `changed`; one that says nothing any more takes an earlier one back.
pub(crate) fn load_marks(tx: &Tx<'_>, changed: i64) -> Result<Vec<(DeviceId, Mark)>, StoreError> {
    let rows = tx.rows(
        "SELECT id, state, until, enrolled_until FROM devices WHERE changed > 0 AND changed > $1",
        values![changed],
    )?;
    rows.iter()
        .map(|row| {
            let mark = Mark { state: state(row, 1)?, until: row.opt_time(2)?, enrolled_until: row.opt_time(3)? };
            Ok((DeviceId::from_bytes(row.bytes(0)?), mark))
        })
        .collect()
}

fn state(row: &Row, column: usize) -> Result<DeviceState, StoreError> {
    let word = row.text(column)?;
    let known = DeviceState::ALL.into_iter().find(|known| known.as_str() == word);
    known.ok_or(StoreError::Damaged { what: "a device's state" })
}

pub(super) fn parse(row: &Row) -> Result<DeviceRow, StoreError> {
    let platform = row.text(7)?;
    let counter = row.opt_int(17)?.map(u32::try_from).transpose();
    Ok(DeviceRow {
        id: DeviceId::from_bytes(row.bytes(0)?),
        place: row.int(1)?,
        key_set: row.text(2)?,
        first_seen: row.time(3)?,
        last_seen: row.time(4)?,
        app: row.text(5)?,
        version: row.text(6)?,
        platform: platform.parse().ok(),
        passed: row.int(8)?,
        failed: row.int(9)?,
        last_reasons: Reasons::from_bits(row.u64(10)?),
        last_findings: row.text(11)?.lines().map(str::to_owned).collect(),
        state: state(row, 12)?,
        until: row.opt_time(13)?,
        reason: row.text(14)?,
        marked_by: row.text(15)?,
        enrolled_until: row.opt_time(16)?,
        counter: counter.map_err(|_| StoreError::Damaged { what: "a device's counter" })?,
        renewed_from: row.opt_bytes(18)?.map(DeviceId::from_bytes),
        renewed_to: row.opt_bytes(19)?.map(DeviceId::from_bytes),
        revision: Revision(row.int(20)?),
    })
}
