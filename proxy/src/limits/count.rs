//! One request against the limits of its permit and the ceilings of its route.
//!
//! In: a permit and who sent the request. Out: what it holds of its budgets, or the limit that has no room. Proven between:
//! it counts under all of them or under none, here or in the state that machines share. Ceilings come from the route, so
//! whatever let the request in, a policy, its mode or a command, it counts under them.

use std::net::IpAddr;
use std::sync::Arc;

use attest_core::time::UnixTime;
use metering::{Budget, Count, Rate};
use policies::{Count as Kind, Limit, Permit};
use settings::SharedStateDown;
use shared_state::{Away, Counted};

use super::charge::{Charge, Part, Place};
use super::subject::{Source, Subject};
use super::{Limits, Quota, Remaining, SharedLimits};
use crate::context::Context;
use crate::refusal::{Limited, Stop};
use crate::route::Route;
use crate::runtime::Runtime;
use crate::stages::verify::Identity;
use crate::telemetry::metrics::{LimitLabels, RouteLabels};

/// Who sent a request, beyond what its token says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Proven<'a> {
    /// The client's address.
    pub(super) address: Option<IpAddr>,
    /// A caller that is not an app.
    pub(super) caller: Option<&'a str>,
    /// Issuer and subject of a user's own token.
    pub(super) user: Option<(&'a str, &'a str)>,
}

impl<'a> Proven<'a> {
    fn of(ctx: &'a Context) -> Self {
        let identity = ctx.identity.as_deref();
        Self {
            address: ctx.request.as_ref().map(|request| request.address),
            caller: identity.and_then(Identity::caller_name),
            user: identity.and_then(Identity::user).map(|user| (user.issuer, user.subject)),
        }
    }
}

/// What became of counting.
enum Outcome {
    /// It counts under all.
    Room { parts: Vec<Part>, remaining: Vec<Remaining> },
    /// It counts under none.
    UsedUp(Limited, Source),
}

/// A limit, and whose it is.
#[derive(Clone, Copy)]
pub(super) struct Bound<'a> {
    pub(super) limit: &'a Limit,
    pub(super) source: Source,
}

/// Counts the request against all limits of its rule and all ceilings of its route. What it reserved of budgets, if of any, and what is left, where the
/// route tells, are put into the context.
///
/// # Errors
/// The limit that has no room; or, as the route has it, that the shared state is away.
pub(crate) async fn count(permit: &Permit, route: &Route, ctx: &mut Context, runtime: &Runtime) -> Result<(), Stop> {
    if permit.limits().is_empty() && route.settings.ceilings.is_empty() {
        return Ok(());
    }
    let asked = Asked { permit, route, proven: Proven::of(ctx), tell: route.settings.rate_limit_headers };
    let outcome = match &runtime.shared {
        None => Ok(runtime.limits.count(&asked, ctx)),
        // Boxed: the size of every request's future is that of what it may hold.
        Some(shared) => Box::pin(asked.of_all_machines(shared)).await,
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(Away) if route.settings.our_faults.shared_state_down == SharedStateDown::Refuse => {
            ctx.shared_state_down = true;
            return Err(Stop::SharedStateDown);
        }
        Err(Away) => {
            let labels = RouteLabels { route: route.name.clone() };
            runtime.metrics.counted_locally.get_or_create(&labels).inc();
            let outcome = runtime.limits.count(&asked, ctx);
            ctx.shared_state_down = true;
            outcome
        }
    };
    match outcome {
        Outcome::Room { parts, remaining } => {
            if !parts.is_empty() {
                ctx.charge = Some(Box::new(Charge::new(parts, route, runtime)));
            }
            ctx.remaining = remaining;
            Ok(())
        }
        Outcome::UsedUp(limited, source) => {
            if source == Source::Ceiling {
                runtime.limits.alarms.raise(&limited, route, ctx.wall, runtime);
            }
            let labels = LimitLabels { route: route.name.clone(), limit: (&*limited.name).into() };
            runtime.metrics.limited.get_or_create(&labels).inc();
            Err(Stop::Limited(limited))
        }
    }
}

/// One request, in what counting needs.
struct Asked<'a> {
    permit: &'a Permit,
    route: &'a Route,
    proven: Proven<'a>,
    /// Whether the client is told what is left.
    tell: bool,
}

impl<'a> Asked<'a> {
    /// All that it counts under.
    fn bounds(&self) -> impl Iterator<Item = Bound<'a>> + use<'a> {
        let of = |source| move |limit| Bound { limit, source };
        let limits = self.permit.limits().iter().map(of(Source::Policy));
        limits.chain(self.route.settings.ceilings.iter().map(of(Source::Ceiling)))
    }

