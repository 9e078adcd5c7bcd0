//! Stage 9: what the client gets, from the upstream or from us.
//!
//! In comes the upstream's head and body, or a stop; out goes an answer. Proven between: on a route with
//! a key no form of it that we know is in what leaves, and nothing is passed on that could not be
//! searched for it; a refusal is written only where no answer had begun.

use std::time::{Duration, Instant};

use attest_core::target::canonical_pattern;
use bytes::Bytes;
use http::header::{
    ALT_SVC, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, EXPECT, LOCATION, SERVER, SET_COOKIE,
    TRANSFER_ENCODING, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use keystore::Guard;
use pingora_error::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::{FailToProxy, Session};

use super::{admit, exchange, extract};
use crate::context::{Context, Place};
use crate::limits::put_remaining;
use crate::refusal::Stop;
use crate::route::Route;
use crate::runtime::Runtime;

/// The upstream's head, before anything of it was sent.
pub(crate) fn head(
    session: &mut Session,
    head: &mut ResponseHeader,
    ctx: &mut Context,
    runtime: &Runtime,
) -> Result<()> {
    if let Err(why) = refuse_head(session, head, ctx) {
        ctx.stop = Some(Stop::UpstreamRefused(why));
        return Err(Error::new(ErrorType::HTTPStatus(502)).into_up());
    }
    let upgraded = head.status == StatusCode::SWITCHING_PROTOCOLS;
    if head.status.is_informational() && !upgraded {
        scrub_head(head, ctx);
        return Ok(());
    }
    if let Some(caller) = ctx.identity.as_mut().and_then(|identity| identity.caller.as_mut()) {
        caller.answered(head.status.is_success());
    }
    note_first_byte(ctx, runtime);
    if let Some(injected) = &ctx.injected {
        injected.count_answer(head.status, runtime.clock.now(), &runtime.metrics);
    }
    if let (StatusCode::UNAUTHORIZED, Some((version, token))) = (head.status, &ctx.token) {
        // It may have been taken back before its time.
        runtime.minted.reject(version, token, runtime.clock.now());
    }
    if let Some(charge) = &mut ctx.charge {
        charge.answered(head.status, &head.headers);
    }
    exchange::note_answer(session, head, ctx);
    // The body of a request for an upgrade never ends; that of another goes on after its answer began.
    let both_ways = !session.is_body_done() && !session.is_upgrade_req();
    if (upgraded || is_stream(head) || both_ways)
        && let Some(held) = ctx.progress.held()
        // What comes now may last for hours; it doesn't keep others out, and there is not room for any number of it.
        && let Err(shed) = held.stream(Instant::now())
    {
        ctx.stop = Some(admit::overloaded(shed, ctx, runtime));
        return Err(Error::new(ErrorType::HTTPStatus(503)).into_up());
    }
    let Some(Place::Route(route)) = ctx.request.as_ref().map(|request| &request.place) else {
        return Ok(());
    };
    // A session with somebody else's API belongs to the key, not to the client.
    hide_the_house(head, route.key.is_some());
    if !head.headers.contains_key(CACHE_CONTROL) {
        // An answer to one attested app must not be served to the next client by a cache between.
        put(head, CACHE_CONTROL, HeaderValue::from_static("private"));
    }
    if route.key.is_some() {
        keep_location_inside(head, route);
    }
    if route.upstream.settings.http2 && speaks_grpc(&session.req_header().headers) && speaks_grpc(&head.headers) {
        // Messages may be compressed one by one, which nothing in the head says: `assay check` tells that bodies of gRPC
        // are not searched. The head and the trailers are.
        ctx.scrubber = None;
    }
    if route.settings.rate_limit_headers {
        put_remaining(head, &ctx.remaining);
    }
    scrub_head(head, ctx);
    if runtime.is_draining() {
        // Said in the last answer, so that the client opens its next connection elsewhere.
        session.set_keepalive(None);
    }
    Ok(())
}

/// What can't be passed on at all.
fn refuse_head(session: &Session, head: &ResponseHeader, ctx: &Context) -> std::result::Result<(), &'static str> {
    if head.status == StatusCode::SWITCHING_PROTOCOLS && !session.is_upgrade_req() {
        return Err("unsolicited_upgrade");
    }
    if ctx.scrubber.is_none() {
        return Ok(());
    }
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        // Frames may be compressed, and nobody asked for this to be searched.
        return Err("upgrade_on_guarded_route");
    }
    if head.status == StatusCode::PARTIAL_CONTENT || head.headers.contains_key(CONTENT_RANGE) {
        return Err("partial_content");
    }
    let all_are = |name, word: &[u8]| {
        head.headers.get_all(name).iter().all(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(word))
    };
    if !all_are(CONTENT_ENCODING, b"identity") {
        return Err("content_encoding");
    }
    if !all_are(TRANSFER_ENCODING, b"chunked") {
        return Err("transfer_encoding");
    }
    Ok(())
}

