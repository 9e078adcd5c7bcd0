//! In: a database of any earlier shape, or an empty one. Out: the shape of today. Each step is one transaction that
//! also moves `user_version`, so a kill at any instruction leaves either the shape before or the one after.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// The steps, oldest first. Never edit one that was released: add another.
///
/// Times are Unix milliseconds. `generation` in `meta` rises with every change that running services must learn.
const STEPS: &[&str] = &["
    CREATE TABLE meta (
        key   TEXT PRIMARY KEY NOT NULL,
        value ANY NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO meta VALUES ('generation', 1), ('key_set_number', 0), ('key_set_digest', x'');

    CREATE TABLE apps (
        name       TEXT PRIMARY KEY NOT NULL,
        registered INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE builds (
        id          INTEGER PRIMARY KEY,
        app         TEXT NOT NULL REFERENCES apps (name),
        platform    TEXT NOT NULL,
        version     TEXT NOT NULL,
        label       TEXT NOT NULL,
        measurement BLOB CHECK (length(measurement) = 32),
        registered  INTEGER NOT NULL,
        retired     INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX one_live_build ON builds (app, platform, version, label) WHERE retired IS NULL;

    CREATE TABLE devices (
        id         BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
        state      TEXT NOT NULL DEFAULT 'normal'
                   CHECK (state IN ('normal', 'forced_pass', 'forced_fail', 'banned')),
        until      INTEGER,
        first_seen INTEGER NOT NULL,
        last_seen  INTEGER NOT NULL,
        passed     INTEGER NOT NULL DEFAULT 0,
        failed     INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX marked_devices ON devices (state) WHERE state <> 'normal';

    CREATE TABLE secrets (
        name    TEXT PRIMARY KEY NOT NULL,
        sealed  BLOB NOT NULL,
        created INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE signing_keys (
        kid       TEXT PRIMARY KEY NOT NULL,
        key_set   TEXT NOT NULL,
        algorithm TEXT NOT NULL,
        state     TEXT NOT NULL CHECK (state IN ('next', 'active', 'retiring')),
        secret    BLOB NOT NULL,
        decoy     BLOB,
        created   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX one_active_key ON signing_keys (key_set, algorithm) WHERE state = 'active';
"];

/// Brings `connection` to the shape of today.
///
/// # Errors
/// `FromTheFuture` where a newer Assay has written the file; `Database` where SQLite fails.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    loop {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = step.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let done = usize::try_from(version).unwrap_or(usize::MAX);
        if done > STEPS.len() {
            return Err(StoreError::FromTheFuture { version });
        }
        let Some(sql) = STEPS.get(done) else { return Ok(()) };
        step.execute_batch(sql)?;
        step.pragma_update(None, "user_version", version + 1)?;
        step.commit()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_file_that_a_newer_version_wrote() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(migrate(&mut connection), Err(StoreError::FromTheFuture { version: 99 })));
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(usize::try_from(version).unwrap(), STEPS.len());
    }
}
