//! Builds: what is vouched for.

use std::collections::BTreeMap;

use attest_core::{measurement::Measurement, reference::Platform};
use attest_store::{BuildFilter, BuildRow, Page, Registration, Revision, What};

use super::{Desk, Operator, Viewer, package, page, told, whole};
use crate::{
    etag::{Expected, Version},
    problem::Problem,
    types::{self, App, Build, BuildOutcome, BuildQuery, BuildState, NewBuild, Registered, Retire, Retired, SetBuild},
};

/// Bytes of a name, as on the wire.
const MAX_NAME: usize = 64;

impl Viewer<'_> {
    /// The apps of the configuration and of the registry.
    ///
    /// # Errors
    /// [`Problem`], as for every operation.
    pub fn apps(&self) -> Result<types::Page<App>, Problem> {
        let desk = self.0;
        let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for row in desk.all_builds()? {
            let (live, retired) = counts.entry(row.build.app.clone()).or_default();
            *if row.build.retired { retired } else { live } += 1;
        }
        for name in desk.known.apps.keys().filter(|name| desk.reaches(Some(name))) {
            counts.entry(name.clone()).or_default();
        }
        let app = |(name, (live, retired)): (String, (u64, u64))| {
            let configured = desk.known.apps.get(&name);
            let platforms = configured.map(|app| app.platforms.keys().map(|p| p.as_str().to_owned()).collect());
            App { configured: configured.is_some(), platforms: platforms.unwrap_or_default(), name, live, retired }
        };
        Ok(whole(counts.into_iter().map(app).collect()))
    }

    /// The builds, the newest first.
    ///
    /// # Errors
    /// [`Problem`].
    pub fn builds(&self, query: &BuildQuery) -> Result<types::Page<Build>, Problem> {
        let filter = BuildFilter {
            app: query.app.clone(),
            apps: self.0.actor.apps.clone(),
            live_only: query.state == Some(BuildState::Live),
            ..BuildFilter::default()
        };
        let listing = self.0.store.builds(&filter, page(query.limit, query.after.as_deref())?)?;
        let mut builds = told(listing, |row| self.0.told_build(&row).0);
        // The store knows no filter for these; a page may then hold fewer than were asked for.
        builds.items.retain(|build| query.state.is_none_or(|state| build.state == state));
        Ok(builds)
    }

    /// One build.
    ///
    /// # Errors
    /// [`Problem`]; `not_found` too where the token does not reach its app.
    pub fn build(&self, number: &str) -> Result<(Build, Version), Problem> {
        self.0.find_build(number).map(|row| self.0.told_build(&row))
    }
}

impl Operator<'_> {
    /// Vouches for a build.
    ///
    /// # Errors
    /// [`Problem`]; `conflict` where the configuration names another package or signer, or the registry another
    /// measurement.
    pub fn register(&self, new: &NewBuild) -> Result<Registered, Problem> {
        let desk = self.0;
        let platform: Platform =
            new.platform.parse().map_err(|_| Problem::invalid("platform", "one of linux, android, ios"))?;
        if new.app.len() > MAX_NAME {
            return Err(Problem::invalid("app", format!("at most {MAX_NAME} characters")));
        }
        let unknown =
            || Problem::conflict(format!("the configuration has no app {:?} for {platform}", new.app)).at("app");
        let configured = desk.known.apps.get(&new.app).and_then(|app| app.platforms.get(&platform));
        let configured = configured.filter(|_| desk.reaches(Some(&new.app))).ok_or_else(unknown)?;
        let facts = package::read(&new.package)?;
        package::agree(&facts, configured)?;
        let measurement = new.measurement.as_deref().map(measurement).transpose()?;
        if measurement.is_none() && platform != Platform::Ios {
            return Err(Problem::invalid("measurement", "a build for this platform needs one"));
        }
        let registration = Registration {
            app: new.app.clone(),
            platform,
            version: new.version.clone(),
            label: new.label.clone(),
            measurement,
            package: facts,
            libraries: new.libraries.clone(),
        };
        let registered = desk.store.register(&desk.actor, &registration)?;
        let outcome = match registered.what {
            What::Added => BuildOutcome::Added,
            What::Unchanged => BuildOutcome::Unchanged,
            What::Restored => BuildOutcome::Restored,
        };
        Ok(Registered { outcome, build: desk.told_build(&registered.build).0 })
    }

    /// Retires one build.
    ///
    /// # Errors
    /// [`Problem`]; `precondition_failed` where it has changed.
    pub fn set_build(&self, number: &str, set: &SetBuild, expected: Expected) -> Result<(Build, Version), Problem> {
        let desk = self.0;
        let row = desk.find_build(number)?;
        expected.check(Some(Version(row.revision.0)))?;
        match (set.state, row.build.retired) {
            (BuildState::Live, false) | (BuildState::Retired, true) => return Ok(desk.told_build(&row)),
            (BuildState::Live, true) => {
                return Err(Problem::conflict("to vouch for a retired build again, register it again").at("state"));
            }
            (BuildState::Retired, false) => {}
        }
        Ok(desk.told_build(&desk.store.retire_build(&desk.actor, &row, Some(row.revision))?))
    }

    /// Retires a version of an app: all its builds, or one.
    ///
    /// # Errors
    /// [`Problem`]; `not_found` where nothing live has this name.
    pub fn retire(&self, app: &str, retire: &Retire) -> Result<Retired, Problem> {
        let desk = self.0;
        if !desk.reaches(Some(app)) {
            return Err(Problem::not_found(format!("no live build of {app} {} is registered", retire.version)));
        }
        let count = desk.store.retire(&desk.actor, app, &retire.version, retire.label.as_deref(), None)?;
        Ok(Retired {
            app: app.to_owned(),
            version: retire.version.clone(),
            retired: count.try_into().unwrap_or(u64::MAX),
        })
    }
}

impl Desk {
    fn find_build(&self, number: &str) -> Result<BuildRow, Problem> {
        let none = || Problem::not_found("there is no build of this number");
        let number: u32 = number.parse().map_err(|_| none())?;
        self.store.build(number)?.filter(|row| self.reaches(Some(&row.build.app))).ok_or_else(none)
    }

    /// A build as it is told, and its version.
    fn told_build(&self, row: &BuildRow) -> (Build, Version) {
        let BuildRow { build, registered, revision: Revision(revision), .. } = row;
        let told = Build {
            number: build.number,
            app: build.app.clone(),
            version: build.version.clone(),
            platform: build.platform.as_str().to_owned(),
            label: build.label.clone(),
            state: if build.retired { BuildState::Retired } else { BuildState::Live },
            measurement: build.measurement.map(Measurement::to_text),
            package: package::told(&build.package),
            libraries: build.libraries.clone(),
            registered: registered.secs(),
            configured: self.known.apps.contains_key(&build.app),
        };
        (told, Version(*revision))
    }

    fn all_builds(&self) -> Result<Vec<BuildRow>, Problem> {
        let filter = BuildFilter { apps: self.actor.apps.clone(), ..BuildFilter::default() };
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let listing = self.store.builds(&filter, Page { after, limit: attest_store::MAX_LIMIT })?;
            rows.extend(listing.rows);
            after = listing.next;
            if after.is_none() {
                return Ok(rows);
            }
        }
    }
}

fn measurement(text: &str) -> Result<Measurement, Problem> {
    let hash =
        package::sha256(text).ok_or_else(|| Problem::invalid("measurement", "sha256: and 64 hexadecimal digits"))?;
    Ok(Measurement::from_bytes(hash))
}
