//! In: which devices passed or failed, and what an operator decided of them. Out: rows, and the marks that appraisal must
//! know. What is proven: a mark holds for every key of an installation, renewed before it or after; a device that never
//! passed gets no row (its id is free to make); rows are bounded, and unmarked ones are forgotten when long unseen.

use std::{fmt, time::Duration};

use attest_core::{
    appraisal::DeviceState, device_key::DeviceId, reasons::Reasons, reference::Platform, time::UnixTime,
};
use serde_json::json;

use crate::{
    actor::{Actor, Role},
    check,
    error::StoreError,
    page::{Listing, Page, Revision},
    revocations::{self, Revocation},
    sql::{Filter, Row, Tx, values},
    store::{Change, Part, Store, count_up, counter},
};

pub(crate) mod family;
mod sightings;

pub(crate) use self::sightings::{Batch, FULL_BATCH};

/// A forced pass lasts at most this long.
pub const MAX_FORCED_PASS_DAYS: u32 = 30;
/// An enrolment lasts at most this long.
pub const MAX_ENROLMENT_DAYS: u32 = 90;
/// Any other mark that ends by itself: at most this long.
const MAX_MARK_DAYS: u32 = 3660;
/// Rows at most. Past it new devices are not counted; nothing that decides depends on a counter.
const MAX_ROWS: i64 = 5_000_000;
/// Unmarked devices unseen for this long are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(90 * 24 * 3600);
/// Rows that one transaction forgets: others wait meanwhile.
const FORGET_AT_ONCE: i64 = 5000;

const COLUMNS: &str = "id, place, key_set, first_seen, last_seen, app, version, platform, passed, failed, last_reasons, \
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

