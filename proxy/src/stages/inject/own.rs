//! What goes to an API of our own, and to nobody else: where the request came from, what we know of its sender, its trace.

use std::borrow::Cow;

use attest_core::target::{Scheme, Target};
use attest_core::token::claims::Claims;
use http::HeaderValue;
use http::header::HOST;
use pingora_http::RequestHeader;

use super::put;
use crate::context::Extracted;
use crate::route::{Route, names};
use crate::stages::admit::Admitted;
use crate::telemetry::traces::Trace;

/// To an API of our own: where the request came from, under the name that the client used, unless the
/// certificate on the other side is for another.
pub(super) fn to_own_upstream(route: &Route, request: &Extracted, upstream: &mut RequestHeader) {
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
pub(super) fn put_trace(trace: Option<&Trace>, upstream: &mut RequestHeader) {
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
pub(super) fn put_identity(admitted: &Admitted, caller: Option<&str>, upstream: &mut RequestHeader) {
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
