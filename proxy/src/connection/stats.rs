//! What the connection layer counts.
//!
//! In: events that never reach a request's log line, because there was no request. Out: plain numbers for telemetry.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only telemetry reads; it orders nothing.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts of all listeners that share one [`crate::listener::Edge`], since the start. All but `open` only grow.
#[derive(Debug, Default)]
pub struct ConnectionStats {
    /// Connections open now, those that are only being closed included.
    pub open: Counter,
    /// Connections accepted, the refused ones not included.
    pub accepted: Counter,
    /// Connections closed at once because the limit was reached.
    pub refused: Counter,
    /// Times the accept loop paused because descriptors or memory ran out.
    pub accept_paused: Counter,
    /// Heads that did not come whole in time (answered 408).
    pub head_timeout: Counter,
    /// Heads over the limit (answered 431).
    pub head_too_large: Counter,
    /// Heads that no parser should take: with a finding, or refused by Pingora's parser (answered 400).
    pub malformed: Counter,
    /// TLS handshakes that failed or took too long.
    pub tls_failed: Counter,
    /// Connection tasks that panicked; each is a bug.
    pub panicked: Counter,
}
