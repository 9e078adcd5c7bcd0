//! Stage 2: from a head to one canonical target, its route and the token's text.
//!
//! In comes what the client sent; out goes an [`Extracted`], or a 400 or 404. Proven between: the head
//! has one reading only; the path that policy will judge is the path that the upstream will see; the
//! address is the peer's own, or was named by a proxy that the configuration trusts.

use std::net::IpAddr;

use attest_core::target::{Scheme, Target, TargetError, TargetOptions};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use ipnet::IpNet;
use pingora_error::{Error, ErrorType, Result as PingoraResult};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use crate::connection::{self, HeadFinding};
use crate::context::{Context, Extracted, Place};
use crate::generation::Generation;
use crate::internal;
use crate::refusal::Stop;
use crate::route::{Outgoing, names};
use crate::runtime::Runtime;

mod body;
mod token;

pub(crate) use body::{REPLAY_BYTES, body_in, whole_body};
pub(crate) use token::Presented;
use token::presented;

/// Ends the head phase and sets the session's timers: Pingora's own defaults are none.
pub(crate) fn settle_session(session: &mut Session, runtime: &Runtime) {
    if let Some(facts) = connection::facts(session) {
        facts.leave_head();
    }
    let generation = runtime.generation.load();
    let limits = &generation.limits;
    // Only if it is still on: Pingora turned it off for HTTP/1.0 and doubtful framing, and means it.
    if session.get_keepalive().is_some() {
        let idle = (!runtime.is_draining()).then(|| limits.idle_timeout.as_secs().max(1));
        session.set_keepalive(idle);
    }
    session.set_read_timeout(Some(limits.body_timeout));
    session.set_write_timeout(Some(limits.write_timeout));
}

/// The whole stage.
pub(crate) fn extract(session: &mut Session, runtime: &Runtime) -> Result<Extracted, Stop> {
    if let Err(stop) = refuse_findings(session) {
        // What follows on this connection may be the rest of a smuggled request.
        session.set_keepalive(None);
        return Err(stop);
    }
    let generation = runtime.generation.load();
    let (peer, tls) =
        connection::facts(session).map_or((None, false), |facts| (Some(facts.peer().ip()), facts.tls().is_some()));
    let peer = peer.ok_or(Stop::Internal)?;
    let head = session.req_header();
    check_head(head)?;
    let address = client_address(peer, &head.headers, &generation.trusted_proxies);
    let tls = tls || (is_trusted(peer, &generation.trusted_proxies) && forwarded_over_tls(&head.headers));
    let scheme = if tls { Scheme::Https } else { Scheme::Http };
    let target = canonical(head, scheme)?;
    place(head, target, address, &generation)
}

fn place(head: &RequestHeader, target: Target, address: IpAddr, generation: &Generation) -> Result<Extracted, Stop> {
    if let Some(internal) = &generation.internal
        && internal.serves(target.host(), target.path())
    {
        return Ok(Extracted {
            upstream_target: target.path_and_query().clone(),
            place: Place::Internal(internal.clone()),
            presented: Presented::Nothing,
            address,
            operation: None,
            not_offered: None,
            most_body: Some(internal::MOST_BODY),
            target,
        });
    }
    let route = generation.table.find(target.host(), target.path()).ok_or(Stop::NoRoute)?;
    let (outgoing, not_offered) = match route.outgoing(target.method(), target.path_and_query()) {
        Ok(outgoing) => (outgoing, None),
        Err(stop) => (Outgoing { target: target.path_and_query().clone(), operation: None }, Some(stop)),
    };
    let presented = presented(route, &head.headers, target.query());
    let operation = outgoing.operation.and_then(|index| route.settings.operations.get(index));
    Ok(Extracted {
        most_body: operation.and_then(|operation| operation.body().limit()),
        upstream_target: outgoing.target,
        operation: outgoing.operation,
        not_offered,
        place: Place::Route(route.clone()),
        presented,
        address,
        target,
    })
}

fn refuse_findings(session: &Session) -> Result<(), Stop> {
    let Some(facts) = connection::facts(session) else { return Ok(()) };
    let findings = facts.take_head_findings();
    if !findings.is_invalid() {
        return Ok(());
    }
    let finding = findings.iter().find(|finding| *finding != HeadFinding::Http10);
    Err(Stop::BadRequest(finding.map_or("head", HeadFinding::as_str)))
}

/// What no scanner of raw bytes is needed for; HTTP/2 heads pass here alone.
fn check_head(head: &RequestHeader) -> Result<(), Stop> {
    if head.version < Version::HTTP_11 {
        // Its client can't be sent chunked bodies, and may not know what `Host` it wants.
        return Err(Stop::BadRequest("http_1_0"));
    }
    if !METHODS.contains(&head.method) {
        return Err(Stop::BadRequest("method"));
    }
    // HTTP/1 heads were counted while they came.
    if head.headers.len() > MOST_FIELDS {
        return Err(Stop::BadRequest("too_many_fields"));
    }
    check_nominations(&head.headers)
}

const MOST_FIELDS: usize = connection::MAX_FIELD_LINES as usize;

const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::HEAD, Method::DELETE, Method::PATCH, Method::OPTIONS];