impl Store {
    /// One device.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn device(&self, id: &DeviceId) -> Result<Option<DeviceRow>, StoreError> {
        self.read(|tx| find(tx, id))
    }

    /// Devices, the newest first; a page goes on after a device's `place`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn devices(&self, filter: &DeviceFilter, page: Page) -> Result<Listing<DeviceRow>, StoreError> {
        let mut query = Filter::new(values![page.after.unwrap_or(i64::MAX)]);
        query.and_if("state", filter.state.map(DeviceState::as_str));
        query.and_if("app", filter.app.as_deref());
        query.and_one_of("app", filter.apps.as_deref());
        query.and_from("last_seen", filter.seen_after);
        if filter.enrolled_only {
            query.and("enrolled_until IS NOT NULL");
        }
        let select = format!("SELECT {COLUMNS} FROM devices WHERE place < $1");
        let (sql, values) = query.query(&select, "place DESC", page);
        let rows = self.read(|tx| tx.rows(&sql, &values))?;
        let devices = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Listing::cut(devices, page, |row| row.place))
    }

    /// Marks a device, known or not, and every key of its installation: `state` holds until `until`, or until it is marked
    /// anew. A forced pass needs an end within 30 days. A ban is revoked at gateways too, and lifted there when it is taken
    /// back.
    ///
    /// # Errors
    /// `NotAText` for the reason (1 to 200 printable characters); `NotAnEnd`; `Conflict`; `TooMany`; `Forbidden`.
    pub fn mark(
        &self,
        actor: &Actor,
        id: &DeviceId,
        state: DeviceState,
        until: Option<UnixTime>,
        reason: &str,
        expect: Option<Revision>,
    ) -> Result<DeviceRow, StoreError> {
        check::reason(reason)?;
        self.change_device(actor, id, |change| {
            let until = match (state, until) {
                (DeviceState::Normal, _) => None,
                (DeviceState::ForcedPass, None) => {
                    return Err(StoreError::NotAnEnd { field: "until", max_days: MAX_FORCED_PASS_DAYS });
                }
                (_, until) => until,
            };
            if let Some(until) = until {
                let days = if state == DeviceState::ForcedPass { MAX_FORCED_PASS_DAYS } else { MAX_MARK_DAYS };
                check::end("until", until, change.now, days)?;
            }
            let row = find_or_add(change, id, expect)?;
            let until_secs = until.map(UnixTime::secs);
            change.audit(
                &format!("device.{}", state.as_str()),
                &id.to_string(),
                &json!({ "reason": reason, "until": until_secs, "was": row.state.as_str() }),
            )?;
            let changed = change.touch(Part::Marks)?;
            for member in family::members(change.tx, id)? {
                change.tx.execute(
                    "UPDATE devices SET state = $2, until = $3, reason = $4, marked_by = $5, changed = $6,
                            revision = revision + 1 WHERE id = $1",
                    values![*member.as_bytes(), state.as_str(), until, reason, change.actor.name.as_str(), changed],
                )?;
                revoke_as_marked(change, &member, state, until, reason)?;
            }
            found(change.tx, id)
        })
    }

    /// Enrols a device for development until `until`, at most 90 days ahead: it passes whatever build it is, and its tokens
    /// say so.
    ///
    /// # Errors
    /// `NotAText`, `NotAnEnd`; `TooMany`; `Forbidden`.
    pub fn enrol(&self, actor: &Actor, id: &DeviceId, until: UnixTime, reason: &str) -> Result<DeviceRow, StoreError> {
        check::reason(reason)?;
        self.change_device(actor, id, |change| {
            check::end("until", until, change.now, MAX_ENROLMENT_DAYS)?;
            find_or_add(change, id, None)?;
            let detail = json!({ "reason": reason, "until": until.secs() });
            change.audit("device.enrol", &id.to_string(), &detail)?;
            set_enrolment(change, id, Some(until))
        })
    }

    /// Ends a device's enrolment.
    ///
    /// # Errors
    /// `NotAText`; `NotFound` where it is not enrolled; `Forbidden`.
    pub fn end_enrolment(&self, actor: &Actor, id: &DeviceId, reason: &str) -> Result<DeviceRow, StoreError> {
        check::reason(reason)?;
        self.change_device(actor, id, |change| {
            if find(change.tx, id)?.is_none_or(|row| row.enrolled_until.is_none()) {
                return Err(StoreError::NotFound { what: "enrolled device" });
            }
            change.audit("device.end_enrolment", &id.to_string(), &json!({ "reason": reason }))?;
            set_enrolment(change, id, None)
        })
    }

    /// Forgets a device, which then is a new one. A marked or enrolled one has to be made normal first: forgetting must not
    /// be a way around a ban.
    ///
    /// # Errors
    /// `NotFound`; `Refused`; `Forbidden`.
    pub fn forget(&self, actor: &Actor, id: &DeviceId) -> Result<(), StoreError> {
        self.change_device(actor, id, |change| {
            let row = find(change.tx, id)?.ok_or(StoreError::NotFound { what: "device" })?;
            if row.state != DeviceState::Normal || row.enrolled_until.is_some() {
                return Err(StoreError::Refused { why: "the device is marked or enrolled: make it normal first" });
            }
            change.audit("device.forget", &id.to_string(), &json!({}))?;
            family::leave(change.tx, id)?;
            change.tx.execute("DELETE FROM devices WHERE id = $1", values![*id.as_bytes()])?;
            count_up(change.tx, "device_rows", -1)?;
            change.touch(Part::MarksRemoved)?;
            Ok(())
        })
    }

    /// Moves a device's assertion counter from `from` (absent: none yet) to `to`, if it still is there: of any number that
    /// try at once, one is told true.
    ///
    /// # Errors
    /// `TooMany` where no more rows fit; [`StoreError`] where it can't be known: then the assertion must not count.
    pub fn advance_counter(&self, id: &DeviceId, from: Option<u32>, to: u32) -> Result<bool, StoreError> {
        if from.is_some_and(|from| from >= to) {
            return Ok(false);
        }
        self.0.pool.with(|connection| {
            connection.write(|tx| {
                let moved = tx.execute(
                    "UPDATE devices SET counter = $3 WHERE id = $1 AND counter IS NOT DISTINCT FROM CAST($2 AS BIGINT)",
                    values![*id.as_bytes(), from, to],
                )?;
                if moved > 0 || from.is_some() || find(tx, id)?.is_some() {
                    return Ok(moved > 0);
                }
                add(tx, id, &self.0.token.key_set, self.0.clock.now())?;
                tx.execute("UPDATE devices SET counter = $2 WHERE id = $1", values![*id.as_bytes(), to])?;
                Ok(true)
            })
        })
    }

    /// A change to a device by an actor whose apps include the one that it last passed as.
    fn change_device<T>(
        &self,
        actor: &Actor,
        id: &DeviceId,
        work: impl FnOnce(&Change<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let scope = actor.apps.as_ref().and_then(|apps| apps.first()).map(String::as_str);
        self.change(actor, (Role::Operator, scope), |change| {
            let app = find(change.tx, id)?.map(|row| row.app);
            change.actor.may(Role::Operator, app.as_deref())?;
            work(change)
        })
    }
}

