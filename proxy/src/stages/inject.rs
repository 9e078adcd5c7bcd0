//! Stage 7: the upstream's own copy of the head, with the key in it.
//!
//! In comes a copy of the client's head, made by Pingora for this attempt; out goes what is sent. The
//! client's own head never holds the key, nor does its target: what logs and errors tell is that of the client. Hop-by-hop
//! headers and whatever `Connection` names are gone before this runs, so nobody can have the key taken out again.
//!
//! Proven between: the target is the one that policy judged; what clients may not send is out; the key's
//! own bounds allow this very request. [`Admitted`] is demanded, so no key is opened before admission. The key comes last,
//! over everything else that is sent: a signature covers the head as it leaves, and each attempt has its own.

mod own;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use attest_core::time::UnixTime;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, EXPECT, HOST};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderName, HeaderValue, Method};
use keystore::bounds::Bound;
use keystore::{Guard, KeyError, OpenKey, OutgoingRequest};
use operations::Operation;
use pingora_error::{Error, ErrorType};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use recipes::{ApplyError, Changes, Draft, DraftBody, Needs};

use own::{put_identity, put_trace, to_own_upstream};

use super::admit::Admitted;
use super::verify::Identity;
use crate::context::{Context, Extracted, Place, Progress};
use crate::internal::Internal;
use crate::keys::{InUse, Injected, LiveKey, ToMint};
use crate::refusal::Stop;
use crate::route::{Route, names};
use crate::runtime::Runtime;

/// The whole stage, once per attempt.
pub(crate) async fn prepare(
    session: &mut Session,
    upstream: &mut RequestHeader,
    ctx: &mut Context,
    runtime: &Runtime,
) -> pingora_error::Result<()> {
    // A retry plays the body again from its beginning, and carries a credential of its own.
    ctx.body_in = 0;
    (ctx.body_out, ctx.injected, ctx.token) = (None, None, None);
    ctx.scrubber = None;
    ctx.times.body_sent = None;
    let dressed = match dress(session, upstream, ctx, runtime) {
        Ok(Some(to_mint)) => carry_minted(to_mint, upstream, ctx, runtime).await,
        Ok(None) => Ok(()),
        Err(stop) => Err(stop),
    };
    if let Err(stop) = dressed {
        let status = stop.status().as_u16();
        ctx.stop = Some(stop);
        return Err(Error::new(ErrorType::HTTPStatus(status)).into_in());
    }
    ctx.times.handed_over = Some(Instant::now());
    if let Some(caller) = ctx.identity.as_mut().and_then(|identity| identity.caller.as_mut()) {
        caller.handed_over();
    }
    if let Some(charge) = &mut ctx.charge {
        charge.handed_over();
    }
    Ok(())
}

/// Everything but a token that has to be minted first.
fn dress(
    session: &mut Session,
    upstream: &mut RequestHeader,
    ctx: &mut Context,
    runtime: &Runtime,
) -> Result<Option<ToMint>, Stop> {
    let request = ctx.request.as_ref().ok_or(Stop::Internal)?;
    set_target(upstream, request)?;
    match (&request.place, &ctx.progress) {
        (Place::Internal(internal), Progress::Internal { .. }) => {
            upstream.remove_header(&EXPECT);
            to_service(internal, request.address, upstream);
        }
        (Place::Route(route), Progress::Admitted(admitted)) => {
            strip(route, request.operation(), upstream);
            let identity = ctx.identity.as_deref();
            if let Some(shown) = identity.and_then(|identity| identity.caller.as_ref()?.credential()) {
                // It has done its part; to the upstream it says nothing that the caller's name does not.
                upstream.remove_header(shown);
            }
            if admitted.has_whole_body() || identity.is_some_and(|identity| identity.read_body) {
                // We said "continue" ourselves, and have the body.
                upstream.remove_header(&EXPECT);
            }
            if ctx.charge.as_ref().is_some_and(|charge| charge.reads_usage()) {
                // A compressed answer does not tell what it used.
                put(upstream, ACCEPT_ENCODING, IDENTITY);
            }
            if route.settings.identity_headers {
                put_identity(admitted, identity.and_then(Identity::caller_name), upstream);
            }
            match &route.key {
                None => {
                    to_own_upstream(route, request, upstream);
                    if runtime.traces.is_some() {
                        put_trace(ctx.trace.as_ref(), upstream);
                    }
                }
                Some(key) => {
                    let body = match &ctx.body {
                        Some(body) if body.is_empty() => DraftBody::Empty,
                        Some(body) => DraftBody::Whole(body),
                        None if session.is_body_empty() => DraftBody::Empty,
                        None => DraftBody::Unread,
                    };
                    let wanted = Wanted { route, key, body, next: ctx.next_version, now: runtime.clock.now() };
                    let carried = inject(admitted, &wanted, upstream)?;
                    carried.injected.count_use(wanted.now, &runtime.metrics);
                    ctx.scrubber = route.settings.guard_body.then(|| carried.guard.stream());
                    ctx.guard = Some(carried.guard);
                    ctx.injected = Some(carried.injected);
                    ctx.body_out = carried.body;
                    return Ok(carried.to_mint);
                }
            }
        }
        _ => return Err(Stop::Internal),
    }
    Ok(None)
}

