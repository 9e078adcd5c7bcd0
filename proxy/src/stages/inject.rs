//! Stage 7: the upstream's own copy of the head, with the key in it.
//!
//! In comes a copy of the client's head, made by Pingora for this attempt; out goes what is sent. The
//! client's own head never holds the key. Hop-by-hop headers and whatever `Connection` names are gone
//! before this runs, so nobody can have the key taken out again.
//!
//! Proven between: the target is the one that policy judged; what clients may not send is out; the key's
//! own bounds allow this very request. [`Admitted`] is demanded, so no key is opened before admission.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use attest_core::target::{Scheme, Target};
use attest_core::token::claims::Claims;
use http::header::{ACCEPT_ENCODING, EXPECT, HOST};
use http::uri::Uri;
use http::{HeaderName, HeaderValue};
use keystore::{Guard, OutgoingRequest};
use pingora_error::{Error, ErrorType};
use pingora_http::RequestHeader;

use super::admit::Admitted;
use super::verify::Identity;
use crate::context::{Context, Extracted, Place, Progress};
use crate::internal::Internal;
use crate::keys::{Injected, LiveKey};
use crate::refusal::Stop;
use crate::route::{Route, names};
use crate::runtime::Runtime;
use crate::telemetry::traces::Trace;

/// The whole stage, once per attempt.
pub(crate) fn prepare(upstream: &mut RequestHeader, ctx: &mut Context, runtime: &Runtime) -> pingora_error::Result<()> {
    // A retry plays the body again from its beginning.
    ctx.body_in = 0;
    ctx.scrubber = None;
    ctx.times.handed_over = Some(std::time::Instant::now());
    ctx.times.body_sent = None;
    if let Err(stop) = dress(upstream, ctx, runtime) {
        let status = stop.status().as_u16();
        ctx.stop = Some(stop);
        return Err(Error::new(ErrorType::HTTPStatus(status)).into_in());
    }
    if let Some(caller) = ctx.identity.as_mut().and_then(|identity| identity.caller.as_mut()) {
        caller.handed_over();
    }
    if let Some(charge) = &mut ctx.charge {
        if charge.reads_usage() {
            // A compressed answer does not tell what it used.
            put(upstream, ACCEPT_ENCODING, IDENTITY);
        }
        charge.handed_over();
    }
    Ok(())
}

fn dress(upstream: &mut RequestHeader, ctx: &mut Context, runtime: &Runtime) -> Result<(), Stop> {
    let request = ctx.request.as_ref().ok_or(Stop::Internal)?;
    set_target(upstream, request)?;
    match (&request.place, &ctx.progress) {
        (Place::Internal(internal), Progress::Internal { .. }) => {
            upstream.remove_header(&EXPECT);
            to_service(internal, request.address, upstream);
        }
        (Place::Route(route), Progress::Admitted(admitted)) => {
            strip(route, upstream);
            let identity = ctx.identity.as_deref();
            if let Some(shown) = identity.and_then(|identity| identity.caller.as_ref()?.credential()) {
                // It has done its part; to the upstream it says nothing that the caller's name does not.
                upstream.remove_header(shown);
            }
            if admitted.has_whole_body() || identity.is_some_and(|identity| identity.read_body) {
                // We said "continue" ourselves, and have the body.
                upstream.remove_header(&EXPECT);
            }
            match &route.key {
                None => {
                    to_own_upstream(route, request, upstream);
                    if runtime.traces.is_some() {
                        put_trace(ctx.trace.as_ref(), upstream);
                    }
                }
                Some(key) => {
                    let (guard, injected) = inject(admitted, key, route, upstream)?;
                    injected.count_use(runtime.clock.now(), &runtime.metrics);
                    ctx.scrubber = route.settings.guard_body.then(|| guard.stream());
                    ctx.guard = Some(guard);
                    ctx.injected = Some(injected);
                }
            }
            if route.settings.identity_headers {
                put_identity(admitted, ctx.identity.as_deref().and_then(Identity::caller_name), upstream);
            }
        }
        _ => return Err(Stop::Internal),
    }
    Ok(())
}

/// Origin-form, whatever the client wrote: the canonical target after `rewrite`, and nothing else.
fn set_target(upstream: &mut RequestHeader, request: &Extracted) -> Result<(), Stop> {
    let uri = Uri::from(request.upstream_target.clone());
    upstream.set_uri(uri);
    upstream.set_method(request.target.method().clone());
    Ok(())
}

/// One pass over the names; what goes is removed before anything is added, which leaves room for it.
fn strip(route: &Route, upstream: &mut RequestHeader) {
    let mut gone: Vec<HeaderName> = Vec::new();
    let key = route.key.as_ref().map(|key| key.in_use());
    for name in upstream.headers.keys() {
        let slot = || key.as_ref().is_some_and(|key| key.handle.is_credential_slot(name.as_str()));
        if route.stripped.contains(name.as_str()) || slot() {
            gone.push(name.clone());
        }
    }
    for name in gone {
        upstream.remove_header(&name);
    }
}

