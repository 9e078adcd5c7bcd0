//! The result token, signed.
//!
//! In: [`TokenClaims`] and a [`SigningKey`]. Out: a compact JWS whose length follows from the request alone, never
//! from the appraisal.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::key_set::KeySetError;
use super::{Algorithm, binding, low_s};
use crate::b64u;
use crate::device_key::DeviceId;
use crate::time::UnixTime;

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
    pub did: DeviceId,
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

/// A key that signs, with its name and the one algorithm it is used with. Its `Debug` shows those only.
pub struct SigningKey {
    kid: Box<str>,
    alg: Algorithm,
    header: Box<str>,
    material: Material,
}

enum Material {
    Secret(Box<hmac::Key>),
    P256(Box<EcdsaKeyPair>),
}

impl SigningKey {
    /// A secret of at least 32 bytes.
    ///
    /// # Errors
    /// `Weak` below that, `WrongType` for an algorithm without secret.
    pub fn hmac(kid: &str, alg: Algorithm, secret: &[u8]) -> Result<Self, KeySetError> {
        let hmac_alg = super::key_set::hmac_algorithm(alg).ok_or(KeySetError::WrongType)?;
        if secret.len() < 32 {
            return Err(KeySetError::Weak("secrets of our own have at least 32 bytes"));
        }
        Ok(Self::new(kid, alg, Material::Secret(Box::new(hmac::Key::new(hmac_alg, secret)))))
    }

    /// A P-256 key in PKCS#8 (DER).
    ///
    /// # Errors
    /// `Invalid` for anything else.
    pub fn es256_pkcs8(kid: &str, der: &[u8]) -> Result<Self, KeySetError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| KeySetError::Invalid)?;
        Ok(Self::new(kid, Algorithm::ES256, Material::P256(Box::new(pair))))
    }

    /// A new P-256 key in PKCS#8 (DER), for [`SigningKey::es256_pkcs8`].
    ///
    /// # Errors
    /// [`IssueError::Signing`] when the machine gave no randomness.
    pub fn generate_es256_pkcs8() -> Result<Zeroizing<Vec<u8>>, IssueError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| IssueError::Signing)?;
        let document = pair.to_pkcs8v1().map_err(|_| IssueError::Signing)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    fn new(kid: &str, alg: Algorithm, material: Material) -> Self {
        let header = json!({"alg": alg.as_str(), "kid": kid, "typ": "JWT"}).to_string();
        Self { kid: kid.into(), alg, header: b64u::encode(header.as_bytes()).into(), material }
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its algorithm.
    #[must_use]
    pub const fn alg(&self) -> Algorithm {
        self.alg
    }

    /// The public half as a JWK; `None` for a secret.
    #[must_use]
    pub fn public_jwk(&self) -> Option<Value> {
        let Material::P256(pair) = &self.material else { return None };
        let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(32)?;
        let (x, y) = (b64u::encode(x), b64u::encode(y));
        Some(json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": *self.kid, "alg": "ES256", "use": "sig"}))
    }

    fn sign(&self, message: &[u8]) -> Result<String, IssueError> {
        match &self.material {
            Material::Secret(key) => Ok(b64u::encode(hmac::sign(key, message).as_ref())),
            Material::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| IssueError::Signing)?;
                let signature = signature.as_ref().try_into().map_err(|_| IssueError::Signing)?;
                Ok(b64u::encode(&low_s::lower(signature)))
            }
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SigningKey({} {})", self.alg, self.kid)
    }
}

/// Signs a token.
///
/// # Errors
/// [`IssueError`]; nothing is issued then.
pub fn issue(claims: &TokenClaims<'_>, key: &SigningKey) -> Result<String, IssueError> {
    let payload = serde_json::to_vec(&Payload::from(claims)).map_err(|_| IssueError::Signing)?;
    let mut token = format!("{}.{}", key.header, b64u::encode(&payload));
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&signature);
    if token.len() > super::MAX_TOKEN_BYTES { Err(IssueError::TooLong) } else { Ok(token) }
}

#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    did: String,
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
            did: claims.did.to_string(),
            asv: claims.asv,
            arc: claims.arc,
            app: claims.app,
            ver: claims.ver,
            pay: claims.pay.as_ref().map(binding::pay_text),
            cnf: claims.cnf_jkt.map(|jkt| Cnf { jkt: b64u::encode(&jkt) }),
            ip: claims.ip,
        }
    }
}
