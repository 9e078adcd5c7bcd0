//! What is told to a collector of a request that is traced.
//!
//! In comes everything that was gathered; out goes what the span says, chosen from the fields of the
//! access log: names, words and times.

use std::borrow::Cow;
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

/// What went wrong, from our side of the client on: a refusal is an answer, not a failure.
///
/// # Source
/// OpenTelemetry semantic conventions, `error.type`: a word, or the status where there is no better one.
fn failure(ctx: &Context, status: Option<StatusCode>) -> Option<Cow<'static, str>> {
    if ctx.end != End::Complete {
        return Some(ctx.end.as_str().into());
    }
    match (status, &ctx.stop) {
        (Some(status), _) if !status.is_server_error() => None,
        (_, Some(stop)) => Some(stop.code().into()),
        (Some(status), None) => Some(status.as_u16().to_string().into()),
        (None, None) => Some("unanswered".into()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision_id::DecisionIds;
    use crate::refusal::Stop;
    use attest_core::time::UnixTime;

    fn request() -> Context {
        let wall = UnixTime::from_secs(1);
        Context::new(Instant::now(), wall, DecisionIds::new().next(wall))
    }

    fn after(ctx: &Context, millis: u64) -> Instant {
        ctx.started + Duration::from_millis(millis)
    }

    fn step(name: &'static str, from: u64, to: u64) -> Step {
        Step { name, from: Duration::from_millis(from), to: Duration::from_millis(to) }
    }

    #[test]
    fn parts_follow_each_other_as_far_as_the_request_came() {
        let mut ctx = request();
        ctx.times.queued = Duration::from_millis(8);
        // Gave up waiting.
        assert_eq!(steps(&ctx, after(&ctx, 10)), [step("queue", 2, 10)]);
        ctx.times.dialled = Some(after(&ctx, 9));
        assert_eq!(steps(&ctx, after(&ctx, 20)), [step("queue", 1, 9)]);
        ctx.times.handed_over = Some(after(&ctx, 12));
        ctx.times.first_byte = Some(after(&ctx, 30));
        let all = [step("queue", 1, 9), step("connect", 9, 12), step("first_byte", 12, 30)];
        assert_eq!(steps(&ctx, after(&ctx, 50)), all);
    }

    #[test]
    fn a_failure_has_a_word_and_a_refusal_none() {
        let mut ctx = request();
        assert_eq!(failure(&ctx, Some(StatusCode::NOT_FOUND)), None);
        assert_eq!(failure(&ctx, Some(StatusCode::BAD_GATEWAY)).as_deref(), Some("502"));
        assert_eq!(failure(&ctx, None).as_deref(), Some("unanswered"));
        ctx.stop = Some(Stop::UpstreamTimeout);
        assert_eq!(failure(&ctx, Some(StatusCode::GATEWAY_TIMEOUT)).as_deref(), Some(Stop::UpstreamTimeout.code()));
        ctx.end = End::ClientGone;
        assert_eq!(failure(&ctx, Some(StatusCode::OK)).as_deref(), Some("client_gone"));
    }
}
