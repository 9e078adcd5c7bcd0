//! Stage 10: the request is over; what can be told of it is told.
//!
//! In comes everything that was gathered; out go one line and a few counters. No token, no key, no
//! query and no body is in reach here, so none can be written. Times are told apart: our own, waiting,
//! connecting, the upstream's.

mod span;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use attest_core::feed::OrderKind;
use attest_core::token::verify::Verified;
use callers::user::Shows;
use http::StatusCode;
use pingora_proxy::Session;
use policies::Unit;

use super::verify::Identity;
use crate::context::{Context, Extracted, Place, Progress};
use crate::keys::Injected;
use crate::observed::InMode;
use crate::refusal::Stop;
use crate::route::Route;
use crate::runtime::Runtime;
use crate::telemetry::access_log::{Line, field};
use crate::telemetry::key_audit::Use;
use crate::telemetry::metrics::{AnswerLabels, RequestLabels, RouteLabels, RuleLabels, WhyLabels};
use crate::telemetry::traces::Trace;

/// The whole stage.
pub(crate) fn finish(session: &mut Session, ctx: &mut Context, runtime: &Runtime) {
    let now = Instant::now();
    let status = session.response_written().map(|head| head.status);
    let scrubbed = ctx.masked_headers + ctx.scrubber.as_ref().map_or(0, keystore::guard::Stream::findings);
    count(ctx, status, scrubbed, runtime);
    span::tell(ctx, status, now, runtime);
    if runtime.log.enabled() {
        let bytes = (session.body_bytes_read(), session.body_bytes_sent());
        runtime.log.line(|out| write(&mut Line::new(out), ctx, status, scrubbed, bytes, now));
    }
    if let Some(injected) = ctx.injected.take()
        && let Some(route) = ctx.route().map(|route| route.name.clone())
    {
        let (at, id, device) = (ctx.wall, ctx.id, ctx.device);
        runtime.key_audit.used(Use { at, id, route, injected, device, status });
    }
}

/// What became of a request that was decided.
#[derive(Clone, Copy)]
enum Outcome {
    Action(policies::Action),
    Limited,
    Shed,
    /// Let through, but the route wants a user.
    NoUser,
    /// Let through, but the operation does not allow its body.
    NotAllowed,
}

impl Outcome {
    fn of(ctx: &Context, why: &policies::Why) -> Self {
        match (&ctx.progress, &ctx.stop) {
            (Progress::NotAdmitted(_), Some(Stop::Limited(_))) => Self::Limited,
            (Progress::NotAdmitted(_), Some(Stop::UserRequired | Stop::UserRefused)) => Self::NoUser,
            (Progress::NotAdmitted(_), Some(Stop::NotAllowed(_))) => Self::NotAllowed,
            (Progress::NotAdmitted(_), _) => Self::Shed,
            _ => Self::Action(why.action()),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Action(action) => action.as_str(),
            Self::Limited => "limited",
            Self::Shed => "shed",
            Self::NoUser => "no_user",
            Self::NotAllowed => "not_allowed",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Action(policies::Action::Allow) => 0,
            Self::Action(policies::Action::Deprioritize) => 1,
            Self::Action(policies::Action::Block) => 2,
            Self::Limited => 3,
            Self::Shed => 4,
            Self::NoUser => 5,
            Self::NotAllowed => 6,
        }
    }
}

