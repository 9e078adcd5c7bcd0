//! How a third-party credential gets into a request.
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
