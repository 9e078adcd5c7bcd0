//! Callers of a route, and the one that a request proves to be.
//!
//! In: a request's head, its certificate if it has one, and, where somebody signed it, its body. Out: at most one
//! [`Proven`], which nobody else can make. What a request shows that proves nothing is as good as nothing: whoever was
//! refused for it could leave it out.

use std::fmt;
use std::sync::Arc;

use attest_core::time::UnixTime;
use http::{HeaderMap, HeaderName};
use serde_json::Value;
use smallvec::SmallVec;

use crate::Reason;
use crate::bearer::BearerHashes;
use crate::certificate::{CertificateMatch, ClientCertificate};
use crate::deliveries::{Deliveries, Reserved};
use crate::jwt::{JwtCache, JwtIssuer, VerifiedJwt};
use crate::place::{Place, Shown};
use crate::webhook::{Unread, Webhook};

/// Somebody named in the configuration, and what he has to show.
#[derive(Debug)]
pub struct Caller {
    /// The name.
    pub name: Arc<str>,
    /// What he has to show.
    pub proof: Proof,
}

/// What a caller has to show.
#[derive(Debug)]
pub enum Proof {
    /// A bearer token.
    Bearer {
        /// Their hashes.
        hashes: BearerHashes,
        /// Where it is.
        from: Vec<Place>,
    },
    /// A certificate, in the handshake.
    Certificate(CertificateMatch),
    /// Another issuer's JWT.
    Jwt {
        /// Whose.
        issuer: JwtIssuer,
        /// What else it must say.
        demands: Demands,
        /// Where it is.
        from: Vec<Place>,
    },
    /// A signed body.
    Webhook {
        /// How it is signed.
        webhook: Webhook,
        /// Bytes of the body at most.
        max_body: u64,
    },
}

/// What a JWT must say beside what every one must.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demands {
    /// `sub` is one of these; empty: any.
    pub subjects: Vec<String>,
    /// Each of these claims equals one of the values, or is a list with one of them in it.
    pub claims: Vec<(String, Vec<Value>)>,
}

impl Demands {
    fn met_by(&self, jwt: &VerifiedJwt) -> bool {
        let fits = |claim: &Value, values: &[Value]| match claim {
            Value::Array(items) => items.iter().any(|item| values.contains(item)),
            claim => values.contains(claim),
        };
        let subject = || jwt.subject().is_some_and(|sub| self.subjects.iter().any(|wanted| wanted == sub));
        (self.subjects.is_empty() || subject())
            && self.claims.iter().all(|(name, values)| jwt.claims().get(name).is_some_and(|claim| fits(claim, values)))
    }
}

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// By a bearer token.
    Bearer,
    /// By a certificate.
    Certificate,
    /// By another issuer's JWT.
    Jwt,
    /// By a signed body.
    Webhook,
}

impl Means {
    /// The word in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Certificate => "client_certificate",
            Self::Jwt => "jwt",
            Self::Webhook => "webhook",
        }
    }
}

/// Proof that a named caller sent this request.
///
/// ```compile_fail,E0451
/// # use callers::caller::{Means, Proven};
/// // No field can be named from outside: nobody writes down that a request is a partner's.
/// let forged = Proven { name: "acme".into(), means: Means::Bearer, credential: None, delivery: None };
/// ```
#[derive(Debug)]
pub struct Proven {
    name: Arc<str>,
    means: Means,
    credential: Option<HeaderName>,
    delivery: Option<Reserved>,
}

impl Proven {
    /// The caller's name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it was proven.
    #[must_use]
    pub const fn means(&self) -> Means {
        self.means
    }

    /// The header that the credential stood in: it has done its part, and is not for the upstream.
    #[must_use]
    pub const fn credential(&self) -> Option<&HeaderName> {
        self.credential.as_ref()
    }

    /// From here on the API may have seen the request: a delivery is a replay if it comes again, also after an exchange that
    /// broke off.
    pub fn handed_over(&mut self) {
        if let Some(delivery) = &mut self.delivery {
            delivery.handed_over();
        }
    }

    /// The API has answered; if it has not taken a delivery, that may come again.
    pub fn answered(&mut self, taken: bool) {
        if let Some(delivery) = &mut self.delivery {
            delivery.answered(taken);
        }
    }
}

/// What the head of a request comes to.
#[derive(Debug)]
pub enum Answer {
    /// A caller.
    Proven(Proven),
    /// Somebody signed the body: it has to be read.
    Signed(Box<Signed>),
    /// No caller; with the reason, where something was shown.
    Nobody(Option<Reason>),
}

/// The callers that a route knows, in its order.
#[derive(Clone, Debug, Default)]
pub struct RouteCallers(Box<[Arc<Caller>]>);

impl RouteCallers {
    /// These, the first that a request proves counts.
    #[must_use]
    pub fn new(callers: Vec<Arc<Caller>>) -> Self {
        Self(callers.into())
    }

    /// Whether the route knows none: then nothing need be asked.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Headers that are a credential of one of these and nothing else: no request takes them upstream. `Authorization` is
    /// not among them, for it may be somebody else's; see [`Proven::credential`].
    pub fn credential_headers(&self) -> impl Iterator<Item = &HeaderName> {
        let places = self.0.iter().flat_map(|caller| match &caller.proof {
            Proof::Bearer { from, .. } | Proof::Jwt { from, .. } => from.as_slice(),
            Proof::Certificate(_) | Proof::Webhook { .. } => &[],
        });
        places.filter_map(|place| match place {
            Place::Header(name) => Some(name),
            Place::Bearer => None,
        })
    }