/// Origin-form, whatever the client wrote: the canonical target after `rewrite`, and nothing else.
fn set_target(upstream: &mut RequestHeader, request: &Extracted) -> Result<(), Stop> {
    let uri = Uri::from(request.upstream_target.clone());
    upstream.set_uri(uri);
    upstream.set_method(request.target.method().clone());
    Ok(())
}

/// One pass over the names; what goes is removed before anything is added, which leaves room for it.
fn strip(route: &Route, operation: Option<&Operation>, upstream: &mut RequestHeader) {
    let mut gone: Vec<HeaderName> = Vec::new();
    let key = route.key.as_ref().map(|key| key.in_use());
    for name in upstream.headers.keys() {
        // What chooses an account, and proves nobody, passes where the operator named it.
        let chosen = || operation.is_some_and(|one| one.headers().lets_choose_account(name));
        let slot = || key.as_ref().is_some_and(|key| key.handle.is_credential_slot(name.as_str())) && !chosen();
        let unlisted = || operation.is_some_and(|one| !one.headers().lets(name)) && !route.forwards_token_in(name);
        if route.stripped.contains(name.as_str()) || slot() || unlisted() {
            gone.push(name.clone());
        }
    }
    for name in gone {
        upstream.remove_header(&name);
    }
}

/// The key that a route wants in one attempt.
struct Wanted<'a> {
    route: &'a Route,
    key: &'a LiveKey,
    body: DraftBody<'a>,
    /// The version that comes after the next rotation, since the API refused the current one.
    next: bool,
    now: UnixTime,
}

/// What came of it.
struct Carried {
    guard: Arc<Guard>,
    injected: Injected,
    /// With the key in it.
    body: Option<Bytes>,
    /// It is used through a token.
    to_mint: Option<ToMint>,
}

/// To somebody else's API, with our key: its own name, our credential, nothing about the client.
fn inject(admitted: &Admitted, wanted: &Wanted<'_>, upstream: &mut RequestHeader) -> Result<Carried, Stop> {
    let Wanted { route, key, body, next, now } = *wanted;
    put(upstream, HOST, route.upstream.host.clone());
    if route.settings.guard_body {
        // A compressed answer can't be searched.
        put(upstream, ACCEPT_ENCODING, IDENTITY);
    }
    let in_use = key.in_use();
    strip_query(&in_use, upstream)?;
    let sent = outgoing(route, &upstream.method, upstream.uri.path());
    let open = open(admitted, &in_use, &sent, next, now).map_err(|why| stop_of(route, &why, now))?;
    let uses = in_use.uses_of(open.version()).ok_or(Stop::Internal)?;
    let injected = Injected { key: key.name.clone(), version: uses.clone() };
    if open.recipe().needs() == Needs::Minted {
        let guard = open.guard().clone();
        let to_mint = ToMint { id: open.id(), minter: open.minter(), guard: guard.clone(), key: key.name.clone() };
        return Ok(Carried { guard, injected, body: None, to_mint: Some(to_mint) });
    }
    let draft = Draft {
        method: &upstream.method,
        scheme: sent.scheme,
        host: route.upstream.host.to_str().map_err(|_| Stop::Internal)?,
        path: upstream.uri.path(),
        query: upstream.uri.query(),
        headers: &upstream.headers,
        body,
        now,
    };
    let changes = open.apply(&draft).map_err(|why| stop_of(route, &NoKey::Refused(why), now))?;
    let guard = open.guard().clone();
    let (guard, body) = match changes {
        Changes::Many { derived, headers, target, body } => {
            // A signature or a rendered credential that is too short to be looked for is none.
            let guard = guard.with(&derived).map_err(|_| Stop::KeyUnavailable("key_guard"))?;
            for (name, value) in headers {
                put(upstream, name, value);
            }
            if let Some(target) = target {
                upstream.set_uri(Uri::from(target));
            }
            (guard, body)
        }
        Changes::Header(name, value) => {
            put(upstream, name, value);
            (guard, None)
        }
        // Shown in the handshake.
        Changes::Nothing => (guard, None),
    };
    Ok(Carried { guard, injected, body, to_mint: None })
}

