//! Stage 6: which address an attempt goes to.
//!
//! In comes the place that stage 2 found; out goes a peer whose address was checked. Runs once per
//! attempt: the next attempt gets the next address.

use std::time::Instant;

use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorType, Result};

use crate::context::{Context, Place};
use crate::refusal::Stop;

/// The whole stage.
pub(crate) fn peer(ctx: &mut Context) -> Result<Box<HttpPeer>> {
    let upstream = match ctx.request.as_ref().map(|request| &request.place) {
        Some(Place::Route(route)) => &route.upstream,
        Some(Place::Internal(internal)) => &internal.upstream,
        None => return Err(Error::new_in(ErrorType::InternalError)),
    };
    let attempt = ctx.attempts;
    ctx.attempts += 1;
    ctx.times.dialled = Some(Instant::now());
    match upstream.peer(attempt) {
        Some(peer) => Ok(peer),
        None => {
            ctx.stop = Some(Stop::UpstreamUnreachable);
            Err(Error::new_up(ErrorType::ConnectNoRoute))
        }
    }
}
