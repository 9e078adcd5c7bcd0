//! In: builds as an operator registers them. Out: the Reference Values that appraisal compares with. Kept as rows; a
//! retired build stays, so that its devices fail as `retired_build` and not as unknown.

use attest_core::{
    measurement::Measurement,
    reference::{Build, PackageFacts, Platform},
    time::UnixTime,
};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::StoreError;

/// What registering a build did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// The build is new.
    Added,
    /// The same build was registered and live already.
    Unchanged,
    /// The same build had been retired; it is live again.
    Restored,
}

/// Writes `build` within `change`.
///
/// # Errors
/// `AnotherMeasurement` where a live build of that name has another measurement.
pub(crate) fn register(change: &Transaction<'_>, build: &Build, now: UnixTime) -> Result<Registered, StoreError> {
    let name = params![build.app, build.platform.as_str(), build.version, build.label];
    let live: Option<Option<Vec<u8>>> = change
        .query_row(
            "SELECT measurement FROM builds
             WHERE app = ?1 AND platform = ?2 AND version = ?3 AND label = ?4 AND retired IS NULL",
            name,
            |row| row.get(0),
        )
        .optional()?;
    let measurement = build.measurement.as_ref().map(|measurement| measurement.as_bytes().to_vec());
    match live {
        Some(registered) if registered == measurement => return Ok(Registered::Unchanged),
        Some(_) => return Err(StoreError::AnotherMeasurement),
        None => {}
    }
    let restored = change.execute(
        "UPDATE builds SET retired = NULL WHERE id = (
            SELECT id FROM builds
            WHERE app = ?1 AND platform = ?2 AND version = ?3 AND label = ?4 AND measurement IS ?5 LIMIT 1)",
        params![build.app, build.platform.as_str(), build.version, build.label, measurement],
    )?;
    if restored > 0 {
        return Ok(Registered::Restored);
    }
    change
        .execute("INSERT OR IGNORE INTO apps (name, registered) VALUES (?1, ?2)", params![build.app, now.millis()])?;
    change.execute(
        "INSERT INTO builds (app, platform, version, label, measurement, registered) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![build.app, build.platform.as_str(), build.version, build.label, measurement, now.millis()],
    )?;
    Ok(Registered::Added)
}

/// Retires the live builds of `app` and `version`, all labels or one; tells how many there were.
pub(crate) fn retire(
    change: &Transaction<'_>,
    app: &str,
    version: &str,
    label: Option<&str>,
    now: UnixTime,
) -> Result<usize, StoreError> {
    Ok(change.execute(
        "UPDATE builds SET retired = ?4
         WHERE app = ?1 AND version = ?2 AND (?3 IS NULL OR label = ?3) AND retired IS NULL",
        params![app, version, label, now.millis()],
    )?)
}

/// All builds, the newest first.
pub(crate) fn load(connection: &Connection) -> Result<Vec<Build>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT app, platform, version, label, measurement, retired IS NOT NULL, id FROM builds ORDER BY id DESC",
    )?;
    let rows = statement.query_map([], |row| Ok(parse(row)))?;
    rows.map(|row| row?).collect()
}

fn parse(row: &Row<'_>) -> Result<Build, StoreError> {
    let platform: String = row.get(1)?;
    let measurement: Option<[u8; 32]> = row.get(4)?;
    Ok(Build {
        number: row.get(6)?,
        app: row.get(0)?,
        platform: platform.parse::<Platform>().map_err(|_| StoreError::Damaged { what: "a build's platform" })?,
        version: row.get(2)?,
        label: row.get(3)?,
        measurement: measurement.map(Measurement::from_bytes),
        package: PackageFacts::default(),
        libraries: Vec::new(),
        retired: row.get(5)?,
    })
}
