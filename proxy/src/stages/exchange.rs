//! Stage 8: what may be tried again, whose fault a failure was, and what the upstream's pace says of it.
//!
//! The exchange itself is Pingora's. In come its errors; out goes a stop of ours, or silence where
//! nobody is left to be told. Admission learns here how fast the upstream answers and that it refuses; never from what a
//! client did: an upload that stalls, a body that breaks off, an answer that nobody reads.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderValue, StatusCode};
use pingora_error::{Error, ErrorSource, ErrorType};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use super::inject::KEY_DISABLED;
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

/// The end of the request's body passed on its way to the upstream, or there is none: from here on the upstream works.
pub(crate) fn body_passed(end: bool, ctx: &mut Context) {
    if end {
        let now = Instant::now();
        ctx.times.body_sent = Some(now);
        if let Some(held) = ctx.progress.held() {
            held.body_is_in(now);
        }
    }
}

/// Says how long the body is that [`swap_body`] sends, where it is not the client's own.
pub(crate) fn frame_body(upstream: &mut RequestHeader, ctx: &Context) -> pingora_error::Result<()> {
    let Some(body) = sent_body(ctx) else { return Ok(()) };
    upstream.remove_header(&TRANSFER_ENCODING);
    if body.is_empty() {
        // Nothing of it is on the wire, and some methods say nothing of a body they don't have.
        return Ok(());
    }
    upstream.insert_header(CONTENT_LENGTH, HeaderValue::from(body.len()))
}

/// Sends the body that was judged, or what this attempt's credential made of it, in the place of the client's own, which
/// Pingora plays from its buffer once more for every attempt.
pub(crate) fn swap_body(piece: &mut Option<Bytes>, end: bool, ctx: &Context) {
    if let Some(body) = sent_body(ctx) {
        // An empty piece is not sent; the whole goes with the end.
        *piece = Some(if end { body.clone() } else { Bytes::new() });
    }
}

fn sent_body(ctx: &Context) -> Option<&Bytes> {
    ctx.body_out.as_ref().or(ctx.body.as_ref())
}

/// The final head of an answer: how long the upstream took from when it had the whole request, or that it refused it.
pub(crate) fn note_answer(session: &mut Session, head: &ResponseHeader, ctx: &mut Context) {
    let now = Instant::now();
    let begun = ctx.times.handed_over.max(ctx.times.body_sent);
    let whole = session.is_body_done();
    let Some(held) = ctx.progress.held() else { return };
    if matches!(head.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        held.refused(retry_after(head), now);
    } else if whole && let Some(begun) = begun {
        held.answered(now.saturating_duration_since(begun), now);
    }
}

/// What the upstream asks for, where it says it in seconds (RFC 9110, section 10.2.3).
fn retry_after(head: &ResponseHeader) -> Option<Duration> {
    let seconds = head.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds.parse().ok().map(Duration::from_secs)
}

/// The stop that an error of the exchange amounts to; `None` when the client is gone.
pub(crate) fn stop_of(session: &mut Session, error: &Error, ctx: &mut Context) -> Option<Stop> {
    let stop = whose_fault(session, error);
    if matches!(stop, Some(Stop::UpstreamTimeout | Stop::UpstreamUnreachable))
        && let Some(held) = ctx.progress.held()
    {
        held.refused(None, Instant::now());
    }
    stop
}

fn whose_fault(session: &mut Session, error: &Error) -> Option<Stop> {
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
        // An operator's will, told when it was met first.
        Some(Stop::KeyUnavailable(KEY_DISABLED)) => true,
        Some(Stop::Internal | Stop::UpstreamUnreachable | Stop::UpstreamTimeout | Stop::KeyUnavailable(_)) => false,
        Some(_) => true,
    }
}
