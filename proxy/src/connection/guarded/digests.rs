//! What Pingora asks a stream about itself: addresses, TLS, and our own facts.
//!
//! In: the facts of the connection. Out: Pingora's digests, built once a connection and shared by its requests.

use std::{os::fd::AsRawFd, sync::Arc};

use async_trait::async_trait;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType, l4::socket::SocketAddr, raw_connect::ProxyDigest, tls::SslDigest,
};
use pingora_http::ResponseHeader;
use tokio::io::AsyncWriteExt;

use super::GuardedIo;
use crate::connection::{facts::ConnFacts, socket::Socket};

type Digests = (Arc<ProxyDigest>, Arc<SocketDigest>, Option<Arc<SslDigest>>);

/// Builds the digests of a new connection.
pub(super) fn build(socket: &Socket, facts: &Arc<ConnFacts>) -> Digests {
    let socket_digest = SocketDigest::from_raw_fd(socket.tcp().as_raw_fd());
    // Known already; otherwise the first to ask pays a system call. It is new, so nobody can have set it.
    let _ = socket_digest.peer_addr.set(Some(SocketAddr::Inet(facts.peer())));
    let ssl_digest = facts.tls().map(|tls| Arc::new(SslDigest::new(tls.cipher, tls.version, None, None, Vec::new())));
    // The response of a CONNECT proxy, which there is none of: the digest is a vehicle for the facts.
    let response = Box::new(ResponseHeader::from(http::Response::new(()).into_parts().0));
    let digest = ProxyDigest::new(response, Some(Box::new(Arc::clone(facts))));
    (Arc::new(digest), Arc::new(socket_digest), ssl_digest)
}

impl GetProxyDigest for GuardedIo {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.digest))
    }
}

impl GetSocketDigest for GuardedIo {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.socket_digest))
    }
}

impl GetTimingDigest for GuardedIo {
    /// Nobody asks when a client's connection was made, and a list would be an allocation a request.
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl Ssl for GuardedIo {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.ssl_digest.clone()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.facts.is_http2().then_some(ALPN::H2)
    }
}

impl UniqueID for GuardedIo {
    fn id(&self) -> UniqueIDType {
        self.socket.as_ref().map_or(-1, |socket| socket.tcp().as_raw_fd())
    }
}

/// Looking for the HTTP/2 preface is done before Pingora gets the stream; its own look has no time-out.
impl Peek for GuardedIo {}

#[async_trait]
impl Shutdown for GuardedIo {
    async fn shutdown(&mut self) {
        // A client that has gone can't be told goodbye; there is nothing to do about it.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}
