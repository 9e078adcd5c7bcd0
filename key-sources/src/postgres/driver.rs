//! The one connection of a shared key store. In: statements, from any thread. Out: their rows; proven between: no caller
//! waits longer than the time-outs and a second, also when the server stands still.

use std::fmt;
use std::str::FromStr as _;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use settings::PostgresSettings;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Mutex;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls, Row};

use super::{Value, tls};
use crate::SourceError;

/// How much longer than the server the client waits for it to keep its own time.
const GRACE: Duration = Duration::from_secs(1);

/// A connection that is made when it is needed, and made again when it is lost.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    config: Config,
    tls: Option<tls::Connector>,
    connect_timeout: Duration,
    statement_timeout: Duration,
    client: Mutex<Option<Client>>,
}

/// Why there are no rows.
#[derive(Debug)]
pub(crate) enum AskError {
    Server(tokio_postgres::Error),
    TimedOut(Duration),
    ShuttingDown,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(error) => error.fmt(f),
            Self::TimedOut(limit) => write!(f, "no answer within {limit:?}"),
            Self::ShuttingDown => f.write_str("shutting down"),
        }
    }
}

impl Driver {
    pub(super) fn new(settings: &PostgresSettings) -> Result<Self, SourceError> {
        let wrong = |why: String| SourceError::Database { why };
        // Its own message would repeat a part of the URL, and a password is in it.
        let mut config =
            Config::from_str(settings.url.expose()).map_err(|_| wrong("its URL can't be read".to_owned()))?;
        config.ssl_mode(if settings.url.tls() { SslMode::Require } else { SslMode::Disable });
        config.connect_timeout(settings.connect_timeout);
        config.application_name("assay-keys");
        let tls = settings.url.tls().then(|| tls::connector(settings.ca_file.as_deref())).transpose().map_err(wrong)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("assay-key-store")
            .enable_all()
            .build()
            .map_err(|why| wrong(why.to_string()))?;
        let shared = Shared {
            config,
            tls,
            connect_timeout: settings.connect_timeout + GRACE,
            statement_timeout: settings.statement_timeout,
            client: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared), runtime: Some(runtime) })
    }

    /// Runs one statement.
    pub(crate) async fn ask(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, AskError> {
        let shared = Arc::clone(&self.shared);
        let asked = self.handle()?.spawn(async move { shared.ask(statement, values).await });
        asked.await.map_err(|_| AskError::ShuttingDown)?
    }

    /// The same for a caller that is not async. It may still be inside a runtime: nothing of that one is waited on.
    pub(crate) fn ask_and_wait(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, AskError> {
        let shared = Arc::clone(&self.shared);
        let (done, wait) = mpsc::channel();
        self.handle()?.spawn(async move {
            let _ = done.send(shared.ask(statement, values).await);
        });
        wait.recv().map_err(|_| AskError::ShuttingDown)?
    }

    /// The runtime that drives the connection.
    pub(crate) fn handle(&self) -> Result<Handle, AskError> {
        self.runtime.as_ref().map(|runtime| runtime.handle().clone()).ok_or(AskError::ShuttingDown)
    }
}

impl Shared {
    async fn ask(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, AskError> {
        let mut slot = self.client.lock().await;
        let client = match slot.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => within(self.connect_timeout, self.connect()).await?,
        };
        let typed: Vec<_> = values.iter().map(Value::typed).collect();
        let rows = within(self.statement_timeout + GRACE, client.query_typed(statement, &typed)).await;
        // A connection that did not answer in time is in an unknown state: it is let go.
        if !matches!(rows, Err(AskError::TimedOut(_))) {
            *slot = Some(client);
        }
        rows
    }

    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let client = match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                tokio::spawn(connection);
                client
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(connection);
                client
            }
        };
        let millis = self.statement_timeout.as_millis();
        client
            .batch_execute(&format!(
                "SET statement_timeout = {millis}; SET client_encoding = 'UTF8'; SET synchronous_commit = on; \
                 SET default_transaction_isolation = 'read committed'; SET client_min_messages = warning"
            ))
            .await?;
        Ok(client)
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, AskError> {
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(AskError::Server(error)),
        Err(_) => Err(AskError::TimedOut(limit)),
    }
}

/// A runtime dropped in an async context would panic; this one never waits.
impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