/// Pingora refuses these too, but after a seat and a connection were taken.
fn check_nominations(headers: &HeaderMap) -> Result<(), Stop> {
    let mut nominated = 0;
    for value in headers.get_all(CONNECTION) {
        for name in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if name.is_empty() {
                continue;
            }
            nominated += 1;
            let allowed = HeaderName::from_bytes(name).is_ok_and(|name| !PROTECTED.contains(&name.as_str()));
            if !allowed || nominated > MOST_NOMINATIONS {
                return Err(Stop::BadRequest("connection_header"));
            }
        }
    }
    Ok(())
}

/// Headers that a client may not have taken out on the way by naming them in `Connection`.
const PROTECTED: [&str; 4] = ["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
const MOST_NOMINATIONS: usize = 9;

fn canonical(head: &RequestHeader, scheme: Scheme) -> Result<Target, Stop> {
    let authority = match head.uri.authority() {
        // HTTP/2, and absolute-form; Pingora has compared it with `Host`.
        Some(authority) => authority.as_str(),
        None => head.headers.get(HOST).and_then(|host| host.to_str().ok()).ok_or(Stop::BadRequest("host"))?,
    };
    let path_and_query = head.uri.path_and_query().ok_or(Stop::BadRequest("target"))?;
    Target::parse(&head.method, scheme, authority, path_and_query, TargetOptions::default())
        .map_err(|why| Stop::BadRequest(target_word(why)))
}

/// The word in the log for each way a target can be ambiguous.
fn target_word(why: TargetError) -> &'static str {
    match why {
        TargetError::BadAuthority => "authority",
        TargetError::NotAPath => "target_form",
        TargetError::DotSegment => "dot_segment",
        TargetError::EncodedSlash => "encoded_slash",
        TargetError::Backslash => "backslash",
        TargetError::EmptySegment => "empty_segment",
        TargetError::Semicolon => "semicolon",
        TargetError::ControlByte => "control_in_target",
        TargetError::ForbiddenCharacter => "target_character",
        TargetError::BrokenEscape => "broken_escape",
        TargetError::DoubleEscape => "double_escape",
        _ => "target",
    }
}

/// The peer, or the rightmost address of `X-Forwarded-For` that is not a trusted proxy's. What a client
/// wrote itself stands further left and is never reached.
fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted(client, trusted) {
        return client;
    }
    let lines: Vec<&HeaderValue> = headers.get_all(names::X_FORWARDED_FOR).iter().collect();
    let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops.take(MOST_HOPS) {
        let named = std::str::from_utf8(hop.trim_ascii()).ok().and_then(|text| text.parse::<IpAddr>().ok());
        match named {
            Some(address) => client = address.to_canonical(),
            // Not an address: nobody vouches for what is left of it.
            None => break,
        }
        if !is_trusted(client, trusted) {
            break;
        }
    }
    client
}

const MOST_HOPS: usize = 32;

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address.to_canonical()))
}

/// Whether the connection is one of a proxy that the configuration trusts.
pub(crate) fn is_from_trusted_proxy(session: &Session, runtime: &Runtime) -> bool {
    let peer = connection::facts(session).map(|facts| facts.peer().ip());
    peer.is_some_and(|peer| is_trusted(peer, &runtime.generation.load().trusted_proxies))
}

/// Whether a trusted proxy says that its own client came over TLS. What a client wrote itself stands further left.
fn forwarded_over_tls(headers: &HeaderMap) -> bool {
    let last = headers.get_all(names::X_FORWARDED_PROTO).iter().next_back();
    let last = last.and_then(|line| line.as_bytes().rsplit(|byte| *byte == b',').next());
    last.is_some_and(|proto| proto.trim_ascii().eq_ignore_ascii_case(b"https"))
}

/// Refuses what the route does not offer, and a body whose head says that it is too long or of another type, before anything
/// of it is read.
pub(crate) fn check_offer(session: &mut Session, request: &Extracted) -> Result<(), Stop> {
    if let Some(stop) = &request.not_offered {
        return Err(stop.clone());
    }
    if let Some(operation) = request.operation() {
        let has_body = !session.is_body_empty();
        operation
            .body()
            .check_head(&session.req_header().headers, has_body)
            .map_err(|why| Stop::NotAllowed(Box::new(why)))?;
    }
    let Some(most) = request.most_body else { return Ok(()) };
    match content_length(session) {
        Some(length) if length > most => Err(Stop::BodyTooLarge),
        _ => Ok(()),
    }
}

/// `Content-Length`, where there is one.
pub(crate) fn content_length(session: &Session) -> Option<u64> {
    session.req_header().headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Counts a piece of a body that did not say how long it is; over the bound, the exchange is broken off
/// and the upstream never sees a whole request.
pub(crate) fn count_body(piece: Option<&Bytes>, ctx: &mut Context) -> PingoraResult<()> {
    let Some(piece) = piece else { return Ok(()) };
    ctx.body_in = ctx.body_in.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    if let Some(charge) = &mut ctx.charge {
        charge.sent(ctx.body_in);
    }
    let most = ctx.request.as_ref().and_then(|request| request.most_body);
    if most.is_some_and(|most| ctx.body_in > most) {
        ctx.stop = Some(Stop::BodyTooLarge);
        return Err(Error::new(ErrorType::HTTPStatus(413)).into_down());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
