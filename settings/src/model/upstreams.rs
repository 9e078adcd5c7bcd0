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
    /// The well-known API that it is, with its parameters; absent: none.
    pub preset: Option<presets::Configured>,
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
    /// Requests in flight from this gateway.
    pub concurrency: Concurrency,
    /// Seats that only attested traffic may take. Default a sixteenth of [`Concurrency::at_start`], at least 1; always less
    /// than [`Concurrency::least`], so 0 where that is 1.
    pub reserve: u32,
    /// Where requests wait for a seat.
    pub queue: Queue,
    /// Answers that have given their seat back and are still being sent, at once. Default `4 * concurrency`.
    pub streams: u32,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Roots for its certificate; absent: the public ones.
    pub ca_file: Option<PathBuf>,
    /// The same as keys are bound to it: public roots, or the hash of `ca_file`.
    pub trust: Trust,
    /// Whether HTTP/2 is spoken where the upstream offers it. Default false.
    pub http2: bool,
}

/// `concurrency:` seats. Never 0, never unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// This many, always. Default 256.
    Fixed(u32),
    /// As many as the upstream stands, found out from how fast it answers.
    Adaptive(AdaptiveLimit),
}

/// `adaptive:` the bounds of a limit that moves: `1 <= min <= start <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveLimit {
    /// Never fewer seats. Default 4.
    pub min: u32,
    /// Never more. Default 1000.
    pub max: u32,
    /// As many before anything is known. Default 32.
    pub start: u32,
}

impl Concurrency {
    /// Seats before anything is known about the upstream.
    #[must_use]
    pub const fn at_start(self) -> u32 {
        match self {
            Self::Fixed(seats) => seats,
            Self::Adaptive(limit) => limit.start,
        }
    }

    /// There are never fewer.
    #[must_use]
    pub const fn least(self) -> u32 {
        match self {
            Self::Fixed(seats) => seats,
            Self::Adaptive(limit) => limit.min,
        }
    }

    /// There are never more.
    #[must_use]
    pub const fn most(self) -> u32 {
        match self {
            Self::Fixed(seats) => seats,
            Self::Adaptive(limit) => limit.max,
        }
    }
}

impl Default for Concurrency {
    fn default() -> Self {
        Self::Fixed(256)
    }
}

impl Default for AdaptiveLimit {
    fn default() -> Self {
        Self { min: 4, max: 1000, start: 32 }
    }
}

/// `queue:` first come, first served, for requests that have proven something; a short one, last come, first served, for
/// the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The longest that a request of class `critical` or `attested` waits for a seat. Default 1 s.
    pub deadline: Duration,
    /// Such requests waiting at once. Default `4 * concurrency`.
    pub length: u32,
    /// The longest that a request of the other classes waits. Default 100 ms; never more than `deadline`.
    pub spare_wait: Duration,
    /// Such requests waiting at once. Default `concurrency`; never more than `length`.
    pub spare_length: u32,
}

impl Queue {
    /// The defaults beside `concurrency`, by its size at the start.
    #[must_use]
    pub fn beside(concurrency: Concurrency) -> Self {
        let seats = concurrency.at_start();
        Self {
            deadline: Duration::from_secs(1),
            length: seats.saturating_mul(4),
            spare_wait: Duration::from_millis(100),
            spare_length: seats,
        }
    }
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
