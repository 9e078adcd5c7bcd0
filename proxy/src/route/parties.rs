//! Who may call a route beside apps, and where it looks for users, made ready for [`callers`].
//!
//! In: checked settings. Out: callers with their hashes, keys and secrets, and the issuers of JWTs, each made once for all
//! routes of a generation.

use std::collections::BTreeMap;
use std::sync::Arc;

use callers::bearer::BearerHashes;
use callers::caller::{Caller, Demands, Proof, RouteCallers};
use callers::certificate::{AltName, CertificateMatch};
use callers::jwt::JwtIssuer;
use callers::place::Place;
use callers::user::UserSource;
use callers::webhook::{Encoding, Layout, Scheme, Webhook, WebhookSecret};
use serde_json::Value;
use settings::{
    CallerProof, CertificateProof, ClaimValue, CredentialSource, RouteSettings, Settings, SignatureEncoding,
    WebhookProof, WebhookScheme,
};

/// All callers and JWT issuers of a configuration.
pub(crate) struct Parties {
    callers: BTreeMap<String, Arc<Caller>>,
    issuers: BTreeMap<String, JwtIssuer>,
}

/// What does not fit together; settings should have refused it.
pub(crate) type Misfit = &'static str;

impl Parties {
    /// Makes them ready. `id`: the identity of an issuer's keys in caches.
    pub(crate) fn new(settings: &Settings, id: impl Fn(&str) -> u64) -> Result<Self, Misfit> {
        let mut issuers = BTreeMap::new();
        for (name, issuer) in &settings.issuers {
            // Those without are for apps' tokens alone.
            if let (Some(iss), Some(aud)) = (&issuer.issuer, &issuer.audience) {
                let jwts = JwtIssuer {
                    name: name.as_str().into(),
                    keys: issuer.key_set.clone(),
                    id: id(name),
                    issuer: iss.as_str().into(),
                    audience: aud.as_str().into(),
                    leeway: issuer.leeway,
                    max_lifetime: issuer.max_lifetime,
                };
                issuers.insert(name.clone(), jwts);
            }
        }
        let mut all = Self { callers: BTreeMap::new(), issuers };
        for (name, caller) in &settings.callers {
            let proof = all.proof(&caller.proof)?;
            all.callers.insert(name.clone(), Arc::new(Caller { name: name.as_str().into(), proof }));
        }
        Ok(all)
    }

    /// The callers that a route names.
    pub(crate) fn callers_of(&self, route: &RouteSettings) -> Result<RouteCallers, Misfit> {
        let named = route.callers.iter().map(|name| self.callers.get(name).cloned().ok_or("its caller does not exist"));
        Ok(RouteCallers::new(named.collect::<Result<_, _>>()?))
    }

    /// Where a route looks for users.
    pub(crate) fn users_of(&self, route: &RouteSettings) -> Result<Option<UserSource>, Misfit> {
        let Some(user) = &route.user else { return Ok(None) };
        let issuer = self.issuer(&user.issuer)?;
        Ok(Some(UserSource { issuer, from: places(&user.from), required: user.required }))
    }

    fn issuer(&self, name: &str) -> Result<JwtIssuer, Misfit> {
        self.issuers.get(name).cloned().ok_or("an issuer of JWTs does not exist, or names no issuer and audience")
    }

    fn proof(&self, proof: &CallerProof) -> Result<Proof, Misfit> {
        Ok(match proof {
            CallerProof::Bearer(bearer) => Proof::Bearer {
                hashes: BearerHashes::new(bearer.sha256.clone()).map_err(|_| "a caller has no bearer hash")?,
                from: places(&bearer.from),
            },
            CallerProof::ClientCertificate(CertificateProof::Sha256(hashes)) => {
                Proof::Certificate(CertificateMatch::Sha256(hashes.clone()))
            }
            CallerProof::ClientCertificate(CertificateProof::SubjectAltName(names)) => {
                Proof::Certificate(CertificateMatch::Names(names.iter().map(alt_name).collect()))
            }
            CallerProof::Jwt(jwt) => {
                let claims = jwt.claims.iter().map(|(name, values)| (name.clone(), values.iter().map(value).collect()));
                Proof::Jwt {
                    issuer: self.issuer(&jwt.issuer)?,
                    demands: Demands { subjects: jwt.subject.clone(), claims: claims.collect() },
                    from: places(&jwt.from),
                }
            }
            CallerProof::Webhook(webhook) => Proof::Webhook { webhook: signed(webhook)?, max_body: webhook.max_body },
        })
    }
}

fn signed(proof: &WebhookProof) -> Result<Webhook, Misfit> {
    let scheme = match &proof.scheme {
        WebhookScheme::Stripe => Scheme::Stripe,
        WebhookScheme::Github => Scheme::GitHub,
        WebhookScheme::Standard => Scheme::Standard,
        WebhookScheme::Hmac(hmac) => {
            let encoding = match hmac.encoding {
                SignatureEncoding::Hex => Encoding::Hex,
                SignatureEncoding::Base64 => Encoding::Base64,
            };
            let (time, signed) = (hmac.timestamp_header.clone(), hmac.signed.as_deref());
            let layout = Layout::new(proof.header.clone(), &hmac.prefix, encoding, time, signed);
            Scheme::Hmac(layout.map_err(|_| "a webhook's signature can't be read so")?)
        }
    };
    let secrets = proof.secrets.iter().map(|secret| match scheme {
        Scheme::Standard => WebhookSecret::from_standard(secret.expose()),
        Scheme::Stripe | Scheme::GitHub | Scheme::Hmac(_) => WebhookSecret::from_text(secret.expose()),
    });
    let secrets = secrets.collect::<Result<_, _>>().map_err(|_| "a webhook's secret can't be used")?;
    Webhook::new(scheme, secrets, proof.tolerance).map_err(|_| "a webhook has no secret, or no tolerance")
}

fn places(from: &[CredentialSource]) -> Vec<Place> {
    let place = |source: &CredentialSource| match source {
        CredentialSource::Bearer => Place::Bearer,
        CredentialSource::Header(name) => Place::Header(name.clone()),
    };
    from.iter().map(place).collect()
}

fn alt_name(name: &settings::AltName) -> AltName {
    match name {
        settings::AltName::Dns(name) => AltName::Dns(name.as_str().into()),
        settings::AltName::Uri(uri) => AltName::Uri(uri.as_str().into()),
    }
}

fn value(claim: &ClaimValue) -> Value {
    match claim {
        ClaimValue::Text(text) => Value::from(text.as_str()),
        ClaimValue::Number(number) => Value::from(*number),
        ClaimValue::Bool(bool) => Value::from(*bool),
    }
}
