//! Another issuer's JWT: what it says, once everything about it holds.
//!
//! In: a text, the issuer's keys and what it must name, and the time. Out: a [`VerifiedJwt`], or why it is none. Proven
//! between: a signature by one of these keys, `iss`, `aud`, `exp`, `nbf`, `iat`, and that it is for whoever carries it. It
//! says nothing about an app: no value made here goes where a verdict on the app's token is asked for.

mod cache;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use attest_core::time::UnixTime;
use attest_core::token::key_set::KeySet;
use attest_core::token::verify::{self, Authenticated, Expect, NothingRevoked, exp_passed};
use attest_core::verdict::Verdict;
use serde_json::{Map, Value};

use crate::Reason;

pub use cache::JwtCache;

/// Whose JWTs, and what they must say. Issuer and audience are not optional: without an audience, a token that the same
/// issuer made for any other API would pass here.
#[derive(Clone, Debug)]
pub struct JwtIssuer {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its keys.
    pub keys: Arc<KeySet>,
    /// Tells these keys from every other edition of them in the cache.
    pub id: u64,
    /// `iss`.
    pub issuer: Box<str>,
    /// `aud`, or one of several.
    pub audience: Box<str>,
    /// Tolerance for clocks that differ.
    pub leeway: Duration,
    /// A token whose `exp` is further off is none.
    pub max_lifetime: Duration,
}

/// A JWT whose signature is its issuer's. Whether it is good now is asked each time: [`JwtIssuer::verify`] says so.
pub struct VerifiedJwt {
    authenticated: Arc<Authenticated>,
    claims: Map<String, Value>,
}

impl VerifiedJwt {
    /// `sub`.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.authenticated.claims().sub()
    }

    /// All that it says.
    #[must_use]
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

impl fmt::Debug for VerifiedJwt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("VerifiedJwt(..)")
    }
}

/// Why a JWT is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotGood {
    /// The reason's code.
    pub reason: Reason,
    /// Whether its own `exp` has passed, whoever wrote it: the one thing that its bearer is told.
    pub exp_passed: bool,
}

impl JwtIssuer {
    /// Verifies a JWT, with what is known from earlier in `cache`.
    ///
    /// # Errors
    /// [`NotGood`]: the reasons of [`verify::authenticate`] and [`verify::check`].
    pub fn verify(&self, text: &[u8], cache: &JwtCache, now: UnixTime) -> Result<Arc<VerifiedJwt>, NotGood> {
        let jwt = match cache.find(self.id, text) {
            Some(jwt) => jwt,
            None => {
                let authenticated = verify::authenticate(text, &self.keys).map_err(|(_, reason)| NotGood {
                    reason,
                    exp_passed: verify::unverified_exp(text).is_some_and(|exp| exp_passed(exp, now, self.leeway)),
                })?;
                let claims = match authenticated.claims().as_json() {
                    Value::Object(claims) => claims,
                    _ => Map::new(),
                };
                let jwt = Arc::new(VerifiedJwt { authenticated: Arc::new(authenticated), claims });
                cache.keep(self.id, text, jwt.clone());
                jwt
            }
        };
        let verified = verify::check(&jwt.authenticated, &self.expect(now));
        match verified.verdict() {
            // The checks are the same as an app's token has to pass; the word is not: nothing of it leaves this function.
            Verdict::Attested => Ok(jwt),
            _ => Err(NotGood { reason: verified.reason(), exp_passed: verified.unverified_exp_passed() }),
        }
    }

    fn expect(&self, now: UnixTime) -> Expect<'_> {
        Expect {
            issuer: Some(&self.issuer),
            audience: Some(&self.audience),
            now,
            leeway: self.leeway,
            max_lifetime: Some(self.max_lifetime),
            accept_expired: Duration::ZERO,
            accept_expired_may_unseal: false,
            binding: None,
            pay_optional: false,
            // A token that names a key is for its holder (RFC 7800), and no proof is asked for here.
            bearer_ok: false,
            allow_dev: false,
            revoked: &NothingRevoked,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
