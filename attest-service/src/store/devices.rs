//! In: which devices passed or failed, and what an operator decided of them. Out: counters, and the marked devices that
//! appraisal must know. A device that never passed gets no row (its id is free to make), and
//! unmarked rows are dropped when long unseen.

use std::{collections::HashMap, time::Duration};

use attest_core::{appraisal::DeviceState, time::UnixTime};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::StoreError;

/// Rows at most. Past it new devices are not counted; nothing that decides depends on a counter.
const MAX_ROWS: i64 = 5_000_000;
/// Unmarked devices unseen for this long are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(90 * 24 * 3600);

/// A device id: the first 16 bytes of SHA-256 over the key set's salt and the device key's thumbprint.
pub(crate) type DeviceId = [u8; 16];

/// What an operator decided of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The decision.
    pub(crate) state: DeviceState,
    /// When it ends; absent: when it is taken back.
    pub(crate) until: Option<UnixTime>,
}

impl Mark {
    /// The state that holds at `now`.
    pub(crate) fn at(&self, now: UnixTime) -> DeviceState {
        match self.until {
            Some(until) if until <= now => DeviceState::Normal,
            _ => self.state,
        }
    }
}

/// Attestations of one device that are not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u32,
    failed: u32,
    last_seen: UnixTime,
}

/// Tallies by device, at most as many as one batch holds.
#[derive(Debug, Default)]
pub(super) struct Batch(HashMap<DeviceId, Tally>);

impl Batch {
    /// Devices in it.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Counts one attestation of `device`.
    pub(crate) fn count(&mut self, device: DeviceId, passed: bool, at: UnixTime) {
        let tally = self.0.entry(device).or_insert(Tally { passed: 0, failed: 0, last_seen: at });
        let counter = if passed { &mut tally.passed } else { &mut tally.failed };
        *counter = counter.saturating_add(1);
        tally.last_seen = tally.last_seen.max(at);
    }

    /// Writes all tallies in one transaction and empties the batch, whether that succeeds or not: they are counters,
    /// and a full disk must not grow memory.
    pub(crate) fn write(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let tallies = std::mem::take(&mut self.0);
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let room = MAX_ROWS - count_rows(&change)?;
        write_tallies(&change, &tallies, room)?;
        Ok(change.commit()?)
    }
}

fn write_tallies(change: &Transaction<'_>, tallies: &HashMap<DeviceId, Tally>, room: i64) -> Result<(), StoreError> {
    let mut update = change.prepare_cached(
        "UPDATE devices SET passed = passed + ?2, failed = failed + ?3, last_seen = max(last_seen, ?4) WHERE id = ?1",
    )?;
    let mut insert = change.prepare_cached(
        "INSERT INTO devices (id, first_seen, last_seen, passed, failed) VALUES (?1, ?2, ?2, ?3, ?4)",
    )?;
    let mut room = room;
    for (device, tally) in tallies {
        let seen = tally.last_seen.millis();
        let known = update.execute(params![device, tally.passed, tally.failed, seen])? > 0;
        if !known && tally.passed > 0 && room > 0 {
            insert.execute(params![device, seen, tally.passed, tally.failed])?;
            room -= 1;
        }
    }
    Ok(())
}

fn count_rows(connection: &Connection) -> Result<i64, StoreError> {
    // The last row number of a table without row ids is unknown to SQLite; its statistics page count is close enough
    // to be a bound, and costs nothing: a row takes at least 40 bytes.
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let page_size: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    Ok(pages.saturating_mul(page_size) / 40)
}

/// Forgets unmarked devices that were not seen for 90 days.
pub(crate) fn forget_unseen(connection: &Connection, now: UnixTime) -> Result<(), StoreError> {
    let before = now.millis() - i64::try_from(FORGET_AFTER.as_millis()).unwrap_or(i64::MAX);
    connection.execute("DELETE FROM devices WHERE state = 'normal' AND last_seen < ?1", [before])?;
    Ok(())
}

/// Marks `device`, known or not.
pub(crate) fn mark(change: &Transaction<'_>, device: &DeviceId, mark: Mark, now: UnixTime) -> Result<(), StoreError> {
    change.execute(
        "INSERT INTO devices (id, state, until, first_seen, last_seen) VALUES (?1, ?2, ?3, ?4, ?4)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, until = excluded.until",
        params![device, mark.state.as_str(), mark.until.map(UnixTime::millis), now.millis()],
    )?;
    Ok(())
}

/// Attestations counted for `device`: passed, failed.
pub(crate) fn counts(connection: &Connection, device: &DeviceId) -> Result<Option<(i64, i64)>, StoreError> {
    Ok(connection
        .query_row("SELECT passed, failed FROM devices WHERE id = ?1", [device], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// All marked devices.
pub(crate) fn load_marked(connection: &Connection) -> Result<HashMap<DeviceId, Mark>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, state, until FROM devices WHERE state <> 'normal'")?;
    let rows = statement.query_map([], |row| {
        let state: String = row.get(1)?;
        let until: Option<i64> = row.get(2)?;
        Ok((row.get::<_, DeviceId>(0)?, state, until))
    })?;
    rows.map(|row| {
        let (device, state, until) = row?;
        let state = DeviceState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or(StoreError::Damaged { what: "a device's state" })?;
        Ok((device, Mark { state, until: until.map(UnixTime::from_millis) }))
    })
    .collect()
}
