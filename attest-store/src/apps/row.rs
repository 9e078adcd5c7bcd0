//! In: rows of builds, and builds on their way in. Out: the same with types; and that a new one keeps its bounds.

use attest_core::{
    measurement::Measurement,
    reference::{Build, PackageFacts},
    time::UnixTime,
};

use super::Registration;
use crate::{
    check,
    error::StoreError,
    page::Revision,
    sql::{Row, Tx, values},
};

const MAX_SIGNERS: usize = 16;
const MAX_LIBRARIES: usize = 256;
const MAX_PACKAGE_TEXT: usize = 255;

pub(super) const COLUMNS: &str = "number, app, platform, version, label, measurement, registered, retired, package_id, team, signers, \
                       libraries, revision";

/// A registered build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildRow {
    /// The build, with its number.
    pub build: Build,
    /// When it was registered.
    pub registered: UnixTime,
    /// When it was retired.
    pub retired: Option<UnixTime>,
    /// Rises with every change of the row.
    pub revision: Revision,
}

pub(super) fn find(tx: &Tx<'_>, number: u32) -> Result<Option<BuildRow>, StoreError> {
    let row = tx.row(&format!("SELECT {COLUMNS} FROM builds WHERE number = $1"), values![number])?;
    row.as_ref().map(parse).transpose()
}

/// All builds, the newest first.
pub(crate) fn load(tx: &Tx<'_>) -> Result<Vec<Build>, StoreError> {
    let rows = tx.rows(&format!("SELECT {COLUMNS} FROM builds ORDER BY number DESC"), &[])?;
    rows.iter().map(|row| Ok(parse(row)?.build)).collect()
}

pub(super) fn parse(row: &Row) -> Result<BuildRow, StoreError> {
    let retired = row.opt_time(7)?;
    let signers = row.blob(10)?;
    let libraries = serde_json::from_str(&row.text(11)?);
    let (signers, rest) = signers.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(StoreError::Damaged { what: "a build's signers" });
    }
    Ok(BuildRow {
        build: Build {
            number: row.u32(0)?,
            app: row.text(1)?,
            platform: row.text(2)?.parse().map_err(|_| StoreError::Damaged { what: "a build's platform" })?,
            version: row.text(3)?,
            label: row.text(4)?,
            measurement: row.opt_bytes(5)?.map(Measurement::from_bytes),
            package: PackageFacts { id: row.opt_text(8)?, team: row.opt_text(9)?, signers: signers.to_vec() },
            libraries: libraries.map_err(|_| StoreError::Damaged { what: "a build's libraries" })?,
            retired: retired.is_some(),
        },
        registered: row.time(6)?,
        retired,
        revision: Revision(row.int(12)?),
    })
}

pub(super) fn check_registration(new: &Registration) -> Result<(), StoreError> {
    check::name("app", &new.app)?;
    check::name("version", &new.version)?;
    check::name_or_empty("label", &new.label, true)?;
    for (field, text) in [("package id", &new.package.id), ("team", &new.package.team)] {
        if let Some(text) = text {
            check::text(field, text, MAX_PACKAGE_TEXT)?;
        }
    }
    if new.package.signers.len() > MAX_SIGNERS {
        return Err(StoreError::TooMany { what: "signers of one build", max: MAX_SIGNERS });
    }
    if new.libraries.len() > MAX_LIBRARIES {
        return Err(StoreError::TooMany { what: "libraries of one build", max: MAX_LIBRARIES });
    }
    new.libraries.iter().try_for_each(|library| check::text("library", library, MAX_PACKAGE_TEXT))
}
