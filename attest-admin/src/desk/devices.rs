//! Devices: what was seen of them, and what is decided of them.

use attest_core::{device_key::DeviceId, time::UnixTime};
use attest_store::{DeviceFilter, DeviceRow, Revision};

use super::{Desk, Operator, Viewer, page, told};
use crate::{
    etag::{Expected, Version},
    problem::Problem,
    types::{self, Device, DeviceQuery, DeviceState, Enrol, Mark},
};

impl Viewer<'_> {
    /// The devices.
    ///
    /// # Errors
    /// [`Problem`], as for every operation.
    pub fn devices(&self, query: &DeviceQuery) -> Result<types::Page<Device>, Problem> {
        let desk = self.0;
        let filter = DeviceFilter {
            state: query.state.map(stored_state),
            app: query.app.clone(),
            apps: desk.actor.apps.clone(),
            seen_after: query.seen_after.map(UnixTime::from_secs),
            enrolled_only: query.enrolled.unwrap_or(false),
        };
        let listing = desk.store.devices(&filter, page(query.limit, query.after.as_deref())?)?;
        Ok(told(listing, |row| device(&row, desk.now).0))
    }

    /// One device.
    ///
    /// # Errors
    /// [`Problem`]; `not_found` too where the token does not reach its app.
    pub fn device(&self, id: &str) -> Result<(Device, Version), Problem> {
        let row = self.0.find_device(parse(id)?)?.ok_or_else(unknown)?;
        Ok(device(&row, self.0.now))
    }
}

impl Operator<'_> {
    /// Decides of a device. A forced pass takes an administrator of all apps: the device passes as any of them.
    ///
    /// # Errors
    /// [`Problem`]; `precondition_failed` where it has changed.
    pub fn mark(&self, id: &str, mark: &Mark, expected: Expected) -> Result<(Device, Version), Problem> {
        let desk = self.0;
        let id = parse(id)?;
        if mark.state == DeviceState::ForcedPass {
            desk.admin()?;
            desk.unlimited()?;
        }
        if mark.state == DeviceState::Normal && mark.until.is_some() {
            return Err(Problem::invalid("until", "a decision is taken back for good"));
        }
        let revision = desk.expect(id, expected)?;
        let (state, until) = (stored_state(mark.state), mark.until.map(UnixTime::from_secs));
        let row = desk.store.mark(&desk.actor, &id, state, until, &mark.reason, revision)?;
        Ok(device(&row, desk.now))
    }

    /// Enrols a debug device, which then passes as any app on routes that take test tokens.
    ///
    /// # Errors
    /// [`Problem`]; `precondition_failed` where it has changed; `forbidden` for a token that is limited to apps.
    pub fn enrol(&self, id: &str, enrol: &Enrol, expected: Expected) -> Result<(Device, Version), Problem> {
        let desk = self.0;
        let id = parse(id)?;
        desk.unlimited()?;
        let revision = desk.expect(id, expected)?;
        let until = UnixTime::from_secs(enrol.until);
        let row = desk.store.enrol(&desk.actor, &id, until, &enrol.reason, revision)?;
        Ok(device(&row, desk.now))
    }

    /// Ends an enrolment.
    ///
    /// # Errors
    /// [`Problem`]; `not_found` where it is not enrolled.
    pub fn end_enrolment(
        &self,
        id: &str,
        why: &types::Reason,
        expected: Expected,
    ) -> Result<(Device, Version), Problem> {
        let desk = self.0;
        let id = parse(id)?;
        let revision = desk.expect(id, expected)?;
        let row = desk.store.end_enrolment(&desk.actor, &id, &why.reason, revision)?;
        Ok(device(&row, desk.now))
    }

    /// Forgets a device about which nothing is decided.
    ///
    /// # Errors
    /// [`Problem`]; `conflict` where it is marked or enrolled: forgetting is no way around a ban.
    pub fn forget(&self, id: &str, expected: Expected) -> Result<(), Problem> {
        let desk = self.0;
        let id = parse(id)?;
        desk.find_device(id)?.ok_or_else(unknown)?;
        let revision = desk.expect(id, expected)?;
        Ok(desk.store.forget(&desk.actor, &id, revision)?)
    }
}

impl Desk {
    /// A device in reach of the caller. One that never attested belongs to no app yet.
    fn find_device(&self, id: DeviceId) -> Result<Option<DeviceRow>, Problem> {
        let row = self.store.device(&id)?;
        Ok(row.filter(|row| self.reaches(app(row))))
    }

    /// Holds what the caller expects against what is there; the revision that the store is to check once more, under its
    /// lock.
    fn expect(&self, id: DeviceId, expected: Expected) -> Result<Option<Revision>, Problem> {
        let there = self.find_device(id)?.map(|row| Version(row.revision.0));
        expected.check(there)?;
        Ok(match expected {
            Expected::Exactly(Version(revision)) => Some(Revision(revision)),
            Expected::Present => None,
            // Rows begin at 1.
            Expected::Absent => Some(Revision(0)),
        })
    }
}

fn parse(id: &str) -> Result<DeviceId, Problem> {
    id.parse()
        .map_err(|_| Problem::invalid("id", "a device's id has 22 characters of base64url: the `did` of its tokens"))
}

fn unknown() -> Problem {
    Problem::not_found("there is no device of this id")
}

fn app(row: &DeviceRow) -> Option<&str> {
    Some(row.app.as_str()).filter(|app| !app.is_empty())
}

fn stored_state(state: DeviceState) -> attest_core::appraisal::DeviceState {
    use attest_core::appraisal::DeviceState as Stored;
    match state {
        DeviceState::Normal => Stored::Normal,
        DeviceState::ForcedPass => Stored::ForcedPass,
        DeviceState::ForcedFail => Stored::ForcedFail,
        DeviceState::Banned => Stored::Banned,
    }
}

fn told_state(state: attest_core::appraisal::DeviceState) -> DeviceState {
    use attest_core::appraisal::DeviceState as Stored;
    match state {
        Stored::Normal => DeviceState::Normal,
        Stored::ForcedPass => DeviceState::ForcedPass,
        Stored::ForcedFail => DeviceState::ForcedFail,
        Stored::Banned => DeviceState::Banned,
    }
}

/// A device as it is told: what is over is no longer told.
fn device(row: &DeviceRow, now: UnixTime) -> (Device, Version) {
    let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let over = row.until.is_some_and(|until| until <= now);
    let state = if over { DeviceState::Normal } else { told_state(row.state) };
    let marked = state != DeviceState::Normal;
    let told = Device {
        id: row.id.to_string(),
        key_set: row.key_set.clone(),
        first_seen: row.first_seen.secs(),
        last_seen: row.last_seen.secs(),
        app: filled(&row.app),
        version: filled(&row.version),
        platform: row.platform.map(|platform| platform.as_str().to_owned()),
        passed: row.passed.try_into().unwrap_or(0),
        failed: row.failed.try_into().unwrap_or(0),
        last_reasons: row.last_reasons.iter_names().map(str::to_owned).collect(),
        last_findings: row.last_findings.clone(),
        state,
        until: row.until.filter(|_| marked).map(UnixTime::secs),
        reason: filled(&row.reason).filter(|_| marked),
        marked_by: filled(&row.marked_by).filter(|_| marked),
        enrolled_until: row.enrolled_until.filter(|until| *until > now).map(UnixTime::secs),
        counter: row.counter,
        renewed_from: row.renewed_from.map(|id| id.to_string()),
        renewed_to: row.renewed_to.map(|id| id.to_string()),
    };
    (told, Version(row.revision.0))
}
