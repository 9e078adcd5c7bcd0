//! How a third-party credential gets into a request: every way that APIs ask for, and no way that a client could choose.
//!
//! An operator's recipe and a secret come in, once; then, for each attempt, a request as it is about to be sent. Out go
//! the changes that put the credential into it. No sockets, no clock, no logging: time and randomness are arguments.
//!
//! | step | type | proven after it |
//! | --- | --- | --- |
//! | a recipe is read | [`RecipeText`] | nothing yet |
//! | it is parsed | [`Recipe`] | one place for the credential, in no header that frames a message; endpoints over TLS |
//! | a secret is held against it | [`Credential`] | the secret is one that it can use: printable, or a key, or a document |
//! | the client's own goes | [`Slots`] | no header or parameter that the API could take for a credential, in any spelling |
//! | a token is minted | [`TokenRequest`], [`MintedToken`] | it is a bearer token, with an end |
//! | the credential goes in | [`Draft`], [`Changes`] | escaped for where it stands; signatures cover what is sent |
//!
//! | recipe | where | what it needs |
//! | --- | --- | --- |
//! | header, basic, cookie | a header made once | nothing; no allocation |
//! | query, path segment | the request target | nothing |
//! | JSON field, form field | the body | all of it, up to [`MAX_BODY`] |
//! | HMAC | one or two headers | all of the body, where it is part of the message |
//! | AWS SigV4 | headers or the query, signed last | the hash of the body, up to [`MAX_BODY`] |
//! | OAuth2 client credentials, JWT bearer | a header | a token from the endpoint; a JWT that is sent itself needs nothing |
//! | client certificate | the TLS handshake | a connection of its own |
//!
//! ```
//! use attest_core::{target::Scheme, time::UnixTime};
//! use recipes::{Changes, Draft, DraftBody, Recipe, RecipeText};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = RecipeText::Header { name: "Authorization".to_owned(), template: "Bearer {key}".to_owned() };
//! let credential = Recipe::parse(&text)?.credential(b"sk-0123456789abcdef")?;
//! let (method, headers) = (http::Method::GET, http::HeaderMap::new());
//! let draft = Draft {
//!     method: &method,
//!     scheme: Scheme::Https,
//!     host: "api.example.com",
//!     path: "/v1/models",
//!     query: None,
//!     headers: &headers,
//!     body: DraftBody::Empty,
//!     now: UnixTime::from_secs(1_440_938_160),
//! };
//! assert!(matches!(credential.apply(&draft)?, Changes::Header(name, _) if name == "authorization"));
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod body;
mod certificate;
mod credential;
mod draft;
mod endpoint;
mod error;
mod fixed;
mod form_body;
mod header_name;
mod hmac;
mod jwt;
mod jwt_bearer;
#[cfg(test)]
mod kit;
mod minted;
mod oauth2;
mod percent;
mod recipe;
mod secret;
mod sigv4;
pub mod slots;
mod target;
mod template;
mod text;
mod timestamp;
mod wiped;

pub use credential::Credential;
pub use draft::{ApplyError, Changes, Draft, DraftBody, MAX_BODY};
pub use endpoint::TokenEndpoint;
pub use error::{RecipeError, SecretError, TokenError};
pub use minted::{MintedToken, TokenRequest};
pub use recipe::{Needs, Recipe};
pub use secret::SecretInput;
pub use slots::Slots;
pub use text::{
    ClientAuthentication, HmacAlgorithm, JwtAlgorithm, LargeBody, RecipeText, SecretEncoding, SignatureEncoding,
    Sigv4Place, TimestampForm,
};
