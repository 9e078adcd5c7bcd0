//! Stage 3: from a token's text to one verdict.
//!
//! In come the presented token and the route's issuer; out goes a [`Verified`], the proof that stage 4
//! demands. Beside it, on routes that ask, who calls that is no app, and for which user ([`identify`]). The signature is checked once for each token and key set; everything that may change with
//! time, route or request is checked on every request.

use std::sync::Arc;
use std::time::Duration;

use attest_core::time::UnixTime;
use attest_core::token::key_set::KeySet;
use attest_core::token::verify::{
    self, Authenticated, BindingStyle, BindingValue, Expect, NothingRevoked, Revoked, Verified, exp_passed,
};
use attest_core::verdict::Verdict;
use http::{HeaderMap, HeaderName};
use settings::IssuerProfile;

use super::extract::Presented;
use crate::feeds::{InUse, OwnFeeds, Usable};
use crate::route::{Issuer, Route};
use crate::runtime::Runtime;
use crate::token_cache::KeySetId;

mod identity;

pub(crate) use identity::{Identity, identify};

/// One moment on both clocks.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    /// For the age of what the service publishes: it never jumps.
    pub steady: Duration,
    /// For tokens.
    pub wall: UnixTime,
}

/// The whole stage. Waits only for a key that this gateway has never heard of, and for that only one request in each
/// period; the client chose its name, so what comes of it is `unknown_key`, whether the service answers or not.
pub(crate) async fn verify(
    presented: &Presented,
    route: &Route,
    headers: &HeaderMap,
    runtime: &Runtime,
    now: Now,
) -> Verified {
    let (verified, edition) = judge(presented, route, headers, runtime, now);
    if verified.verdict() != Verdict::UnknownKey || verified.unverified_exp_passed() {
        return verified;
    }
    // Boxed: what is rare adds nothing to the size of every request.
    match &route.issuer {
        Issuer::Own { feeds, .. } if Box::pin(feeds.key_sets.look_again(edition, now.steady)).await => {
            judge(presented, route, headers, runtime, now).0
        }
        _ => verified,
    }
}

/// The verdict by what is known now, and the number of our own edition that it comes from.
fn judge(
    presented: &Presented,
    route: &Route,
    headers: &HeaderMap,
    runtime: &Runtime,
    now: Now,
) -> (Verified, Option<u64>) {
    let text = match presented {
        Presented::Nothing => return (Verified::missing(), None),
        Presented::Several => return (Verified::refused(Verdict::Malformed, "several_tokens", false), None),
        Presented::Token { text, .. } => text.as_bytes(),
    };
    let keys = match Keys::of(route, now) {
        Ok(keys) => keys,
        Err(reason) => return (Verified::unverifiable(reason), None),
    };
    let authenticated = match runtime.tokens.find(keys.id, text) {
        Some(seen) => {
            runtime.metrics.token_cache_hits.inc();
            seen
        }
        None => {
            runtime.metrics.token_cache_misses.inc();
            match verify::authenticate(text, &keys.set) {
                Ok(authenticated) => {
                    let authenticated = Arc::new(authenticated);
                    runtime.tokens.keep(keys.id, text, authenticated.clone());
                    authenticated
                }
                Err((verdict, reason)) => {
                    return (unproven(verdict, reason, text, keys.leeway, now.wall), keys.edition);
                }
            }
        }
    };
    (check(&authenticated, &keys, route, headers, now.wall), keys.edition)
}

/// A token that nothing vouches for. Whether its own `exp` has passed needs no key, and decides only
/// between "fetch a token" and "refused".
fn unproven(verdict: Verdict, reason: &'static str, text: &[u8], leeway: Duration, now: UnixTime) -> Verified {
    let passed = verify::unverified_exp(text).is_some_and(|exp| exp_passed(exp, now, leeway));
    Verified::refused(verdict, reason, passed)
}

