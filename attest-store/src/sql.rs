//! In: one SQL text with `$1` parameters. Out: rows of four kinds of values, from SQLite or PostgreSQL. What is proven: a
//! closure runs in one transaction, which is committed when it returns `Ok` and undone otherwise; writers of one database
//! stand in line, whichever process they are in.
//!
//! The dialect is what both understand: `BIGINT`, `TEXT` and `BLOB` columns, `ON CONFLICT`, `RETURNING`, `UPDATE … FROM`,
//! `IS NOT DISTINCT FROM`. Only the migrations differ by engine.

use std::fmt;

mod connection;
mod filter;
pub(crate) mod migrations;
mod pool;
mod postgres;
mod sqlite;
mod tls;

pub use self::postgres::PostgresOptions;
pub(crate) use self::{
    connection::{Connection, Tx},
    filter::Filter,
    pool::Pool,
    postgres::{Postgres, Server},
    sqlite::{FILE as SQLITE_FILE, Sqlite},
};
use crate::error::StoreError;

/// A value on its way into or out of the database.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl fmt::Debug for Value {
    /// The kind alone: values are also secrets' boxes and tokens' hashes.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Null => "Null",
            Self::Int(_) => "Int",
            Self::Text(_) => "Text",
            Self::Blob(_) => "Blob",
        })
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl From<attest_core::time::UnixTime> for Value {
    fn from(value: attest_core::time::UnixTime) -> Self {
        Self::Int(value.millis())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// `values!(a, b)`: parameters in order.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::Value::from($value)),*] };
}
pub(crate) use values;

/// One row. The getters name what was damaged where a value is not of its kind.
#[derive(Debug, Clone)]
pub(crate) struct Row(Vec<Value>);

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values)
    }

    pub(crate) fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.opt_int(column)?.ok_or(StoreError::Damaged { what: "a number that must be there" })
    }

    pub(crate) fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(Some(*value)),
            Some(Value::Null) => Ok(None),
            _ => Err(StoreError::Damaged { what: "a value that must be a number" }),
        }
    }

    /// A number that fits in 32 bits, such as a build's.
    pub(crate) fn u32(&self, column: usize) -> Result<u32, StoreError> {
        u32::try_from(self.int(column)?).map_err(|_| StoreError::Damaged { what: "a number below 2^32" })
    }

    /// A number that was never negative.
    pub(crate) fn u64(&self, column: usize) -> Result<u64, StoreError> {
        u64::try_from(self.int(column)?).map_err(|_| StoreError::Damaged { what: "a number that can't be negative" })
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, StoreError> {
        self.opt_text(column)?.ok_or(StoreError::Damaged { what: "a text that must be there" })
    }

    pub(crate) fn opt_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(Some(value.clone())),
            Some(Value::Null) => Ok(None),
            _ => Err(StoreError::Damaged { what: "a value that must be text" }),
        }
    }

    pub(crate) fn blob(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        self.opt_blob(column)?.ok_or(StoreError::Damaged { what: "bytes that must be there" })
    }

    pub(crate) fn opt_blob(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError> {
        match self.0.get(column) {
            Some(Value::Blob(value)) => Ok(Some(value.clone())),
            Some(Value::Null) => Ok(None),
            _ => Err(StoreError::Damaged { what: "a value that must be bytes" }),
        }
    }

    pub(crate) fn bytes<const N: usize>(&self, column: usize) -> Result<[u8; N], StoreError> {
        self.blob(column)?.try_into().map_err(|_| StoreError::Damaged { what: "the length of a value" })
    }

    pub(crate) fn opt_bytes<const N: usize>(&self, column: usize) -> Result<Option<[u8; N]>, StoreError> {
        let bytes = self.opt_blob(column)?.map(TryInto::try_into).transpose();
        bytes.map_err(|_| StoreError::Damaged { what: "the length of a value" })
    }

    pub(crate) fn time(&self, column: usize) -> Result<attest_core::time::UnixTime, StoreError> {
        self.int(column).map(attest_core::time::UnixTime::from_millis)
    }

    pub(crate) fn opt_time(&self, column: usize) -> Result<Option<attest_core::time::UnixTime>, StoreError> {
        Ok(self.opt_int(column)?.map(attest_core::time::UnixTime::from_millis))
    }
}

/// What a statement did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) rows: Vec<Row>,
    /// Rows written, where the statement writes.
    pub(crate) changed: u64,
}

/// Which engine a text is for, where it can't be the same: migrations alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}
