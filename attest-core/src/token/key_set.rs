//! The keys that one issuer's tokens are verified with, and which of them a token may ask for.
//!
//! In: checked keys and how the issuer behaves. Out: a [`KeySet`] that can't hold a weak key, two keys of one name,
//! symmetric beside public keys, or a decoy where a signature would give it away.

mod jwk;
mod key;
mod rsa;

use std::time::Duration;

use smallvec::SmallVec;

use super::Reason;
use super::asv::VerdictKey;
use super::jws::Header;
use crate::verdict::Verdict;

pub use jwk::parse_jwks;
pub(crate) use key::hmac_algorithm;
pub use key::{SignatureState, VerificationKey};

/// Whose tokens these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySetKind {
    /// Our own service's.
    Own,
    /// Another issuer's, as its standard JWTs are.
    Imported,
    /// Approov's, as published.
    Approov,
}

/// How a failed app's token is told from a passed one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concealment {
    /// It is signed with a second secret that only gateways can tell from the first. HMAC only.
    Decoy,
    /// It says so inside the sealed claim `asv`, and only there; its signature is one that no standard library takes.
    /// Public keys only.
    Sealed,
    /// A failed app gets no token.
    Open,
}

impl Concealment {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Decoy, Self::Sealed, Self::Open];

    /// The word in configurations and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decoy => "decoy",
            Self::Sealed => "sealed",
            Self::Open => "open",
        }
    }

    /// The concealment of this name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|concealment| concealment.as_str() == word)
    }
}

/// Why keys can't be used. Holds no key material and no input text.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum KeySetError {
    /// Not the JSON of a key or key set.
    #[error("not a JWK or JWK Set")]
    NotAJwk,
    /// Not a public key in PEM form.
    #[error("not a PEM public key (BEGIN PUBLIC KEY) of this algorithm")]
    NotAPemKey,
    /// A private key where a public one belongs.
    #[error("a private key: only the public half belongs here")]
    PrivateKey,
    /// `use`, `key_ops`, `alg` or `kty` say that it is not for verifying signatures as we do.
    #[error("no key in it that verifies signatures with a supported algorithm")]
    NotForVerifying,
    /// The algorithm does not go with the type or curve of the key.
    #[error("the key is not of the type that its algorithm needs")]
    WrongType,
    /// Point not on the curve, wrong length, even exponent and the like.
    #[error("not a valid key")]
    Invalid,
    /// Too short, or of a kind known to be weak.
    #[error("the key is too weak: {0}")]
    Weak(&'static str),
    /// No key at all.
    #[error("a key set needs at least one key")]
    Empty,
    /// More than [`MAX_KEYS`].
    #[error("more than {MAX_KEYS} keys")]
    TooMany,
    /// Two keys with one `kid`.
    #[error("two keys have the same kid")]
    DuplicateKid,
    /// Symmetric and public keys in one set (RFC 8725 section 3.1).
    #[error("symmetric and public keys in one set")]
    Mixed,
    /// A decoy with an algorithm whose signatures give away which key made them.
    #[error("`decoy` needs HMAC: ECDSA and RSA signatures give away which key made them")]
    DecoyNeedsHmac,
    /// Concealment by decoy, and a key without one.
    #[error("a key without a decoy in a set with concealment `decoy`")]
    DecoyMissing,
    /// Concealment `sealed` with shared secrets.
    #[error("`sealed` needs a public-key algorithm: with HMAC use `decoy`")]
    SealedNeedsPublicKey,
    /// Concealment `sealed`, and nothing that opens the verdict, or not a set of ours.
    #[error("`sealed` needs a verdict key, and is for our own tokens")]
    SealedNeedsVerdictKey,
    /// Secret and decoy are the same bytes.
    #[error("secret and decoy are equal")]
    DecoyEqualsSecret,
}

/// Keys that one set may hold.
pub const MAX_KEYS: usize = 64;

/// Keys that one token without `kid` may be tried with.
const MAX_TRIES: usize = 8;

/// What a key set is made of. [`KeySet::new`] checks it as a whole.
#[derive(Debug)]
pub struct KeySetDraft {
    /// Its name in configurations, logs and metrics.
    pub name: String,
    /// Whose tokens these are.
    pub kind: KeySetKind,
    /// The issuer that tokens must name, where one is configured.
    pub issuer: Option<String>,
    /// The audience that tokens must name, where one is configured.
    pub audience: Option<String>,
    /// How failed apps' tokens are told.
    pub concealment: Concealment,
    /// The keys.
    pub keys: Vec<VerificationKey>,
    /// Opens `asv`; our own sets have one.
    pub verdict_key: Option<VerdictKey>,
    /// How far ahead `exp` may be.
    pub max_lifetime: Option<Duration>,
}

