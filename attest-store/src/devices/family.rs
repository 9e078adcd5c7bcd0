//! In: a key that takes over from another. Out: one family of keys, the keys that an installation had, who share their
//! marks. What is proven: a ban reaches every key of the family, those before and those after; renewing sheds none.

use attest_core::{appraisal::DeviceState, device_key::DeviceId, time::UnixTime};
use serde_json::json;

use super::{DeviceRow, add, revoke_as_marked, row::find};
use crate::{
    error::StoreError,
    sql::{Tx, values},
    store::{Change, Part, count_up},
};

/// Keys of one installation that are remembered. The oldest unmarked one makes room.
const MAX_MEMBERS: usize = 16;

/// The keys that share `id`'s marks, itself first.
pub(super) fn members(tx: &Tx<'_>, id: &DeviceId) -> Result<Vec<DeviceId>, StoreError> {
    let rows = tx.rows(
        "SELECT id FROM devices WHERE family = (SELECT family FROM devices WHERE id = $1) AND id <> $1 ORDER BY place",
        values![*id.as_bytes()],
    )?;
    let others = rows.iter().map(|row| Ok(DeviceId::from_bytes(row.bytes(0)?)));
    std::iter::once(Ok(*id)).chain(others).collect()
}

/// Takes `id` out of the chain: those before and after it no longer name it.
pub(super) fn leave(tx: &Tx<'_>, id: &DeviceId) -> Result<(), StoreError> {
    tx.execute("UPDATE devices SET renewed_from = NULL WHERE renewed_from = $1", values![*id.as_bytes()])?;
    tx.execute("UPDATE devices SET renewed_to = NULL WHERE renewed_to = $1", values![*id.as_bytes()])?;
    Ok(())
}

/// Lets `new` take over from `old`, whose key has proven it: it gets every mark of the family.
///
/// A new key that was linked before stays where it is. One that has failed is linked only where there is a mark for it to
/// inherit; and where a marked family is full, it is not: its requests carry the old key's marks anyway.
pub(super) fn link(
    change: &Change<'_>,
    (new, passed): (&DeviceId, bool),
    old: &DeviceId,
    at: UnixTime,
) -> Result<(), StoreError> {
    let Some(old) = find(change.tx, old)? else { return Ok(()) };
    let marked = old.state_at(change.now) != DeviceState::Normal || old.is_enrolled_at(change.now);
    let known = find(change.tx, new)?;
    let linked = known.as_ref().is_some_and(|row| row.renewed_from.is_some() || row.renewed_to.is_some());
    if linked || *new == old.id || (!passed && !marked) {
        return Ok(());
    }
    let members = members(change.tx, &old.id)?;
    if members.len() >= MAX_MEMBERS && !make_room(change.tx, &members, &old.id)? {
        return Ok(());
    }
    if known.is_none() {
        add(change.tx, new, &change.inner.token.key_set, at)?;
    }
    let family = change.tx.row("SELECT family FROM devices WHERE id = $1", values![*old.id.as_bytes()])?;
    let family = family.map_or(Ok(None), |row| row.opt_bytes::<16>(0))?.unwrap_or(*old.id.as_bytes());
    change.tx.execute(
        "UPDATE devices SET family = $2, renewed_to = $3 WHERE id = $1",
        values![*old.id.as_bytes(), family, *new.as_bytes()],
    )?;
    change.tx.execute(
        "UPDATE devices SET family = $2, renewed_from = $3 WHERE id = $1",
        values![*new.as_bytes(), family, *old.id.as_bytes()],
    )?;
    inherit(change, new, known.as_ref(), &old)
}

/// Gives `new` the stricter of its own mark and its predecessor's, of those that still hold; the audit log tells.
fn inherit(change: &Change<'_>, new: &DeviceId, known: Option<&DeviceRow>, old: &DeviceRow) -> Result<(), StoreError> {
    let own = known.map_or(DeviceState::Normal, |row| row.state_at(change.now));
    let theirs = old.state_at(change.now);
    let unmarked = theirs == DeviceState::Normal && !old.is_enrolled_at(change.now);
    if unmarked || stricter(own, theirs) != theirs {
        return Ok(());
    }
    let detail = json!({ "from": old.id.to_string(), "state": theirs.as_str() });
    change.audit("device.renewed", &new.to_string(), &detail)?;
    let changed = change.touch(Part::Marks)?;
    change.tx.execute(
        "UPDATE devices SET state = $2, until = $3, reason = $4, marked_by = $5, enrolled_until = $6, changed = $7,
                revision = revision + 1 WHERE id = $1",
        values![
            *new.as_bytes(),
            old.state.as_str(),
            old.until,
            old.reason.as_str(),
            old.marked_by.as_str(),
            old.enrolled_until,
            changed
        ],
    )?;
    let was = known.map_or(DeviceState::Normal, |row| row.state);
    revoke_as_marked(change, new, (was, theirs), old.until, &old.reason)
}

/// Forgets the oldest unmarked key but `keep`; whether there was one.
fn make_room(tx: &Tx<'_>, members: &[DeviceId], keep: &DeviceId) -> Result<bool, StoreError> {
    let mut oldest: Option<DeviceRow> = None;
    for id in members.iter().filter(|id| *id != keep) {
        if let Some(row) = find(tx, id)?
            && row.state == DeviceState::Normal
            && row.enrolled_until.is_none()
            && oldest.as_ref().is_none_or(|oldest| row.place < oldest.place)
        {
            oldest = Some(row);
        }
    }
    let Some(oldest) = oldest else { return Ok(false) };
    leave(tx, &oldest.id)?;
    tx.execute("DELETE FROM devices WHERE id = $1", values![*oldest.id.as_bytes()])?;
    count_up(tx, "device_rows", -1)?;
    Ok(true)
}

/// Of a new key's own mark and the one it takes over from, the one that must hold: what was decided of either, and where
/// both were marked, what lets less through.
pub(crate) const fn stricter(own: DeviceState, old: DeviceState) -> DeviceState {
    use DeviceState::{Banned, ForcedFail, ForcedPass, Normal};
    match (own, old) {
        (Banned, _) | (_, Banned) => Banned,
        (ForcedFail, _) | (_, ForcedFail) => ForcedFail,
        (ForcedPass, _) | (_, ForcedPass) => ForcedPass,
        (Normal, Normal) => Normal,
    }
}
