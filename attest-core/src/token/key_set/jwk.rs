//! JWK and JWK Set, read strictly.
//!
//! Keys for other purposes (`use: enc`, curves and algorithms that we lack) are passed over, as RFC 7517 section 5
//! advises; a key that claims to be for us and is not sound refuses the whole set.

use serde_json::{Map, Value};

use super::{KeySetError, MAX_KEYS, VerificationKey};
use crate::b64u;
use crate::json::{self, Limits};
use crate::token::Algorithm;

const LIMITS: Limits = Limits { max_bytes: 256 * 1024, max_depth: 6, max_members: 4096 };

/// Parses a JWK Set, or a single JWK, into its verifying keys.
///
/// Refused: private keys, points not on their curve, RSA below 2048 bits or of the ROCA kind, secrets shorter than
/// the hash (RFC 7518 section 3.2), algorithms that do not go with the key, duplicate members.
///
/// # Errors
/// [`KeySetError`]; `NotForVerifying` when no key is left.
pub fn parse_jwks(text: &[u8]) -> Result<Vec<VerificationKey>, KeySetError> {
    let members = json::parse_object(text, LIMITS).map_err(|_| KeySetError::NotAJwk)?;
    let Some(keys) = members.get("keys") else {
        return parse_members(&members).map(|key| vec![key]);
    };
    let Value::Array(keys) = keys else { return Err(KeySetError::NotAJwk) };
    if keys.len() > MAX_KEYS {
        return Err(KeySetError::TooMany);
    }
    let mut out = Vec::with_capacity(keys.len());
    for key in keys {
        let Value::Object(members) = key else { return Err(KeySetError::NotAJwk) };
        match parse_members(members) {
            Ok(key) => out.push(key),
            Err(KeySetError::NotForVerifying) => {}
            Err(error) => return Err(error),
        }
    }
    if out.is_empty() { Err(KeySetError::NotForVerifying) } else { Ok(out) }
}

pub(super) fn parse_jwk(text: &[u8]) -> Result<VerificationKey, KeySetError> {
    parse_members(&json::parse_object(text, LIMITS).map_err(|_| KeySetError::NotAJwk)?)
}

fn parse_members(members: &Map<String, Value>) -> Result<VerificationKey, KeySetError> {
    if !is_for_verifying(members)? {
        return Err(KeySetError::NotForVerifying);
    }
    let kid = text(members, "kid")?;
    let alg = match text(members, "alg")? {
        None => None,
        Some(name) => Some(name.parse::<Algorithm>().map_err(|_| KeySetError::NotForVerifying)?),
    };
    match text(members, "kty")? {
        Some("oct") => secret(members, kid, alg.unwrap_or(Algorithm::HS256)),
        Some("EC") => {
            let (own, length) = match text(members, "crv")? {
                Some("P-256") => (Algorithm::ES256, 32),
                Some("P-384") => (Algorithm::ES384, 48),
                _ => return Err(KeySetError::NotForVerifying),
            };
            only(alg, own)?;
            refuse_private(members)?;
            let (x, y) = (bytes(members, "x", length)?, bytes(members, "y", length)?);
            if x.len() != length || y.len() != length {
                return Err(KeySetError::Invalid);
            }
            VerificationKey::public(kid, own, &[&[4], x.as_slice(), y.as_slice()].concat())
        }
        Some("OKP") => {
            if text(members, "crv")? != Some("Ed25519") {
                return Err(KeySetError::NotForVerifying);
            }
            only(alg, Algorithm::EdDSA)?;
            refuse_private(members)?;
            VerificationKey::public(kid, Algorithm::EdDSA, &bytes(members, "x", 32)?)
        }
        Some("RSA") => {
            // Without `alg` an RSA key is for RS256, as issuers that leave it out mean it.
            let alg = alg.unwrap_or(Algorithm::RS256);
            refuse_private(members)?;
            VerificationKey::rsa(kid, alg, &bytes(members, "n", 1024)?, &bytes(members, "e", 8)?)
        }
        Some(_) => Err(KeySetError::NotForVerifying),
        None => Err(KeySetError::NotAJwk),
    }
}

fn is_for_verifying(members: &Map<String, Value>) -> Result<bool, KeySetError> {
    let use_fits = text(members, "use")?.is_none_or(|usage| usage == "sig");
    let operations_fit = match members.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation == "verify"),
        Some(_) => return Err(KeySetError::NotAJwk),
    };
    Ok(use_fits && operations_fit)
}

fn secret(members: &Map<String, Value>, kid: Option<&str>, alg: Algorithm) -> Result<VerificationKey, KeySetError> {
    let least = match alg {
        Algorithm::HS256 => 32,
        Algorithm::HS384 => 48,
        Algorithm::HS512 => 64,
        _ => return Err(KeySetError::WrongType),
    };
    let secret = zeroize::Zeroizing::new(bytes(members, "k", 4096)?);
    if secret.len() < least {
        return Err(KeySetError::Weak("a secret is at least as long as the hash (RFC 7518 section 3.2)"));
    }
    VerificationKey::hmac(kid, alg, &secret, None)
}

fn only(alg: Option<Algorithm>, own: Algorithm) -> Result<(), KeySetError> {
    if alg.is_none_or(|alg| alg == own) { Ok(()) } else { Err(KeySetError::WrongType) }
}

fn refuse_private(members: &Map<String, Value>) -> Result<(), KeySetError> {
    if members.contains_key("d") { Err(KeySetError::PrivateKey) } else { Ok(()) }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, KeySetError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeySetError::NotAJwk),
    }
}

fn bytes(members: &Map<String, Value>, name: &str, max: usize) -> Result<Vec<u8>, KeySetError> {
    let text = text(members, name)?.ok_or(KeySetError::NotAJwk)?;
    b64u::decode(text.as_bytes(), max).map_err(|_| KeySetError::Invalid)
}
