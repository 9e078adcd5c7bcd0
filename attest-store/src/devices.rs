//! In: which devices passed or failed, and what an operator decided of them. Out: rows, and the marks that appraisal must
//! know. What is proven: a mark holds for every key of an installation, renewed before it or after; a device that never
//! passed gets no row (its id is free to make); rows are bounded, and unmarked ones are forgotten when long unseen.

use std::time::Duration;

use attest_core::{appraisal::DeviceState, device_key::DeviceId, time::UnixTime};
use serde_json::json;

use crate::{
    actor::{Actor, Role},
    check,
    error::StoreError,
    page::{Listing, Page, Revision},
    revocations::{self, Revocation},
    sql::{Filter, Tx, values},
    store::{Change, Part, Store, count_up, counter},
};

mod ages;
pub(crate) mod family;
mod row;
mod sightings;

use self::row::{COLUMNS, find, found, parse};
pub use self::{
    ages::{AgeReader, MAX_AGES},
    row::{DeviceFilter, DeviceRow, Seen},
};
pub(crate) use self::{
    row::{Mark, is_banned, load_marks},
    sightings::Batch,
};

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
    /// `NotAText` for the reason (1 to 200 printable characters); `NotAnEnd`; `Conflict`; `TooMany`; `Forbidden`, also for
    /// a forced pass by anybody but an administrator of all apps.
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
        if state == DeviceState::ForcedPass {
            // Whoever is let in passes as any app.
            actor.may(Role::Admin, None)?;
        }
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
            let members = family::members(change.tx, id)?;
            let mut detail = json!({ "reason": reason, "until": until.map(UnixTime::secs), "was": row.state.as_str() });
            let also: Vec<String> = members.iter().skip(1).map(ToString::to_string).collect();
            if let (Some(detail), false) = (detail.as_object_mut(), also.is_empty()) {
                detail.insert("also".to_owned(), also.into());
            }
            change.audit(&format!("device.{}", state.as_str()), &id.to_string(), &detail)?;
            let changed = change.touch(Part::Marks)?;
            for member in members {
                let was = found(change.tx, &member)?.state;
                change.tx.execute(
                    "UPDATE devices SET state = $2, until = $3, reason = $4, marked_by = $5, changed = $6,
                            revision = revision + 1 WHERE id = $1",
                    values![*member.as_bytes(), state.as_str(), until, reason, change.actor.name.as_str(), changed],
                )?;
                revoke_as_marked(change, &member, (was, state), until, reason)?;
            }
            found(change.tx, id)
        })
    }

    /// Enrols a device for development until `until`, at most 90 days ahead: it passes whatever build it is, and its tokens
    /// say so.
    ///
    /// # Errors
    /// `NotAText`, `NotAnEnd`; `Conflict`; `TooMany`; `Forbidden`, also for who is limited to some apps.
    pub fn enrol(
        &self,
        actor: &Actor,
        id: &DeviceId,
        until: UnixTime,
        reason: &str,
        expect: Option<Revision>,
    ) -> Result<DeviceRow, StoreError> {
        check::reason(reason)?;
        // Whoever is let in passes as any app.
        actor.may(Role::Operator, None)?;
        self.change_device(actor, id, |change| {
            check::end("until", until, change.now, MAX_ENROLMENT_DAYS)?;
            find_or_add(change, id, expect)?;
            let detail = json!({ "reason": reason, "until": until.secs() });
            change.audit("device.enrol", &id.to_string(), &detail)?;
            set_enrolment(change, id, Some(until))
        })
    }

    /// Ends a device's enrolment.
    ///
    /// # Errors
    /// `NotAText`; `NotFound` where it is not enrolled; `Conflict`; `Forbidden`.
    pub fn end_enrolment(
        &self,
        actor: &Actor,
        id: &DeviceId,
        reason: &str,
        expect: Option<Revision>,
    ) -> Result<DeviceRow, StoreError> {
        check::reason(reason)?;
        self.change_device(actor, id, |change| {
            let row = find(change.tx, id)?.filter(|row| row.enrolled_until.is_some());
            let row = row.ok_or(StoreError::NotFound { what: "enrolled device" })?;
            row.revision.check(expect)?;
            change.audit("device.end_enrolment", &id.to_string(), &json!({ "reason": reason }))?;
            set_enrolment(change, id, None)
        })
    }

    /// Forgets a device, which then is a new one. A marked or enrolled one has to be made normal first: forgetting must not
    /// be a way around a ban.
    ///
    /// # Errors
    /// `NotFound`; `Refused`; `Conflict`; `Forbidden`.
    pub fn forget(&self, actor: &Actor, id: &DeviceId, expect: Option<Revision>) -> Result<(), StoreError> {
        self.change_device(actor, id, |change| {
            let row = found(change.tx, id)?;
            row.revision.check(expect)?;
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

/// A ban is a revocation for as long as it lasts, and lifted with it; what was revoked otherwise stays.
fn revoke_as_marked(
    change: &Change<'_>,
    id: &DeviceId,
    (was, state): (DeviceState, DeviceState),
    until: Option<UnixTime>,
    reason: &str,
) -> Result<(), StoreError> {
    let revocation = Revocation::Device(*id);
    match (was, state) {
        (_, DeviceState::Banned) => revocations::put(change, &revocation, until, reason),
        (DeviceState::Banned, _) => revocations::lift_if_there(change, &revocation).map(|_| ()),
        _ => Ok(()),
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
