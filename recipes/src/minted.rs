//! Tokens that are minted with a secret. In: what a token endpoint answered. Out: a [`MintedToken`]; proven between: it
//! is one, it stands in a header, and when it ends is known.

use std::fmt;
use std::time::Duration;

use attest_core::json::{self, Limits};
use attest_core::time::UnixTime;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::draft::Changes;
use crate::endpoint::TokenEndpoint;
use crate::error::{RecipeError, TokenError};
use crate::header_name;
use crate::secret::SecretInput;
use crate::template::Template;
use crate::wiped;

/// A `POST` to a token endpoint. `Debug` shows where it goes and no more.
pub struct TokenRequest {
    /// Where it goes.
    pub endpoint: TokenEndpoint,
    /// Its headers: `Content-Type`, `Accept`, and with basic authentication `Authorization`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body, `application/x-www-form-urlencoded`.
    pub body: Zeroizing<Vec<u8>>,
}

/// A token in the clear, with its end. `Debug` shows the end alone.
#[derive(Clone)]
pub struct MintedToken {
    value: Zeroizing<String>,
    rendered: HeaderValue,
    expires_at: UnixTime,
}

impl MintedToken {
    /// The token, for the response guard.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// When it ends.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
}

/// The header that a token goes into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenHeader {
    pub(crate) name: HeaderName,
    template: Template,
}

impl TokenHeader {
    pub(crate) fn parse(name: &str, template: &str) -> Result<Self, RecipeError> {
        Ok(Self { name: header_name::for_credential(name)?, template: Template::parse(template, "token")? })
    }

    /// The value with `token` in it.
    pub(crate) fn fill(&self, token: &str) -> Option<HeaderValue> {
        wiped::header_value(self.template.fill(token.as_bytes()))
    }

    /// The header of a minted token. Allocates nothing.
    pub(crate) fn apply(&self, token: &MintedToken) -> Changes {
        Changes::Header(self.name.clone(), token.rendered.clone())
    }

    /// Reads the answer of a token endpoint.
    ///
    /// # Source
    /// RFC 6749 sections 5.1 and 5.2. An `id_token` alone is what Google answers to an assertion with `target_audience`.
    pub(crate) fn read(&self, status: u16, body: &[u8], now: UnixTime) -> Result<MintedToken, TokenError> {
        let bad = |why| TokenError::NotAToken { why };
        let members = json::parse_object(body, LIMITS);
        if status != 200 {
            let code = members.ok().and_then(|members| registered_code(&members));
            return Err(TokenError::Refused { status, code });
        }
        let mut members = members.map_err(|_| bad("no JSON object of up to 64 KiB"))?;
        let is_bearer = |kind: &Value| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
        if members.get("token_type").is_some_and(|kind| !is_bearer(kind)) {
            return Err(bad("no bearer token, and no other kind is used"));
        }
        let token = members.remove("access_token").or_else(|| members.remove("id_token"));
        let Some(Value::String(token)) = token else { return Err(bad("without an access_token")) };
        let token = Zeroizing::new(token);
        let fits = (SecretInput::MIN_BYTES..=SecretInput::MAX_BYTES).contains(&token.len());
        if !fits || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad("a token that is not 16 bytes to 8 KiB of printable ASCII"));
        }
        let lifetime = lifetime(&members).ok_or(bad("a token whose expires_in is no number of seconds above zero"))?;
        let rendered = self.fill(&token).ok_or(bad("a token that no header can carry"))?;
        Ok(MintedToken { value: token, rendered, expires_at: now.plus(lifetime) })
    }
}

/// `expires_in`: some endpoints write it as text; where it is absent, five minutes are counted on, and a day at most.
fn lifetime(members: &Map<String, Value>) -> Option<Duration> {
    let secs = match members.get("expires_in") {
        None => 300,
        Some(Value::String(text)) => text.parse().ok()?,
        Some(value) => value.as_u64()?,
    };
    (secs > 0).then(|| Duration::from_secs(secs.min(86_400)))
}

fn registered_code(members: &Map<String, Value>) -> Option<&'static str> {
    let code = members.get("error")?.as_str()?;
    ERROR_CODES.into_iter().find(|registered| *registered == code)
}

/// RFC 6749 section 5.2.
const ERROR_CODES: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

const LIMITS: Limits = Limits { max_bytes: 64 * 1024, max_depth: 16, max_members: 1_024 };

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenRequest({})", self.endpoint)
    }
}

impl fmt::Debug for MintedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MintedToken(until {})", self.expires_at.secs())
    }
}

#[cfg(test)]
mod tests;