fn note_first_byte(ctx: &mut Context, runtime: &Runtime) {
    let now = Instant::now();
    ctx.times.first_byte = Some(now);
    if let Some(handed_over) = ctx.times.handed_over {
        runtime.metrics.first_byte_seconds.observe(now.saturating_duration_since(handed_over));
    }
}

fn is_stream(head: &ResponseHeader) -> bool {
    head.headers.get(CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes().get(..17).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
    })
}

/// Which software answers behind us, and which proxies stand between, is nobody's business; and a client
/// must not be sent past us by an offer of another way to the upstream.
fn hide_the_house(head: &mut ResponseHeader, with_cookies: bool) {
    let is_hidden = |name: &HeaderName| {
        *name == SERVER
            || *name == VIA
            || *name == ALT_SVC
            || *name == X_POWERED_BY
            || (with_cookies && *name == SET_COOKIE)
    };
    // Looked for in one pass: most are not there, and each removal is a search of its own.
    while let Some(name) = head.headers.keys().find(|name| is_hidden(name)).cloned() {
        head.remove_header(&name);
    }
}

const X_POWERED_BY: HeaderName = HeaderName::from_static("x-powered-by");

/// A redirect of a route with a key stays in that route, or goes: the client's next request must not
/// carry what it learned here to another place, nor be sent past us.
fn keep_location_inside(head: &mut ResponseHeader, route: &Route) {
    let Some(location) = head.headers.get(LOCATION) else { return };
    match location.to_str().ok().and_then(|location| inside(location, route)) {
        Some(inside) if inside.as_bytes() == location.as_bytes() => {}
        Some(inside) => put(head, LOCATION, inside),
        None => {
            head.remove_header(&LOCATION);
        }
    }
}

/// The location as the client has to ask for it, if it is within the route.
fn inside(location: &str, route: &Route) -> Option<HeaderValue> {
    let upstream = &route.upstream.settings;
    let own = format!("{}://{}", upstream.scheme.as_str(), route.upstream.host.to_str().ok()?);
    let path = match location.strip_prefix(&own) {
        Some(path) => path,
        // `//host` is another host.
        None if location.starts_with('/') && !location.starts_with("//") => location,
        None => return None,
    };
    let path = match &route.settings.rewrite {
        None => path.to_owned(),
        Some(rewrite) => {
            let rest = path.strip_prefix(&rewrite.add)?;
            format!("{}{rest}", rewrite.strip)
        }
    };
    let only_path = path.split(['?', '#']).next().unwrap_or_default();
    // As strict as with requests: clients resolve dot segments, read `\` as `/` and skip tabs, and so could be led out.
    let read = canonical_pattern(only_path).ok()?;
    let stays = !read.contains("%2F") && !read.contains("%5C") && route.settings.matcher.path.matches(&read);
    stays.then(|| HeaderValue::try_from(path).ok())?
}

/// Every head that leaves a route with a key, interim ones too.
fn scrub_head(head: &mut ResponseHeader, ctx: &mut Context) {
    let Some(guard) = &ctx.guard else { return };
    // The words behind the status are the upstream's as well, and nobody needs them.
    let _ = head.set_reason_phrase(None);
    ctx.masked_headers += scrub_headers(head, guard);
}