fn set_enrolment(change: &Change<'_>, id: &DeviceId, until: Option<UnixTime>) -> Result<DeviceRow, StoreError> {
    let changed = change.touch(Part::Marks)?;
    change.tx.execute(
        "UPDATE devices SET enrolled_until = $2, changed = $3, revision = revision + 1 WHERE id = $1",
        values![*id.as_bytes(), until, changed],
    )?;
    found(change.tx, id)
}

/// A ban is a revocation for as long as it lasts; anything else is none.
fn revoke_as_marked(
    change: &Change<'_>,
    id: &DeviceId,
    state: DeviceState,
    until: Option<UnixTime>,
    reason: &str,
) -> Result<(), StoreError> {
    let revocation = Revocation::Device(*id);
    if state == DeviceState::Banned {
        revocations::put(change, &revocation, until, reason)
    } else {
        revocations::lift_if_there(change, &revocation).map(|_| ())
    }
}

fn find_or_add(change: &Change<'_>, id: &DeviceId, expect: Option<Revision>) -> Result<DeviceRow, StoreError> {
    if let Some(row) = find(change.tx, id)? {
        row.revision.check(expect)?;
        return Ok(row);
    }
    // Who expects a revision has seen a row: it was forgotten since.
    Revision(0).check(expect)?;
    add(change.tx, id, &change.inner.token.key_set, change.now)?;
    found(change.tx, id)
}

fn add(tx: &Tx<'_>, id: &DeviceId, key_set: &str, now: UnixTime) -> Result<(), StoreError> {
    if counter(tx, "device_rows")? >= MAX_ROWS {
        return Err(StoreError::TooMany { what: "devices", max: usize::try_from(MAX_ROWS).unwrap_or(usize::MAX) });
    }
    count_up(tx, "device_rows", 1)?;
    let place = count_up(tx, "device_order", 1)?;
    tx.execute(
        "INSERT INTO devices (id, place, key_set, first_seen, last_seen) VALUES ($1, $2, $3, $4, $4)",
        values![*id.as_bytes(), place, key_set, now],
    )?;
    Ok(())
}

fn find(tx: &Tx<'_>, id: &DeviceId) -> Result<Option<DeviceRow>, StoreError> {
    let row = tx.row(&format!("SELECT {COLUMNS} FROM devices WHERE id = $1"), values![*id.as_bytes()])?;
    row.as_ref().map(parse).transpose()
}

fn found(tx: &Tx<'_>, id: &DeviceId) -> Result<DeviceRow, StoreError> {
    find(tx, id)?.ok_or(StoreError::NotFound { what: "device" })
}

/// Whether `id` is marked as banned.
pub(crate) fn is_banned(tx: &Tx<'_>, id: &DeviceId) -> Result<bool, StoreError> {
    Ok(find(tx, id)?.is_some_and(|row| row.state == DeviceState::Banned))
}

/// Forgets unmarked devices that were not seen for 90 days, some thousand of them; whether there may be more. A device
/// that ever was marked stays.
pub(crate) fn forget_unseen(tx: &Tx<'_>, now: UnixTime) -> Result<bool, StoreError> {
    let gone = tx.execute(
        "DELETE FROM devices WHERE id IN (
            SELECT id FROM devices WHERE state = 'normal' AND last_seen < $1 AND changed = 0 LIMIT $2)",
        values![now.minus(FORGET_AFTER), FORGET_AT_ONCE],
    )?;
    let gone = i64::try_from(gone).unwrap_or(i64::MAX);
    count_up(tx, "device_rows", -gone)?;
    Ok(gone == FORGET_AT_ONCE)
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

fn parse(row: &Row) -> Result<DeviceRow, StoreError> {
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
