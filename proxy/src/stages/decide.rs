//! Stage 4: from a verdict to a permit, by the route's policy.
//!
//! In comes the proof of stage 3; out goes a [`Decision`]: a permit, or a refusal. Nothing is decided here
//! but which of our own words a refusal has: the policy decides.

use std::net::IpAddr;

use attest_core::target::Target;
use attest_core::time::UnixTime;
use attest_core::token::verify::Verified;
use attest_core::verdict::Verdict;
use http::HeaderMap;
use policies::{Decision, FailSafe, Refused, Mode, RequestFacts};
use settings::CannotVerify;

use crate::refusal::Stop;
use crate::route::Route;

/// The whole stage.
pub(crate) fn decide(
    verified: Verified,
    route: &Route,
    target: &Target,
    address: IpAddr,
    headers: &HeaderMap,
    now: UnixTime,
) -> Decision {
    let facts = RequestFacts {
        target,
        route: &route.settings.name,
        address,
        headers,
        injects: route.key.is_some(),
        fail_safe: match route.settings.our_faults.cannot_verify {
            CannotVerify::Refuse => FailSafe::Refuse,
            CannotVerify::Deprioritize => FailSafe::Deprioritize,
        },
        now,
        caller: None,
        user: None,
        mode: Mode::Normal,
    };
    route.settings.policy.decide(verified, &facts)
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
