//! A recipe that is one. In: a [`RecipeText`]. Out: a [`Recipe`]; proven between: every member is of its kind and size, and
//! the credential has exactly one place. Nothing about it can be chosen by who sends a request.

mod parse;

use std::sync::Arc;

use attest_core::time::UnixTime;

use crate::body::{FormField, JsonField};
use crate::credential::Credential;
use crate::draft::Changes;
use crate::endpoint::TokenEndpoint;
use crate::error::{RecipeError, SecretError, TokenError};
use crate::fixed::{Basic, Cookie, Header};
use crate::hmac::Hmac;
use crate::jwt_bearer::JwtBearer;
use crate::minted::{MintedToken, TokenHeader};
use crate::oauth2::ClientCredentials;
use crate::sigv4::Sigv4;
use crate::slots::Slots;
use crate::target::{PathSegment, Query};
use crate::text::{LargeBody, RecipeText};

/// How a credential gets into a request: parsed, canonical, cheap to clone.
#[derive(Debug, Clone)]
pub struct Recipe(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Canonical: two equal ones are the same recipe.
    text: RecipeText,
    slots: Slots,
    kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Header(Header),
    Query(Query),
    PathSegment(PathSegment),
    Basic(Basic),
    Cookie(Cookie),
    JsonField(JsonField),
    FormField(FormField),
    ClientCredentials(Arc<ClientCredentials>, TokenHeader),
    JwtBearer(Box<JwtBearer>, TokenHeader),
    Hmac(Hmac),
    Sigv4(Sigv4),
    ClientCertificate,
}

/// What a recipe needs of a request beside its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// All of the body, at most [`crate::MAX_BODY`]: it is changed, or signed without a way around.
    WholeBody,
    /// All of the body where it has at most [`crate::MAX_BODY`], for its hash.
    BodyHash {
        /// What happens with a larger one.
        large: LargeBody,
    },
    /// A token, minted with [`Credential::token_request`] and put in with [`Credential::apply_minted`].
    Minted,
    /// The TLS handshake: [`Credential::certificate`].
    ClientCertificate,
}

impl Recipe {
    /// Parses a recipe.
    ///
    /// # Errors
    /// The member that is wrong.
    pub fn parse(text: &RecipeText) -> Result<Self, RecipeError> {
        let (kind, text, slots) = parse::parse(text)?;
        Ok(Self(Arc::new(Inner { text, slots, kind })))
    }

    /// The canonical text: names of headers in lower case, lists sorted.
    pub fn to_text(&self) -> RecipeText {
        self.0.text.clone()
    }

    /// The kind of recipe and its slot, for lists and logs: `header authorization`, `aws_sigv4 s3 eu-central-1`.
    pub fn describe(&self) -> String {
        match &self.0.text {
            RecipeText::Header { name, .. } => format!("header {name}"),
            RecipeText::Query { name, .. } => format!("query {name}"),
            RecipeText::PathSegment { at, .. } => format!("path_segment {at}"),
            RecipeText::Basic { .. } => "basic authorization".to_owned(),
            RecipeText::Cookie { name, .. } => format!("cookie {name}"),
            RecipeText::JsonField { pointer, .. } => format!("json_field {pointer}"),
            RecipeText::FormField { name, .. } => format!("form_field {name}"),
            RecipeText::Oauth2ClientCredentials { token_endpoint, name, .. } => {
                format!("oauth2_client_credentials {name} from {token_endpoint}")
            }
            RecipeText::JwtBearer { token_endpoint: Some(endpoint), name, .. } => {
                format!("jwt_bearer {name} from {endpoint}")
            }
            RecipeText::JwtBearer { name, .. } => format!("jwt_bearer {name}"),
            RecipeText::Hmac { name, .. } => format!("hmac {name}"),
            RecipeText::AwsSigv4 { service, region, .. } => format!("aws_sigv4 {service} {region}"),
            RecipeText::ClientCertificate {} => "client_certificate".to_owned(),
        }
    }

    /// What a client may not send beside it.
    pub fn slots(&self) -> &Slots {
        &self.0.slots
    }

    /// Where tokens are minted: a bound of the key.
    pub fn token_endpoint(&self) -> Option<&TokenEndpoint> {
        match &self.0.kind {
            Kind::ClientCredentials(recipe, _) => Some(&recipe.endpoint),
            Kind::JwtBearer(recipe, _) => recipe.endpoint.as_ref(),
            _ => None,
        }
    }

    /// What it needs of a request.
    pub fn needs(&self) -> Needs {
        match &self.0.kind {
            Kind::JsonField(_) | Kind::FormField(_) => Needs::WholeBody,
            Kind::Hmac(recipe) if recipe.message.has_body_in_it() => Needs::WholeBody,
            Kind::Sigv4(recipe) if !recipe.never_hashes() => Needs::BodyHash { large: recipe.large_body },
            Kind::ClientCredentials(..) => Needs::Minted,
            Kind::JwtBearer(recipe, _) if recipe.endpoint.is_some() => Needs::Minted,
            Kind::ClientCertificate => Needs::ClientCertificate,
            _ => Needs::Nothing,
        }
    }

    /// Reads a secret for this recipe, once: keys are loaded, documents parsed.
    ///
    /// # Errors
    /// Why the secret is none that this recipe can use.
    pub fn credential(&self, secret: &[u8]) -> Result<Credential, SecretError> {
        Credential::new(self, secret)
    }

    /// Reads what the token endpoint answered, with its status and at most 64 KiB of its body.
    ///
    /// # Errors
    /// It refused, or its answer holds no token.
    pub fn read_token_answer(&self, status: u16, body: &[u8], now: UnixTime) -> Result<MintedToken, TokenError> {
        match &self.0.kind {
            Kind::ClientCredentials(_, header) | Kind::JwtBearer(_, header) => header.read(status, body, now),
            _ => Err(TokenError::NotMinted),
        }
    }

    /// The header with the token in it; `Nothing` where the recipe mints none. Allocates nothing.
    pub fn apply_minted(&self, token: &MintedToken) -> Changes {
        match &self.0.kind {
            Kind::ClientCredentials(_, header) | Kind::JwtBearer(_, header) => header.apply(token),
            _ => Changes::Nothing,
        }
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0.kind
    }
}

impl PartialEq for Recipe {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Recipe {}

#[cfg(test)]
mod tests;
