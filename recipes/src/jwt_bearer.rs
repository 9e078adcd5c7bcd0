//! Signed JWTs as credentials: changed for an access token, or sent themselves. In: the recipe's members, then a private key
//! or a service account's JSON key. Out: token requests or tokens; proven between: key, issuer and endpoint fit together.

mod service_account;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use attest_core::time::UnixTime;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::draft::{ApplyError, Changes};
use crate::endpoint::TokenEndpoint;
use crate::error::{RecipeError, SecretError, TokenError};
use crate::form_body::FormBody;
use crate::jwt::{NotSigned, SigningKey};
use crate::minted::{TokenHeader, TokenRequest};
use crate::oauth2::{BACKDATED_SECS, check_optional};
use crate::secret::Secrets;
use crate::text::JwtAlgorithm;
use service_account::ServiceAccount;

/// What a JWT says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JwtBearer {
    pub(crate) endpoint: Option<TokenEndpoint>,
    claims: Claims,
    extra: BTreeMap<String, Value>,
    algorithm: JwtAlgorithm,
    key_id: Option<String>,
    lifetime_secs: u32,
    /// Where the JWT itself goes, without an endpoint.
    header: TokenHeader,
}

/// The claims that have members of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Claims {
    pub(crate) issuer: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) audience: Option<String>,
    pub(crate) scope: Option<String>,
}

/// How a JWT is signed.
pub(crate) struct Signing<'a> {
    pub(crate) algorithm: JwtAlgorithm,
    pub(crate) key_id: Option<&'a str>,
    pub(crate) lifetime_secs: u32,
}

impl JwtBearer {
    pub(crate) fn parse(
        token_endpoint: Option<&str>,
        claims: Claims,
        extra: &BTreeMap<String, Value>,
        signing: &Signing<'_>,
        header: TokenHeader,
    ) -> Result<Self, RecipeError> {
        let Claims { issuer, subject, audience, scope } = &claims;
        let members = [("issuer", issuer), ("subject", subject), ("audience", audience), ("scope", scope)];
        for (member, value) in members {
            check_optional(member, value.as_deref())?;
        }
        check_optional("key_id", signing.key_id)?;
        if !(120..=3_600).contains(&signing.lifetime_secs) {
            return Err(RecipeError::Member { member: "lifetime_secs", why: "120 to 3600 seconds" });
        }
        let size = serde_json::to_string(extra).map_or(usize::MAX, |json| json.len());
        if extra.len() > 16 || size > 2_048 || extra.keys().any(|name| OWN_CLAIMS.contains(&name.as_str())) {
            let why = "up to 16, at most 2 KiB as JSON, none of iss, sub, aud, scope, iat, exp";
            return Err(RecipeError::Member { member: "claims", why });
        }
        Ok(Self {
            endpoint: token_endpoint.map(TokenEndpoint::parse).transpose()?,
            claims,
            extra: extra.clone(),
            algorithm: signing.algorithm,
            key_id: signing.key_id.map(str::to_owned),
            lifetime_secs: signing.lifetime_secs,
            header,
        })
    }

    pub(crate) fn ready(&self, secret: &[u8]) -> Result<(JwtKey, Secrets), SecretError> {
        let mut recipe = self.clone();
        let mut secrets = Secrets::of(secret);
        let is_document = !self.algorithm.is_shared() && secret.trim_ascii_start().starts_with(b"{");
        let key = if is_document {
            let account = ServiceAccount::parse(secret, self.endpoint.as_ref())?;
            recipe.key_id.get_or_insert(account.key_id);
            let issuer = recipe.claims.issuer.get_or_insert(account.email).clone();
            if self.endpoint.is_none() {
                recipe.claims.subject.get_or_insert(issuer);
            }
            secrets = secrets.and(account.private_key.as_bytes());
            SigningKey::load(self.algorithm, account.private_key.as_bytes())?
        } else {
            SigningKey::load(self.algorithm, secret)?
        };
        if recipe.claims.issuer.is_none() && recipe.claims.subject.is_none() {
            let why = "the recipe states neither issuer nor subject, so the secret has to be such a key";
            return Err(SecretError::ServiceAccount { why });
        }
        Ok((JwtKey { recipe, key: Arc::new(key), last: Mutex::new(None) }, secrets))
    }

