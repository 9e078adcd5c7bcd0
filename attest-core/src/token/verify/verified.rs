//! The proof that stage 3 was passed through, and the right that only some of these proofs carry.
//!
//! ```compile_fail,E0451
//! use attest_core::token::verify::Verified;
//! use attest_core::verdict::Verdict;
//! // No field can be named from outside: nobody writes down that a request is attested.
//! let forged = Verified { verdict: Verdict::Attested, ..Verified::missing() };
//! ```
//!
//! ```compile_fail,E0423
//! // Neither is there a way to write down the right to open a key.
//! let right = attest_core::token::verify::UnsealRight(());
//! ```
//!
//! ```compile_fail,E0599
//! # fn twice(right: attest_core::token::verify::UnsealRight) {
//! let copy = right.clone(); // one right, one use
//! # }
//! ```
//!
//! ```compile_fail,E0451
//! # use attest_core::token::verify::Authenticated;
//! # fn forge(real: Authenticated) {
//! let forged = Authenticated { kid: None, ..real };
//! # }
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Authenticated, Facts, Outcome};
use crate::evidence_kind::EvidenceKinds;
use crate::tier::Tier;
use crate::token::Reason;
use crate::token::asv::{DeviceState, annotations};
use crate::token::claims::Claims;
use crate::verdict::Verdict;

/// The verdict on one request's token. Made by [`super::check()`], or for requests whose token never got there.
#[derive(Clone)]
pub struct Verified {
    verdict: Verdict,
    reason: Reason,
    auth: Option<Arc<Authenticated>>,
    expired_for: Option<Duration>,
    unverified_exp_passed: bool,
    withhold_keys: bool,
}

impl Verified {
    /// The request carries no token.
    #[must_use]
    pub const fn missing() -> Self {
        Self::without_token(Verdict::Missing, "no_token", false)
    }

    /// The token did not get past [`super::authenticate`], or could not be taken from the request.
    ///
    /// `unverified_exp_passed`: [`super::exp_passed`] of [`super::unverified_exp`], false where there is none. What
    /// only [`super::check()`] can say (`attested` above all) is not said here: it becomes `malformed`.
    #[must_use]
    pub const fn refused(verdict: Verdict, reason: Reason, unverified_exp_passed: bool) -> Self {
        let verdict = match verdict {
            Verdict::Missing | Verdict::Unverifiable | Verdict::UnknownKey | Verdict::BadSignature => verdict,
            _ => Verdict::Malformed,
        };
        Self::without_token(verdict, reason, unverified_exp_passed)
    }

    /// There is no usable key set; the fault is ours.
    #[must_use]
    pub const fn unverifiable(reason: Reason) -> Self {
        Self::without_token(Verdict::Unverifiable, reason, false)
    }

    const fn without_token(verdict: Verdict, reason: Reason, unverified_exp_passed: bool) -> Self {
        Self { verdict, reason, auth: None, expired_for: None, unverified_exp_passed, withhold_keys: true }
    }

    pub(super) fn judged(
        auth: &Arc<Authenticated>,
        verdict: Verdict,
        reason: Reason,
        expired_for: Option<Duration>,
        withhold_keys: bool,
    ) -> Self {
        let unverified_exp_passed = expired_for.is_some();
        Self { verdict, reason, auth: Some(Arc::clone(auth)), expired_for, unverified_exp_passed, withhold_keys }
    }

    /// The verdict.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The stable code of the reason, for logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What the token says, when its signature is genuine: conditions of a policy look here and nowhere else.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        self.genuine().map(|(auth, _)| auth.claims())
    }

    /// What the token says, when its signature is genuine or its decoy's: for logs, counters and revocation, never
    /// for a decision.
    #[must_use]
    pub fn signed_claims(&self) -> Option<&Claims> {
        self.auth.as_deref().map(Authenticated::claims)
    }

    /// The token behind it, when it got past [`super::authenticate`].
    #[must_use]
    pub const fn authenticated(&self) -> Option<&Arc<Authenticated>> {
        self.auth.as_ref()
    }

    /// How much the appraisal vouches for; `None` the tier unless the app passed it.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.genuine().map_or(Tier::None, |(_, facts)| facts.tier)
    }

    /// The kinds of Evidence that held; empty unless the app passed.
    #[must_use]
    pub fn kinds(&self) -> EvidenceKinds {
        self.genuine().map_or(EvidenceKinds::EMPTY, |(_, facts)| facts.kinds)
    }

    /// What an operator said about the device; also of a failed app.
    #[must_use]
    pub fn device_state(&self) -> DeviceState {
        match self.auth.as_deref().map(Authenticated::outcome) {
            Some(Outcome::Genuine(facts) | Outcome::Failed(facts)) => facts.device_state,
            None => DeviceState::Normal,
        }
    }

    /// Annotations of the app that passed, one bit each ([`annotations`]).
    #[must_use]
    pub fn annotations(&self) -> u16 {
        self.genuine().map_or(0, |(_, facts)| facts.annotations)
    }

    /// How long ago the device was first seen, when the token was made: in whole hours, and nothing for an app that
    /// did not pass, for another issuer's token and where the issuer does not know.
    #[must_use]
    pub fn device_age(&self) -> Option<Duration> {
        let (_, facts) = self.genuine()?;
        (facts.device_age_hours > 0).then(|| Duration::from_secs(u64::from(facts.device_age_hours) * 3_600))
    }

    /// Whether it is a token made for development that this route takes.
    #[must_use]
    pub fn is_dev(&self) -> bool {
        self.genuine().is_some_and(|(_, facts)| facts.annotations & annotations::DEV != 0)
    }

    /// The registry's number of the build that the app passed as; 0: of none.
    #[must_use]
    pub fn build(&self) -> u32 {
        self.genuine().map_or(0, |(_, facts)| facts.build)
    }

    /// The device, as the issuer named it; also of a failed app, so that its calls can be counted.
    #[must_use]
    pub fn device(&self) -> Option<&str> {
        self.signed_claims().and_then(Claims::did)
    }

    /// How long the token is over, leeway taken off; `None` while it is not, and for a token that did not get past
    /// [`super::authenticate`].
    #[must_use]
    pub const fn expired_for(&self) -> Option<Duration> {
        self.expired_for
    }

    /// Whether the token's own `exp` has passed, whoever wrote it: the one thing about a refused token that the
    /// client is told.
    #[must_use]
    pub const fn unverified_exp_passed(&self) -> bool {
        self.unverified_exp_passed
    }

    /// Whether it is attested although its time is over, because none can be had just now.
    #[must_use]
    pub fn accepted_expired(&self) -> bool {
        self.verdict == Verdict::Attested && self.expired_for.is_some()
    }

    /// The right to open a key: only for an attested request, and not for one that lives on past its time unless the
    /// route says so.
    #[must_use]
    pub fn unseal_right(&self) -> Option<UnsealRight> {
        (self.verdict == Verdict::Attested && !self.withhold_keys).then_some(UnsealRight(()))
    }

    fn genuine(&self) -> Option<(&Authenticated, Facts)> {
        let auth = self.auth.as_deref()?;
        match auth.outcome() {
            Outcome::Genuine(facts) => Some((auth, facts)),
            Outcome::Failed(_) => None,
        }
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Verified({}, {})", self.verdict, self.reason)
    }
}

/// The right to open a sealed key for one request. Not `Clone`: whoever has it was given it by an attested
/// [`Verified`], or by a door in [`crate::token::danger`].
#[derive(Debug)]
pub struct UnsealRight(());

impl UnsealRight {
    pub(in crate::token) const fn from_danger() -> Self {
        Self(())
    }
}
