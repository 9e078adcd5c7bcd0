//! In: a URL. Out: a connection that blocks its caller, whoever that is. What is proven: no call takes longer than the
//! statement time-out and a second, also when the server stands still: the client keeps the time, beside the server.
//!
//! All connections of a process are driven by one thread, so a caller may be anywhere: in a plain thread, in
//! `spawn_blocking`, in a destructor.

use std::{
    fmt,
    net::IpAddr,
    path::PathBuf,
    str::FromStr as _,
    sync::{Arc, mpsc},
    time::Duration,
};

use futures_util::{TryStreamExt as _, pin_mut};
use tokio::runtime::Runtime;
use tokio_postgres::{
    Client, Config, NoTls,
    config::{Host, SslMode},
    error::SqlState,
    types::{IsNull, ToSql, Type, to_sql_checked},
};
use zeroize::Zeroizing;

use super::{Outcome, Row, Value, tls};
use crate::error::StoreError;

/// How much longer than the server the client waits for it to keep its own time.
const GRACE: Duration = Duration::from_secs(1);

/// Where the PostgreSQL database is, and how long it may take.
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database?sslmode=require`. Without `sslmode`, a server on this machine is
    /// spoken to in the clear and any other over TLS; `disable` must be written. Every other mode verifies the server.
    pub url: Zeroizing<String>,
    /// Speak in the clear whatever the URL says: the file says so.
    pub danger_plaintext: bool,
    /// Roots for the server's certificate, PEM; absent: the system's.
    pub ca_file: Option<PathBuf>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PostgresOptions").field("url", &"[redacted]").field("ca_file", &self.ca_file).finish()
    }
}

/// A server that connections can be made to.
pub(crate) struct Server {
    config: Config,
    tls: Option<tls::Connector>,
    connect_timeout: Duration,
    statement_timeout: Duration,
    runtime: Driver,
}

impl Server {
    /// Reads the options; nothing is connected yet.
    pub(crate) fn new(options: &PostgresOptions) -> Result<Self, StoreError> {
        let (url, mode) = split_sslmode(&options.url)?;
        let mut config = Config::from_str(&url).map_err(|_| StoreError::BadUrl { why: "it can't be read" })?;
        let plain = match mode.as_deref() {
            _ if options.danger_plaintext => true,
            Some("disable") => true,
            None | Some("allow" | "prefer") => stays_here(&config),
            Some("require" | "verify-ca" | "verify-full") => false,
            Some(_) => return Err(StoreError::BadUrl { why: "sslmode is one of disable, require, verify-full" }),
        };
        config.ssl_mode(if plain { SslMode::Disable } else { SslMode::Require });
        config.connect_timeout(options.connect_timeout);
        config.application_name("assay");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("assay-postgres")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Away { why: error.to_string() })?;
        Ok(Self {
            config,
            tls: if plain { None } else { Some(tls::connector(options.ca_file.as_deref())?) },
            connect_timeout: options.connect_timeout,
            statement_timeout: options.statement_timeout,
            runtime: Driver(Some(runtime)),
        })
    }

    /// A new connection.
    pub(crate) fn connect(self: &Arc<Self>) -> Result<Postgres, StoreError> {
        let (config, tls) = (self.config.clone(), self.tls.clone());
        let client = self.wait(self.connect_timeout + GRACE, async move {
            match tls {
                Some(tls) => {
                    let (client, connection) = config.connect(tls).await?;
                    tokio::spawn(connection);
                    Ok(client)
                }
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    tokio::spawn(connection);
                    Ok(client)
                }
            }
        })?;
        let postgres = Postgres { client: Arc::new(client), server: Arc::clone(self) };
        // An abandoned transaction must not hold the writers' lock for ever.
        let millis = self.statement_timeout.as_millis();
        postgres.batch(&format!(
            "SET statement_timeout = {millis}; SET idle_in_transaction_session_timeout = {}; \
             SET client_encoding = 'UTF8'; SET synchronous_commit = on",
            millis * 4
        ))?;
        Ok(postgres)
    }

    /// Runs `work` on the driver's thread and waits for it.
    fn wait<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, tokio_postgres::Error>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(runtime) = &self.runtime.0 else { return Err(StoreError::Away { why: "shutting down".to_owned() }) };
        let (done, wait) = mpsc::channel();
        runtime.spawn(async move {
            let _ = done.send(tokio::time::timeout(limit, work).await);
        });
        match wait.recv() {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(translate(&error)),
            Ok(Err(_)) => Err(StoreError::Away { why: format!("no answer within {limit:?}") }),
            Err(_) => Err(StoreError::Away { why: "shutting down".to_owned() }),
        }
    }
}

/// The thread that drives the connections. A runtime dropped in an async context would panic; this one never waits.
struct Driver(Option<Runtime>);

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A connection to a PostgreSQL server.
pub(crate) struct Postgres {
    client: Arc<Client>,
    server: Arc<Server>,
}

impl Postgres {
    /// Whether it is still connected.
    pub(crate) fn is_sound(&self) -> bool {
        !self.client.is_closed()
    }

    pub(crate) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        let (client, sql) = (Arc::clone(&self.client), sql.to_owned());
        self.server.wait(self.server.statement_timeout + GRACE, async move { client.batch_execute(&sql).await })
    }

    pub(crate) fn run(&self, sql: &str, values: &[Value]) -> Result<Outcome, StoreError> {
        let (client, sql, values) = (Arc::clone(&self.client), sql.to_owned(), values.to_vec());
        let (rows, changed) = self.server.wait(self.server.statement_timeout + GRACE, async move {
            let values = values.iter().map(|value| (value, value.postgres_type()));
            let stream = client.query_typed_raw(&sql, values).await?;
            pin_mut!(stream);
            let mut rows = Vec::new();
            while let Some(row) = stream.try_next().await? {
                rows.push(row);
            }
            Ok((rows, stream.rows_affected().unwrap_or(0)))
        })?;
        Ok(Outcome { rows: rows.iter().map(row).collect::<Result<_, _>>()?, changed })
    }
}

impl Value {
    /// An unknown type lets the server find a missing value's own.
    const fn postgres_type(&self) -> Type {
        match self {
            Self::Null => Type::UNKNOWN,
            Self::Int(_) => Type::INT8,
            Self::Text(_) => Type::TEXT,
            Self::Blob(_) => Type::BYTEA,
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => value.to_sql(ty, out),
            Self::Text(value) => value.to_sql(ty, out),
            Self::Blob(value) => value.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn row(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let values = row.columns().iter().enumerate().map(|(index, column)| {
        Ok(match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(index)?.into(),
            Type::INT4 => row.try_get::<_, Option<i32>>(index)?.map(i64::from).into(),
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(index)?.into(),
            _ => row.try_get::<_, Option<String>>(index)?.into(),
        })
    });
    Ok(Row::new(values.collect::<Result<_, tokio_postgres::Error>>().map_err(|error| translate(&error))?))
}

/// Takes `sslmode` out of `url`: the client knows fewer modes than libpq.
fn split_sslmode(url: &str) -> Result<(Zeroizing<String>, Option<String>), StoreError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(StoreError::BadUrl { why: "it has to begin with postgres://" });
    }
    let Some((base, query)) = url.split_once('?') else { return Ok((Zeroizing::new(url.to_owned()), None)) };
    let mut mode = None;
    let mut kept = Vec::new();
    for part in query.split('&') {
        match part.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            _ => kept.push(part),
        }
    }
    let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    Ok((Zeroizing::new(url), mode))
}

/// Whether every host is this machine: a socket file, or a loopback address.
fn stays_here(config: &Config) -> bool {
    let hosts = config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
    });
    hosts && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

fn translate(error: &tokio_postgres::Error) -> StoreError {
    // The server's own message alone: its details may quote a row.
    let Some(said) = error.as_db_error() else { return StoreError::Away { why: chain(error) } };
    let code = said.code();
    let why = said.message().to_owned();
    if *code == SqlState::DISK_FULL || *code == SqlState::INSUFFICIENT_RESOURCES {
        return StoreError::Full;
    }
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        return StoreError::ReadOnly;
    }
    if *code == SqlState::QUERY_CANCELED || *code == SqlState::LOCK_NOT_AVAILABLE {
        return StoreError::Busy;
    }
    // 08 connection, 28 authorisation, 3D no such database, 53 resources, 57 the operator, 58 the system.
    match code.code().get(..2) {
        Some("08" | "28" | "3D" | "53" | "57" | "58") => StoreError::Away { why },
        _ => StoreError::Database { why },
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
