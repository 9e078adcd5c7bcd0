//! In: builds as an operator registers them. Out: the Reference Values that appraisal compares with. Kept as rows with numbers
//! that are never given again; a retired build stays, so that its devices fail as `retired_build` and not as unknown.

use std::time::Duration;

use attest_core::{
    measurement::Measurement,
    reference::{PackageFacts, Platform},
};
use serde_json::json;

use crate::{
    actor::{Actor, Role},
    error::StoreError,
    page::{Listing, Page, Revision},
    revocations::{self, Revocation},
    sql::{Filter, values},
    store::{Change, Part, Store, count_up},
};

mod row;

pub use self::row::BuildRow;
pub(crate) use self::row::load;
use self::row::{COLUMNS, check_registration, find, parse};

/// A build to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The app.
    pub app: String,
    /// Its platform.
    pub platform: Platform,
    /// Its version.
    pub version: String,
    /// Tells builds of one version apart, such as an ABI; may be empty.
    pub label: String,
    /// What its image measures to; absent where other Evidence vouches for it.
    pub measurement: Option<Measurement>,
    /// What its package says.
    pub package: PackageFacts,
    /// The libraries that the measurement covers, by name.
    pub libraries: Vec<String>,
}

/// What registering did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The build as it stands.
    pub build: BuildRow,
    /// What was done.
    pub what: What,
}

/// What registering a build did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The build is new.
    Added,
    /// The same build was registered and live already.
    Unchanged,
    /// The same build had been retired; it is live again.
    Restored,
}

/// Which builds to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildFilter {
    /// Of one app.
    pub app: Option<String>,
    /// Of these apps alone, whatever else is asked: what the asker may see.
    pub apps: Option<Vec<String>>,
    /// Of one version.
    pub version: Option<String>,
    /// On one platform.
    pub platform: Option<Platform>,
    /// Only those that are not retired.
    pub live_only: bool,
}

/// Builds of one app, retired ones too.
const MAX_BUILDS: i64 = 10_000;
/// How long a revocation outlives the tokens it is about: as long as a gateway may have been away.
const GRACE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How far ahead `exp` may be at gateways, in lives of a token.
const LIVES: u32 = 2;

impl Store {
    /// Registers a build, live. Registering it again changes nothing; one that was retired is live again.
    ///
    /// # Errors
    /// `NotAName`, `NotAText`, `TooMany`; `AnotherMeasurement` where a live build of that name differs; `Forbidden`. Then
    /// nothing was written.
    pub fn register(&self, actor: &Actor, registration: &Registration) -> Result<Registered, StoreError> {
        check_registration(registration)?;
        self.change(actor, (Role::Operator, Some(&registration.app)), |change| register(change, registration))
    }

    /// Builds, the newest first; a page goes on after a build's number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn builds(&self, filter: &BuildFilter, page: Page) -> Result<Listing<BuildRow>, StoreError> {
        let mut query = Filter::new(values![page.after.unwrap_or(i64::MAX)]);
        query.and_if("app", filter.app.as_deref());
        query.and_if("version", filter.version.as_deref());
        query.and_if("platform", filter.platform.map(Platform::as_str));
        query.and_one_of("app", filter.apps.as_deref());
        if filter.live_only {
            query.and("retired IS NULL");
        }
        let select = format!("SELECT {COLUMNS} FROM builds WHERE number < $1");
        let (sql, values) = query.query(&select, "number DESC", page);
        let rows = self.read(|tx| tx.rows(&sql, &values))?;
        let builds = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Listing::cut(builds, page, |row| row.build.number.into()))
    }

    /// One build.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn build(&self, number: u32) -> Result<Option<BuildRow>, StoreError> {
        self.read(|tx| find(tx, number))
    }

    /// Retires the live builds of `app` and `version`: all of them, or the one of `label`; tells how many. Their tokens are
    /// revoked with them. `expect`: the revision of the build; of several, the highest.
    ///
    /// # Errors
    /// `NothingToRetire`; `Conflict`; `Forbidden`.
    pub fn retire(
        &self,
        actor: &Actor,
        app: &str,
        version: &str,
        label: Option<&str>,
        expect: Option<Revision>,
    ) -> Result<usize, StoreError> {
        self.change(actor, (Role::Operator, Some(app)), |change| {
            let mut query = Filter::new(values![app, version]);
            query.and_if("label", label);
            let rows = change.tx.rows(
                &format!(
                    "SELECT {COLUMNS} FROM builds WHERE app = $1 AND version = $2 AND retired IS NULL{}",
                    query.sql
                ),
                &query.values,
            )?;
            let builds = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
            let Some(newest) = builds.iter().map(|row| row.revision).max() else {
                return Err(StoreError::NothingToRetire { app: app.to_owned(), version: version.to_owned() });
            };
            newest.check(expect)?;
            for row in &builds {
                retire(change, row)?;
            }
            change.touch(Part::Builds)?;
            Ok(builds.len())
        })
    }

    /// Retires one build, and it alone; its tokens are revoked with it. `expect`: its revision.
    ///
    /// # Errors
    /// `NotFound` where it is not there or not live; `Conflict`; `Forbidden`.
    pub fn retire_build(
        &self,
        actor: &Actor,
        build: &BuildRow,
        expect: Option<Revision>,
    ) -> Result<BuildRow, StoreError> {
        let number = build.build.number;
        self.change(actor, (Role::Operator, Some(&build.build.app)), |change| {
            let live = find(change.tx, number)?.filter(|row| row.retired.is_none());
            let row = live.ok_or(StoreError::NotFound { what: "live build" })?;
            row.revision.check(expect)?;
            retire(change, &row)?;
            change.touch(Part::Builds)?;
            find(change.tx, number)?.ok_or(StoreError::Damaged { what: "a build that was just written" })
        })
    }

    /// How long a revocation of tokens that are out there has to last.
    pub(crate) fn revocation_life(token: &settings::TokenSettings) -> Duration {
        token.lifetime.saturating_mul(LIVES).saturating_add(token.leeway).saturating_add(GRACE)
    }
}

