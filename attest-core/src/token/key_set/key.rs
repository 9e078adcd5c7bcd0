//! One key: parsed once, when it is loaded, and bound to the one algorithm it may be used with.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm};
use jsonwebtoken::DecodingKey;
use subtle::ConstantTimeEq;

use super::{KeySetError, jwk, rsa};
use crate::token::Algorithm;

/// What a signature turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureState {
    /// Made with the key.
    Genuine,
    /// Made with the decoy: our service says that the app failed.
    Decoy,
    /// Made with neither.
    Bad,
    /// There was no key to check it with, or no signature.
    Unchecked,
}

/// A key that verifies. Its `Debug` shows name and algorithm only.
pub struct VerificationKey {
    kid: Option<Box<str>>,
    alg: Algorithm,
    material: Material,
}

enum Material {
    Secret(Box<Secret>),
    Public(ParsedPublicKey),
}

struct Secret {
    key: hmac::Key,
    decoy: Option<hmac::Key>,
    length: usize,
}

impl VerificationKey {
    /// A shared secret, and the decoy beside it where there is one. `kid`: `None` fits any name.
    ///
    /// # Errors
    /// `WrongType` for an algorithm without secret, `Weak` below 16 bytes (32 for a secret with a decoy, and for the
    /// decoy), `DecoyEqualsSecret`.
    pub fn hmac(kid: Option<&str>, alg: Algorithm, secret: &[u8], decoy: Option<&[u8]>) -> Result<Self, KeySetError> {
        let hmac_alg = hmac_algorithm(alg).ok_or(KeySetError::WrongType)?;
        if secret.len() < 16 {
            return Err(KeySetError::Weak("a secret has at least 16 bytes"));
        }
        if let Some(decoy) = decoy {
            if secret.len() < 32 || decoy.len() < 32 {
                return Err(KeySetError::Weak("secret and decoy have at least 32 bytes"));
            }
            if secret.ct_eq(decoy).into() {
                return Err(KeySetError::DecoyEqualsSecret);
            }
        }
        let material = Secret {
            key: hmac::Key::new(hmac_alg, secret),
            decoy: decoy.map(|decoy| hmac::Key::new(hmac_alg, decoy)),
            length: secret.len(),
        };
        Ok(Self { kid: kid.map(Box::from), alg, material: Material::Secret(Box::new(material)) })
    }

    /// A public key in PEM form (`BEGIN PUBLIC KEY`, or `BEGIN RSA PUBLIC KEY`).
    ///
    /// # Errors
    /// `PrivateKey`, `NotAPemKey`, `WrongType` for an HMAC algorithm, `Invalid`, `Weak`.
    pub fn from_pem(kid: Option<&str>, alg: Algorithm, pem: &[u8]) -> Result<Self, KeySetError> {
        if pem.windows(11).any(|window| window == b"PRIVATE KEY") {
            return Err(KeySetError::PrivateKey);
        }
        let decoded = match alg {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return Err(KeySetError::WrongType),
            Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem),
            Algorithm::RS256 | Algorithm::PS256 => DecodingKey::from_rsa_pem(pem),
            Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
        };
        let decoded = decoded.map_err(|_| KeySetError::NotAPemKey)?;
        let bytes = decoded.try_get_as_bytes().map_err(|_| KeySetError::NotAPemKey)?;
        match alg {
            Algorithm::RS256 | Algorithm::PS256 => {
                let components =
                    jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.key_utils.rsa_pub_components_from_public_key;
                let (modulus, exponent) = components(bytes).map_err(|_| KeySetError::NotAPemKey)?;
                Self::rsa(kid, alg, &modulus, &exponent)
            }
            _ => Self::public(kid, alg, bytes),
        }
    }

    /// A JWK, read strictly ([`super::parse_jwks`] says how).
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn from_jwk(text: &[u8]) -> Result<Self, KeySetError> {
        jwk::parse_jwk(text)
    }

    /// An elliptic-curve point (uncompressed) or Ed25519 key; checked to be on the curve.
    pub(super) fn public(kid: Option<&str>, alg: Algorithm, bytes: &[u8]) -> Result<Self, KeySetError> {
        let (parser, length): (&'static dyn VerificationAlgorithm, usize) = match alg {
            Algorithm::ES256 => (&signature::ECDSA_P256_SHA256_FIXED, 65),
            Algorithm::ES384 => (&signature::ECDSA_P384_SHA384_FIXED, 97),
            Algorithm::EdDSA => (&signature::ED25519, 32),
            _ => return Err(KeySetError::WrongType),
        };
        if bytes.len() != length || (length != 32 && bytes.first() != Some(&4)) {
            return Err(KeySetError::Invalid);
        }
        let parsed = ParsedPublicKey::new(parser, bytes).map_err(|_| KeySetError::Invalid)?;
        Ok(Self { kid: kid.map(Box::from), alg, material: Material::Public(parsed) })
    }

    /// An RSA key from modulus and exponent, big endian without leading zeros.
    pub(super) fn rsa(kid: Option<&str>, alg: Algorithm, modulus: &[u8], exponent: &[u8]) -> Result<Self, KeySetError> {
        rsa::check(modulus, exponent)?;
        let parameters = match alg {
            Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
            _ => return Err(KeySetError::WrongType),
        };
        let components = RsaPublicKeyComponents { n: modulus, e: exponent };
        let parsed = components.to_parsed_public_key(parameters).map_err(|_| KeySetError::Invalid)?;
        Ok(Self { kid: kid.map(Box::from), alg, material: Material::Public(parsed) })
    }

    /// Its name; `None` fits any.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm that it may be used with.
    #[must_use]
    pub const fn alg(&self) -> Algorithm {
        self.alg
    }

    /// Whether it is a secret with a decoy beside it.
    #[must_use]
    pub fn has_decoy(&self) -> bool {
        matches!(&self.material, Material::Secret(secret) if secret.decoy.is_some())
    }

    pub(super) fn secret_len(&self) -> Option<usize> {
        match &self.material {
            Material::Secret(secret) => Some(secret.length),
            Material::Public(_) => None,
        }
    }

    /// Verifies `signature` over `message`. Both MACs are computed and compared, whichever fits.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> SignatureState {
        match &self.material {
            Material::Public(key) => match key.verify_sig(message, signature) {
                Ok(()) => SignatureState::Genuine,
                Err(_) => SignatureState::Bad,
            },
            Material::Secret(secret) => {
                let genuine = hmac::verify(&secret.key, message, signature).is_ok();
                let decoyed =
                    secret.decoy.as_ref().is_some_and(|decoy| hmac::verify(decoy, message, signature).is_ok());
                match (genuine, decoyed) {
                    (true, _) => SignatureState::Genuine,
                    (false, true) => SignatureState::Decoy,
                    (false, false) => SignatureState::Bad,
                }
            }
        }
    }
}

impl std::fmt::Debug for VerificationKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "VerificationKey({} {})", self.alg, self.kid().unwrap_or("any kid"))
    }
}

/// The HMAC of an algorithm; `None` if it has none.
pub(crate) fn hmac_algorithm(alg: Algorithm) -> Option<hmac::Algorithm> {
    match alg {
        Algorithm::HS256 => Some(hmac::HMAC_SHA256),
        Algorithm::HS384 => Some(hmac::HMAC_SHA384),
        Algorithm::HS512 => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}
