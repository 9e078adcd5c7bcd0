//! Stage 8: what may be tried again, and whose fault a failure was.
//!
//! The exchange itself is Pingora's. In come its errors; out goes a stop of ours, or silence where
//! nobody is left to be told.

use pingora_error::{Error, ErrorSource, ErrorType};
use pingora_proxy::Session;

use crate::connection;
use crate::context::{Context, End};
use crate::refusal::Stop;

/// Attempts at connecting, each at the next address. Nothing was sent, so any method may be tried again.
const MOST_ATTEMPTS: usize = 3;

/// A connection could not be made.
pub(crate) fn failed_to_connect(ctx: &Context, mut error: Box<Error>) -> Box<Error> {
    if ctx.stop.is_none() && ctx.attempts < MOST_ATTEMPTS {
        error.set_retry(true);
    }
    error
}

/// A connection broke while it was used. Again only what may be done twice, with a body that we still
/// have whole, and on a connection from the pool: those may have been closed while they rested.
pub(crate) fn failed(session: &mut Session, mut error: Box<Error>, reused: bool) -> Box<Error> {
    let repeatable = session.req_header().method.is_idempotent() && !session.retry_buffer_truncated();
    if repeatable && session.response_written().is_none() {
        error.retry.decide_reuse(reused);
    } else {
        error.set_retry(false);
    }
    error
}

/// The stop that an error of the exchange amounts to; `None` when the client is gone.
pub(crate) fn stop_of(session: &mut Session, error: &Error) -> Option<Stop> {
    match error.esource() {
        ErrorSource::Downstream => match error.etype() {
            ErrorType::ReadTimedout => Some(Stop::BodyTimeout),
            ErrorType::ReadError | ErrorType::WriteError | ErrorType::WriteTimedout | ErrorType::ConnectionClosed => {
                let broken = connection::facts(session).is_some_and(|facts| facts.has_broken_body());
                broken.then_some(Stop::BadRequest("body"))
            }
            _ => Some(Stop::BadRequest("body")),
        },
        ErrorSource::Upstream => match error.etype() {
            // A client that stalls its upload lets the upstream's timer run out.
            ErrorType::ReadTimedout if !session.is_body_done() => Some(Stop::BodyTimeout),
            ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
            | ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout => Some(Stop::UpstreamTimeout),
            _ => Some(Stop::UpstreamUnreachable),
        },
        ErrorSource::Internal | ErrorSource::Unset => Some(Stop::Internal),
    }
}

/// How a request ended whose answer had begun.
pub(crate) fn end_of(error: &Error) -> End {
    match (error.esource(), error.etype()) {
        (_, ErrorType::ReadTimedout | ErrorType::WriteTimedout) => End::Timeout,
        (ErrorSource::Downstream, _) => End::ClientGone,
        _ => End::UpstreamCut,
    }
}

/// Tells the operator of an error that the access log says too little about: whose, and of which kind. What
/// Pingora says beyond that may quote the wire, once there was something on it.
pub(crate) fn tell(ctx: &Context, error: &Error) {
    if is_ordinary(ctx) {
        return;
    }
    let id = ctx.id.text();
    let (side, kind) = (error.esource().as_str(), error.etype().as_str());
    let why = ctx.times.handed_over.is_none().then(|| error.to_string());
    tracing::error!(request = id.as_str(), side, kind, why = why.as_deref(), "the exchange failed");
}

/// Whether an error needs no line of its own: a refusal, or a client that left.
fn is_ordinary(ctx: &Context) -> bool {
    match &ctx.stop {
        None => ctx.end == End::ClientGone,
        Some(Stop::Internal | Stop::UpstreamUnreachable | Stop::UpstreamTimeout | Stop::KeyUnavailable) => false,
        Some(_) => true,
    }
}