    fn subject(&self, limit: &Limit) -> Subject<'a> {
        Subject::of(limit.per, self.permit, self.route, self.proven)
    }

    fn digest(&self, Bound { limit, source }: Bound<'_>) -> [u8; 32] {
        self.subject(limit).digest(limit, source)
    }

    async fn of_all_machines(&self, shared: &Arc<SharedLimits>) -> Result<Outcome, Away> {
        let (mut parts, mut remaining) = (Vec::new(), Vec::new());
        // One round, but for a rule with more limits than any has.
        let bounds: Vec<Bound<'_>> = self.bounds().collect();
        for bounds in bounds.chunks(shared_state::MAX_LIMITS) {
            let counted = shared.count(bounds, |bound| self.digest(bound)).await;
            let left = match counted {
                Ok(Counted::Within { left }) => left,
                Ok(Counted::Exceeded { index, remaining, retry_after }) => {
                    shared.give_back(parts);
                    let Bound { limit, source } = *bounds.get(index).ok_or(Away)?;
                    return Ok(Outcome::UsedUp(Limited::by(limit, remaining, retry_after), source));
                }
                Err(Away) => {
                    shared.give_back(parts);
                    return Err(Away);
                }
            };
            for (Bound { limit, .. }, left) in bounds.iter().zip(left) {
                if self.tell {
                    remaining.push(remaining_of(limit, left.remaining, left.whole_in));
                }
                parts.extend(left.held.map(|held| Part::new(limit, Place::Shared(shared.clone(), held))));
            }
        }
        Ok(Outcome::Room { parts, remaining })
    }
}

impl Limits {
    /// Counts by this process alone. Where no limit is a budget and nobody is told, nothing is allocated.
    fn count(&self, asked: &Asked<'_>, ctx: &Context) -> Outcome {
        let (mut parts, mut remaining) = (Vec::new(), Vec::new());
        for (at, bound) in asked.bounds().enumerate() {
            let Bound { limit, source } = bound;
            let subject = asked.subject(limit);
            let found = match limit.count {
                Kind::Sliding => match self.rates.count(&key(limit, &subject), rate(limit), ctx.started) {
                    Count::Within { remaining, whole_in } => Ok((remaining, whole_in)),
                    Count::Exceeded { retry_after } => Err((0, retry_after)),
                },
                Kind::Fixed => {
                    let reserved = self.ledger.reserve(
                        short(subject.digest(limit, source)),
                        budget(limit),
                        limit.reserve,
                        ctx.wall,
                    );
                    reserved.map_err(|exhausted| (exhausted.remaining, exhausted.retry_after)).map(|held| {
                        let found = (held.remaining, held.ends_in);
                        parts.push(Part::new(limit, Place::Here(self.ledger.clone(), held)));
                        found
                    })
                }
            };
            match found {
                Ok((units, within)) if asked.tell => remaining.push(remaining_of(limit, units, within)),
                Ok(_) => {}
                Err((units, retry_after)) => {
                    self.give_back(asked, at, parts, ctx.wall);
                    return Outcome::UsedUp(Limited::by(limit, units, retry_after), source);
                }
            }
        }
        Outcome::Room { parts, remaining }
    }

    /// What one limit refuses counts under none, so not under the first `counted` either.
    fn give_back(&self, asked: &Asked<'_>, counted: usize, parts: Vec<Part>, now: UnixTime) {
        let counted = asked.bounds().take(counted);
        for Bound { limit, .. } in counted.filter(|bound| bound.limit.count == Kind::Sliding) {
            self.rates.give_back(&key(limit, &asked.subject(limit)), rate(limit));
        }
        for part in parts {
            if let Place::Here(ledger, held) = part.place {
                ledger.settle(held, 0, now);
            }
        }
    }
}

/// Where a rate of this process is found.
fn key<'a>(limit: &'a Limit, subject: &'a Subject<'_>) -> impl std::hash::Hash + 'a {
    let window = matches!(subject, Subject::Key(_)).then_some(limit.window);
    (subject.count_of(limit), limit.per.as_str(), window, subject)
}

pub(super) fn rate(limit: &Limit) -> Rate {
    Rate::new(limit.amount, limit.window, limit.burst)
}

pub(super) fn budget(limit: &Limit) -> Budget {
    Budget::new(limit.amount, limit.window)
}

fn remaining_of(limit: &Limit, units: u64, within: std::time::Duration) -> Remaining {
    Remaining { name: limit.name.clone(), quota: Quota::of(limit), units, within }
}

/// 128 bits: nobody finds two that meet.
fn short(digest: [u8; 32]) -> metering::Subject {
    let mut subject = [0; 16];
    subject.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    subject
}
