//! Stage 4: from a verdict to a permit, by the route's policy.
//!
//! In comes the proof of stage 3, and what callers and users have proven; out goes a [`Decided`]: a permit, or a refusal, and the mode in
//! which it was decided. Nothing is decided here but which of our own words a refusal has: the policy decides. What was
//! decided is remembered here too, while all that it was made of is at hand.

use std::net::IpAddr;
use std::time::Duration;

use attest_core::target::Target;
use attest_core::time::UnixTime;
use attest_core::token::verify::Verified;
use attest_core::verdict::Verdict;
use http::HeaderMap;
use policies::{Decision, FailSafe, Refused, RequestFacts, User};
use settings::CannotVerify;

use crate::decision_id::DecisionId;
use crate::observed::{At, InMode};
use crate::refusal::Stop;
use crate::route::Route;
use crate::runtime::Runtime;

/// The request, as far as policies look.
pub(crate) struct Asked<'a> {
    /// Its id.
    pub id: DecisionId,
    /// The one canonical target.
    pub target: &'a Target,
    /// The client's address.
    pub address: IpAddr,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The caller that has proven itself, where one has.
    pub caller: Option<&'a str>,
    /// The user, where one was proven.
    pub user: Option<User<'a>>,
    /// Now, on the wall.
    pub wall: UnixTime,
    /// Now, on the clock that nobody sets.
    pub steady: Duration,
}

/// What came of it.
pub(crate) struct Decided {
    /// Permit or refusal.
    pub decision: Decision,
    /// In what mode the route was.
    pub mode: InMode,
    /// Keyed hash of the device, where a genuine token names one.
    pub device: Option<u64>,
}

/// The whole stage.
pub(crate) fn decide(verified: Verified, route: &Route, asked: &Asked<'_>, runtime: &Runtime) -> Decided {
    let mode = route.watch.mode(asked.wall);
    let facts = RequestFacts {
        target: asked.target,
        route: &route.settings.name,
        address: asked.address,
        headers: asked.headers,
        injects: route.key.is_some(),
        fail_safe: match route.settings.our_faults.cannot_verify {
            CannotVerify::Refuse => FailSafe::Refuse,
            CannotVerify::Deprioritize => FailSafe::Deprioritize,
        },
        now: asked.wall,
        caller: asked.caller,
        user: asked.user,
        mode: mode.mode,
    };
    let decision = route.settings.policy.decide(verified, &facts);
    let at = At { id: asked.id, steady: asked.steady, metrics: &runtime.metrics };
    let device = runtime.observed.look(&decision, &facts, route, &at);
    Decided { decision, mode, device }
}

/// What a refusal is to the client: three answers, none of which needs a key to be told apart.
pub(crate) fn stop_of(refused: &Refused) -> Stop {
    let verified = refused.verified();
    match verified.verdict() {
        Verdict::Missing => Stop::AttestationRequired,
        Verdict::Unverifiable => Stop::Unverifiable,
        _ if verified.unverified_exp_passed() => Stop::AttestationRequired,
        _ => Stop::Refused,
    }
}
