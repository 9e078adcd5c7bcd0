//! In: a database of any earlier shape, or an empty one. Out: the shape of today. Each step is one transaction that also
//! moves the version, so a kill at any instruction leaves either the shape before or the one after. Of two processes that
//! start at once, one migrates and the other finds it done.

use super::{Connection, Engine, Tx, values};
use crate::error::StoreError;

/// The steps, oldest first, for SQLite and PostgreSQL. Never edit one that was released: add another. PostgreSQL came
/// with the second.
const STEPS: &[(&str, &str)] = &[
    (include_str!("migrations/sqlite_1.sql"), ""),
    (include_str!("migrations/sqlite_2.sql"), include_str!("migrations/postgres_2.sql")),
    (include_str!("migrations/sqlite_3.sql"), include_str!("migrations/postgres_3.sql")),
];

/// Brings the database to the shape of today.
///
/// # Errors
/// `FromTheFuture` where a newer Assay has written it; then it is left as it is.
pub(crate) fn migrate(connection: &Connection) -> Result<(), StoreError> {
    loop {
        let done = connection.write(|tx| {
            let version = version(tx)?;
            let step = usize::try_from(version).unwrap_or(usize::MAX);
            if step > STEPS.len() {
                return Err(StoreError::FromTheFuture { version });
            }
            let Some((sqlite, postgres)) = STEPS.get(step) else { return Ok(true) };
            match tx.engine() {
                Engine::Sqlite => {
                    tx.batch(sqlite)?;
                    tx.batch(&format!("PRAGMA user_version = {}", version + 1))?;
                }
                Engine::Postgres => {
                    tx.batch(postgres)?;
                    tx.execute("UPDATE assay_schema SET version = $1", values![version + 1])?;
                }
            }
            Ok(false)
        })?;
        if done {
            return Ok(());
        }
    }
}

/// Whether the database has ever been written to.
pub(crate) fn is_there(tx: &Tx<'_>) -> Result<bool, StoreError> {
    match tx.engine() {
        Engine::Sqlite => Ok(version(tx)? > 0),
        Engine::Postgres => {
            let row = tx.row("SELECT to_regclass('assay_schema')::text", &[])?;
            Ok(row.is_some_and(|row| matches!(row.opt_text(0), Ok(Some(_)))))
        }
    }
}

fn version(tx: &Tx<'_>) -> Result<i64, StoreError> {
    let row = match tx.engine() {
        Engine::Sqlite => tx.row("PRAGMA user_version", &[])?,
        Engine::Postgres => {
            tx.batch(
                "CREATE TABLE IF NOT EXISTS assay_schema (version BIGINT NOT NULL);
                 INSERT INTO assay_schema SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM assay_schema)",
            )?;
            tx.row("SELECT version FROM assay_schema", &[])?
        }
    };
    row.ok_or(StoreError::Damaged { what: "the database's version" })?.int(0)
}
