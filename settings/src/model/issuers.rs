//! `issuers:` other issuers whose tokens some routes accept.

use std::{path::PathBuf, sync::Arc, time::Duration};

use attest_core::token::{Algorithm, key_set::KeySet};

/// One issuer, with its keys built.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// Its name in the file; what log and metrics call it.
    pub name: String,
    /// Whose rules its tokens follow.
    pub profile: IssuerProfile,
    /// Where its keys came from.
    pub keys: IssuerKeys,
    /// `iss` that tokens must carry; absent: not asked (and then a token's `iss` says nothing).
    pub issuer: Option<String>,
    /// `aud` that tokens must carry; absent: not asked.
    pub audience: Option<String>,
    /// A token whose `exp` is further off than this is malformed.
    pub max_lifetime: Duration,
    /// Tolerance for clocks that differ. Default 30 s.
    pub leeway: Duration,
    /// The keys, built and ready to verify with.
    pub key_set: Arc<KeySet>,
}

/// Whose rules a token follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerProfile {
    /// Approov's published tokens: header `Approov-Token` (a `Bearer ` prefix is tolerated), bindings concatenated.
    Approov,
    /// A plain JWT with `exp`.
    Jwt,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKeys {
    /// One shared secret.
    SecretFile {
        /// The file.
        path: PathBuf,
        /// How its bytes are written.
        encoding: SecretEncoding,
        /// HS256, HS384 or HS512.
        algorithm: Algorithm,
    },
    /// A JWK set in a file.
    Jwks(PathBuf),
    /// One public key as PEM.
    Pem {
        /// The file.
        path: PathBuf,
        /// The algorithm it is for.
        algorithm: Algorithm,
    },
}

/// How the bytes of a secret file are written. One trailing line end is not part of a text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretEncoding {
    /// RFC 4648 section 4, padded.
    Base64,
    /// RFC 4648 section 5, without padding.
    Base64Url,
    /// The file's bytes as they are, a trailing line end included.
    Raw,
}