fn count(ctx: &Context, status: Option<StatusCode>, scrubbed: u64, runtime: &Runtime) {
    let metrics = &runtime.metrics;
    if let (Some(handed_over), Progress::Admitted(_)) = (ctx.times.handed_over, &ctx.progress) {
        metrics.gateway_seconds.observe(own_time(ctx, handed_over));
    }
    if let Some(Stop::BadRequest(what)) = &ctx.stop {
        metrics.bad_requests.get_or_create(&WhyLabels { why: what }).inc();
    }
    let Some(route) = ctx.route() else { return };
    let meters = &route.meters;
    if let Some((verified, why)) = decided(ctx) {
        let outcome = Outcome::of(ctx, why);
        if let Some(counter) = meters.requests.of(verified.verdict(), outcome.index()) {
            counter.count(&metrics.requests, || RequestLabels {
                route: route.name.clone(),
                verdict: verified.verdict().as_str(),
                action: outcome.as_str(),
            });
        }
        count_rules(route, why, runtime);
        if verified.accepted_expired() {
            meters.accepted_expired.count(&metrics.accepted_expired, || RouteLabels { route: route.name.clone() });
        }
    }
    if let Some(status) = status {
        let by_us = ctx.stop.is_some();
        if let Some(counter) = meters.answers.of(status, by_us) {
            counter.count(&metrics.answers, || AnswerLabels {
                route: route.name.clone(),
                answered_by: answered_by(ctx),
                status: status.as_u16(),
            });
        }
    }
    if scrubbed > 0 {
        meters.scrubbed.count_by(scrubbed, &metrics.scrubbed, || RouteLabels { route: route.name.clone() });
        alert(ctx, route, scrubbed);
    }
}

/// Somebody has to know that an API hands out the key it was given: at most once a minute for each route.
fn alert(ctx: &Context, route: &Route, places: u64) {
    let (now, last) = (ctx.wall.secs(), route.meters.alerted.load(Ordering::Relaxed));
    if now.saturating_sub(last) < ALERT_EVERY
        || route.meters.alerted.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err()
    {
        return;
    }
    tracing::warn!(
        target: "assay::guard",
        route = %route.name,
        key = ctx.injected.as_ref().map(|injected| &*injected.key),
        upstream = %route.upstream.name,
        decision = ctx.id.text().as_str(),
        places,
        "an answer of the upstream contained the key, or what was made from it; it was masked"
    );
}

/// Seconds between two alerts of a route.
const ALERT_EVERY: i64 = 60;

fn count_rules(route: &Route, why: &policies::Why, runtime: &Runtime) {
    let hit = |rule: &str, outcome: &'static str, at: usize| {
        if let Some(counter) = route.meters.rules.get(rule).and_then(|outcomes| outcomes.get(at)) {
            counter.count(&runtime.metrics.rule_hits, || RuleLabels {
                route: route.name.clone(),
                rule: rule.into(),
                outcome,
            });
        }
    };
    match why.would() {
        Some(_) => hit(why.rule(), "would_block", 3),
        None => hit(why.rule(), why.action().as_str(), Outcome::Action(why.action()).index()),
    }
    for (rule, _) in why.monitored() {
        hit(rule, "monitored", 4);
    }
}

fn decided(ctx: &Context) -> Option<(&Verified, &policies::Why)> {
    match &ctx.progress {
        Progress::Refused(refused) => Some((refused.verified(), refused.why())),
        Progress::NotAdmitted(permit) => Some((permit.verified(), permit.why())),
        Progress::Admitted(admitted) => Some((admitted.permit().verified(), admitted.permit().why())),
        Progress::Undecided | Progress::Internal { .. } => None,
    }
}

fn answered_by(ctx: &Context) -> &'static str {
    match (&ctx.stop, &ctx.request) {
        (Some(_), _) | (None, None) => "assay",
        (None, Some(Extracted { place: Place::Internal(_), .. })) => "service",
        (None, Some(_)) => "upstream",
    }
}

/// Time until the hand-over that was ours: without waiting for a seat, and without the connection.
fn own_time(ctx: &Context, handed_over: Instant) -> Duration {
    let until = ctx.times.dialled.unwrap_or(handed_over).min(handed_over);
    until.saturating_duration_since(ctx.started).saturating_sub(ctx.times.queued)
}