    fn claims(&self, now: UnixTime) -> Map<String, Value> {
        let mut claims: Map<String, Value> = self.extra.clone().into_iter().collect();
        let mut claim = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                claims.insert(name.to_owned(), value);
            }
        };
        let own = &self.claims;
        let audience = own.audience.clone().or_else(|| self.endpoint.as_ref().map(ToString::to_string));
        claim("iss", own.issuer.clone().map(Into::into));
        claim("sub", own.subject.clone().map(Into::into));
        claim("aud", audience.map(Into::into));
        claim("scope", own.scope.clone().map(Into::into));
        let issued = now.secs().saturating_sub(BACKDATED_SECS);
        claim("iat", Some(issued.into()));
        claim("exp", Some(issued.saturating_add(i64::from(self.lifetime_secs)).into()));
        claims
    }
}

/// A key that signs JWTs, with the last one where it is sent itself.
pub(crate) struct JwtKey {
    recipe: JwtBearer,
    key: Arc<SigningKey>,
    last: Mutex<Option<Signed>>,
}

/// A JWT that is sent itself.
struct Signed {
    at: UnixTime,
    token: Zeroizing<String>,
    value: HeaderValue,
}

impl JwtKey {
    /// The request that changes a JWT for a token; `None` where the JWT itself is sent.
    pub(crate) fn token_request(&self, now: UnixTime) -> Result<Option<TokenRequest>, TokenError> {
        let Some(endpoint) = &self.recipe.endpoint else { return Ok(None) };
        let assertion = self.sign(now).map_err(|_| TokenError::Signing)?;
        let form = FormBody::new("urn:ietf:params:oauth:grant-type:jwt-bearer")
            .and_if("scope", self.recipe.claims.scope.as_deref())
            .and("assertion", &assertion);
        Ok(Some(form.to(endpoint, None)))
    }

    /// The header with the JWT itself: the last one for four fifths of its life, then another.
    pub(crate) fn apply(&self, now: UnixTime) -> Result<Changes, ApplyError> {
        if self.recipe.endpoint.is_some() {
            return Err(ApplyError::NeedsToken);
        }
        let fresh = Duration::from_secs(u64::from(self.recipe.lifetime_secs) * 4 / 5)
            .as_secs()
            .saturating_sub(BACKDATED_SECS.unsigned_abs());
        let is_fresh = |signed: &Signed| now.since(signed.at).is_some_and(|age| age.as_secs() < fresh);
        // Signed under the lock: of many requests at once, one pays for it.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = match last.take().filter(is_fresh) {
            Some(signed) => signed,
            None => {
                let token = self.sign(now).map_err(|_| ApplyError::Signing)?;
                let value = self.recipe.header.fill(&token).ok_or(ApplyError::Signing)?;
                Signed { at: now, token, value }
            }
        };
        let signed = last.insert(signed);
        let headers: Vec<(HeaderName, HeaderValue)> = vec![(self.recipe.header.name.clone(), signed.value.clone())];
        let derived = vec![Zeroizing::new(signed.token.as_bytes().to_vec())];
        Ok(Changes::Many { headers, target: None, body: None, derived })
    }

    fn sign(&self, now: UnixTime) -> Result<Zeroizing<String>, NotSigned> {
        self.key.sign(self.recipe.key_id.as_deref(), &self.recipe.claims(now))
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

const OWN_CLAIMS: [&str; 6] = ["iss", "sub", "aud", "scope", "iat", "exp"];

#[cfg(test)]
mod tests;