/// The keys for one request, and what else the issuer asks.
struct Keys<'a> {
    set: Arc<KeySet>,
    id: KeySetId,
    /// Number of our own edition.
    edition: Option<u64>,
    /// What our own service took back.
    revoked: Option<InUse>,
    issuer: Option<&'a str>,
    audience: Option<&'a str>,
    leeway: Duration,
    max_lifetime: Option<Duration>,
    /// How long past its `exp` a token of ours passes right now.
    accept_expired: Duration,
    style: BindingStyle,
}

impl<'a> Keys<'a> {
    fn of(route: &'a Route, now: Now) -> Result<Self, &'static str> {
        match &route.issuer {
            Issuer::Named { settings, id } => Ok(Self {
                set: settings.key_set.clone(),
                id: *id,
                edition: None,
                revoked: None,
                issuer: settings.issuer.as_deref(),
                audience: settings.audience.as_deref(),
                leeway: settings.leeway,
                max_lifetime: Some(settings.max_lifetime),
                // Only what we issue can't be renewed while our service is away.
                accept_expired: Duration::ZERO,
                style: match settings.profile {
                    IssuerProfile::Approov => BindingStyle::Concatenated,
                    IssuerProfile::Jwt => BindingStyle::LengthPrefixed,
                },
            }),
            Issuer::Own { feeds, issuer, audience, leeway } => {
                let (faults, key_sets) = (&route.settings.our_faults, &feeds.key_sets);
                let (edition, service_down) = match key_sets.usable(faults.keys_stale, now.steady) {
                    Usable::Nothing(reason) => return Err(reason),
                    Usable::Keys { edition, service_down } => (edition, service_down),
                };
                let revoked = feeds.revocations.usable(faults.revocations_stale, now.steady)?;
                Ok(Self {
                    set: edition.key_set.clone(),
                    id: key_sets.id(&edition),
                    edition: Some(edition.number),
                    revoked: Some(revoked),
                    issuer: Some(issuer),
                    audience: Some(audience),
                    leeway: *leeway,
                    max_lifetime: edition.key_set.max_lifetime(),
                    accept_expired: accept_expired(route, feeds, service_down, now.wall),
                    style: BindingStyle::LengthPrefixed,
                })
            }
        }
    }
}

/// How much longer tokens of ours live: because none can be had just now, or because an operator has ordered it.
/// Whether such a token opens a key is the route's own word either way.
fn accept_expired(route: &Route, feeds: &OwnFeeds, service_down: bool, now: UnixTime) -> Duration {
    let ordered = feeds.revocations.orders().extend(&route.name, now);
    match route.settings.our_faults.accept_expired {
        Some(longer) if service_down => longer.max(ordered),
        _ => ordered,
    }
}

fn check(
    authenticated: &Arc<Authenticated>,
    keys: &Keys<'_>,
    route: &Route,
    headers: &HeaderMap,
    now: UnixTime,
) -> Verified {
    let token = &route.settings.token;
    // Empty, and without an allocation, on routes that bind nothing.
    let bound = bound_values(&token.bind, headers);
    let revoked: &dyn Revoked = match &keys.revoked {
        Some(in_use) => in_use,
        None => &NothingRevoked,
    };
    let expect = Expect {
        issuer: keys.issuer,
        audience: keys.audience,
        now,
        leeway: keys.leeway,
        max_lifetime: keys.max_lifetime,
        accept_expired: keys.accept_expired,
        accept_expired_may_unseal: route.settings.accept_expired_may_unseal,
        binding: (!token.bind.is_empty()).then(|| match &bound {
            Some(values) => BindingValue::Present { values, style: keys.style },
            None => BindingValue::HeaderMissing,
        }),
        pay_optional: token.danger_pay_optional,
        bearer_ok: token.bearer_ok,
        allow_dev: token.allow_dev,
        revoked,
    };
    verify::check(authenticated, &expect)
}

/// The value of each header that a token must be bound to; nothing if one is absent or there twice.
fn bound_values<'a>(names: &[HeaderName], headers: &'a HeaderMap) -> Option<Vec<&'a [u8]>> {
    names
        .iter()
        .map(|name| {
            let mut values = headers.get_all(name).iter();
            let only = values.next()?;
            values.next().is_none().then(|| only.as_bytes())
        })
        .collect()
}
