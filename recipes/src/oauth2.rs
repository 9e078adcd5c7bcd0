//! OAuth2 client credentials. In: the recipe's members, then the client secret or private key. Out: token requests; proven
//! between: what the recipe fixes is all that they ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use attest_core::random::{self, Random};
use attest_core::time::UnixTime;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::endpoint::TokenEndpoint;
use crate::error::{RecipeError, SecretError, TokenError};
use crate::form_body::FormBody;
use crate::jwt::SigningKey;
use crate::minted::TokenRequest;
use crate::percent;
use crate::secret::{Secrets, text_secret};
use crate::text::{ClientAuthentication, JwtAlgorithm};
use crate::wiped;

/// How long an assertion is good, in seconds. Used once, at once.
const ASSERTION_SECS: i64 = 300;
/// How far a clock may be ahead of the endpoint's, in seconds.
pub(crate) const BACKDATED_SECS: i64 = 30;

/// What a token request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientCredentials {
    pub(crate) endpoint: TokenEndpoint,
    client_id: String,
    proof: Proof,
    scope: Option<String>,
    audience: Option<String>,
    parameters: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Proof {
    Basic,
    Body,
    PrivateKeyJwt { algorithm: JwtAlgorithm, key_id: Option<String> },
}

/// The members of the recipe that say how the client proves itself.
pub(crate) struct ProofText<'a> {
    pub(crate) authentication: ClientAuthentication,
    pub(crate) algorithm: Option<JwtAlgorithm>,
    pub(crate) key_id: Option<&'a str>,
}

impl ClientCredentials {
    pub(crate) fn parse(
        token_endpoint: &str,
        client_id: &str,
        proof: &ProofText<'_>,
        [scope, audience]: [Option<&str>; 2],
        parameters: &BTreeMap<String, String>,
    ) -> Result<Self, RecipeError> {
        let endpoint = TokenEndpoint::parse(token_endpoint)?;
        check_value("client_id", client_id)?;
        check_optional("scope", scope)?;
        check_optional("audience", audience)?;
        check_optional("key_id", proof.key_id)?;
        if parameters.len() > 16 {
            return Err(RecipeError::Member { member: "parameters", why: "at most 16" });
        }
        for (name, value) in parameters {
            crate::target::parameter_name(name)?;
            check_value("parameters", value)?;
            if OWN_PARAMETERS.contains(&name.as_str()) {
                let why = "grant_type, scope, audience, client_id and what proves the client have members of their own";
                return Err(RecipeError::Member { member: "parameters", why });
            }
        }
        Ok(Self {
            endpoint,
            client_id: client_id.to_owned(),
            proof: Proof::parse(proof)?,
            scope: scope.map(str::to_owned),
            audience: audience.map(str::to_owned),
            parameters: parameters.clone(),
        })
    }

    pub(crate) fn ready(self: &Arc<Self>, secret: &[u8]) -> Result<(Client, Secrets), SecretError> {
        let (proof, secrets) = match &self.proof {
            Proof::PrivateKeyJwt { algorithm, .. } => {
                (ClientProof::Key(Box::new(SigningKey::load(*algorithm, secret)?)), Secrets::of(secret))
            }
            Proof::Body | Proof::Basic => {
                let text = text_secret(secret)?;
                let basic = (self.proof == Proof::Basic).then(|| self.basic(text));
                let secrets = Secrets::of(secret).and(basic.as_deref().map_or(b"", |basic| basic.as_bytes()));
                (ClientProof::Secret { text: Zeroizing::new(text.to_owned()), basic }, secrets)
            }
        };
        Ok((Client { recipe: Arc::clone(self), proof }, secrets))
    }

    /// Id and secret, each escaped as in a form: RFC 6749 section 2.3.1.
    fn basic(&self, secret: &str) -> Zeroizing<String> {
        let room = percent::longest(self.client_id.len() + secret.len()) + 1;
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        percent::encode_into(&mut text, self.client_id.bytes(), b"");
        text.push(b':');
        percent::encode_into(&mut text, secret.bytes(), b"");
        Zeroizing::new(BASE64.encode(&text))
    }
}

