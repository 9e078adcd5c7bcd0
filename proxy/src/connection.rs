//! One client connection: what guards its bytes, what is known about it, and how it lives.
//!
//! In: an accepted socket. Out: requests, handed to Pingora one at a time with the connection's facts attached. Proven
//! between, for HTTP/1: each head came whole within its time and size; its raw bytes were looked at by us before a
//! lenient parser; a request whose framing is in doubt gets no body and its connection no second request; and no byte
//! of a later request is read before this one is finished.
//!
//! | module | what it does |
//! | --- | --- |
//! | `serve` | the connection's task: handshake, HTTP/1 or HTTP/2, parking |
//! | `guarded` | the stream that Pingora reads and writes |
//! | `gate`, `head`, `chunked` | where a request begins and ends; pure, no sockets |
//! | `findings` | what is wrong with a raw head |
//! | `facts`, `stats` | what stages and telemetry read |
//! | `client_left` | whether somebody still waits for the answer |
//! | `socket`, `linger` | the socket on its seat, and its polite end |
//!
//! On purpose different from what stock Pingora accepts: see [`HeadFinding`]; chunked bodies are read without the
//! blank space, bare line feeds and shapeless extensions that its reader lets through; a client's pipelined requests
//! are served one by one, each only after the one before is answered.

mod chunked;
mod client_left;
mod facts;
mod findings;
mod gate;
mod guarded;
mod head;
mod linger;
pub(crate) mod serve;
pub(crate) mod socket;
mod stats;

use std::sync::Arc;

use pingora_core::protocols::Digest;
use pingora_proxy::Session;

pub(crate) use facts::OpenStream;

pub use self::{
    client_left::client_left,
    facts::{ConnFacts, TlsFacts},
    findings::{HeadFinding, HeadFindings},
    head::MAX_FIELD_LINES,
    stats::{ConnectionStats, Counter},
};

/// The facts of the connection on which the request in `session` came; `None` only for a stream that no
/// [`crate::listener`] accepted. No system call, no allocation.
#[must_use]
pub fn facts(session: &Session) -> Option<&Arc<ConnFacts>> {
    session.digest().and_then(facts_in)
}

/// The facts inside Pingora's digest.
pub(crate) fn facts_in(digest: &Digest) -> Option<&Arc<ConnFacts>> {
    digest.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
}
