//! The life of one client connection: handshake, protocol, requests one after the other, rest.
//!
//! In: an accepted TCP stream on its seat. Out: nothing; it ends when the connection does. Proven between: Pingora gets
//! a stream only when the first bytes of a request are there, so that a resting connection costs its socket and a small
//! task; and none rests past its time or past the order to stop.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use pingora_core::apps::HttpServerApp;
use pingora_core::{apps::ServerApp, protocols::http::ServerSession};
use pingora_proxy::ProxyHttp;
use rustls::HandshakeKind;
use tokio::{net::TcpStream, sync::watch};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    facts::{ConnFacts, HeadPhase, TlsFacts},
    guarded::GuardedIo,
    socket::{Seat, Socket},
};
use crate::listener::{Certificates, ClientIdentity, Edge, Entrance, stopping};

/// The time a client gets for its TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long an HTTP/2 connection may take to leave after GOAWAY, once it serves no stream.
const GOAWAY_TIME: Duration = Duration::from_millis(500);

/// Serves one connection to its end.
pub(crate) async fn connection<SV>(
    edge: Arc<Edge<SV>>,
    entrance: Arc<Entrance>,
    tcp: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    mut stop: watch::Receiver<bool>,
) where
    SV: ProxyHttp + Send + Sync + 'static,
    SV::CTX: Send + Sync,
{
    let (socket, tls, mut http2) = match &entrance.tls {
        None => (Socket::plain(tcp, seat), None, false),
        Some(certificates) => {
            // Asked for first: authorities that change during the handshake are asked again.
            let edition = certificates.clients().map(|clients| clients.number());
            // Boxed, so that the handshake's size is not in the task for the rest of its life.
            let handshake = Box::pin(TlsAcceptor::from(certificates.config()).accept(tcp));
            let shaken = tokio::select! {
                biased;
                shaken = pingora_timeout::timeout(HANDSHAKE_TIME, handshake) => shaken,
                () = stopping(&mut stop) => return,
            };
            let Ok(Ok(tls)) = shaken else {
                return edge.stats().tls_failed.add();
            };
            let (facts, http2) = settled(&tls, certificates, edition);
            (Socket::tls(Box::new(tls), seat), Some(facts), http2)
        }
    };
    let limits = *edge.limits();
    let facts = Arc::new(ConnFacts::new(peer, Arc::clone(&entrance.name), tls, Arc::clone(edge.stats())));
    let mut io = GuardedIo::new(socket, facts, limits.head_bytes, limits.head_timeout);
    if http2 || entrance.h2c {
        let preface = tokio::select! {
            biased;
            preface = pingora_timeout::timeout(limits.head_timeout, Box::pin(has_preface(&mut io))) => preface,
            () = stopping(&mut stop) => return,
        };
        match preface {
            Ok(Some(found)) if found || !http2 => http2 = found,
            _ => return,
        }
    }
    if http2 { http2_connection(edge, io, stop).await } else { http1_connection(edge, io, &mut stop).await }
}

/// What the handshake settled, and whether HTTP/2 was chosen. `edition`: the authorities that it was held by.
fn settled(tls: &TlsStream<TcpStream>, certificates: &Certificates, edition: Option<u64>) -> (TlsFacts, bool) {
    let (_, session) = tls.get_ref();
    let client = session.peer_certificates().zip(certificates.clients()).and_then(|(chain, authorities)| {
        // A resumed session tells what a ticket says that was verified once.
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        ClientIdentity::new(chain, authorities, edition.filter(|_| !resumed))
    });
    let facts = TlsFacts {
        server_name: session.server_name().map(|name| name.to_ascii_lowercase().into()),
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
        cipher: session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default(),
        client: client.map(Box::new),
    };
    (facts, session.alpn_protocol() == Some(b"h2"))
}

/// Whether the connection begins with the HTTP/2 preface; reads no further than it takes to tell. `None`: it is gone.
async fn has_preface(io: &mut GuardedIo) -> Option<bool> {
    loop {
        let seen = io.waiting();
        let shared = seen.len().min(PREFACE.len());
        if seen.get(..shared) != PREFACE.get(..shared) {
            return Some(false);
        }
        if shared == PREFACE.len() {
            return Some(true);
        }
        if !io.more_bytes().await.unwrap_or(false) {
            // What came stays; a request that short ends in a parser's error.
            return None;
        }
    }
}

async fn http1_connection<SV>(edge: Arc<Edge<SV>>, mut io: Box<GuardedIo>, stop: &mut watch::Receiver<bool>)
where
    SV: ProxyHttp + Send + Sync + 'static,
    SV::CTX: Send + Sync,
{
    let idle = edge.limits().idle_timeout;
    // The first head's clock runs from the accept on.
    let mut rest = edge.limits().head_timeout;
    loop {
        io.rest();
        tokio::select! {
            biased;
            arrived = pingora_timeout::timeout(rest, io.first_bytes()) => {
                if !matches!(arrived, Ok(Ok(true))) {
                    return;
                }
            }
            () = stopping(stop) => return,
        }
        io.begin_head();
        let facts = Arc::clone(io.facts());
        let mut session = ServerSession::new_http1(io);
        edge.prepare(&mut session);
        // Also what a stalled head read gets, if the parser and our scanner should disagree about its end.
        session.set_keepalive(Some(idle.as_secs().max(1)));
        let served = edge.proxy().process_new_http(session, stop).await;
        if facts.head_phase() == HeadPhase::Open && !*stop.borrow() && facts.take_head_findings().is_empty() {
            // It was a head to us and none to Pingora's parser, which answered 400.
            edge.stats().malformed.add();
        }
        let Some((stream, _)) = served.map(|reused| reused.consume()) else { return };
        let Ok(guarded) = stream.into_any().downcast::<GuardedIo>() else { return };
        if !guarded.is_reusable() {
            return;
        }
        io = guarded;
        rest = idle;
    }
}

async fn http2_connection<SV>(edge: Arc<Edge<SV>>, mut io: Box<GuardedIo>, mut stop: watch::Receiver<bool>)
where
    SV: ProxyHttp + Send + Sync + 'static,
    SV::CTX: Send + Sync,
{
    let facts = Arc::clone(io.facts());
    facts.set_http2();
    io.open();
    let told = stop.clone();
    tokio::select! {
        _ = edge.process_new(io, &told) => {}
        () = deserted(&facts, &mut stop) => {}
    }
}

/// After the order to stop: ends once the connection has had its time for GOAWAY and serves no stream.
async fn deserted(facts: &ConnFacts, stop: &mut watch::Receiver<bool>) {
    stopping(stop).await;
    tokio::time::sleep(GOAWAY_TIME).await;
    while facts.streams() > 0 {
        tokio::time::sleep(GOAWAY_TIME / 5).await;
    }
}