/// To somebody else's API, with our key: its own name, our credential, nothing about the client.
fn inject(
    admitted: &Admitted,
    key: &LiveKey,
    route: &Route,
    upstream: &mut RequestHeader,
) -> Result<(Arc<Guard>, Injected), Stop> {
    put(upstream, HOST, route.upstream.host.clone());
    let right = admitted.permit().unseal().ok_or(Stop::KeyUnavailable)?;
    let to = &route.upstream;
    let sent = OutgoingRequest {
        scheme: to.settings.scheme,
        host: &to.settings.host,
        port: to.settings.port,
        method: &upstream.method,
        path: upstream.uri.path(),
        trust: to.settings.trust,
    };
    let in_use = key.in_use();
    let injection = in_use.handle.render(right, &sent).map_err(|why| {
        tracing::warn!(route = %route.name, "{why}");
        Stop::KeyUnavailable
    })?;
    put(upstream, injection.name, injection.value);
    if route.settings.guard_body {
        // A compressed answer can't be searched.
        put(upstream, ACCEPT_ENCODING, IDENTITY);
    }
    let uses = in_use.uses_of(in_use.handle.version()).ok_or(Stop::Internal)?;
    Ok((injection.guard, Injected { key: key.name.clone(), version: uses.clone() }))
}

/// To an API of our own: where the request came from, under the name that the client used, unless the
/// certificate on the other side is for another.
fn to_own_upstream(route: &Route, request: &Extracted, upstream: &mut RequestHeader) {
    let to = &route.upstream.settings;
    if to.scheme == Scheme::Https && to.host != request.target.host() {
        put(upstream, HOST, route.upstream.host.clone());
    } else {
        name_as_judged(&request.target, upstream);
    }
    if let Ok(address) = HeaderValue::try_from(request.address.to_string()) {
        put(upstream, names::X_FORWARDED_FOR, address);
    }
    let proto = HeaderValue::from_static(request.target.scheme().as_str());
    put(upstream, names::X_FORWARDED_PROTO, proto);
}

/// `Host` as policy read it: a final dot or the scheme's own port would be another name to some servers.
fn name_as_judged(target: &Target, upstream: &mut RequestHeader) {
    let name: Cow<'_, str> = match target.port() {
        None => target.host().into(),
        Some(port) => format!("{}:{port}", target.host()).into(),
    };
    let same = upstream.headers.get(HOST).is_some_and(|sent| sent.as_bytes() == name.as_bytes());
    if !same && let Ok(name) = HeaderValue::from_str(&name) {
        put(upstream, HOST, name);
    }
}

/// Where traces are on, the parent that an upstream sees is ours or none: a wrong one of the client's would
/// begin a trace of its own there, and its word on what is recorded would be taken.
fn put_trace(trace: Option<&Trace>, upstream: &mut RequestHeader) {
    match trace.and_then(Trace::header) {
        Some(header) => put(upstream, names::TRACEPARENT, header),
        None => drop(upstream.remove_header(&names::TRACEPARENT)),
    }
    if !trace.is_some_and(Trace::is_continued) {
        // The state of another trace, or of none.
        upstream.remove_header(&names::TRACESTATE);
    }
}

/// What we know of the sender. Clients' own headers of these names were taken out before.
fn put_identity(admitted: &Admitted, caller: Option<&str>, upstream: &mut RequestHeader) {
    let verified = admitted.permit().verified();
    put(upstream, names::X_ASSAY_VERDICT, HeaderValue::from_static(verified.verdict().as_str()));
    if verified.is_dev() {
        put(upstream, names::X_ASSAY_DEV, HeaderValue::from_static("true"));
    }
    let claims = verified.claims();
    for (name, text) in [
        (names::X_ASSAY_CALLER, caller),
        (names::X_ASSAY_DEVICE, verified.device()),
        (names::X_ASSAY_APP, claims.and_then(Claims::app)),
        (names::X_ASSAY_VERSION, claims.and_then(Claims::ver)),
    ] {
        // A claim that is no header value is left out; no claim of ours is one.
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(text).ok()) {
            put(upstream, name, value);
        }
    }
}

/// To the service of this process: who forwards, and for whom.
fn to_service(internal: &Internal, address: IpAddr, upstream: &mut RequestHeader) {
    put(upstream, names::ASSAY_INTERNAL, internal.secret.clone());
    if let Ok(address) = HeaderValue::try_from(address.to_string()) {
        put(upstream, names::ASSAY_CLIENT_ADDRESS, address);
    }
}

fn put(head: &mut RequestHeader, name: HeaderName, value: HeaderValue) {
    // Fails for invalid names or values alone; these are neither.
    let _ = head.insert_header(name, value);
}

const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