fn register(change: &Change<'_>, new: &Registration) -> Result<Registered, StoreError> {
    let platform = new.platform.as_str();
    let same_name = change.tx.rows(
        &format!(
            "SELECT {COLUMNS} FROM builds WHERE app = $1 AND platform = $2 AND version = $3 AND label = $4
             ORDER BY number DESC"
        ),
        values![new.app.as_str(), platform, new.version.as_str(), new.label.as_str()],
    )?;
    let same_name = same_name.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let same = |row: &&BuildRow| {
        let build = &row.build;
        build.measurement == new.measurement && build.package == new.package && build.libraries == new.libraries
    };
    if let Some(live) = same_name.iter().find(|row| row.retired.is_none()) {
        if same(&live) {
            return Ok(Registered { build: live.clone(), what: What::Unchanged });
        }
        return Err(StoreError::AnotherMeasurement {
            app: new.app.clone(),
            version: new.version.clone(),
            platform,
            label: new.label.clone(),
        });
    }
    let (number, what) = match same_name.iter().find(same) {
        Some(retired) => (restore(change, retired)?, What::Restored),
        None => (add(change, new)?, What::Added),
    };
    let action = if what == What::Added { "build.register" } else { "build.restore" };
    change.audit(action, &target(&new.app, &new.version, platform, &new.label), &json!({ "number": number }))?;
    change.touch(Part::Builds)?;
    let build = find(change.tx, number)?.ok_or(StoreError::Damaged { what: "a build that was just written" })?;
    Ok(Registered { build, what })
}

fn restore(change: &Change<'_>, retired: &BuildRow) -> Result<u32, StoreError> {
    let number = retired.build.number;
    change
        .tx
        .execute("UPDATE builds SET retired = NULL, revision = revision + 1 WHERE number = $1", values![number])?;
    revocations::lift_if_there(change, &Revocation::Build(number))?;
    Ok(number)
}

fn add(change: &Change<'_>, new: &Registration) -> Result<u32, StoreError> {
    let count = change.tx.row("SELECT count(*) FROM builds WHERE app = $1", values![new.app.as_str()])?;
    if count.map_or(Ok(0), |row| row.int(0))? >= MAX_BUILDS {
        return Err(StoreError::TooMany { what: "builds of one app", max: 10_000 });
    }
    change.tx.execute(
        "INSERT INTO apps (name, registered) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        values![new.app.as_str(), change.now],
    )?;
    let number = u32::try_from(count_up(change.tx, "build_number", 1)?)
        .map_err(|_| StoreError::TooMany { what: "builds", max: usize::MAX })?;
    change.tx.execute(
        "INSERT INTO builds (number, app, platform, version, label, measurement, registered, package_id, team, signers,
                             libraries)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        values![
            number,
            new.app.as_str(),
            new.platform.as_str(),
            new.version.as_str(),
            new.label.as_str(),
            new.measurement.as_ref().map(|measurement| *measurement.as_bytes()),
            change.now,
            new.package.id.as_deref(),
            new.package.team.as_deref(),
            new.package.signers.concat(),
            json!(new.libraries).to_string()
        ],
    )?;
    Ok(number)
}

fn retire(change: &Change<'_>, row: &BuildRow) -> Result<(), StoreError> {
    let build = &row.build;
    change.audit(
        "build.retire",
        &target(&build.app, &build.version, build.platform.as_str(), &build.label),
        &json!({ "number": build.number }),
    )?;
    change.tx.execute(
        "UPDATE builds SET retired = $2, revision = revision + 1 WHERE number = $1",
        values![build.number, change.now],
    )?;
    let until = change.now.plus(Store::revocation_life(&change.inner.token));
    revocations::put(change, &Revocation::Build(build.number), Some(until), "the build was retired")
}

/// A build in the audit log.
fn target(app: &str, version: &str, platform: &str, label: &str) -> String {
    if label.is_empty() { format!("{app} {version} {platform}") } else { format!("{app} {version} {platform} {label}") }
}
