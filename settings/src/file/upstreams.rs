//! `upstreams:` as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    names::FilePath,
    network::{Network, Origin},
    text::text_type,
    units::{Span, shown},
};
use crate::shape::{Fault, Field};

/// One API behind the gateway.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Upstream")]
pub(crate) struct RawUpstream {
    /// Scheme, host and port. https; plain http on loopback only.
    pub(crate) url: Field<Origin>,
    /// Private networks that may be dialled. Others, and metadata addresses, are refused. Default: none.
    #[serde(default)]
    pub(crate) private_addresses: Field<Vec<Field<Network>>>,
    /// Allows http to loopback. Whatever else runs on this machine may read what is sent, keys included. Default: false.
    #[serde(default)]
    pub(crate) danger_plaintext_loopback: Field<bool>,
    /// Requests in flight, from this gateway alone: 1 to 100000. Default: 256.
    #[serde(default)]
    pub(crate) concurrency: Field<Concurrency>,
    /// Of these, seats that only attested requests may take: 1 up to concurrency - 1. Default: a sixteenth, at least 1.
    #[serde(default)]
    #[schemars(range(min = 1, max = 99_999))]
    pub(crate) reserve: Field<u64>,
    /// Where attested requests wait for a seat.
    #[serde(default)]
    pub(crate) queue: Field<RawQueue>,
    /// Deadlines.
    #[serde(default)]
    pub(crate) timeouts: Field<RawTimeouts>,
    /// Roots of its certificate, as PEM. Default: the public ones.
    #[serde(default)]
    pub(crate) ca_file: Field<FilePath>,
    /// Speaks HTTP/2 where the upstream offers it. Default: false.
    #[serde(default)]
    pub(crate) http2: Field<bool>,
}

/// Where attested requests wait for a seat, first come, first served.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Queue")]
pub(crate) struct RawQueue {
    /// The longest wait: 10ms to 1m. Default: 1s.
    #[serde(default)]
    pub(crate) deadline: Field<Span>,
    /// Requests waiting at once: 1 to 1000000. Default: 4 times concurrency.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) length: Field<u64>,
}

/// Deadlines of an exchange.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Timeouts")]
pub(crate) struct RawTimeouts {
    /// TCP and TLS together: 10ms to 1m. Default: 2s.
    #[serde(default)]
    pub(crate) connect: Field<Span>,
    /// The upstream's longest silence: until the head of its response, and between two pieces of it. 10ms to 1h.
    /// Default: 60s.
    #[serde(default)]
    pub(crate) read: Field<Span>,
    /// A pooled connection at rest: 1s to 1h. Default: 60s.
    #[serde(default)]
    pub(crate) idle: Field<Span>,
}

text_type!(
    /// Requests in flight.
    Concurrency(u32), "a number of requests",
    { "type": "integer", "minimum": 1, "maximum": 100_000 },
    concurrency
);

fn concurrency(text: &str) -> Result<u32, Fault> {
    if text == "adaptive" {
        return Err(
            Fault::new("an adaptive limit is planned and not part of this version").hint("write a number, as 256")
        );
    }
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    match text.parse() {
        Ok(seats @ 1..=100_000) if plain => Ok(seats),
        _ => Err(Fault::new(format!("`{}` is not a number of requests from 1 to 100000", shown(text)))
            .hint("how many requests may be in flight at once; there is no \"unlimited\"")),
    }
}
