//! `upstreams:` the APIs behind the gateway.

use std::{path::PathBuf, time::Duration};

use attest_core::target::Scheme;
use ipnet::IpNet;
use keystore::Trust;

/// One API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its name in the file; what log and metrics call it.
    pub name: String,
    /// `https`, or `http` on loopback only.
    pub scheme: Scheme,
    /// Host name (lower case, no trailing dot) or address; an IPv6 address in brackets, as in a URL.
    pub host: String,
    /// Port; the scheme's own when the URL names none.
    pub port: u16,
    /// Private networks that may be dialled; other private and all metadata addresses are refused.
    pub private_addresses: Vec<IpNet>,
    /// Typed by the operator to allow `http` to loopback.
    pub danger_plaintext_loopback: bool,
    /// Requests in flight from this gateway. Default 256.
    pub concurrency: u32,
    /// Of `concurrency`, seats that only attested traffic may take. Default `max(1, concurrency / 16)`; always less than
    /// `concurrency`, so 0 where that is 1.
    pub reserve: u32,
    /// Where attested requests wait for a seat.
    pub queue: Queue,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Roots for its certificate; absent: the public ones.
    pub ca_file: Option<PathBuf>,
    /// The same as keys are bound to it: public roots, or the hash of `ca_file`.
    pub trust: Trust,
    /// Whether HTTP/2 is spoken where the upstream offers it. Default false.
    pub http2: bool,
}

/// `queue:` first come, first served, for requests that have proven something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The longest a request waits for a seat. Default 1 s.
    pub deadline: Duration,
    /// Requests waiting at once. Default `4 * concurrency`.
    pub length: u32,
}

/// `timeouts:` of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP and TLS together. Default 2 s.
    pub connect: Duration,
    /// The upstream's longest silence: until the head of its response, and between two pieces of it. Default 60 s.
    pub read: Duration,
    /// A pooled connection at rest. Default 60 s.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(2), read: Duration::from_secs(60), idle: Duration::from_secs(60) }
    }
}
