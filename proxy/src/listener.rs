//! The way in: sockets that we bound, the accept loop, TLS, and the way out when told to stop.
//!
//! In: a [`BoundListener`] and how to serve it. Out: connections, each in a task of its own on one of a limited number of
//! seats; at the end, how many had to be cut. Proven between: the port was ours before anything else started; no more
//! than the limit of connections is open, all listeners together; after the order to stop, nothing new begins.
//!
//! The loop is our own because the stock one names no port in use, knows no limit, no head deadline and no quick end,
//! and holds a hundred kilobytes for a connection at rest.

mod bind;
mod clients;
mod tls;

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use pingora_core::{
    apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream},
    protocols::http::{
        ServerSession,
        v2::server::{H2Options, default_h2_options},
    },
};
use pingora_proxy::{HttpProxy, ProxyHttp};
use rustix::io::Errno;
use settings::ConnectionLimits;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::connection::{ConnectionStats, OpenStream, facts_in, serve, socket::Seat};

pub use self::{
    bind::{BindError, BoundListener, Holder, bind},
    tls::{Certificates, TlsError},
};
pub(crate) use clients::ClientIdentity;

/// The order to stop: false until it is given. A dropped sender counts as the order.
pub type Shutdown = watch::Receiver<bool>;

/// How long to pause when descriptors or memory ran out: the connection waits in the backlog, the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The most streams that one HTTP/2 connection may have open.
const H2_STREAMS: u32 = 100;
/// What one HTTP/2 stream may have waiting to be sent, in bytes.
const H2_SEND_BUFFER: usize = 64 * 1024;
/// What one HTTP/2 stream may send before we have read it, in bytes; the connection gets four times as much.
const H2_WINDOW: u32 = 256 * 1024;
/// How long the unread rest of a small request body is waited for, so that its connection can stay.
const DRAIN_BODY_TIME: Duration = Duration::from_secs(1);

/// What all listeners of one gateway share: the proxy behind them, the limits, the seats, the counts.
pub struct Edge<SV> {
    proxy: Arc<HttpProxy<SV>>,
    limits: ConnectionLimits,
    stats: Arc<ConnectionStats>,
    seats: Arc<Semaphore>,
    http2: H2Options,
    options: HttpServerOptions,
}

/// How one listener serves.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// The listener's name in facts, logs and metrics.
    pub name: Arc<str>,
    /// TLS; `None` is plaintext.
    pub tls: Option<Arc<Certificates>>,
    /// Whether HTTP/2 with prior knowledge is taken on plaintext.
    pub h2c: bool,
}

/// How a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because the drain limit was reached.
    pub cut: usize,
}

impl<SV> Edge<SV>
where
    SV: ProxyHttp + Send + Sync + 'static,
    SV::CTX: Send + Sync,
{
    /// An edge before `proxy`, which must have its modules initialised (`pingora_proxy::http_proxy` does that).
    #[must_use]
    pub fn new(proxy: HttpProxy<SV>, limits: ConnectionLimits) -> Arc<Self> {
        let mut http2 = default_h2_options();
        http2
            .max_concurrent_streams(H2_STREAMS)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .max_send_buffer_size(H2_SEND_BUFFER)
            .initial_window_size(H2_WINDOW)
            .initial_connection_window_size(4 * H2_WINDOW);
        let mut options = HttpServerOptions::default();
        // Whether a connection is HTTP/2 is settled before Pingora gets it; this makes it take our word.
        options.h2c = true;
        options.h2_idle_timeout = Some(limits.idle_timeout);
        Arc::new(Self {
            proxy: Arc::new(proxy),
            limits,
            stats: Arc::default(),
            seats: Arc::new(Semaphore::new(limits.connections as usize)),
            http2,
            options,
        })
    }

    /// The counts, from the start of the process on.
    #[must_use]
    pub fn stats(&self) -> &Arc<ConnectionStats> {
        &self.stats
    }

    /// The proxy behind the listeners.
    #[must_use]
    pub fn proxy(&self) -> &Arc<HttpProxy<SV>> {
        &self.proxy
    }

    pub(crate) fn limits(&self) -> &ConnectionLimits {
        &self.limits
    }

    /// Sets the time limits of one request.
    pub(crate) fn prepare(&self, session: &mut ServerSession) {
        session.set_read_timeout(Some(self.limits.body_timeout));
        session.set_write_timeout(Some(self.limits.write_timeout));
        session.set_total_drain_timeout(Some(DRAIN_BODY_TIME));
    }

    /// A seat, or none if all are taken.
    fn seat(&self) -> Option<Seat> {
        let permit = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        Some(Seat::new(permit, Arc::clone(&self.stats), self.limits.connections as usize / 8))
    }
}

/// Requests of HTTP/2 come this way, one call a stream; HTTP/1 goes straight to the proxy.
#[async_trait]
impl<SV> HttpServerApp for Edge<SV>
where
    SV: ProxyHttp + Send + Sync + 'static,
    SV::CTX: Send + Sync,
{
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &Shutdown,
    ) -> Option<ReusedHttpStream> {
        let facts = session.digest().and_then(facts_in).map(Arc::clone)?;
        let _open = OpenStream::new(facts);
        self.prepare(&mut session);
        self.proxy.process_new_http(session, shutdown).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.http2.clone())
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

/// Serves `listener` until `stop` says so, then lets open requests finish for at most the drain limit.
///
/// At the order the socket is closed, resting connections and half-read heads are dropped at once, HTTP/2 clients are
/// told to go away. Dropping the future cuts everything at once: that is the second signal.
///
/// # Errors
/// If the runtime can't take the socket.
pub async fn serve<SV>(
    edge: Arc<Edge<SV>>,
    listener: BoundListener,
    entrance: Entrance,
    mut stop: Shutdown,
) -> io::Result<Drained>
where
    SV: ProxyHttp + Send + Sync + 'static,
    SV::CTX: Send + Sync,
{
    let listener = TcpListener::from_std(listener.into_std())?;
    let entrance = Arc::new(entrance);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopping(&mut stop) => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if ended.is_err_and(|error| error.is_panic()) {
                    edge.stats.panicked.add();
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    let Some(seat) = edge.seat() else {
                        // Closed by being dropped: with no seat there is no time for words either.
                        edge.stats.refused.add();
                        continue;
                    };
                    if tcp.set_nodelay(true).is_ok() {
                        connections.spawn(serve::connection(
                            Arc::clone(&edge), Arc::clone(&entrance), tcp, peer, seat, stop.clone(),
                        ));
                    }
                }
                Err(error) if is_exhaustion(&error) => {
                    edge.stats.accept_paused.add();
                    tracing::warn!(listener = &*entrance.name, %error, "no connection can be accepted; pausing");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                // The client was gone before we looked: the next one, please.
                Err(_) => {}
            },
        }
    }
    drop(listener);
    // Ends the reading of heads, on all connections of this proxy.
    edge.proxy.http_cleanup().await;
    let all_ended = async { while connections.join_next().await.is_some() {} };
    // The time-out itself says nothing that the count does not.
    let _ = tokio::time::timeout(edge.limits.drain, all_ended).await;
    let cut = connections.len();
    connections.shutdown().await;
    Ok(Drained { cut })
}

/// Ends when the order to stop is given.
pub(crate) async fn stopping(stop: &mut Shutdown) {
    // An error means that nobody is left to give the order; a gateway without a master stops.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Whether accepting failed for want of descriptors or memory, so that the next try would fail as well.
fn is_exhaustion(error: &io::Error) -> bool {
    let Some(code) = error.raw_os_error() else { return false };
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&Errno::from_raw_os_error(code))
}
