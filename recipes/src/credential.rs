//! A secret ready for use. In: a recipe and a secret. Out: a [`Credential`]; proven between: the secret is one that the
//! recipe can use. From then on only a request can be in its way.

use std::fmt;

use attest_core::random::Random;
use attest_core::time::UnixTime;
use zeroize::Zeroizing;

use crate::body::{FormPair, JsonMember};
use crate::certificate::ClientCertificate;
use crate::draft::{ApplyError, Changes, Draft};
use crate::error::{SecretError, TokenError};
use crate::fixed::{CookieHeader, FixedHeader};
use crate::hmac::HmacKey;
use crate::jwt_bearer::JwtKey;
use crate::minted::{MintedToken, TokenRequest};
use crate::oauth2::Client;
use crate::recipe::{Kind, Recipe};
use crate::secret::{SecretInput, Secrets};
use crate::sigv4::SigningAwsKey;
use crate::target::{QueryParameter, Segment};

/// A secret ready for use by its recipe. `Debug` shows the recipe alone; the memory is wiped when it is dropped.
pub struct Credential {
    recipe: Recipe,
    ready: Ready,
    secrets: Secrets,
}

enum Ready {
    Header(FixedHeader),
    Cookie(CookieHeader),
    Query(QueryParameter),
    Segment(Segment),
    JsonMember(JsonMember),
    FormPair(FormPair),
    Client(Box<Client>),
    Jwt(Box<JwtKey>),
    Hmac(Box<HmacKey>),
    Aws(Box<SigningAwsKey>),
    Certificate(ClientCertificate),
}

impl Credential {
    pub(crate) fn new(recipe: &Recipe, secret: &[u8]) -> Result<Self, SecretError> {
        match secret.len() {
            len if len < SecretInput::MIN_BYTES => return Err(SecretError::TooShort { len }),
            len if len > SecretInput::MAX_BYTES => return Err(SecretError::TooLong { len }),
            _ => {}
        }
        let (ready, secrets) = match recipe.kind() {
            Kind::Header(kind) => kind.ready(secret).map(|(ready, secrets)| (Ready::Header(ready), secrets))?,
            Kind::Basic(kind) => kind.ready(secret).map(|(ready, secrets)| (Ready::Header(ready), secrets))?,
            Kind::Cookie(kind) => kind.ready(secret).map(|(ready, secrets)| (Ready::Cookie(ready), secrets))?,
            Kind::Query(kind) => {
                kind.ready(secret, recipe.slots()).map(|(ready, secrets)| (Ready::Query(ready), secrets))?
            }
            Kind::PathSegment(kind) => kind.ready(secret).map(|(ready, secrets)| (Ready::Segment(ready), secrets))?,
            Kind::JsonField(kind) => kind.ready(secret).map(|(ready, secrets)| (Ready::JsonMember(ready), secrets))?,
            Kind::FormField(kind) => kind.ready(secret).map(|(ready, secrets)| (Ready::FormPair(ready), secrets))?,
            Kind::ClientCredentials(kind, _) => {
                kind.ready(secret).map(|(ready, secrets)| (Ready::Client(Box::new(ready)), secrets))?
            }
            Kind::JwtBearer(kind, _) => {
                kind.ready(secret).map(|(ready, secrets)| (Ready::Jwt(Box::new(ready)), secrets))?
            }
            Kind::Hmac(kind) => kind.ready(secret).map(|(ready, secrets)| (Ready::Hmac(Box::new(ready)), secrets))?,
            Kind::Sigv4(kind) => kind.ready(secret).map(|(ready, secrets)| (Ready::Aws(Box::new(ready)), secrets))?,
            Kind::ClientCertificate => {
                ClientCertificate::parse(secret).map(|(ready, secrets)| (Ready::Certificate(ready), secrets))?
            }
        };
        Ok(Self { recipe: recipe.clone(), ready, secrets })
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// What the credential changes in `draft`. The header of a static key allocates nothing.
    ///
    /// # Errors
    /// The request has no place for it, or could not be signed; `NeedsToken` where [`Self::token_request`] gives one.
    pub fn apply(&self, draft: &Draft<'_>) -> Result<Changes, ApplyError> {
        match &self.ready {
            Ready::Header(ready) => Ok(ready.apply()),
            Ready::Cookie(ready) => ready.apply(draft),
            Ready::Query(ready) => ready.apply(draft),
            Ready::Segment(ready) => ready.apply(draft),
            Ready::JsonMember(ready) => ready.apply(draft),
            Ready::FormPair(ready) => ready.apply(draft),
            Ready::Client(_) => Err(ApplyError::NeedsToken),
            Ready::Jwt(ready) => ready.apply(draft.now),
            Ready::Hmac(ready) => ready.apply(draft),
            Ready::Aws(ready) => ready.apply(draft),
            Ready::Certificate(_) => Ok(Changes::Nothing),
        }
    }

    /// The request that mints a token; `None` where the recipe mints none.
    ///
    /// # Errors
    /// The assertion could not be signed.
    pub fn token_request(&self, now: UnixTime, random: &dyn Random) -> Result<Option<TokenRequest>, TokenError> {
        match &self.ready {
            Ready::Client(ready) => ready.token_request(now, random).map(Some),
            Ready::Jwt(ready) => ready.token_request(now),
            _ => Ok(None),
        }
    }

    /// The header with the token in it. Allocates nothing.
    pub fn apply_minted(&self, token: &MintedToken) -> Changes {
        self.recipe.apply_minted(token)
    }

    /// The PEM chain and the PEM private key of a client certificate.
    pub fn certificate(&self) -> Option<(&[u8], &[u8])> {
        match &self.ready {
            Ready::Certificate(ready) => Some((&ready.chain, &ready.key)),
            _ => None,
        }
    }

    /// What the response guard has to know, whatever the request: the secret, its parts that are secret themselves, and
    /// what is rendered from them once and for all. Each has at least 16 bytes.
    pub fn secrets(&self) -> &[Zeroizing<Vec<u8>>] {
        &self.secrets.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({})", self.recipe.describe())
    }
}
