//! `state:` what is written, and what several machines share.

use std::{fmt, path::PathBuf, time::Duration};

use zeroize::Zeroizing;

use crate::check::server_url::{self, Engine};

/// `state:` the folder that is written to, and the servers that hold what several machines share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSettings {
    /// The one folder that is written to: the embedded database, the last good configuration, `feed.pub`.
    pub dir: PathBuf,
    /// Durable state of the service (apps, builds, devices, keys, audit). Absent: SQLite in `dir`. Only where the file
    /// serves attestation.
    pub database: Option<PostgresSettings>,
    /// Short-lived state (challenges, counts of limits). Absent: in this process.
    pub shared: Option<SharedSettings>,
}

/// `state.database:` PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database`, with `sslmode=require` where [`ServerUrl::tls`] says so.
    pub url: ServerUrl,
    /// Roots for the server's certificate; absent: the public ones. Only with TLS. The certificate and its name are
    /// always verified.
    pub ca_file: Option<PathBuf>,
    /// For a connection to be made. Default 5 s.
    pub connect_timeout: Duration,
    /// For one statement, and for waiting on a lock. Default 5 s.
    pub statement_timeout: Duration,
}

/// `state.shared:` Redis or Valkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedSettings {
    /// `redis://user:password@host:port/number`, `rediss://` where [`ServerUrl::tls`] says so.
    pub url: ServerUrl,
    /// Roots for the server's certificate; absent: the public ones. Only with TLS.
    pub ca_file: Option<PathBuf>,
    /// For one call, after which the server counts as away. Default 100 ms.
    pub timeout: Duration,
    /// What every name begins with, so that two installations can share a server. Default `assay`.
    pub prefix: String,
}

/// The address of a server with what opens it. Never prints its password.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    pub(crate) text: Zeroizing<String>,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

/// A text that is not the address of a server; says what is wrong, and repeats nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadServerUrl(String);

impl ServerUrl {
    /// The address of PostgreSQL, as `url_file` may hold it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn postgres(text: &str) -> Result<Self, BadServerUrl> {
        Self::parse(Engine::Postgres, text)
    }

    /// The address of Redis or Valkey, as `url_file` may hold it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn redis(text: &str) -> Result<Self, BadServerUrl> {
        Self::parse(Engine::Redis, text)
    }

    fn parse(engine: Engine, text: &str) -> Result<Self, BadServerUrl> {
        server_url::parse(engine, text).map(|parsed| parsed.url).map_err(|fault| BadServerUrl(fault.message))
    }

    /// The whole URL, password included. Not for any log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The host; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the connection is TLS. Where it is not, the server is on loopback, or the file says `danger_plaintext`.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }
}

impl fmt::Display for BadServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadServerUrl {}

/// Host and port.
impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({self}, tls: {})", self.tls)
    }
}
