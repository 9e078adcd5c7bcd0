//! In: what an operator registers, retires or decides of a device. Out: rows in the state folder's database, whether the
//! service is running or not; a running one takes them over within a second. What is proven: names have the shape that
//! the wire allows, so that what is registered can also be asked for.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use attest_core::{
    appraisal::DeviceState,
    measurement::Measurement,
    reference::{Build, PackageFacts, Platform},
    time::UnixTime,
};
use rusqlite::Connection;

pub use crate::store::apps::Registered;
use crate::store::{
    self, Store, StoreError, apps,
    devices::{self, Mark},
};

/// Names are at most this long, as on the wire.
const MAX_NAME_BYTES: usize = 64;

/// The apps' builds and the devices' marks, in one state folder.
pub struct Registry {
    connection: Mutex<Connection>,
    /// The service of this process, told at once of each change.
    running: Weak<Store>,
}

/// Why the registry could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A name that no request could carry.
    #[error("{field} has to be {} of the characters A-Z a-z 0-9 . _ + -", lengths(*.may_be_empty))]
    NotAName {
        /// Which field: `app`, `version` or `label`.
        field: &'static str,
        /// Whether the empty name is one.
        may_be_empty: bool,
    },
    /// A live build of this name has another measurement.
    #[error(
        "{app} {version} for {platform} (label {label:?}) is registered already, with another measurement: give this build \
         its own version or label, or retire the old one first"
    )]
    AnotherMeasurement {
        /// The app.
        app: String,
        /// Its version.
        version: String,
        /// Its platform.
        platform: &'static str,
        /// The build's label.
        label: String,
    },
    /// Nothing live has this name.
    #[error("no live build of {app} {version} is registered")]
    NothingToRetire {
        /// The app.
        app: String,
        /// The version.
        version: String,
    },
    /// The state folder or its database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const fn lengths(may_be_empty: bool) -> &'static str {
    if may_be_empty { "0 to 64" } else { "1 to 64" }
}

impl Registry {
    /// Opens the registry of `state_dir`, making folder and database on first use.
    ///
    /// # Errors
    /// `Store`, naming the path that can't be used.
    pub fn open(state_dir: &Path) -> Result<Self, RegistryError> {
        Ok(Self { connection: Mutex::new(store::open(state_dir)?), running: Weak::new() })
    }

    /// The same, for the process that runs the service: changes hold when the call returns.
    pub(crate) fn beside(state_dir: &Path, running: &Arc<Store>) -> Result<Self, RegistryError> {
        Ok(Self { running: Arc::downgrade(running), ..Self::open(state_dir)? })
    }

    /// Registers `build`, live whatever its `retired` says, at `now`. Registering it again changes nothing.
    ///
    /// # Errors
    /// `NotAName`; `AnotherMeasurement` where a live build of that name differs; `Store`. Then nothing was written.
    pub fn register_build(&self, build: &Build, now: UnixTime) -> Result<Registered, RegistryError> {
        check_name("app", &build.app, false)?;
        check_name("version", &build.version, false)?;
        check_name("label", &build.label, true)?;
        self.change(|change| {
            let registered = apps::register(change, build, now)?;
            Ok((registered, registered != Registered::Unchanged))
        })
        .map_err(|error| match error {
            StoreError::AnotherMeasurement => RegistryError::AnotherMeasurement {
                app: build.app.clone(),
                version: build.version.clone(),
                platform: build.platform.as_str(),
                label: build.label.clone(),
            },
            other => other.into(),
        })
    }

    /// All builds, retired ones too, the newest first.
    ///
    /// # Errors
    /// `Store`.
    pub fn builds(&self) -> Result<Vec<Build>, RegistryError> {
        Ok(apps::load(&self.connection.lock().unwrap_or_else(PoisonError::into_inner))?)
    }

    /// Retires the live builds of `app` and `version`: all of them, or the one of `label`. Tells how many.
    ///
    /// # Errors
    /// `NothingToRetire` where there is none; `Store`.
    pub fn retire(&self, app: &str, version: &str, label: Option<&str>, now: UnixTime) -> Result<usize, RegistryError> {
        let retired = self.change(|change| {
            let retired = apps::retire(change, app, version, label, now)?;
            Ok((retired, retired > 0))
        })?;
        if retired == 0 {
            return Err(RegistryError::NothingToRetire { app: app.to_owned(), version: version.to_owned() });
        }
        Ok(retired)
    }

    /// Marks a device, known or not: `state` holds until `until`, or until it is marked anew.
    ///
    /// # Errors
    /// `Store`.
    pub fn mark_device(
        &self,
        device: &[u8; 16],
        state: DeviceState,
        until: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<(), RegistryError> {
        Ok(self.change(|change| {
            devices::mark(change, device, Mark { state, until }, now)?;
            Ok(((), true))
        })?)
    }

    /// How often `device` passed and failed; nothing for a device that never passed and was never marked. What happened
    /// in the last second may not be counted yet.
    ///
    /// # Errors
    /// `Store`.
    pub fn device_counts(&self, device: &[u8; 16]) -> Result<Option<(i64, i64)>, RegistryError> {
        Ok(devices::counts(&self.connection.lock().unwrap_or_else(PoisonError::into_inner), device)?)
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<(T, bool), StoreError>,
    ) -> Result<T, StoreError> {
        let value = store::change(&mut self.connection.lock().unwrap_or_else(PoisonError::into_inner), change)?;
        if let Some(running) = self.running.upgrade() {
            running.refresh();
        }
        Ok(value)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Registry").finish_non_exhaustive()
    }
}

/// A build of `app` for `platform` as it is registered: live.
#[must_use]
pub fn live_build(
    app: &str,
    version: &str,
    platform: Platform,
    label: &str,
    measurement: Option<Measurement>,
) -> Build {
    Build {
        number: 0,
        app: app.to_owned(),
        version: version.to_owned(),
        platform,
        label: label.to_owned(),
        measurement,
        package: PackageFacts::default(),
        libraries: Vec::new(),
        retired: false,
    }
}

fn check_name(field: &'static str, name: &str, may_be_empty: bool) -> Result<(), RegistryError> {
    let length_fits = name.len() <= MAX_NAME_BYTES && (may_be_empty || !name.is_empty());
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-');
    if length_fits && name.bytes().all(good) {
        return Ok(());
    }
    Err(RegistryError::NotAName { field, may_be_empty })
}

#[cfg(test)]
mod tests;