impl KeySetDraft {
    /// A draft of another issuer's set, without issuer, audience and maximum life.
    #[must_use]
    pub fn imported(name: &str, keys: Vec<VerificationKey>) -> Self {
        Self {
            name: name.to_owned(),
            kind: KeySetKind::Imported,
            issuer: None,
            audience: None,
            concealment: Concealment::Open,
            keys,
            verdict_key: None,
            max_lifetime: None,
        }
    }
}

/// A key set that may be used.
#[derive(Debug)]
pub struct KeySet(KeySetDraft);

impl KeySet {
    /// Checks a draft as a whole.
    ///
    /// # Errors
    /// The first [`KeySetError`] met: our own secrets have at least 32 bytes, others' at least 16.
    pub fn new(draft: KeySetDraft) -> Result<Self, KeySetError> {
        if draft.keys.is_empty() {
            return Err(KeySetError::Empty);
        }
        if draft.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let hmac_keys = draft.keys.iter().filter(|key| key.alg().is_hmac()).count();
        if hmac_keys != 0 && hmac_keys != draft.keys.len() {
            return Err(KeySetError::Mixed);
        }
        if draft.concealment == Concealment::Decoy {
            if hmac_keys == 0 {
                return Err(KeySetError::DecoyNeedsHmac);
            }
            if !draft.keys.iter().all(VerificationKey::has_decoy) {
                return Err(KeySetError::DecoyMissing);
            }
        }
        if draft.concealment == Concealment::Sealed {
            if hmac_keys != 0 {
                return Err(KeySetError::SealedNeedsPublicKey);
            }
            if draft.verdict_key.is_none() || draft.kind != KeySetKind::Own {
                return Err(KeySetError::SealedNeedsVerdictKey);
            }
        }
        for (at, key) in draft.keys.iter().enumerate() {
            let same_name = |other: &VerificationKey| key.kid().is_some() && other.kid() == key.kid();
            if draft.keys.iter().take(at).any(same_name) {
                return Err(KeySetError::DuplicateKid);
            }
            if draft.kind == KeySetKind::Own && key.secret_len().is_some_and(|length| length < 32) {
                return Err(KeySetError::Weak("secrets of our own have at least 32 bytes"));
            }
        }
        Ok(Self(draft))
    }

    /// Another issuer's set from its JWK Set, without issuer, audience and maximum life: for trying a token.
    ///
    /// # Errors
    /// As [`parse_jwks`] and [`KeySet::new`].
    pub fn from_jwks(name: &str, text: &[u8]) -> Result<Self, KeySetError> {
        Self::new(KeySetDraft::imported(name, parse_jwks(text)?))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whose tokens these are.
    #[must_use]
    pub const fn kind(&self) -> KeySetKind {
        self.0.kind
    }

    /// The issuer that tokens must name.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.0.issuer.as_deref()
    }

    /// The audience that tokens must name.
    #[must_use]
    pub fn audience(&self) -> Option<&str> {
        self.0.audience.as_deref()
    }

    /// How failed apps' tokens are told.
    #[must_use]
    pub const fn concealment(&self) -> Concealment {
        self.0.concealment
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[VerificationKey] {
        &self.0.keys
    }

    /// Opens `asv`.
    #[must_use]
    pub const fn verdict_key(&self) -> Option<&VerdictKey> {
        self.0.verdict_key.as_ref()
    }

    /// How far ahead `exp` may be.
    #[must_use]
    pub const fn max_lifetime(&self) -> Option<Duration> {
        self.0.max_lifetime
    }

    /// The keys that a token with this header may be verified with: never one of another algorithm.
    ///
    /// A `kid` selects the key of that name, else keys without a name (an imported secret has none). Without `kid`,
    /// any key of the algorithm, at most 8. A sealed token is of another algorithm than every key of a set that does
    /// not seal, and the other way round: the concealment is the set's, never the token's.
    pub(super) fn select(&self, header: &Header) -> Result<SmallVec<[&VerificationKey; MAX_TRIES]>, (Verdict, Reason)> {
        let keys = &self.0.keys;
        let holds = |name: Option<&str>| keys.iter().any(|key| key.kid() == name);
        let form_fits = header.sealed == (self.concealment() == Concealment::Sealed);
        let of_alg = |key: &&VerificationKey| form_fits && Some(key.alg()) == header.alg;
        let selected: SmallVec<[_; MAX_TRIES]> = match header.kid.as_deref() {
            None => keys.iter().filter(of_alg).take(MAX_TRIES).collect(),
            Some(kid) => {
                let name = Some(kid).filter(|kid| holds(Some(kid)));
                if name.is_none() && !holds(None) {
                    return Err((Verdict::UnknownKey, "unknown_kid"));
                }
                keys.iter().filter(|key| key.kid() == name).filter(of_alg).take(MAX_TRIES).collect()
            }
        };
        if selected.is_empty() { Err((Verdict::BadSignature, "alg_not_the_keys")) } else { Ok(selected) }
    }
}

#[cfg(test)]
mod tests;
