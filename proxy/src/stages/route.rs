//! Stage 6: which address an attempt goes to, and with which client certificate.
//!
//! In comes the place that stage 2 found; out goes a peer whose address was checked. Runs once per
//! attempt: the next attempt gets the next address. A key that is a client certificate is opened here, since it is shown
//! while the connection is made; such a connection is used by requests with this version of this key and no others.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use attest_core::target::Scheme;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorType, Result};
use recipes::Needs;

use super::inject;
use crate::context::{Context, Extracted, Place, Progress};
use crate::refusal::Stop;
use crate::runtime::Runtime;

/// The whole stage.
pub(crate) fn peer(ctx: &mut Context, runtime: &Runtime) -> Result<Box<HttpPeer>> {
    let upstream = match ctx.request.as_ref().map(|request| &request.place) {
        Some(Place::Route(route)) => &route.upstream,
        Some(Place::Internal(internal)) => &internal.upstream,
        None => return Err(Error::new_in(ErrorType::InternalError)),
    };
    let attempt = ctx.attempts;
    ctx.attempts += 1;
    ctx.times.dialled = Some(Instant::now());
    let Some(mut peer) = upstream.peer(attempt) else {
        ctx.stop = Some(Stop::UpstreamUnreachable);
        return Err(Error::new_up(ErrorType::ConnectNoRoute));
    };
    if let Err(stop) = show_certificate(&mut peer, ctx, runtime) {
        let status = stop.status().as_u16();
        ctx.stop = Some(stop);
        return Err(Error::new(ErrorType::HTTPStatus(status)).into_in());
    }
    Ok(peer)
}

/// Where the route's key is a client certificate, the peer gets it.
fn show_certificate(peer: &mut HttpPeer, ctx: &Context, runtime: &Runtime) -> std::result::Result<(), Stop> {
    let (Some(request @ Extracted { place: Place::Route(route), .. }), Progress::Admitted(admitted)) =
        (&ctx.request, &ctx.progress)
    else {
        return Ok(());
    };
    let Some(key) = &route.key else { return Ok(()) };
    let in_use = key.in_use();
    if in_use.handle.recipe().needs() != Needs::ClientCertificate {
        return Ok(());
    }
    if route.upstream.settings.scheme != Scheme::Https {
        // There is no handshake to show it in.
        return Err(Stop::KeyUnavailable("key_certificate"));
    }
    let sent = inject::outgoing(route, request.target.method(), request.upstream_target.path());
    let now = runtime.clock.now();
    let open = inject::open(admitted, &in_use, &sent, ctx.next_version, now)
        .map_err(|why| inject::stop_of(route, &why, now))?;
    let certificate = in_use.certificate(&open).ok_or(Stop::KeyUnavailable("key_certificate"))?;
    peer.client_cert_key = Some(certificate);
    // Pingora tells certificates apart by their serial numbers alone.
    let mut group = DefaultHasher::new();
    (peer.group_key, open.id()).hash(&mut group);
    peer.group_key = group.finish();
    Ok(())
}
