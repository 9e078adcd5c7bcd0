//! Keys that sign result tokens: one key, one name, one algorithm, one form.
//!
//! In: a secret, or a private key in PKCS#8. Out: a [`SigningKey`] whose tokens verify with its public half and with no
//! other algorithm; ECDSA signatures have the lower s.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use aws_lc_rs::{hmac, rsa};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::IssueError;
use crate::b64u;
use crate::token::jws::{SEALED_ALG_PREFIX, SEALED_DOMAIN, SEALED_TYP};
use crate::token::key_set::{KeySetError, hmac_algorithm};
use crate::token::{Algorithm, low_s};

/// A key that signs, with its name and the one algorithm it is used with. Its `Debug` shows those only.
pub struct SigningKey {
    kid: Box<str>,
    alg: Algorithm,
    sealed: bool,
    header: Box<str>,
    material: Material,
}

enum Material {
    Secret(Box<hmac::Key>),
    Ecdsa(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
    Rsa(Box<RsaKeyPair>),
}

impl SigningKey {
    /// A secret of at least 32 bytes.
    ///
    /// # Errors
    /// `Weak` below that, `WrongType` for an algorithm without secret.
    pub fn hmac(kid: &str, alg: Algorithm, secret: &[u8]) -> Result<Self, KeySetError> {
        let hmac_alg = hmac_algorithm(alg).ok_or(KeySetError::WrongType)?;
        if secret.len() < 32 {
            return Err(KeySetError::Weak("secrets of our own have at least 32 bytes"));
        }
        Ok(Self::new(kid, alg, Material::Secret(Box::new(hmac::Key::new(hmac_alg, secret)))))
    }

