//! What is told to a collector of a request that is traced.
//!
//! In comes everything that was gathered; out goes what the span says, chosen from the fields of the
//! access log: names, words and times.

use std::time::{Duration, Instant};

use http::StatusCode;

use super::{Outcome, class_of, decided};
use crate::context::{Context, End};
use crate::runtime::Runtime;
use crate::telemetry::traces::{Step, Told, Trace};

/// Tells of the request, if it is one of those that are traced.
pub(super) fn tell(ctx: &Context, status: Option<StatusCode>, now: Instant, runtime: &Runtime) {
    if let (Some(traces), Some(trace)) = (&runtime.traces, ctx.trace.filter(Trace::is_sampled))
        && let Some(told) = told(ctx, status, now)
    {
        traces.finish(trace, told);
    }
}

fn told(ctx: &Context, status: Option<StatusCode>, now: Instant) -> Option<Told> {
    let route = ctx.route()?;
    let target = &ctx.request.as_ref()?.target;
    let decided = decided(ctx);
    Some(Told {
        route: route.name.clone(),
        decision: ctx.id,
        method: target.method().clone(),
        scheme: target.scheme().as_str(),
        host: target.host().to_owned(),
        path: target.path().to_owned(),
        status,
        failure: failure(ctx, status),
        verdict: decided.map(|(verified, _)| verified.verdict().as_str()),
        rule: decided.map(|(_, why)| why.rule().to_owned()),
        action: decided.map(|(_, why)| Outcome::of(ctx, why).as_str()),
        class: class_of(ctx).map(policies::Class::as_str),
        began: ctx.wall,
        took: now.saturating_duration_since(ctx.started),
        steps: steps(ctx, now),
    })
}

/// What went wrong on our side of the client or beyond: a refusal is an answer, not a failure.
fn failure(ctx: &Context, status: Option<StatusCode>) -> Option<&'static str> {
    let failed = status.is_none_or(|status| status.is_server_error());
    match (&ctx.stop, ctx.end) {
        (_, End::ClientGone | End::UpstreamCut | End::Timeout) => Some(ctx.end.as_str()),
        (Some(stop), End::Complete) if failed => Some(stop.code()),
        (None, End::Complete) if failed => Some("upstream"),
        (_, End::Complete) => None,
    }
}

/// Its parts, as far as it came: of several attempts at the upstream the last.
fn steps(ctx: &Context, now: Instant) -> Vec<Step> {
    let times = &ctx.times;
    let since = |moment: Instant| moment.saturating_duration_since(ctx.started);
    let mut steps = Vec::new();
    if times.queued > Duration::ZERO {
        // Whoever has a seat dials at once.
        let to = since(times.dialled.unwrap_or(now));
        steps.push(Step { name: "queue", from: to.saturating_sub(times.queued), to });
    }
    if let (Some(dialled), Some(handed_over)) = (times.dialled, times.handed_over) {
        steps.push(Step { name: "connect", from: since(dialled), to: since(handed_over) });
    }
    if let (Some(handed_over), Some(first_byte)) = (times.handed_over, times.first_byte) {
        steps.push(Step { name: "first_byte", from: since(handed_over), to: since(first_byte) });
    }
    steps
}
