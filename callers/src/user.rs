//! The user behind an app: a JWT of the API's own sign-in, verified beside the app's token.
//!
//! In: a request and where its route looks. Out: a [`ProvenUser`], or why there is none. The app's token says what was
//! asked, the user's says for whom; neither stands in for the other.

use std::fmt;
use std::sync::Arc;

use attest_core::time::UnixTime;
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};

use crate::Reason;
use crate::jwt::{JwtCache, JwtIssuer, VerifiedJwt};
use crate::place::{Place, Shown};

/// Where a route looks for the user, and who vouches for him.
#[derive(Clone, Debug)]
pub struct UserSource {
    /// Whose JWTs.
    pub issuer: JwtIssuer,
    /// Where they are.
    pub from: Vec<Place>,
    /// Whether nobody gets through without one.
    pub required: bool,
}

/// What a request shows of its user.
#[derive(Clone, Debug)]
pub enum Shows {
    /// Nothing.
    Nothing,
    /// A user.
    User(ProvenUser),
    /// A token that is no longer or not good.
    NotGood {
        /// Why.
        reason: Reason,
        /// Whether its own `exp` has passed, whoever wrote it.
        exp_passed: bool,
    },
}

impl UserSource {
    /// Looks. `used`: the header that a caller was proven by; what stands in it is no user's.
    #[must_use]
    pub fn look(&self, headers: &HeaderMap, used: Option<&HeaderName>, jwts: &JwtCache, now: UnixTime) -> Shows {
        let free = self.from.iter().filter(|place| used != Some(place.header()));
        let text = match Place::shown_in(free, headers).0 {
            Shown::Nothing => return Shows::Nothing,
            Shown::One(text) => text,
            Shown::Several => return Shows::NotGood { reason: "several_credentials", exp_passed: false },
        };
        match self.issuer.verify(text, jwts, now) {
            Ok(jwt) if jwt.subject().is_some_and(|sub| !sub.is_empty()) => {
                Shows::User(ProvenUser { issuer: self.issuer.name.clone(), jwt })
            }
            Ok(_) => Shows::NotGood { reason: "sub_missing", exp_passed: false },
            Err(why) => Shows::NotGood { reason: why.reason, exp_passed: why.exp_passed },
        }
    }
}

/// Proof that a user's token, good now, came with this request.
#[derive(Clone)]
pub struct ProvenUser {
    issuer: Arc<str>,
    jwt: Arc<VerifiedJwt>,
}

impl ProvenUser {
    /// Who vouches for the user: the issuer's name in the configuration.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The user, as the issuer names him; never empty.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.jwt.subject().unwrap_or_default()
    }

    /// All that the token says.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        self.jwt.claims()
    }
}

impl fmt::Debug for ProvenUser {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ProvenUser({})", self.issuer)
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;
    use serde_json::json;

    use super::*;
    use crate::jwt::tests::{NOW, SECRET, claims, issuer, jwt};

    fn shows(from: Vec<Place>, values: &[&str], used: Option<&HeaderName>, now: i64) -> Shows {
        let source = UserSource { issuer: issuer("idp"), from, required: true };
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        source.look(&headers, used, &JwtCache::new(), UnixTime::from_secs(now))
    }

    #[test]
    fn a_user_without_a_name_is_none() {
        for more in [json!({ "sub": "" }), json!({ "sub": null })] {
            let bearer = format!("Bearer {}", jwt(SECRET, &claims(more)));
            assert!(matches!(shows(vec![Place::Bearer], &[&bearer], None, NOW), Shows::NotGood { .. }));
        }
    }

    #[test]
    fn what_is_over_is_told_from_what_is_wrong() {
        let bearer = format!("Bearer {}", jwt(SECRET, &claims(json!({}))));
        let Shows::User(user) = shows(vec![Place::Bearer], &[&bearer], None, NOW) else { panic!("a user") };
        assert_eq!((user.issuer(), user.subject(), user.claims()["aud"].as_str()), ("idp", "u-1", Some("api.example")));
        assert!(matches!(
            shows(vec![Place::Bearer], &[&bearer], None, NOW + 700),
            Shows::NotGood { exp_passed: true, .. }
        ));
        let two = [bearer.as_str(), bearer.as_str()];
        assert!(matches!(shows(vec![Place::Bearer], &two, None, NOW), Shows::NotGood { exp_passed: false, .. }));
        assert!(matches!(shows(vec![Place::Bearer], &["Basic abc"], None, NOW), Shows::Nothing));
    }

    #[test]
    fn what_proved_a_caller_is_no_user() {
        let bearer = format!("Bearer {}", jwt(SECRET, &claims(json!({}))));
        assert!(matches!(shows(vec![Place::Bearer], &[&bearer], Some(&AUTHORIZATION), NOW), Shows::Nothing));
    }
}