    /// A private key of this algorithm, in PKCS#8 (DER).
    ///
    /// # Errors
    /// `WrongType` for HMAC, `Invalid` for a key of another algorithm or none, `Weak` for RSA below 2048 bits.
    pub fn from_pkcs8(kid: &str, alg: Algorithm, der: &[u8]) -> Result<Self, KeySetError> {
        let material = match alg {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return Err(KeySetError::WrongType),
            Algorithm::ES256 | Algorithm::ES384 => {
                let pair = EcdsaKeyPair::from_pkcs8(ecdsa(alg), der).map_err(|_| KeySetError::Invalid)?;
                Material::Ecdsa(Box::new(pair))
            }
            Algorithm::EdDSA => {
                Material::Ed25519(Box::new(Ed25519KeyPair::from_pkcs8(der).map_err(|_| KeySetError::Invalid)?))
            }
            Algorithm::RS256 | Algorithm::PS256 => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| KeySetError::Invalid)?;
                if pair.public_modulus_len() < RSA_BYTES {
                    return Err(KeySetError::Weak("an RSA key has at least 2048 bits"));
                }
                Material::Rsa(Box::new(pair))
            }
        };
        Ok(Self::new(kid, alg, material))
    }

    /// A new private key of this algorithm in PKCS#8 (DER), for [`SigningKey::from_pkcs8`]. RSA keys have 2048 bits: a
    /// token lives minutes, and a larger key makes each one cost several times as much.
    ///
    /// # Errors
    /// [`IssueError::Signing`] for HMAC, and when the machine gave no randomness.
    pub fn generate_pkcs8(alg: Algorithm) -> Result<Zeroizing<Vec<u8>>, IssueError> {
        let failed = IssueError::Signing;
        let der = match alg {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return Err(failed),
            Algorithm::ES256 | Algorithm::ES384 => {
                let pair = EcdsaKeyPair::generate(ecdsa(alg)).map_err(|_| failed)?;
                pair.to_pkcs8v1().map_err(|_| failed)?.as_ref().to_vec()
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::generate().map_err(|_| failed)?;
                pair.to_pkcs8().map_err(|_| failed)?.as_ref().to_vec()
            }
            Algorithm::RS256 | Algorithm::PS256 => {
                let pair = rsa::KeyPair::generate(KeySize::Rsa2048).map_err(|_| failed)?;
                AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| failed)?.as_ref().to_vec()
            }
        };
        Ok(Zeroizing::new(der))
    }

    /// The same key for sealed tokens: their header, and signatures that are good for no other token.
    ///
    /// # Errors
    /// `SealedNeedsPublicKey` for a shared secret.
    pub fn sealed(self) -> Result<Self, KeySetError> {
        if self.alg.is_hmac() {
            return Err(KeySetError::SealedNeedsPublicKey);
        }
        let alg = format!("{SEALED_ALG_PREFIX}{}", self.alg);
        let header = json!({"alg": alg, "crit": ["asv"], "kid": *self.kid, "typ": SEALED_TYP}).to_string();
        Ok(Self { sealed: true, header: b64u::encode(header.as_bytes()).into(), ..self })
    }

    fn new(kid: &str, alg: Algorithm, material: Material) -> Self {
        let header = json!({"alg": alg.as_str(), "kid": kid, "typ": "JWT"}).to_string();
        Self { kid: kid.into(), alg, sealed: false, header: b64u::encode(header.as_bytes()).into(), material }
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

    /// Whether it signs sealed tokens.
    #[must_use]
    pub const fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// The protected header of its tokens, as it stands in them.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The public half as a JWK; `None` for a secret.
    #[must_use]
    pub fn public_jwk(&self) -> Option<Value> {
        let (kid, alg) = (&*self.kid, self.alg.as_str());
        match &self.material {
            Material::Secret(_) => None,
            Material::Ecdsa(pair) => {
                let (curve, length) = if self.alg == Algorithm::ES256 { ("P-256", 32) } else { ("P-384", 48) };
                let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(length)?;
                let (x, y) = (b64u::encode(x), b64u::encode(y));
                Some(json!({"kty": "EC", "crv": curve, "x": x, "y": y, "kid": kid, "alg": alg, "use": "sig"}))
            }
            Material::Ed25519(pair) => {
                let x = b64u::encode(pair.public_key().as_ref());
                Some(json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "alg": alg, "use": "sig"}))
            }
            Material::Rsa(pair) => {
                let public = pair.public_key();
                let n = b64u::encode(public.modulus().big_endian_without_leading_zero());
                let e = b64u::encode(public.exponent().big_endian_without_leading_zero());
                Some(json!({"kty": "RSA", "n": n, "e": e, "kid": kid, "alg": alg, "use": "sig"}))
            }
        }
    }

    /// The signature over the signing input of a token of this key's form.
    pub(super) fn sign(&self, input: &[u8]) -> Result<Vec<u8>, IssueError> {
        if !self.sealed {
            return self.sign_message(input);
        }
        self.sign_message(&[SEALED_DOMAIN, input].concat())
    }

    fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, IssueError> {
        match &self.material {
            Material::Secret(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Material::Ecdsa(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| IssueError::Signing)?;
                let mut signature = signature.as_ref().to_vec();
                low_s::lower(self.alg, &mut signature);
                Ok(signature)
            }
            Material::Ed25519(pair) => Ok(pair.try_sign(message).map_err(|_| IssueError::Signing)?.as_ref().to_vec()),
            Material::Rsa(pair) => {
                let padding: &dyn aws_lc_rs::signature::RsaEncoding =
                    if self.alg == Algorithm::RS256 { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), message, &mut signature).map_err(|_| IssueError::Signing)?;
                Ok(signature)
            }
        }
    }
}

/// Bytes of an RSA modulus at least.
const RSA_BYTES: usize = 256;

const fn ecdsa(alg: Algorithm) -> &'static EcdsaSigningAlgorithm {
    match alg {
        Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => &ECDSA_P256_SHA256_FIXED_SIGNING,
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SigningKey({} {})", self.alg, self.kid)
    }
}
