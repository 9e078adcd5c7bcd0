//! In: an address. Out: HTTP/1.1 requests with the peer's address (`ConnectInfo`), one task a connection. What is proven: a port that
//! can't be had is named at start; a client that sends its head or its TLS handshake slowly, or nothing at all, is cut
//! off; the number of connections is bounded, all clients together and each by itself; a shutdown lets answers in work leave and then ends.
//!
//! HTTP/1.1 alone: two requests every five minutes gain nothing from streams, and one parser is less to attack. The
//! gateway in front speaks HTTP/2 with clients.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

mod shares;

use self::shares::Shares;

/// Open connections, all clients together.
const MAX_CONNECTIONS: usize = 8192;
/// Those of one client (IPv6: its /64).
const MAX_OF_CLIENT: usize = MAX_CONNECTIONS / 8;
/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time for a request head; a kept-alive connection may rest as long.
const HEAD: Duration = Duration::from_secs(30);
/// Bytes of a request head, and headers in it.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;
/// How long answers in work may take to leave at a shutdown.
const DRAIN: Duration = Duration::from_secs(5);
/// How long one connection is used. Nothing here takes long; whoever asks and never reads has had his time.
const LIFE: Duration = Duration::from_secs(300);
/// Rest after a failed accept: out of descriptors, the next one fails too.
const AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(50);

/// Why the service can't listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address is in use, or not ours, or not allowed.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the certificate or the private key.
    #[error("cannot use {} for TLS: {why}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, nothing of what it holds.
        why: String,
    },
}

/// Binds `address`.
///
/// # Errors
/// `Bind` names the address.
pub(crate) async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    let named = |source| ListenError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(named)?;
    let bound = listener.local_addr().map_err(named)?;
    Ok((listener, bound))
}

/// The TLS half of the listener, from PEM files.
///
/// # Errors
/// `Tls` names the file.
pub(crate) fn tls(files: &settings::TlsFiles) -> Result<TlsAcceptor, ListenError> {
    let at = |path: &PathBuf, why: String| ListenError::Tls { path: path.clone(), why };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| at(&files.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(at(&files.certificate, "it holds no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| at(&files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| at(&files.certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| at(&files.key, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves `router` until `stop` changes or its sender is gone; returns when the last connection has ended.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let shares = Shares::of(MAX_OF_CLIENT);
    let mut connections = JoinSet::new();
    loop {
        // A full house leaves new connections in the kernel's queue: they wait, they are not refused.
        let seat = tokio::select! {
            seat = Arc::clone(&seats).acquire_owned() => seat,
            _ = stop.changed() => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(target: "assay::listen", %error, "a connection could not be accepted");
                    tokio::time::sleep(AFTER_ACCEPT_ERROR).await;
                    continue;
                }
            },
            _ = stop.changed() => break,
        };
        while connections.try_join_next().is_some() {}
        // Who holds his share is hung up on: waiting, he would hold a seat of the others'.
        let Some(place) = shares.take(peer.ip()) else { continue };
        let (tls, router, stop) = (tls.clone(), router.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, peer, tls, router, stop).await;
            drop((place, seat));
        });
    }
    drop(listener);
    let drained = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: watch::Receiver<bool>,
) {
    // Without it small answers may wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    match tls {
        None => exchange(stream, peer, router, stop).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
                exchange(stream, peer, router, stop).await;
            }
        }
    }
}

/// The requests of one connection. What goes wrong in it is the client's affair and ends only this connection.
async fn exchange<S>(stream: S, peer: SocketAddr, router: Router, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        answer(router.clone(), request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.changed() => connection.as_mut().graceful_shutdown(),
        () = sleep(LIFE) => connection.as_mut().graceful_shutdown(),
    }
    // It ends after the answer in work, if that is taken.
    let _ = timeout(DRAIN, connection).await;
}

fn answer(
    mut router: Router,
    request: Request<Incoming>,
) -> impl Future<Output = Result<http::Response<Body>, Infallible>> + Send {
    // A Router is always ready, and its error type is Infallible.
    router.call(request.map(Body::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_the_port_that_is_in_use() {
        let (_held, bound) = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let refused = bind(bound).await.unwrap_err().to_string();
        assert!(refused.contains(&bound.to_string()) && refused.contains("in use"), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_and_never_reads_does_not_keep_its_seat() {
        use tokio::io::AsyncWriteExt as _;

        let (mut client, server) = tokio::io::duplex(1024);
        let router = Router::new().fallback(|| async { "an answer that nobody takes" });
        let (_stop, stopped) = watch::channel(false);
        let peer = "192.0.2.1:1".parse().unwrap();
        let served = tokio::spawn(exchange(server, peer, router, stopped));
        let asking = tokio::spawn(async move {
            while client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.is_ok() {}
            std::future::pending::<()>().await;
        });
        assert!(timeout(LIFE + DRAIN * 2, served).await.is_ok(), "still served");
        asking.abort();
    }

    #[test]
    fn names_the_file_that_is_no_certificate() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let files = settings::TlsFiles { certificate: file.path().to_owned(), key: "/nonexistent.pem".into() };
        let Err(refused) = tls(&files) else { panic!("an empty file is no certificate") };
        assert!(refused.to_string().contains(file.path().to_str().unwrap()), "{refused}");
    }
}