/// The line. Fields that a request has no value for are left out.
fn write(
    line: &mut Line<'_>,
    ctx: &Context,
    status: Option<StatusCode>,
    scrubbed: u64,
    (bytes_in, bytes_out): (usize, usize),
    now: Instant,
) {
    let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let sized = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    line.seconds(field!("ts"), ctx.wall).text(field!("id"), ctx.id.text().as_str());
    if let Some(trace) = ctx.trace.filter(Trace::is_sampled) {
        line.shown(field!("trace"), trace.id());
    }
    if let Some(request) = &ctx.request {
        let target = &request.target;
        if let Place::Route(route) = &request.place {
            line.number(field!("generation"), whole(route.generation)).text(field!("route"), &route.name);
        }
        line.text(field!("method"), target.method().as_str())
            .text(field!("host"), target.host())
            .text(field!("path"), target.path())
            .address(field!("address"), request.address);
    }
    line.number_if(field!("status"), status.map(|status| i64::from(status.as_u16())))
        .text(field!("answered_by"), answered_by(ctx))
        .text(field!("end"), ctx.end.as_str());
    if let Some(stop) = &ctx.stop {
        line.text(field!("code"), stop.code()).text_if(field!("detail"), Some(stop.detail()));
        if let Stop::NotAllowed(refusal) = stop {
            // Which rule: the operator's own words, and names of the client's that are short and plain.
            line.text(field!("not_allowed"), &refusal.to_string());
        }
        if let Stop::Limited(limited) = stop {
            line.object(field!("limit"), |line| {
                line.text(field!("name"), &limited.name).millis(field!("retry_ms"), limited.retry_after);
            });
        }
    }
    if let (Some(request), Some((verified, why))) = (&ctx.request, decided(ctx)) {
        who(line, ctx, request, verified);
        reasons(line, ctx, why);
    }
    times(line, ctx, now);
    if let Some(Place::Route(route)) = ctx.request.as_ref().map(|request| &request.place) {
        if ctx.attempts > 0 {
            line.text(field!("upstream"), &route.upstream.name).number(field!("attempt"), sized(ctx.attempts));
        }
        if let Some(Injected { key, version }) = &ctx.injected {
            line.object(field!("key"), |line| {
                line.text(field!("name"), key)
                    .number(field!("version"), i64::from(version.version.get()))
                    .text(field!("fingerprint"), &version.fingerprint);
            });
            line.number(field!("scrubbed"), whole(scrubbed));
        }
    }
    if let Some(charge) = &ctx.charge {
        line.object(field!("charged"), |line| {
            let units = [
                (field!("requests"), Unit::Requests),
                (field!("bytes"), Unit::Bytes),
                (field!("tokens"), Unit::Tokens),
            ];
            for (name, unit) in units {
                line.number_if(name, charge.used(unit).map(whole));
            }
            line.flag_if(field!("usage_unknown"), charge.usage_is_unknown());
        });
    }
    line.number(field!("bytes_in"), sized(bytes_in)).number(field!("bytes_out"), sized(bytes_out)).close();
}

/// What is known of the sender. Claims only where the signature is genuine.
fn who(line: &mut Line<'_>, ctx: &Context, request: &Extracted, verified: &Verified) {
    line.text(field!("verdict"), verified.verdict().as_str())
        .text_if(field!("reason"), Some(verified.reason()))
        .flag_if(field!("accepted_expired"), verified.accepted_expired())
        .flag_if(field!("dev"), verified.is_dev())
        .flag_if(field!("revocations_stale"), ctx.revocations_stale)
        .flag_if(field!("shared_state_down"), ctx.shared_state_down);
    if let Place::Route(route) = &request.place
        && let Some(source) = request.presented.source()
    {
        line.text(field!("issuer"), route.issuer.name()).text(field!("source"), source);
    }
    line.text_if(field!("kid"), verified.authenticated().and_then(|token| token.kid()));
    if let Some(claims) = verified.claims() {
        let now = ctx.wall.secs();
        line.number_if(field!("token_age_s"), claims.iat().map(|iat| now - iat.secs()))
            .number(field!("expires_in_s"), claims.exp().secs() - now)
            .text_if(field!("app"), claims.app())
            .text_if(field!("version"), claims.ver())
            .text(field!("tier"), verified.tier().as_str())
            .text_if(field!("arc"), claims.arc());
    }
    if let Some(device) = ctx.device {
        line.hex(field!("device"), device);
    }
    if let Some(identity) = &ctx.identity {
        beside(line, identity);
    }
}

