//! A sealed document as a row in PostgreSQL. In: where the server is and the store's name. Out: the document; proven
//! between: it takes another's place in one statement, and only while the one that was read still stands there.
//!
//! Nothing of this is trusted: whoever can write the row can't write one that opens, and an older one is refused by
//! whoever has seen a later.
//!
//! Callers may be anywhere, in async code or not: the connection is driven by a thread of its own.

mod driver;
mod tls;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use keystore::document::{DocumentError, MAX_DOCUMENT_BYTES, Revision, SealedDocument};
use settings::PostgresSettings;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

pub(crate) use driver::Driver;

use crate::SourceError;

/// One row of the table: one store. Clones are one.
#[derive(Clone)]
pub(crate) struct PostgresDocument {
    driver: Arc<Driver>,
    name: Arc<str>,
    place: Arc<str>,
    /// The row that was read last, as the server numbers it.
    read: Arc<Mutex<Option<RowVersion>>>,
}

/// Which writing of a row it is: the server's number of the transaction that wrote it. Only ever compared.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RowVersion(String);

impl PostgresDocument {
    /// Nothing is connected yet.
    pub(crate) fn new(settings: &PostgresSettings, name: &str) -> Result<Self, SourceError> {
        let driver = Arc::new(Driver::new(settings)?);
        let place = format!("key store {name} at {}", settings.url);
        Ok(Self { driver, name: name.into(), place: place.into(), read: Arc::default() })
    }

    /// The row that the last document came from.
    pub(crate) fn read_version(&self) -> Option<RowVersion> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The row as it is now, without its document.
    pub(crate) async fn version(&self) -> Result<Option<RowVersion>, DocumentError> {
        let rows = self.driver.ask(VERSION, vec![Value::Text(self.name.to_string())]).await;
        let rows = rows.map_err(|why| failed(&why))?;
        rows.first().map(|row| row.try_get(0).map(RowVersion).map_err(|why| away(&why))).transpose()
    }

    /// The connection, for whoever wants to wait on it.
    pub(crate) fn driver(&self) -> &Arc<Driver> {
        &self.driver
    }
}

impl SealedDocument for PostgresDocument {
    fn place(&self) -> String {
        self.place.to_string()
    }

    fn read(&self) -> Result<Vec<u8>, DocumentError> {
        let rows =
            self.driver.ask_and_wait(READ, vec![Value::Text(self.name.to_string())]).map_err(|why| failed(&why))?;
        let row = rows.first().ok_or(DocumentError::Absent)?;
        let length: i64 = row.try_get(1).map_err(|why| away(&why))?;
        if usize::try_from(length).map_or(true, |length| length > MAX_DOCUMENT_BYTES) {
            return Err(DocumentError::TooLarge);
        }
        let version = row.try_get(0).map(RowVersion).map_err(|why| away(&why))?;
        let document: Option<Vec<u8>> = row.try_get(2).map_err(|why| away(&why))?;
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
        document.ok_or(DocumentError::TooLarge)
    }

    fn create(&self, document: &[u8], generation: u64) -> Result<(), DocumentError> {
        self.driver.ask_and_wait(TABLE, Vec::new()).map_err(|why| failed(&why))?;
        let generation = i64::try_from(generation).map_err(|_| DocumentError::TooLarge)?;
        let values =
            vec![Value::Text(self.name.to_string()), Value::Number(generation), Value::Bytes(document.to_vec())];
        let made = self.driver.ask_and_wait(CREATE, values).map_err(|why| failed(&why))?;
        if made.is_empty() { Err(DocumentError::Exists) } else { Ok(()) }
    }

    fn replace(&self, read: &Revision, document: &[u8], generation: u64) -> Result<(), DocumentError> {
        let generation = i64::try_from(generation).map_err(|_| DocumentError::TooLarge)?;
        let values = vec![
            Value::Text(self.name.to_string()),
            Value::Number(generation),
            Value::Bytes(document.to_vec()),
            Value::Bytes(read.sha256.to_vec()),
        ];
        let changed = self.driver.ask_and_wait(REPLACE, values).map_err(|why| failed(&why))?;
        if changed.is_empty() { Err(DocumentError::Changed) } else { Ok(()) }
    }
}

impl fmt::Debug for PostgresDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresDocument({})", self.place)
    }
}

/// A value of a statement.
pub(crate) enum Value {
    Text(String),
    Number(i64),
    Bytes(Vec<u8>),
}

impl Value {
    pub(crate) fn typed(&self) -> (&(dyn tokio_postgres::types::ToSql + Sync), Type) {
        match self {
            Self::Text(text) => (text, Type::TEXT),
            Self::Number(number) => (number, Type::INT8),
            Self::Bytes(bytes) => (bytes, Type::BYTEA),
        }
    }
}

/// `generation` is for people and for queries of theirs: what counts is in the document.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS assay_key_stores (\
     name text PRIMARY KEY, generation bigint NOT NULL, document bytea NOT NULL, \
     changed timestamptz NOT NULL DEFAULT now())";

const VERSION: &str = "SELECT xmin::text FROM assay_key_stores WHERE name = $1";

/// What is too large does not leave the server.
const READ: &str = "SELECT xmin::text, octet_length(document)::int8, \
     CASE WHEN octet_length(document) <= 67108864 THEN document END FROM assay_key_stores WHERE name = $1";

const CREATE: &str = "INSERT INTO assay_key_stores (name, generation, document) VALUES ($1, $2, $3) \
     ON CONFLICT (name) DO NOTHING RETURNING 1";

/// A second writer waits for the first one's row, and then finds another document there.
const REPLACE: &str = "UPDATE assay_key_stores SET generation = $2, document = $3, changed = now() \
     WHERE name = $1 AND sha256(document) = $4 RETURNING 1";

fn away(why: &dyn std::error::Error) -> DocumentError {
    let mut text = why.to_string();
    let mut next = why.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    DocumentError::Away { why: text }
}

fn failed(why: &driver::AskError) -> DocumentError {
    match why {
        // Nobody has made a store here yet: the table comes with the first.
        driver::AskError::Server(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => DocumentError::Absent,
        // The server's own message alone: its details may quote a row.
        driver::AskError::Server(error) => match error.as_db_error() {
            Some(said) => DocumentError::Away { why: said.message().to_owned() },
            None => away(error),
        },
        driver::AskError::TimedOut(_) | driver::AskError::ShuttingDown => DocumentError::Away { why: why.to_string() },
    }
}
