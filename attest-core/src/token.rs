//! The result token: an Attestation Result as a signed JWT, from its making ([`issue`]) to its proof ([`verify`]).

pub mod arc;
pub mod asv;
pub mod binding;
pub mod claims;
pub mod danger;
pub mod issue;
pub mod jws;
pub mod key_set;
mod low_s;
pub mod verify;

use std::fmt;
use std::str::FromStr;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8192;

/// Why a token is not good: a stable snake_case code for logs and metrics; never shown to the client.
pub type Reason = &'static str;

/// A signature algorithm that a key of ours may have.
///
/// # Source
/// RFC 7518 section 3.1, RFC 8037 section 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// RSA PKCS#1 v1.5 with SHA-256, 2048 to 8192 bits.
    RS256,
    /// RSA-PSS with SHA-256, 2048 to 8192 bits.
    PS256,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::HS256, Self::HS384, Self::HS512, Self::ES256, Self::ES384, Self::RS256, Self::PS256, Self::EdDSA];

    /// The name in a JWS header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Whether whoever verifies can also sign.
    #[must_use]
    pub const fn is_hmac(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The name is no algorithm that we support.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("not a supported algorithm: one of HS256, HS384, HS512, ES256, ES384, RS256, PS256, EdDSA")]
pub struct NotAnAlgorithm;

impl FromStr for Algorithm {
    type Err = NotAnAlgorithm;

    fn from_str(name: &str) -> Result<Self, NotAnAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name).ok_or(NotAnAlgorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_exactly() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
        }
        for name in ["none", "hs256", "HS256 ", "RS512", ""] {
            assert_eq!(name.parse::<Algorithm>(), Err(NotAnAlgorithm), "{name}");
        }
    }
}
