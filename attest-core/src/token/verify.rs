//! Stage 3: from a token's text to the one verdict of its request.
//!
//! Two steps, and each returns a value that the next demands:
//! 1. [`authenticate`]: text and key set in; [`Authenticated`] out. Only what follows from these two, so it may be
//!    kept in a cache.
//! 2. [`check()`]: that and the request's expectations in; [`Verified`] out. Time, issuer, audience, revocation and
//!    binding, each time anew.

mod check;
mod inspect;
mod verified;

use std::borrow::Cow;
use std::fmt;

use super::asv::{self, AsvBlock, AsvContext, DeviceState};
use super::claims::Claims;
use super::jws::{Compact, Malformed, SEALED_DOMAIN};
use super::key_set::{KeySet, KeySetKind, SignatureState, VerificationKey};
use super::{Algorithm, Reason, low_s};
use crate::evidence_kind::EvidenceKinds;
use crate::tier::Tier;
use crate::time::UnixTime;
use crate::verdict::Verdict;

pub use super::binding::{BindingStyle, BindingValue, binding_hash};
pub use check::{DEFAULT_LEEWAY, Expect, NothingRevoked, Revoked, check, exp_passed};
pub use inspect::{Inspection, inspect};
pub use verified::{UnsealRight, Verified};

/// A token whose signature was made by one of the keys of a set: by the key itself, or by its decoy.
pub struct Authenticated {
    claims: Claims,
    outcome: Outcome,
    kind: KeySetKind,
    kid: Option<Box<str>>,
    alg: Algorithm,
}

/// What the issuer says about the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Genuine(Facts),
    /// It failed. Only our own service says so.
    Failed(Facts),
}

/// What the sealed claim says; for another issuer's tokens nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// How much the appraisal vouches for.
    pub tier: Tier,
    /// The kinds of Evidence that held.
    pub kinds: EvidenceKinds,
    /// What an operator said about the device.
    pub device_state: DeviceState,
    /// Annotations, one bit each ([`asv::annotations`]).
    pub annotations: u16,
    /// Hours since the device was first seen, at most as many as fit; 0: not known.
    pub device_age_hours: u16,
    /// The registry's number of the build that it passed or failed as; 0: of none.
    pub build: u32,
}

impl Authenticated {
    /// What the token says.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What its issuer says about the app.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whose token it is.
    #[must_use]
    pub const fn kind(&self) -> KeySetKind {
        self.kind
    }

    /// The name of the key that verified it.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithm.
    #[must_use]
    pub const fn alg(&self) -> Algorithm {
        self.alg
    }
}

impl fmt::Debug for Authenticated {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Authenticated({} {}, {:?})", self.alg, self.kid().unwrap_or("no kid"), self.outcome)
    }
}

/// Parses and verifies one token. The result depends on `text` and `keys` alone: it may be cached under both.
///
/// # Errors
/// In this order: `malformed` (all that needs no key, claims included), `unknown_key`, `bad_signature`, and again
/// `malformed` for a token of ours whose `asv` is absent or does not open. Each with its reason's stable code. A
/// token signed with the decoy is no error: its [`Outcome`] is `Failed`.
///
/// # Source
/// RFC 7515 section 5.2, RFC 8725 section 3.
pub fn authenticate(text: &[u8], keys: &KeySet) -> Result<Authenticated, (Verdict, Reason)> {
    let compact = Compact::parse(text).map_err(malformed)?;
    let claims = Claims::parse(compact.payload()).map_err(malformed)?;
    let signed = verify_signature(&compact, keys)?;
    conclude(claims, &signed, keys)
}

/// When the token says that it ends, believed by nobody: only the choice between two refusals may depend on it.
#[must_use]
pub fn unverified_exp(text: &[u8]) -> Option<UnixTime> {
    let compact = Compact::parse(text).ok()?;
    Claims::parse(compact.payload()).ok().map(|claims| claims.exp())
}

const fn malformed(error: Malformed) -> (Verdict, Reason) {
    (Verdict::Malformed, error.reason)
}

/// Which key made the signature, and whether it was its decoy.
struct Signed<'k> {
    key: &'k VerificationKey,
    by_decoy: bool,
}

fn verify_signature<'k>(compact: &Compact<'_>, keys: &'k KeySet) -> Result<Signed<'k>, (Verdict, Reason)> {
    let own = keys.kind() == KeySetKind::Own;
    // RFC 8725 section 3.11: a JWT that we made for another purpose is no result token.
    if own && !compact.header().sealed && compact.header().typ.as_deref() != Some("JWT") {
        return Err((Verdict::Malformed, "typ_not_jwt"));
    }
    let message: Cow<'_, [u8]> = match compact.header().sealed {
        true => [SEALED_DOMAIN, compact.signing_input()].concat().into(),
        false => compact.signing_input().into(),
    };
    let mut found = None;
    // Each key of the algorithm is tried, also after one fitted: the time tells nothing about which.
    for key in keys.select(compact.header())? {
        match key.verify(&message, compact.signature()) {
            SignatureState::Genuine => found = Some(Signed { key, by_decoy: false }),
            SignatureState::Decoy => found = found.or(Some(Signed { key, by_decoy: true })),
            SignatureState::Bad | SignatureState::Unchecked => {}
        }
    }
    let signed = found.ok_or((Verdict::BadSignature, "signature_wrong"))?;
    if own && low_s::is_high(signed.key.alg(), compact.signature()) {
        return Err((Verdict::BadSignature, "high_s"));
    }
    Ok(signed)
}

fn conclude(claims: Claims, signed: &Signed<'_>, keys: &KeySet) -> Result<Authenticated, (Verdict, Reason)> {
    // Opened for a decoy's token too, so that it takes the same time.
    let sealed = match (keys.kind(), keys.verdict_key()) {
        (KeySetKind::Own, Some(key)) => open_asv(&claims, signed.key, key),
        _ => Ok(AsvBlock { passed: true, ..AsvBlock::default() }),
    };
    let outcome = match (signed.by_decoy, sealed) {
        (true, sealed) => Outcome::Failed(sealed.map(Facts::from).unwrap_or_default()),
        (false, Ok(block)) if block.passed => Outcome::Genuine(block.into()),
        (false, Ok(block)) => Outcome::Failed(block.into()),
        (false, Err(reason)) => return Err((Verdict::Malformed, reason)),
    };
    let kid = signed.key.kid().map(Box::from);
    Ok(Authenticated { claims, outcome, kind: keys.kind(), kid, alg: signed.key.alg() })
}

fn open_asv(claims: &Claims, key: &VerificationKey, verdict_key: &asv::VerdictKey) -> Result<AsvBlock, Reason> {
    let asv = claims.asv().ok_or("asv_missing")?;
    let aud = match claims.aud() {
        [only] => &**only,
        _ => return Err("asv_does_not_open"),
    };
    let (Some(iss), Some(iat), Some(jti)) = (claims.iss(), claims.iat(), claims.jti()) else {
        return Err("asv_does_not_open");
    };
    let context = AsvContext { iss, aud, kid: key.kid().unwrap_or_default(), iat, exp: claims.exp() };
    asv::open(verdict_key, jti, context, asv).map_err(|_| "asv_does_not_open")
}

impl From<AsvBlock> for Facts {
    fn from(block: AsvBlock) -> Self {
        let AsvBlock { passed: _, tier, kinds, device_state, annotations, device_age_hours, build } = block;
        Self { tier, kinds, device_state, annotations, device_age_hours, build }
    }
}

#[cfg(test)]
mod tests;
