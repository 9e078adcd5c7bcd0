//! Facts about a connection, carried into every request on it, HTTP/1 and HTTP/2 alike.
//!
//! In: what the listener learned (who, where, over which TLS) and what the head scanner found. Out: one
//! `Arc<ConnFacts>` that any stage reads through [`super::facts()`] without a system call.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    },
    time::Duration,
};

use callers::certificate::ClientCertificate;

use super::{findings::HeadFindings, stats::ConnectionStats};
use crate::listener::ClientIdentity;

/// What one connection is known by. Shared by its task and the requests on it.
#[derive(Debug)]
pub struct ConnFacts {
    peer: SocketAddr,
    listener: Arc<str>,
    tls: Option<TlsFacts>,
    stats: Arc<ConnectionStats>,
    http2: AtomicBool,
    head: AtomicU8,
    findings: AtomicU32,
    broken_body: AtomicBool,
    streams: AtomicU32,
}

/// What the TLS handshake settled.
#[derive(Debug)]
pub struct TlsFacts {
    /// The server name that the client asked for, in lower case; at most 253 bytes.
    pub server_name: Option<Box<str>>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its IANA name.
    pub cipher: &'static str,
    /// Who the client is by its certificate; boxed, for nearly none has one.
    pub(crate) client: Option<Box<ClientIdentity>>,
}

/// Where the head of the request in hand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum HeadPhase {
    /// HTTP/2, or no request yet.
    None,
    /// Being read, or read and not yet seen by the first stage.
    Open,
    /// Seen by the first stage.
    Left,
    /// Cut by us: too long or too slow. Counted and answered.
    Cut,
    /// The client left before it was whole.
    Gone,
}

impl ConnFacts {
    pub(crate) fn new(
        peer: SocketAddr,
        listener: Arc<str>,
        tls: Option<TlsFacts>,
        stats: Arc<ConnectionStats>,
    ) -> Self {
        Self {
            peer,
            listener,
            tls,
            stats,
            http2: AtomicBool::new(false),
            head: AtomicU8::new(HeadPhase::None as u8),
            findings: AtomicU32::new(0),
            broken_body: AtomicBool::new(false),
            streams: AtomicU32::new(0),
        }
    }

    /// The address at the other end of the socket.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The name of the listener that accepted the connection.
    #[must_use]
    pub fn listener(&self) -> &str {
        &self.listener
    }

    /// What the TLS handshake settled; `None` on a plaintext listener.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// The client's certificate, where it showed one that is good at `now`, seconds since 1970.
    #[must_use]
    pub fn certificate(&self, now: Duration) -> Option<&ClientCertificate> {
        self.tls.as_ref()?.client.as_ref()?.certificate(now)
    }

    /// Whether the connection speaks HTTP/2.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// The counts of the listeners.
    #[must_use]
    pub fn stats(&self) -> &Arc<ConnectionStats> {
        &self.stats
    }

    /// Ends the head phase, and with it the head's deadline. The first stage calls it, once per request.
    ///
    /// A head that is whole for us and not for Pingora's parser never gets here and runs into the deadline.
    pub fn leave_head(&self) {
        // HTTP/2 requests have no head phase and come several at a time.
        if self.head_phase() == HeadPhase::Open {
            self.set_head(HeadPhase::Left);
        }
    }

    /// Takes what the raw head of the request in hand was found to hold; the set is empty after that.
    #[must_use]
    pub fn take_head_findings(&self) -> HeadFindings {
        // Nearly every head is clean: a load is cheaper than a swap.
        match self.findings.load(Ordering::Acquire) {
            0 => HeadFindings::NONE,
            _ => HeadFindings::from_bits(self.findings.swap(0, Ordering::AcqRel)),
        }
    }

    /// Whether the request's chunked body broke its coding: the read error that follows is the client's fault.
    #[must_use]
    pub fn has_broken_body(&self) -> bool {
        self.broken_body.load(Ordering::Acquire)
    }

    /// Begins the head phase of the next HTTP/1 request.
    pub(crate) fn enter_head(&self) {
        self.findings.store(0, Ordering::Release);
        self.set_head(HeadPhase::Open);
    }

    pub(crate) fn head_phase(&self) -> HeadPhase {
        match self.head.load(Ordering::Acquire) {
            1 => HeadPhase::Open,
            2 => HeadPhase::Left,
            3 => HeadPhase::Cut,
            4 => HeadPhase::Gone,
            _ => HeadPhase::None,
        }
    }

    pub(crate) fn set_head(&self, phase: HeadPhase) {
        self.head.store(phase as u8, Ordering::Release);
    }

    pub(crate) fn set_findings(&self, findings: HeadFindings) {
        self.findings.store(findings.bits(), Ordering::Release);
    }

    pub(crate) fn set_broken_body(&self) {
        self.broken_body.store(true, Ordering::Release);
    }

    pub(crate) fn set_http2(&self) {
        self.http2.store(true, Ordering::Relaxed);
    }

    /// HTTP/2 streams being served now.
    pub(crate) fn streams(&self) -> u32 {
        self.streams.load(Ordering::Acquire)
    }
}

/// One HTTP/2 stream being served; counts itself out when dropped.
#[derive(Debug)]
pub(crate) struct OpenStream(Arc<ConnFacts>);

impl OpenStream {
    pub(crate) fn new(facts: Arc<ConnFacts>) -> Self {
        facts.streams.fetch_add(1, Ordering::AcqRel);
        Self(facts)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::AcqRel);
    }
}
