//! What a request demands of a token that has been authenticated, in the order of the verdicts. Allocates nothing.

use std::sync::Arc;
use std::time::Duration;

use super::verified::Verified;
use super::{Authenticated, Facts, Outcome};
use crate::feed::RevocationKind;
use crate::time::UnixTime;
use crate::token::Reason;
use crate::token::asv::{DeviceState, annotations};
use crate::token::binding::{self, BindingValue};
use crate::token::claims::Claims;
use crate::token::key_set::KeySetKind;
use crate::verdict::Verdict;

/// The leeway for clocks that disagree, unless configured otherwise.
pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);

/// What one request demands.
#[derive(Clone, Copy)]
pub struct Expect<'a> {
    /// The issuer that the token must name; `None` where none is configured.
    pub issuer: Option<&'a str>,
    /// The audience that the token must name; `None` where none is configured.
    pub audience: Option<&'a str>,
    /// The moment now.
    pub now: UnixTime,
    /// How far clocks may disagree.
    pub leeway: Duration,
    /// How far ahead `exp` may be; `None` where none is configured.
    pub max_lifetime: Option<Duration>,
    /// How much longer than `exp` our own tokens live, because none can be had just now. Zero: not at all.
    pub accept_expired: Duration,
    /// Whether a token that lives on so may open a key.
    pub accept_expired_may_unseal: bool,
    /// What the token must be bound to; `None` on a route that binds nothing.
    pub binding: Option<BindingValue<'a>>,
    /// Whether a token without `pay` passes on a bound route (`danger_pay_optional`).
    pub pay_optional: bool,
    /// Whether a token that names a key (`cnf`, `ipk`) passes without a proof that its sender has it.
    pub bearer_ok: bool,
    /// Whether a token made for development passes ([`annotations::DEV`]).
    pub allow_dev: bool,
    /// What was revoked since.
    pub revoked: &'a dyn Revoked,
}

/// What knows which tokens were revoked after they were issued.
pub trait Revoked {
    /// By what kind of revocation a token is no longer good at `now`; `None` where it still is. Called once for every
    /// request, so it must not allocate. `kid`: the name of the key that verified it.
    fn revokes(&self, claims: &Claims, facts: &Facts, kid: Option<&str>, now: UnixTime) -> Option<RevocationKind>;
}

/// Nothing was revoked: for tokens of other issuers, and for trying a token.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingRevoked;

impl Revoked for NothingRevoked {
    fn revokes(&self, _: &Claims, _: &Facts, _: Option<&str>, _: UnixTime) -> Option<RevocationKind> {
        None
    }
}

impl Expect<'_> {
    /// Demands nothing but a token that is valid at `now`, with the default leeway.
    #[must_use]
    pub fn valid_at(now: UnixTime) -> Self {
        Self {
            issuer: None,
            audience: None,
            now,
            leeway: DEFAULT_LEEWAY,
            max_lifetime: None,
            accept_expired: Duration::ZERO,
            accept_expired_may_unseal: false,
            binding: None,
            pay_optional: false,
            bearer_ok: true,
            allow_dev: false,
            revoked: &NothingRevoked,
        }
    }
}

/// Whether a token with this `exp` is over: the one comparison that the verdict and the answer to the client share.
#[must_use]
pub fn exp_passed(exp: UnixTime, now: UnixTime, leeway: Duration) -> bool {
    now > exp.plus(leeway)
}

/// Judges a token for one request: the first verdict that applies.
#[must_use]
pub fn check(auth: &Arc<Authenticated>, expect: &Expect<'_>) -> Verified {
    let claims = auth.claims();
    let over = expect.now.since(claims.exp().plus(expect.leeway)).filter(|over| !over.is_zero());
    let may_live_on = auth.kind() == KeySetKind::Own && over.is_some_and(|over| over <= expect.accept_expired);
    let (verdict, reason) = judge(auth, expect, over.is_some() && !may_live_on);
    Verified::judged(auth, verdict, reason, over, may_live_on && !expect.accept_expired_may_unseal)
}

fn judge(auth: &Authenticated, expect: &Expect<'_>, expired: bool) -> (Verdict, Reason) {
    let claims = auth.claims();
    let latest = expect.now.plus(expect.leeway);
    if expect.max_lifetime.is_some_and(|max| claims.exp() > latest.plus(max)) {
        return (Verdict::Malformed, "lifetime_too_long");
    }
    if let Some(issuer) = expect.issuer {
        match claims.iss() {
            Some(iss) if iss == issuer => {}
            Some(_) => return (Verdict::WrongIssuer, "iss_differs"),
            None => return (Verdict::WrongIssuer, "iss_missing"),
        }
    }
    if let Some(audience) = expect.audience {
        match claims.aud() {
            [] => return (Verdict::WrongAudience, "aud_missing"),
            several if several.iter().any(|aud| **aud == *audience) => {}
            _ => return (Verdict::WrongAudience, "aud_differs"),
        }
    }
    let facts = match auth.outcome() {
        Outcome::Failed(_) => return (Verdict::Failed, "failed_appraisal"),
        Outcome::Genuine(facts) => facts,
    };
    if facts.annotations & annotations::DEV != 0 && !expect.allow_dev {
        return (Verdict::Failed, "dev_token");
    }
    match facts.device_state {
        DeviceState::ForcedFail => return (Verdict::Failed, "device_forced_fail"),
        DeviceState::Banned => return (Verdict::Revoked, "device_banned"),
        DeviceState::Normal | DeviceState::ForcedPass => {}
    }
    if let Some(kind) = expect.revoked.revokes(claims, &facts, auth.kid(), expect.now) {
        return (Verdict::Revoked, kind.reason());
    }
    if claims.nbf().is_some_and(|nbf| nbf > latest) {
        return (Verdict::NotYetValid, "nbf_ahead");
    }
    if claims.iat().is_some_and(|iat| iat > latest) {
        return (Verdict::NotYetValid, "iat_ahead");
    }
    if expired {
        return (Verdict::Expired, "exp_passed");
    }
    if let Some(value) = expect.binding
        && let Err(reason) = binding::check(claims.pay(), value, expect.pay_optional)
    {
        return (Verdict::BindingMismatch, reason);
    }
    // RFC 7800 section 3: such a token is for the holder of its key. Without a proof, whoever holds the token is nobody.
    if claims.names_a_key() && !expect.bearer_ok {
        return (Verdict::ProofInvalid, "proof_missing");
    }
    (Verdict::Attested, "good")
}