    /// Who sent a request, as far as its head and its connection tell.
    #[must_use]
    pub fn prove(
        &self,
        headers: &HeaderMap,
        certificate: Option<&ClientCertificate>,
        jwts: &JwtCache,
        now: UnixTime,
    ) -> Answer {
        let mut why = None;
        let mut deliveries = Vec::new();
        let mut looked = Looked { jwts, now, refused: SmallVec::new() };
        for caller in &self.0 {
            let shown = match &caller.proof {
                Proof::Webhook { webhook, max_body } => {
                    match webhook.open(headers, now) {
                        Some(Ok(unread)) => deliveries.push((caller.name.clone(), unread, *max_body)),
                        Some(Err(reason)) => why = why.or(Some(reason)),
                        None => {}
                    }
                    continue;
                }
                Proof::Certificate(wanted) => certificate.map(|shown| by_certificate(wanted, shown)),
                Proof::Bearer { hashes, from } => by_bearer(hashes, from, headers),
                Proof::Jwt { issuer, demands, from } => by_jwt(issuer, demands, from, headers, &mut looked),
            };
            match shown {
                Some(Ok((means, credential))) => {
                    let name = caller.name.clone();
                    return Answer::Proven(Proven { name, means, credential: credential.cloned(), delivery: None });
                }
                Some(Err(reason)) => why = why.or(Some(reason)),
                None => {}
            }
        }
        if deliveries.is_empty() { Answer::Nobody(why) } else { Answer::Signed(Box::new(Signed { deliveries })) }
    }
}

/// How it was proven, and by which header; or why it was not; or nothing, where nothing was shown.
type Judged<'c> = Option<Result<(Means, Option<&'c HeaderName>), Reason>>;

fn by_certificate<'c>(
    wanted: &CertificateMatch,
    shown: &ClientCertificate,
) -> Result<(Means, Option<&'c HeaderName>), Reason> {
    if wanted.fits(shown) { Ok((Means::Certificate, None)) } else { Err("certificate_unknown") }
}

fn by_bearer<'c>(hashes: &BearerHashes, from: &'c [Place], headers: &HeaderMap) -> Judged<'c> {
    match Place::shown_in(from, headers) {
        (Shown::Nothing, _) => None,
        (Shown::One(token), Some(place)) if hashes.know(token) => Some(Ok((Means::Bearer, Some(place.header())))),
        (Shown::One(_), _) => Some(Err("bearer_unknown")),
        (Shown::Several, _) => Some(Err("several_credentials")),
    }
}

fn by_jwt<'c, 'h>(
    issuer: &JwtIssuer,
    demands: &Demands,
    from: &'c [Place],
    headers: &'h HeaderMap,
    looked: &mut Looked<'h, '_>,
) -> Judged<'c> {
    let (text, place) = match Place::shown_in(from, headers) {
        (Shown::Nothing, _) => return None,
        (Shown::One(text), Some(place)) => (text, place),
        _ => return Some(Err("several_credentials")),
    };
    Some(match looked.at(issuer, text) {
        Ok(jwt) if demands.met_by(&jwt) => Ok((Means::Jwt, Some(place.header()))),
        Ok(_) => Err("claims_differ"),
        Err(reason) => Err(reason),
    })
}

/// The JWTs of one request that were no good: no cache keeps those, and each caller of their issuer would have a signature
/// verified again, for whoever makes one up.
struct Looked<'h, 'j> {
    jwts: &'j JwtCache,
    now: UnixTime,
    /// By the issuer's keys.
    refused: SmallVec<[(u64, &'h [u8], Reason); 2]>,
}

impl<'h> Looked<'h, '_> {
    fn at(&mut self, issuer: &JwtIssuer, text: &'h [u8]) -> Result<Arc<VerifiedJwt>, Reason> {
        if let Some((.., why)) = self.refused.iter().find(|(keys, seen, _)| *keys == issuer.id && *seen == text) {
            return Err(why);
        }
        issuer.verify(text, self.jwts, self.now).map_err(|why| {
            self.refused.push((issuer.id, text, why.reason));
            why.reason
        })
    }
}

/// A request whose body one or more webhooks could have signed.
pub struct Signed {
    deliveries: Vec<(Arc<str>, Unread, u64)>,
}

impl Signed {
    /// Bytes that the body may have at most, for any of them to take it.
    #[must_use]
    pub fn max_body(&self) -> u64 {
        self.deliveries.iter().map(|(.., most)| *most).max().unwrap_or(0)
    }

    /// Takes the next piece of the body, as it came in.
    pub fn update(&mut self, piece: &[u8]) {
        self.deliveries.iter_mut().for_each(|(_, unread, _)| unread.update(piece));
    }

    /// Who signed it, with the whole body of `length` bytes seen.
    ///
    /// # Errors
    /// `signature_wrong`, `body_too_large`, `replayed`, `too_many_deliveries`.
    pub fn finish(self, length: u64, seen: &Deliveries, now: UnixTime) -> Result<Proven, Reason> {
        let mut why = "signature_wrong";
        for (name, unread, most) in self.deliveries {
            if length > most {
                why = "body_too_large";
                continue;
            }
            if let Ok(delivery) = unread.finish() {
                let delivery = seen.reserve(&delivery, now)?;
                return Ok(Proven { name, means: Means::Webhook, credential: None, delivery: Some(delivery) });
            }
        }
        Err(why)
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Signed({})", self.deliveries.len())
    }
}

#[cfg(test)]
mod tests;
