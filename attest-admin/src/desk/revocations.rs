//! Revocations: what gateways refuse although its signature is genuine.

use attest_core::time::UnixTime;
use attest_store::RevocationRow;

use super::{Administrator, Viewer, page, told};
use crate::{
    problem::Problem,
    types::{self, Lift, NewRevocation, PageQuery, Revocation, RevocationKind},
};

impl Viewer<'_> {
    /// The revocations, the newest first.
    ///
    /// # Errors
    /// [`Problem`]; `forbidden` for a token that is limited to apps.
    pub fn revocations(&self, query: &PageQuery) -> Result<types::Page<Revocation>, Problem> {
        self.0.unlimited()?;
        let listing = self.0.store.revocations(page(query.limit, query.after.as_deref())?)?;
        Ok(told(listing, |row| revocation(&row)))
    }
}

impl Administrator<'_> {
    /// Revokes.
    ///
    /// # Errors
    /// [`Problem`].
    pub fn revoke(&self, new: &NewRevocation) -> Result<(), Problem> {
        let what = parse(new.kind, &new.value)?;
        Ok(self.0.store.revoke(&self.0.actor, &what, &new.reason)?)
    }

    /// Takes a revocation back.
    ///
    /// # Errors
    /// [`Problem`]; `conflict` for a banned device, which is taken back at the device.
    pub fn lift(&self, lift: &Lift) -> Result<(), Problem> {
        let what = parse(lift.kind, &lift.value)?;
        Ok(self.0.store.lift(&self.0.actor, &what, &lift.reason)?)
    }
}

fn parse(kind: RevocationKind, value: &str) -> Result<attest_store::Revocation, Problem> {
    use attest_store::Revocation as Stored;
    let wrong = |what: &str| Problem::invalid("value", what);
    Ok(match kind {
        RevocationKind::Device => {
            Stored::Device(value.parse().map_err(|_| wrong("a device's id, 22 characters of base64url"))?)
        }
        RevocationKind::App => Stored::App(value.to_owned()),
        RevocationKind::Build => {
            Stored::Build(value.parse().ok().filter(|number| *number != 0).ok_or_else(|| wrong("a build's number"))?)
        }
        RevocationKind::Kid => Stored::Kid(value.to_owned()),
        RevocationKind::IssuedBefore => Stored::IssuedBefore(UnixTime::from_secs(
            value
                .parse()
                .map_err(|_| wrong("issued-before takes a moment in Unix seconds, as `date +%s` prints it"))?,
        )),
    })
}

fn revocation(row: &RevocationRow) -> Revocation {
    use attest_core::feed::RevocationKind as Stored;
    let entry = &row.entry;
    Revocation {
        number: entry.number,
        kind: match entry.kind {
            Stored::Device => RevocationKind::Device,
            Stored::App => RevocationKind::App,
            Stored::Build => RevocationKind::Build,
            Stored::Kid => RevocationKind::Kid,
            Stored::IssuedBefore => RevocationKind::IssuedBefore,
        },
        value: entry.value.clone(),
        since: entry.since,
        until: entry.until,
        lifted: entry.lifted,
        reason: row.reason.clone(),
        made_by: row.made_by.clone(),
    }
}
