//! Between stages 8 and 9: an API that refuses the current version of a key gets the next one, once.
//!
//! In comes the head of an answer; out goes whether the attempt is to be made again with the version that the next rotation
//! would make current. Off unless a route says `retry_unauthorized`. Proven of an attempt that is made again: the API refused
//! it before it did anything (401, RFC 9110 section 15.5.2), its body can be played again from its first byte, the next
//! version was not tried yet, and nobody caused this for the same key within a minute: a client whose requests are refused for
//! reasons of their own does not have every one of them sent twice.

use http::StatusCode;
use pingora_error::{Error, ErrorType};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use crate::context::Context;
use crate::runtime::Runtime;

/// The error that ends such an attempt.
const NEXT_KEY: ErrorType = ErrorType::Custom("next_key");

/// Ends an attempt that is to be made again with the next version of its key.
///
/// # Errors
/// It is: [`is_asked_for`] tells this error from others.
pub(crate) fn try_next(
    session: &mut Session,
    head: &ResponseHeader,
    ctx: &mut Context,
    runtime: &Runtime,
) -> pingora_error::Result<()> {
    if head.status != StatusCode::UNAUTHORIZED || ctx.next_version {
        return Ok(());
    }
    let Some(key) = ctx.route().filter(|route| route.settings.retry_unauthorized).and_then(|route| route.key.clone())
    else {
        return Ok(());
    };
    let replayable = session.is_body_done() && !session.retry_buffer_truncated();
    if !replayable || !key.in_use().handle.has_next() || !key.may_try_next(runtime.clock.now()) {
        return Ok(());
    }
    tracing::warn!(
        key = %key.name,
        "the API refuses the current version of this key, so the next one is tried: `assay key rotate {}` if it is the one that counts now",
        key.name
    );
    ctx.next_version = true;
    if let Some(injected) = &ctx.injected {
        injected.count_answer(head.status, runtime.clock.now(), &runtime.metrics);
    }
    Err(Error::new(NEXT_KEY).into_up())
}

/// Whether an error of the exchange asks for another attempt with the next version.
pub(crate) fn is_asked_for(error: &Error) -> bool {
    *error.etype() == NEXT_KEY
}
