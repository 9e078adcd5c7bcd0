//! In: a folder. Out: a connection to the database file in it, readable by its owner alone, in WAL mode. What is proven: a
//! commit that was acknowledged is on disk (`synchronous=FULL`).

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::{ErrorCode, types::ValueRef};

use super::{Outcome, Row, Value};
use crate::error::StoreError;

/// The database's name in the state folder.
pub(crate) const FILE: &str = "assay.db";
/// How long a writer waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(5);
/// Between two tries of what SQLite refuses without waiting.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// Statements kept prepared, per connection.
const STATEMENTS: usize = 64;

/// A connection to a database file.
pub(crate) struct Sqlite {
    connection: rusqlite::Connection,
    path: PathBuf,
}

impl Sqlite {
    /// Opens, and on first use makes, the database of `folder`.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| StoreError::Path { path: folder.to_owned(), source })?;
        let path = folder.join(FILE);
        // SQLite would make it readable by others; its journal files take this file's mode.
        match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(source) => return Err(StoreError::Path { path, source }),
        }
        let connection = rusqlite::Connection::open(&path).map_err(|error| translate(&path, &error))?;
        let sqlite = Self { connection, path };
        sqlite.prepare().map_err(|error| translate(&sqlite.path, &error))?;
        Ok(sqlite)
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(BUSY)?;
        self.connection.set_prepared_statement_cache_capacity(STATEMENTS);
        self.use_wal()?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        self.connection.pragma_update(None, "foreign_keys", true)
    }

    /// The change to WAL, and the recovery that the first of several openers makes, are refused at once where another
    /// connection is in the middle of them: SQLite asks its busy handler for neither, so two first starts at once would fail.
    #[expect(clippy::disallowed_methods, reason = "there is no event to wait for: SQLite asks no busy handler here")]
    fn use_wal(&self) -> rusqlite::Result<()> {
        let end = Instant::now() + BUSY;
        loop {
            let changed = self.connection.pragma_update(None, "journal_mode", "WAL");
            let busy = changed.as_ref().is_err_and(|error| {
                matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
            });
            if !busy || Instant::now() >= end {
                return changed;
            }
            std::thread::sleep(BUSY_PAUSE);
        }
    }

    /// Whether no transaction was left open.
    pub(crate) fn is_sound(&self) -> bool {
        self.connection.is_autocommit()
    }

    pub(crate) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(sql).map_err(|error| translate(&self.path, &error))
    }

    pub(crate) fn run(&self, sql: &str, values: &[Value]) -> Result<Outcome, StoreError> {
        self.outcome(sql, values).map_err(|error| translate(&self.path, &error))
    }

    fn outcome(&self, sql: &str, values: &[Value]) -> rusqlite::Result<Outcome> {
        // `$1` is a name to SQLite, numbered as it appears; `?1` is a number.
        let mut statement = self.connection.prepare_cached(&sql.replace('$', "?"))?;
        let columns = statement.column_count();
        for (index, value) in values.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, value)?;
        }
        let before = self.connection.total_changes();
        let mut outcome = Outcome::default();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let values = (0..columns).map(|column| Ok(value(row.get_ref(column)?)));
            outcome.rows.push(Row::new(values.collect::<rusqlite::Result<_>>()?));
        }
        outcome.changed = self.connection.total_changes().wrapping_sub(before);
        Ok(outcome)
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null | ValueRef::Real(_) => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Text(value) => Value::Text(String::from_utf8_lossy(value).into_owned()),
        ValueRef::Blob(value) => Value::Blob(value.to_vec()),
    }
}

fn translate(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::NotADatabase { path: path.to_owned() }
        }
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
        // A full disk shows as a failed write too, where it is the journal that finds no room.
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => StoreError::Away { why: error.to_string() },
        _ => StoreError::Database { why: error.to_string() },
    }
}
