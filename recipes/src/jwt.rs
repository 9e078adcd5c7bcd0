//! Signing JWTs. In: a private key in PEM or shared bytes, then a header and claims. Out: a JWT; proven between: the key is
//! one that the algorithm can use, of a size that counts.

use std::borrow::Cow;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    RsaKeyPair,
};
use data_encoding::BASE64URL_NOPAD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::error::SecretError;
use crate::text::JwtAlgorithm;

/// A key with its algorithm.
pub(crate) struct SigningKey {
    algorithm: JwtAlgorithm,
    key: Key,
}

enum Key {
    Shared(Box<hmac::Key>),
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ecdsa(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// It could not be signed: no randomness, or a key that broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotSigned;

impl JwtAlgorithm {
    /// The name, as it stands in `alg`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Whether the secret is shared bytes and no private key.
    pub(crate) const fn is_shared(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }
}

impl SigningKey {
    /// Loads a key: PEM (PKCS #8, PKCS #1 or SEC 1, unencrypted), or for HS algorithms the bytes themselves, as many as
    /// the hash has (RFC 7518 section 3.2).
    pub(crate) fn load(algorithm: JwtAlgorithm, secret: &[u8]) -> Result<Self, SecretError> {
        let bad = |why| SecretError::PrivateKey { algorithm: algorithm.as_str(), why };
        let shared = |hash, least| match secret.len() {
            len if len < least => Err(SecretError::PrivateKey {
                algorithm: algorithm.as_str(),
                why: "a shared secret has as many bytes as the hash (RFC 7518 section 3.2)",
            }),
            _ => Ok(Key::Shared(Box::new(hmac::Key::new(hash, secret)))),
        };
        let key = match algorithm {
            JwtAlgorithm::HS256 => shared(hmac::HMAC_SHA256, 32)?,
            JwtAlgorithm::HS384 => shared(hmac::HMAC_SHA384, 48)?,
            JwtAlgorithm::HS512 => shared(hmac::HMAC_SHA512, 64)?,
            _ => {
                let der = PrivateKeyDer::from_pem_slice(secret).map_err(|_| bad("no unencrypted private key in it"))?;
                Self::private(algorithm, &der).map_err(bad)?
            }
        };
        Ok(Self { algorithm, key })
    }

    fn private(algorithm: JwtAlgorithm, der: &PrivateKeyDer<'_>) -> Result<Key, &'static str> {
        let rsa = |encoding| {
            let key = match der {
                PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
                PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
                _ => return Err("it is no RSA key"),
            };
            let key = key.map_err(|_| "it is no RSA key of 2048 to 8192 bits")?;
            // 112 bits of strength are the least that anybody still counts: RFC 7518 section 3.3.
            if key.public_modulus_len() < KeySize::Rsa2048.len() { Err("it is under 2048 bits") } else { Ok(key) }
                .map(|key| Key::Rsa(Box::new(key), encoding))
        };
        let ecdsa = |curve| {
            let key = match der {
                PrivateKeyDer::Pkcs8(key) => EcdsaKeyPair::from_private_key_der(curve, key.secret_pkcs8_der()),
                PrivateKeyDer::Sec1(key) => EcdsaKeyPair::from_private_key_der(curve, key.secret_sec1_der()),
                _ => return Err("it is no elliptic curve key"),
            };
            key.map(|key| Key::Ecdsa(Box::new(key))).map_err(|_| "it is no key on the algorithm's curve")
        };
        match algorithm {
            JwtAlgorithm::RS256 => rsa(&RSA_PKCS1_SHA256),
            JwtAlgorithm::RS384 => rsa(&RSA_PKCS1_SHA384),
            JwtAlgorithm::RS512 => rsa(&RSA_PKCS1_SHA512),
            JwtAlgorithm::PS256 => rsa(&RSA_PSS_SHA256),
            JwtAlgorithm::PS384 => rsa(&RSA_PSS_SHA384),
            JwtAlgorithm::PS512 => rsa(&RSA_PSS_SHA512),
            JwtAlgorithm::ES256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            JwtAlgorithm::ES384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            JwtAlgorithm::EdDSA => match der {
                PrivateKeyDer::Pkcs8(key) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der())
                    .map(|key| Key::Ed25519(Box::new(key)))
                    .map_err(|_| "it is no Ed25519 key"),
                _ => Err("it is no Ed25519 key in PKCS #8"),
            },
            JwtAlgorithm::HS256 | JwtAlgorithm::HS384 | JwtAlgorithm::HS512 => Err("it is a shared secret"),
        }
    }

    /// The public half, as it stands in a certificate; none for shared bytes.
    pub(crate) fn public(&self) -> Option<Cow<'_, [u8]>> {
        match &self.key {
            Key::Shared(_) => None,
            Key::Rsa(key, _) => Some(Cow::Borrowed(key.public_key().as_ref())),
            Key::Ecdsa(key) => Some(Cow::Borrowed(key.public_key().as_ref())),
            Key::Ed25519(key) => Some(Cow::Borrowed(key.public_key().as_ref())),
        }
    }

    /// Signs claims.
    ///
    /// # Source
    /// RFC 7515 section 7.1.
    pub(crate) fn sign(
        &self,
        key_id: Option<&str>,
        claims: &Map<String, Value>,
    ) -> Result<Zeroizing<String>, NotSigned> {
        let mut header = Map::new();
        header.insert("alg".to_owned(), self.algorithm.as_str().into());
        header.insert("typ".to_owned(), "JWT".into());
        if let Some(key_id) = key_id {
            header.insert("kid".to_owned(), key_id.into());
        }
        let encoded = |part: &Map<String, Value>| {
            serde_json::to_vec(part).map(|json| BASE64URL_NOPAD.encode(&json)).map_err(|_| NotSigned)
        };
        let message = format!("{}.{}", encoded(&header)?, encoded(claims)?);
        let signature = BASE64URL_NOPAD.encode(&self.signature(message.as_bytes())?);
        Ok(Zeroizing::new([message, signature].join(".")))
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, NotSigned> {
        match &self.key {
            Key::Shared(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Key::Rsa(key, encoding) => {
                let mut out = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &SystemRandom::new(), message, &mut out).map_err(|_| NotSigned)?;
                Ok(out)
            }
            Key::Ecdsa(key) => Ok(key.sign(&SystemRandom::new(), message).map_err(|_| NotSigned)?.as_ref().to_vec()),
            Key::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }
}

#[cfg(test)]
mod tests;
