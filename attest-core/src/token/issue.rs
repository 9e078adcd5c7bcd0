//! The result token, signed.
//!
//! In: [`TokenClaims`] and a [`SigningKey`]. Out: a compact JWS whose length follows from the request alone, never
//! from the appraisal.

mod signing_key;

use data_encoding::BASE64;
use serde::Serialize;

use super::binding;
use crate::b64u;
use crate::device_key::{DeviceId, DevicePublicKey};
use crate::time::UnixTime;

pub use signing_key::SigningKey;

/// What our token says. Optional claims follow from the configuration or the request, never from the appraisal.
#[derive(Clone, Debug)]
pub struct TokenClaims<'a> {
    /// Who issues it.
    pub iss: &'a str,
    /// For whom.
    pub aud: &'a str,
    /// When it is issued; whole seconds are written.
    pub iat: UnixTime,
    /// When it ends; whole seconds are written.
    pub exp: UnixTime,
    /// 16 random bytes, used for this token only.
    pub jti: [u8; 16],
    /// The device.
    pub did: Option<DeviceId>,
    /// The sealed verdict ([`super::asv::seal`], for [`jti_text`] of the same `jti`).
    pub asv: &'a str,
    /// The support code ([`super::arc::ArcKey::encode`]).
    pub arc: &'a str,
    /// The app, as it named itself.
    pub app: Option<&'a str>,
    /// Its version, as it named it.
    pub ver: Option<&'a str>,
    /// SHA-256 of what the token is bound to.
    pub pay: Option<[u8; 32]>,
    /// Thumbprint of the key whose possession must be proven.
    pub cnf_jkt: Option<[u8; 32]>,
    /// The key whose possession must be proven, whole, as Approov names it.
    pub ipk: Option<&'a DevicePublicKey>,
    /// The address that the service saw.
    pub ip: Option<&'a str>,
}

/// The text of a `jti`: 22 characters.
#[must_use]
pub fn jti_text(jti: &[u8; 16]) -> String {
    b64u::encode(jti)
}

/// No token could be signed; the fault is ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum IssueError {
    /// The signing operation failed.
    #[error("signing failed")]
    Signing,
    /// The claims make a token that no gateway would read.
    #[error("the claims are too long for a token")]
    TooLong,
}

/// Signs a token.
///
/// # Errors
/// [`IssueError`]; nothing is issued then.
pub fn issue(claims: &TokenClaims<'_>, key: &SigningKey) -> Result<String, IssueError> {
    let payload = serde_json::to_vec(&Payload::from(claims)).map_err(|_| IssueError::Signing)?;
    let mut token = format!("{}.{}", key.header(), b64u::encode(&payload));
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&b64u::encode(&signature));
    if token.len() > super::MAX_TOKEN_BYTES { Err(IssueError::TooLong) } else { Ok(token) }
}

#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    did: Option<String>,
    asv: &'a str,
    arc: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ver: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pay: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Cnf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<&'a str>,
}

#[derive(Serialize)]
struct Cnf {
    jkt: String,
}

impl<'a> From<&'a TokenClaims<'a>> for Payload<'a> {
    fn from(claims: &'a TokenClaims<'a>) -> Self {
        Self {
            iss: claims.iss,
            aud: claims.aud,
            iat: claims.iat.secs(),
            exp: claims.exp.secs(),
            jti: jti_text(&claims.jti),
            did: claims.did.map(|did| did.to_string()),
            asv: claims.asv,
            arc: claims.arc,
            app: claims.app,
            ver: claims.ver,
            pay: claims.pay.as_ref().map(binding::pay_text),
            cnf: claims.cnf_jkt.map(|jkt| Cnf { jkt: b64u::encode(&jkt) }),
            ipk: claims.ipk.map(|key| BASE64.encode(&key.to_spki_der())),
            ip: claims.ip,
        }
    }
}
