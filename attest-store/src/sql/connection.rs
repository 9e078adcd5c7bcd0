//! In: a connection of either engine. Out: transactions on it. What is proven: nothing is left half-written: a closure that
//! fails, or a commit that does, undoes all of it.

use super::{Engine, Outcome, Postgres, Row, Sqlite, Value};
use crate::error::StoreError;

/// The one lock that writers of a PostgreSQL database take; SQLite has its own (`BEGIN IMMEDIATE`). `assay` in ASCII.
const WRITERS: i64 = 0x61_73_73_61_79;

/// A connection to the database.
pub(crate) enum Connection {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Connection {
    /// Runs `work` in a transaction that sees one state of the database and writes nothing.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.transaction(Mode::Read, work)
    }

    /// Runs `work` in a transaction of its own: no other writer is at work meanwhile, in this process or another.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.transaction(Mode::Write, work)
    }

    /// Whether it can be used again.
    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Self::Sqlite(sqlite) => sqlite.is_sound(),
            Self::Postgres(postgres) => postgres.is_sound(),
        }
    }

    fn transaction<T>(&self, mode: Mode, work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let tx = Tx { connection: self };
        match (self, mode) {
            (Self::Sqlite(sqlite), Mode::Read) => sqlite.batch("BEGIN DEFERRED")?,
            (Self::Sqlite(sqlite), Mode::Write) => sqlite.batch("BEGIN IMMEDIATE")?,
            (Self::Postgres(postgres), Mode::Read) => {
                postgres.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
            }
            // Read committed: what is read after the lock was granted is what its last holder committed.
            (Self::Postgres(postgres), Mode::Write) => {
                postgres.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({WRITERS})")).inspect_err(|_| {
                    let _ = postgres.batch("ROLLBACK");
                })?;
            }
        }
        let outcome = work(&tx).and_then(|value| self.batch("COMMIT").map(|()| value));
        if outcome.is_err() {
            // Where the connection is gone, the server undoes it by itself.
            let _ = self.batch("ROLLBACK");
        }
        outcome
    }

    fn batch(&self, sql: &str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.batch(sql),
            Self::Postgres(postgres) => postgres.batch(sql),
        }
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Read,
    Write,
}

/// A transaction under way.
pub(crate) struct Tx<'a> {
    connection: &'a Connection,
}

impl Tx<'_> {
    /// Runs one statement.
    pub(crate) fn run(&self, sql: &str, values: &[Value]) -> Result<Outcome, StoreError> {
        match self.connection {
            Connection::Sqlite(sqlite) => sqlite.run(sql, values),
            Connection::Postgres(postgres) => postgres.run(sql, values),
        }
    }

    /// The rows of a query.
    pub(crate) fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        Ok(self.run(sql, values)?.rows)
    }

    /// The first row of a query, where there is one.
    pub(crate) fn row(&self, sql: &str, values: &[Value]) -> Result<Option<Row>, StoreError> {
        Ok(self.run(sql, values)?.rows.into_iter().next())
    }

    /// How many rows a statement wrote.
    pub(crate) fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        Ok(self.run(sql, values)?.changed)
    }

    /// Several statements without parameters, as migrations have them.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.batch(sql)
    }

    /// Which engine runs it.
    pub(crate) fn engine(&self) -> Engine {
        match self.connection {
            Connection::Sqlite(_) => Engine::Sqlite,
            Connection::Postgres(_) => Engine::Postgres,
        }
    }
}