impl Proof {
    fn parse(text: &ProofText<'_>) -> Result<Self, RecipeError> {
        let algorithm = |why| RecipeError::Member { member: "algorithm", why };
        match (text.authentication, text.algorithm, text.key_id) {
            (ClientAuthentication::Basic, None, None) => Ok(Self::Basic),
            (ClientAuthentication::Body, None, None) => Ok(Self::Body),
            (ClientAuthentication::PrivateKeyJwt, Some(algorithm), key_id) if !algorithm.is_shared() => {
                Ok(Self::PrivateKeyJwt { algorithm, key_id: key_id.map(str::to_owned) })
            }
            (ClientAuthentication::PrivateKeyJwt, ..) => Err(algorithm("private_key_jwt needs one: RS256 or ES256")),
            _ => Err(algorithm("it and key_id belong to private_key_jwt")),
        }
    }
}

/// A client that can prove itself.
pub(crate) struct Client {
    recipe: Arc<ClientCredentials>,
    proof: ClientProof,
}

enum ClientProof {
    Secret { text: Zeroizing<String>, basic: Option<Zeroizing<String>> },
    Key(Box<SigningKey>),
}

impl Client {
    pub(crate) fn token_request(&self, now: UnixTime, random: &dyn Random) -> Result<TokenRequest, TokenError> {
        let recipe = &self.recipe;
        let mut form = FormBody::new("client_credentials")
            .and_if("scope", recipe.scope.as_deref())
            .and_if("audience", recipe.audience.as_deref());
        for (name, value) in &recipe.parameters {
            form = form.and(name, value);
        }
        match &self.proof {
            ClientProof::Secret { basic: Some(basic), .. } => {
                let mut text = Zeroizing::new(Vec::with_capacity(6 + basic.len()));
                text.extend_from_slice(b"Basic ");
                text.extend_from_slice(basic.as_bytes());
                let value = wiped::header_value(text).ok_or(TokenError::Signing)?;
                Ok(form.to(&recipe.endpoint, Some(value)))
            }
            ClientProof::Secret { text, basic: None } => {
                let form = form.and("client_id", &recipe.client_id).and("client_secret", text);
                Ok(form.to(&recipe.endpoint, None))
            }
            ClientProof::Key(key) => {
                let assertion = self.assertion(key, now, random)?;
                let form = form
                    .and("client_id", &recipe.client_id)
                    .and("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                    .and("client_assertion", &assertion);
                Ok(form.to(&recipe.endpoint, None))
            }
        }
    }

    /// # Source
    /// RFC 7523 section 3; OpenID Connect Core section 9 (`jti`, which makes it good for one use).
    fn assertion(&self, key: &SigningKey, now: UnixTime, random: &dyn Random) -> Result<Zeroizing<String>, TokenError> {
        let id: [u8; 16] = random::array(random).map_err(|_| TokenError::Signing)?;
        let mut claims = Map::new();
        let mut claim = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        claim("iss", self.recipe.client_id.as_str().into());
        claim("sub", self.recipe.client_id.as_str().into());
        claim("aud", self.recipe.endpoint.to_string().into());
        claim("iat", now.secs().saturating_sub(BACKDATED_SECS).into());
        claim("exp", now.secs().saturating_add(ASSERTION_SECS).into());
        claim("jti", BASE64URL_NOPAD.encode(&id).into());
        let key_id = match &self.recipe.proof {
            Proof::PrivateKeyJwt { key_id, .. } => key_id.as_deref(),
            Proof::Basic | Proof::Body => None,
        };
        key.sign(key_id, &claims).map_err(|_| TokenError::Signing)
    }
}

/// A value that an operator fixed: 1 to 512 bytes of printable ASCII, spaces between.
pub(crate) fn check_value(member: &'static str, value: &str) -> Result<(), RecipeError> {
    let printable = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if value.is_empty() || value.len() > 512 || !printable || value.trim() != value {
        return Err(RecipeError::Member { member, why: "1 to 512 bytes of printable ASCII, no space at an end" });
    }
    Ok(())
}

/// The same, where there is one.
pub(crate) fn check_optional(member: &'static str, value: Option<&str>) -> Result<(), RecipeError> {
    value.map_or(Ok(()), |value| check_value(member, value))
}

const OWN_PARAMETERS: [&str; 7] =
    ["grant_type", "scope", "audience", "client_id", "client_secret", "client_assertion", "client_assertion_type"];

#[cfg(test)]
mod tests;
