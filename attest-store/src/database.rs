//! In: the configuration's `state:`. Out: the database that it names, on which connections are opened.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use settings::StateSettings;
use zeroize::Zeroizing;

pub use crate::sql::PostgresOptions;
use crate::{
    error::StoreError,
    sql::{Connection, Server, Sqlite, migrations},
};

/// Where the durable state is: a file in the state folder, or a PostgreSQL server. Cheap to clone.
#[derive(Clone)]
pub struct Database(Kind);

#[derive(Clone)]
enum Kind {
    Sqlite(PathBuf),
    Postgres(Arc<Server>),
}

impl Database {
    /// The database that the configuration names.
    ///
    /// # Errors
    /// As [`Database::postgres`].
    pub fn of(settings: &StateSettings) -> Result<Self, StoreError> {
        let Some(database) = &settings.database else { return Ok(Self::sqlite(&settings.dir)) };
        Self::postgres(&PostgresOptions {
            url: Zeroizing::new(database.url.expose().to_owned()),
            danger_plaintext: !database.url.tls(),
            ca_file: database.ca_file.clone(),
            connect_timeout: database.connect_timeout,
            statement_timeout: database.statement_timeout,
        })
    }

    /// The file `assay.db` in `folder`; nothing is made yet.
    #[must_use]
    pub fn sqlite(folder: &Path) -> Self {
        Self(Kind::Sqlite(folder.to_owned()))
    }

    /// The PostgreSQL database of `options`; nothing is connected yet.
    ///
    /// # Errors
    /// `BadUrl`; `BadRoots` or `Path` for a file of roots that can't be used.
    pub fn postgres(options: &PostgresOptions) -> Result<Self, StoreError> {
        Ok(Self(Kind::Postgres(Arc::new(Server::new(options)?))))
    }

    /// Whether a service has been started on it before. Nothing is written.
    ///
    /// # Errors
    /// `Away` where the server can't be asked.
    pub fn exists(&self) -> Result<bool, StoreError> {
        match &self.0 {
            Kind::Sqlite(folder) => Ok(folder.join(crate::sql::SQLITE_FILE).is_file()),
            Kind::Postgres(_) => self.connect()?.read(migrations::is_there),
        }
    }

    pub(crate) fn connect(&self) -> Result<Connection, StoreError> {
        match &self.0 {
            Kind::Sqlite(folder) => Ok(Connection::Sqlite(Sqlite::open(folder)?)),
            Kind::Postgres(server) => Ok(Connection::Postgres(server.connect()?)),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Sqlite(folder) => write!(out, "Database({})", folder.join(crate::sql::SQLITE_FILE).display()),
            Kind::Postgres(_) => out.write_str("Database(PostgreSQL)"),
        }
    }
}