/// Opens the version of a key that an attempt carries.
pub(super) fn open<'a>(
    admitted: &Admitted,
    in_use: &'a InUse,
    sent: &OutgoingRequest<'a>,
    next: bool,
    now: UnixTime,
) -> Result<OpenKey<'a>, NoKey> {
    let right = admitted.permit().unseal().ok_or(NoKey::NotAllowed)?;
    let seat = admitted.seat().ok_or(NoKey::NotAdmitted)?;
    let handle = &in_use.handle;
    // A rotation may have come between: then the current version is the one that was to be tried.
    let opened = if next && handle.has_next() {
        handle.open_next(right, seat, sent, now)
    } else {
        handle.open(right, seat, sent, now)
    };
    opened.map_err(NoKey::Refused)
}

/// Why an attempt has no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoKey {
    /// No decision gave it.
    #[error("the decision gives no key")]
    NotAllowed,
    /// It has no seat any more.
    #[error("the request has no seat")]
    NotAdmitted,
    /// The key itself says so.
    #[error(transparent)]
    Refused(KeyError),
}

/// The request as the key's bounds know it.
pub(super) fn outgoing<'a>(route: &'a Route, method: &'a Method, path: &'a str) -> OutgoingRequest<'a> {
    let to = &route.upstream.settings;
    OutgoingRequest { scheme: to.scheme, host: &to.host, port: to.port, method, path, trust: to.trust }
}

/// What the client learns: where its own request has no place for the key, that; else that we can't serve it now.
pub(super) fn stop_of(route: &Route, why: &NoKey, now: UnixTime) -> Stop {
    if let NoKey::Refused(KeyError::OutOfBounds(violation)) = why
        && matches!(violation.bound(), Bound::Method | Bound::Path)
    {
        // A route that lets through all that its key allows.
        return Stop::NoOperation;
    }
    if let NoKey::Refused(KeyError::NotApplied { why, .. }) = why {
        match why {
            ApplyError::BodyTooLarge => return Stop::BodyTooLarge,
            ApplyError::NoBody | ApplyError::BodyType | ApplyError::BodyForm => return Stop::BadRequest("key_in_body"),
            ApplyError::PathTooShort | ApplyError::Target => return Stop::BadRequest("key_in_target"),
            ApplyError::SignedHeader | ApplyError::SignedChunks | ApplyError::UnsignedBody => {
                return Stop::BadRequest("signed_parts");
            }
            _ => {}
        }
    }
    if let NoKey::Refused(KeyError::Disabled { key }) = why {
        if route.key.as_ref().is_some_and(|key| key.may_tell_disabled(now)) {
            tracing::warn!(
                target: "assay::keys",
                route = %route.name,
                "key \"{key}\" is disabled: its requests are answered 503 until `assay key enable {key}` or the end of its time"
            );
        }
        return Stop::KeyUnavailable(KEY_DISABLED);
    }
    tracing::warn!(target: "assay::keys", route = %route.name, "{why}");
    Stop::KeyUnavailable("key_refused")
}

/// The log's word for a key that an operator switched off.
pub(super) const KEY_DISABLED: &str = "key_disabled";

/// The client's own value in a parameter of the key's, or of another of the vendor's credentials.
fn strip_query(in_use: &InUse, upstream: &mut RequestHeader) -> Result<(), Stop> {
    let Some(query) = upstream.uri.query().and_then(|query| in_use.handle.recipe().slots().strip_query(query)) else {
        return Ok(());
    };
    let path = upstream.uri.path();
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let target = PathAndQuery::try_from(target).map_err(|_| Stop::Internal)?;
    upstream.set_uri(Uri::from(target));
    Ok(())
}

/// Waits for the token that the key is used through, and adds it.
async fn carry_minted(
    to_mint: ToMint,
    upstream: &mut RequestHeader,
    ctx: &mut Context,
    runtime: &Runtime,
) -> Result<(), Stop> {
    let route = ctx.route().ok_or(Stop::Internal)?.clone();
    let place = route.tokens.as_ref().ok_or(Stop::Internal)?;
    let patience = route.upstream.settings.timeouts.connect;
    // Told once, by whoever asked the endpoint.
    let token = runtime.minted.get(&to_mint, place, &runtime.clock, patience, &runtime.metrics).await;
    let token = token.map_err(|_| Stop::KeyUnavailable("key_token"))?;
    match to_mint.minter.apply(&token.token) {
        Ok(Changes::Header(name, value)) => put(upstream, name, value),
        _ => return Err(Stop::KeyUnavailable("key_token")),
    }
    ctx.scrubber = route.settings.guard_body.then(|| token.guard.stream());
    ctx.guard = Some(token.guard.clone());
    ctx.token = Some((to_mint.id, token));
    Ok(())
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
