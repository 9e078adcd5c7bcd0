//! In: the settings of a server. Out: a connection to it, greeted; over TLS where the address says so, and then with a
//! verified certificate and name: there is no way to ask for less.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisResult,
    aio::MultiplexedConnection,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use settings::{ServerUrl, SharedSettings};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::TlsConnector;

use crate::state::ConnectError;

/// How a server is reached.
pub(crate) struct Route {
    url: ServerUrl,
    greeting: RedisConnectionInfo,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
}

impl Route {
    pub(crate) fn of(settings: &SharedSettings) -> Result<Self, ConnectError> {
        let url = settings.url.clone();
        // redis-rs refuses `rediss://` without a TLS of its own; what it reads here are user, password and number.
        let plain = match url.expose().strip_prefix("rediss://") {
            Some(rest) => format!("redis://{rest}"),
            None => url.expose().to_owned(),
        };
        let greeting =
            plain.as_str().into_connection_info().map_err(|_| ConnectError::Address)?.redis_settings().clone();
        let tls = if url.tls() {
            let name = ServerName::try_from(url.host().to_owned()).map_err(|_| ConnectError::Address)?;
            Some((connector(settings.ca_file.as_deref())?, name))
        } else {
            None
        };
        Ok(Self { url, greeting, tls, timeout: settings.timeout })
    }

    /// Connects and greets. The caller bounds the time. What moves the bytes ends with the connection.
    pub(crate) async fn open(&self) -> RedisResult<(MultiplexedConnection, JoinHandle<()>)> {
        let tcp = TcpStream::connect((self.url.host(), self.url.port())).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => self.greet(tcp).await,
            Some((connector, name)) => self.greet(connector.connect(name.clone(), tcp).await?).await,
        }
    }

    async fn greet<S>(&self, stream: S) -> RedisResult<(MultiplexedConnection, JoinHandle<()>)>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let config =
            AsyncConnectionConfig::new().set_response_timeout(Some(self.timeout)).set_pipeline_buffer_size(PIPELINE);
        let (connection, driver) = MultiplexedConnection::new_with_config(&self.greeting, stream, config).await?;
        Ok((connection, tokio::spawn(driver)))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, ConnectError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        let unusable = |why: String| ConnectError::Roots { path: path.to_owned(), why };
        let text = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let added = certificate
                .map_err(|error| error.to_string())
                .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()));
            added.map_err(unusable)?;
        }
        if roots.is_empty() {
            return Err(unusable("there is no certificate in it".to_owned()));
        }
    } else {
        // Certificates that can't be read are left out; with none at all, no server verifies.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// In words for the log: the kind of a failure and the server's own code, never what was sent.
pub(crate) fn why(error: &RedisError) -> String {
    match (error.kind(), error.code()) {
        (ErrorKind::Io, _) => format!("{error}"),
        (_, Some(code)) => match code {
            "EVICTS" => "it may evict what is live: set maxmemory-policy noeviction".to_owned(),
            "NOTMASTER" => "it is a replica".to_owned(),
            code => format!("it says {code}"),
        },
        (_, None) => error.category().to_owned(),
    }
}

/// Commands on their way to the connection; the room of `state` bounds those that wait.
const PIPELINE: usize = 256;