fn scrub_headers(head: &mut ResponseHeader, guard: &Guard) -> u64 {
    // Nearly always there is nothing to be found.
    if !head.headers.values().any(|value| guard.scrub_header(value.as_bytes()).is_some()) {
        return 0;
    }
    let mut masked: Vec<(HeaderName, Vec<HeaderValue>)> = Vec::new();
    for name in head.headers.keys() {
        let values = head.headers.get_all(name);
        if values.iter().any(|value| guard.scrub_header(value.as_bytes()).is_some()) {
            let clean = values.iter().map(|value| match guard.scrub_header(value.as_bytes()) {
                Some(masked) => HeaderValue::try_from(masked).unwrap_or(HeaderValue::from_static("*")),
                None => value.clone(),
            });
            masked.push((name.clone(), clean.collect()));
        }
    }
    let count = masked.len();
    for (name, values) in masked {
        head.remove_header(&name);
        for value in values {
            let _ = head.append_header(name.clone(), value);
        }
    }
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A piece of the upstream's body. Masking keeps the length, so the framing stays right.
///
/// # Errors
/// It goes no further: it is on spare capacity, its client reads too slowly, and somebody waits for its seat.
pub(crate) fn body(body: &mut Option<Bytes>, end: bool, ctx: &mut Context) -> Result<()> {
    if let Some(held) = ctx.progress.held() {
        // A client that doesn't read its answer must not hold the seat: on HTTP/2 one connection could so hold all.
        if end {
            held.leave();
        } else {
            held.answer_goes_on();
            if held.is_in_the_way() {
                return Err(Error::new(ErrorType::WriteTimedout).into_down());
            }
        }
    }
    if let Some(charge) = &mut ctx.charge {
        charge.read(body.as_deref().unwrap_or_default(), end);
    }
    if let Some(scrubber) = &mut ctx.scrubber {
        match body.take() {
            Some(piece) => *body = Some(scrubber.push(piece, end)),
            // The end of a chunked body comes by itself; what was held back leaves with it.
            None if end && scrubber.held() > 0 => *body = Some(scrubber.push(Bytes::new(), true)),
            None => {}
        }
    }
    if let (Some(charge), Some(piece)) = (&mut ctx.charge, body) {
        charge.passed_on(piece.len());
    }
    Ok(())
}

/// Trailers of an HTTP/2 upstream. Bytes held back when they come have no way out: the stream is cut.
pub(crate) fn trailers(trailers: &mut HeaderMap, ctx: &mut Context) -> Result<()> {
    if let Some(charge) = &mut ctx.charge {
        // They end a body that did not say so itself.
        charge.read(&[], true);
    }
    if ctx.scrubber.as_ref().is_some_and(|scrubber| scrubber.held() > 0) {
        ctx.stop = Some(Stop::UpstreamRefused("trailers_after_a_partial_match"));
        return Err(Error::new(ErrorType::H2Error).into_up());
    }
    let Some(guard) = &ctx.guard else { return Ok(()) };
    for value in trailers.values_mut() {
        if let Some(masked) = guard.scrub_header(value.as_bytes()) {
            *value = HeaderValue::try_from(masked).unwrap_or(HeaderValue::from_static("*"));
            ctx.masked_headers += 1;
        }
    }
    Ok(())
}

/// Answers a request that goes no further.
pub(crate) async fn refuse(session: &mut Session, ctx: &mut Context, stop: Stop) -> Result<()> {
    if stop == Stop::Overloaded(crate::admission::Shed::ClientLeft) {
        ctx.end = crate::context::End::ClientGone;
        ctx.stop = Some(stop);
        session.set_keepalive(None);
        // Nobody reads an answer any more; an error here would only be logged as one.
        return Ok(());
    }
    let id = ctx.id.text();
    let grpc = speaks_grpc(&session.req_header().headers);
    let worded = stop.group().and_then(|group| ctx.route()?.settings.policy.refusal(group));
    let answer = stop.answer(id.as_str(), grpc, ctx.id.spread(), worded);
    ctx.stop = Some(stop);
    if ctx.times.handed_over.is_none() {
        // What never reached the API costs nothing, and who tries again at once must find it given back.
        ctx.charge = None;
    }
    let Some(mut answer) = answer else { return Err(Error::new_in(ErrorType::InternalError)) };
    settle_unread_body(session);
    let bodiless = session.req_header().method == Method::HEAD || answer.body.is_empty();
    let trailers = (grpc && session.is_http2()).then(|| trailers_of(&mut answer.head));
    session.write_response_header(Box::new(answer.head), bodiless && trailers.is_none()).await?;
    match trailers {
        Some(trailers) => session.downstream_session.write_response_trailers(trailers).await,
        None if bodiless => session.write_response_body(None, true).await,
        None => session.write_response_body(Some(answer.body), true).await,
    }
}

/// HTTP/2 carries a status of gRPC where its clients look for it first.
fn trailers_of(head: &mut ResponseHeader) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    for name in ["grpc-status", "grpc-message"].map(HeaderName::from_static) {
        if let Some(value) = head.remove_header(&name) {
            trailers.insert(name, value);
        }
    }
    trailers
}

/// What happens to a body that nobody will read. A small one is read and thrown away, and the
/// connection stays; of a large one, or one that waits for our word, the connection ends with the
/// answer (it lingers, so that the answer is read).
fn settle_unread_body(session: &mut Session) {
    if session.is_http2() || session.is_body_done() {
        return;
    }
    let small = extract::content_length(session).is_some_and(|length| length <= DRAINED);
    if small && !session.req_header().headers.contains_key(EXPECT) {
        session.set_close_on_response_before_downstream_finish(false);
        session.set_total_drain_timeout(Some(Duration::from_secs(1)));
    }
}

const DRAINED: u64 = 64 * 1024;

/// `application/grpc`, `application/grpc+proto`; and not `application/grpc-web`, which browsers speak over HTTP/1.1.
fn speaks_grpc(headers: &HeaderMap) -> bool {
    let rest = headers.get(CONTENT_TYPE).and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// Answers for an exchange that failed, where there is still somebody to answer and nothing was said.
pub(crate) async fn fail(session: &mut Session, error: &Error, ctx: &mut Context) -> FailToProxy {
    let mut status = 0;
    let begun = session
        .response_written()
        .is_some_and(|head| !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS);
    if begun {
        // Anything written now would end a broken answer as if it were whole.
        ctx.end = exchange::end_of(error);
    } else if let Some(stop) = ctx.stop.take().or_else(|| exchange::stop_of(session, error, ctx)) {
        status = stop.status().as_u16();
        if refuse(session, ctx, stop).await.is_err() {
            ctx.end = crate::context::End::ClientGone;
        }
    } else {
        ctx.end = crate::context::End::ClientGone;
    }
    FailToProxy { error_code: status, can_reuse_downstream: false }
}

fn put(head: &mut ResponseHeader, name: HeaderName, value: HeaderValue) {
    let _ = head.insert_header(name, value);
}
