//! `upstreams:` as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    names::{FilePath, Name},
    network::{Network, Origin},
    operations::ParameterValue,
    text::text_type,
    units::{Span, shown},
};
use crate::shape::{Either, Fault, Field, Table};

/// One API behind the gateway.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Upstream")]
pub(crate) struct RawUpstream {
    /// A well-known API: openai, anthropic, google-maps, google-service-account, stripe, twilio, aws-s3 or github. Brings its
    /// url, and its operations by name. Default: none.
    #[serde(default)]
    pub(crate) preset: Field<Name>,
    /// What the preset has to be told: { bucket: photos, region: eu-central-1 }. Default: nothing.
    #[serde(default)]
    pub(crate) set: Field<Table<ParameterValue>>,
    /// Scheme, host and port. https; plain http on loopback only. Default: the preset's; without one it has to be there.
    #[serde(default)]
    pub(crate) url: Field<Origin>,
    /// Private networks that may be dialled. Others, and metadata addresses, are refused. Default: none.
    #[serde(default)]
    pub(crate) private_addresses: Field<Vec<Field<Network>>>,
    /// Allows http to loopback. Whatever else runs on this machine may read what is sent, keys included. Default: false.
    #[serde(default)]
    pub(crate) danger_plaintext_loopback: Field<bool>,
    /// Requests in flight, from this gateway alone: 1 to 100000; or adaptive, found out from how fast the upstream answers.
    /// Default: 256.
    #[serde(default)]
    pub(crate) concurrency: Field<Either<Seats, RawConcurrency>>,
    /// Of these, seats that only attested requests may take: 1 up to concurrency - 1 (adaptive: min - 1). Default: a
    /// sixteenth of concurrency (adaptive: of start), at least 1.
    #[serde(default)]
    #[schemars(range(min = 1, max = 99_999))]
    pub(crate) reserve: Field<u64>,
    /// Where requests wait for a seat.
    #[serde(default)]
    pub(crate) queue: Field<RawQueue>,
    /// Answers that have begun, and so hold no seat any more, and are still being sent: 1 to 1000000. Default: 4 times
    /// concurrency (adaptive: max).
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) streams: Field<u64>,
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

/// A number of requests in flight that moves with the upstream.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Concurrency")]
pub(crate) struct RawConcurrency {
    /// Its bounds: 1 <= min <= start <= max.
    pub(crate) adaptive: Field<RawAdaptive>,
}

/// The bounds of a number that moves: 1 <= min <= start <= max.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Adaptive")]
pub(crate) struct RawAdaptive {
    /// Never fewer: 1 to 100000. Default: 4.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) min: Field<u64>,
    /// Never more: 1 to 100000. Default: 1000.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max: Field<u64>,
    /// As many before anything is known: min to max. Default: 32.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) start: Field<u64>,
}

/// Where requests wait for a seat: attested ones first come, first served; the others in a short queue, last come, first
/// served.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Queue")]
pub(crate) struct RawQueue {
    /// The longest wait of an attested request: 10ms to 1m. Default: 1s.
    #[serde(default)]
    pub(crate) deadline: Field<Span>,
    /// Attested requests waiting at once: 1 to 1000000. Default: 4 times concurrency (adaptive: start).
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) length: Field<u64>,
    /// The longest wait of another request: 1ms up to deadline. Default: 100ms, or deadline where that is less.
    #[serde(default)]
    pub(crate) spare_wait: Field<Span>,
    /// Other requests waiting at once: 1 up to length. Default: concurrency (adaptive: start), or length where that is less.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) spare_length: Field<u64>,
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

/// How many requests may be in flight, in one word or number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Fixed(u32),
    Adaptive,
}

text_type!(
    /// Requests in flight.
    Seats(Limit), "a number of requests, or `adaptive`",
    { "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 100_000 }, { "const": "adaptive" }] },
    seats
);

fn seats(text: &str) -> Result<Limit, Fault> {
    if text == "adaptive" {
        return Ok(Limit::Adaptive);
    }
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    match text.parse() {
        Ok(seats @ 1..=100_000) if plain => Ok(Limit::Fixed(seats)),
        _ => {
            let fault = Fault::new(format!("`{}` is not a number of requests from 1 to 100000", shown(text)));
            Err(match text.to_ascii_lowercase().as_str() {
                "auto" | "automatic" | "dynamic" | "gradient" | "adaptive" => fault.hint("write adaptive"),
                _ => fault.hint("how many requests may be in flight at once, or adaptive; there is no \"unlimited\""),
            })
        }
    }
}