/// Who calls beside the app, and who vouches for its user; never who the user is.
fn beside(line: &mut Line<'_>, identity: &Identity) {
    line.text_if(field!("caller"), identity.caller_name())
        .text_if(field!("caller_by"), identity.caller.as_ref().map(|caller| caller.means().as_str()))
        .text_if(field!("no_caller"), identity.no_caller);
    match &identity.user {
        Shows::User(user) => line.text(field!("user_issuer"), user.issuer()),
        Shows::NotGood { reason, .. } => line.text(field!("no_user"), reason),
        Shows::Nothing => line,
    };
}

/// Why it was decided as it was.
fn reasons(line: &mut Line<'_>, ctx: &Context, why: &policies::Why) {
    let mode = if why.would().is_some() { "monitor" } else { "enforce" };
    line.text(field!("policy"), why.policy())
        .text(field!("rule"), why.rule())
        .text(field!("mode"), mode)
        .text(field!("action"), Outcome::of(ctx, why).as_str())
        .text_if(field!("would"), why.would().map(policies::Action::as_str))
        .number_if(field!("bucket"), why.bucket().map(i64::from));
    // Whoever reads one line has to see that the policy alone did not decide.
    let overruled = match ctx.mode {
        InMode { mode: policies::Mode::Normal, order: None } => None,
        InMode { mode: policies::Mode::Normal, order: Some(_) } => Some(OrderKind::ExtendTokens.as_str()),
        InMode { mode, .. } => Some(mode.as_str()),
    };
    if let Some(by) = overruled {
        line.text(field!("panic"), by)
            .number_if(field!("order"), ctx.mode.order.map(|order| i64::try_from(order).unwrap_or(i64::MAX)));
    }
    if let Some((rule, action)) = why.monitored().next() {
        // The first tells what enforcing now would have done.
        line.object(field!("monitored"), |line| {
            line.text(field!("rule"), rule).text(field!("action"), action.as_str());
        });
    }
    if why.key_withheld() {
        line.text(field!("withheld"), "key");
    }
    line.text_if(field!("class"), class_of(ctx).map(policies::Class::as_str));
}

fn class_of(ctx: &Context) -> Option<policies::Class> {
    match &ctx.progress {
        Progress::Admitted(admitted) => Some(admitted.permit().class()),
        Progress::NotAdmitted(permit) => Some(permit.class()),
        _ => None,
    }
}

/// How long it took, by whom.
fn times(line: &mut Line<'_>, ctx: &Context, now: Instant) {
    let times = &ctx.times;
    let until = times.dialled.unwrap_or(now);
    let own = own_time(ctx, until);
    line.number(field!("gateway_us"), i64::try_from(own.as_micros()).unwrap_or(i64::MAX))
        .millis(field!("queue_ms"), times.queued);
    line.number_if(field!("inflight"), ctx.inflight.map(i64::from));
    if let (Some(dialled), Some(handed_over)) = (times.dialled, times.handed_over) {
        line.millis(field!("connect_ms"), handed_over.saturating_duration_since(dialled));
    }
    if let (Some(handed_over), Some(first_byte)) = (times.handed_over, times.first_byte) {
        line.millis(field!("first_byte_ms"), first_byte.saturating_duration_since(handed_over));
    }
    line.millis(field!("total_ms"), now.saturating_duration_since(ctx.started));
}
