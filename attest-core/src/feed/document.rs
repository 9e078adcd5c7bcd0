//! The key set document: what the service says, and the key sets that a gateway makes of it.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use zeroize::Zeroizing;

use super::FeedError;
use crate::b64u;
use crate::time::UnixTime;
use crate::token::Algorithm;
use crate::token::asv::VerdictKey;
use crate::token::key_set::{Concealment, KeySet, KeySetDraft, KeySetError, KeySetKind, VerificationKey};

/// The name and version of the format.
pub const FORMAT: &str = "assay-keysets-v1";

/// Everything that a gateway needs to verify our tokens offline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySetDocument {
    /// [`FORMAT`].
    pub format: String,
    /// Rises with every change; a gateway takes only a higher one.
    pub number: u64,
    /// When it was made, in Unix seconds.
    pub issued: i64,
    /// The key sets.
    pub key_sets: Vec<KeySetEntry>,
    /// What is no longer good although its token is.
    pub revoked: Revoked,
}

/// One key set in a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySetEntry {
    /// Its name.
    pub name: String,
    /// The issuer of its tokens.
    pub issuer: String,
    /// Their audience.
    pub audience: String,
    /// `decoy`, `sealed` or `open`.
    pub concealment: String,
    /// How far ahead `exp` may be, in seconds; at least 1.
    pub max_lifetime_secs: u64,
    /// Opens `asv`; 32 bytes.
    pub verdict_key: SecretBytes,
    /// The keys.
    pub keys: Vec<KeyDocument>,
}

/// One key in a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyDocument {
    /// Its name.
    pub kid: String,
    /// Its algorithm.
    pub alg: String,
    /// Where it is in its life. Tokens verify with all of them: a gateway may be behind.
    pub state: KeyState,
    /// HMAC: the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretBytes>,
    /// HMAC with concealment `decoy`: the decoy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoy: Option<SecretBytes>,
    /// Otherwise: the public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_jwk: Option<Value>,
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Published, signs nothing yet.
    Next,
    /// Signs.
    Active,
    /// Signs nothing any more; its tokens still live.
    Retiring,
}

/// Keys that were taken back; what else was is in [`super::RevocationDocument`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// Keys whose tokens are no longer good, by `kid`.
    pub kids: Vec<String>,
}

/// Secret bytes; base64url in JSON, wiped when dropped, not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Wraps secret bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[redacted]")
    }
}

impl Serialize for SecretBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(b64u::encode(&self.0)))
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = b64u::decode(text.as_bytes(), 1024).map_err(|_| de::Error::custom("not base64url"))?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

impl KeySetDocument {
    /// Parses a verified payload.
    ///
    /// # Errors
    /// [`FeedError::NotADocument`], [`FeedError::UnknownFormat`].
    pub fn parse(payload: &[u8]) -> Result<Self, FeedError> {
        let document: Self = serde_json::from_slice(payload).map_err(|_| FeedError::NotADocument)?;
        if document.format == FORMAT { Ok(document) } else { Err(FeedError::UnknownFormat) }
    }

    /// The payload to be signed.
    ///
    /// # Errors
    /// [`FeedError::NotADocument`] when it can't be written as JSON.
    pub fn to_payload(&self) -> Result<Zeroizing<Vec<u8>>, FeedError> {
        serde_json::to_vec(self).map(Zeroizing::new).map_err(|_| FeedError::NotADocument)
    }

    /// When it was made.
    #[must_use]
    pub const fn issued(&self) -> UnixTime {
        UnixTime::from_secs(self.issued)
    }

    /// The key sets, each checked as a whole; keys named in `revoked` are left out.
    ///
    /// # Errors
    /// [`FeedError::KeySet`]: no set is taken when one can't be.
    pub fn key_sets(&self) -> Result<Vec<KeySet>, FeedError> {
        let revoked: HashSet<&str> = self.revoked.kids.iter().map(String::as_str).collect();
        self.key_sets.iter().map(|entry| entry.key_set(&revoked)).collect()
    }
}

impl KeySetEntry {
    fn key_set(&self, revoked: &HashSet<&str>) -> Result<KeySet, FeedError> {
        let concealment = Concealment::parse(&self.concealment).ok_or(FeedError::NotADocument)?;
        if self.max_lifetime_secs == 0 {
            return Err(FeedError::NotADocument);
        }
        let verdict_key = self.verdict_key.as_bytes().try_into().map_err(|_| FeedError::NotADocument)?;
        let live = self.keys.iter().filter(|key| !revoked.contains(key.kid.as_str()));
        let keys = live.map(KeyDocument::verification_key).collect::<Result<Vec<_>, _>>()?;
        Ok(KeySet::new(KeySetDraft {
            name: self.name.clone(),
            kind: KeySetKind::Own,
            issuer: Some(self.issuer.clone()),
            audience: Some(self.audience.clone()),
            concealment,
            keys,
            verdict_key: Some(VerdictKey::new(verdict_key)),
            max_lifetime: Some(Duration::from_secs(self.max_lifetime_secs)),
        })?)
    }
}

impl KeyDocument {
    fn verification_key(&self) -> Result<VerificationKey, FeedError> {
        let alg: Algorithm = self.alg.parse().map_err(|_| FeedError::KeySet(KeySetError::NotForVerifying))?;
        match (&self.secret, &self.public_jwk) {
            (Some(secret), None) => {
                let decoy = self.decoy.as_ref().map(SecretBytes::as_bytes);
                Ok(VerificationKey::hmac(Some(&self.kid), alg, secret.as_bytes(), decoy)?)
            }
            (None, Some(jwk)) if self.decoy.is_none() => {
                let key = VerificationKey::from_jwk(jwk.to_string().as_bytes())?;
                // Name and algorithm stand outside and inside; a document in which they differ was not made by us.
                let agrees = key.kid() == Some(self.kid.as_str()) && key.alg() == alg;
                if agrees { Ok(key) } else { Err(FeedError::KeySet(KeySetError::WrongType)) }
            }
            _ => Err(FeedError::KeySet(KeySetError::WrongType)),
        }
    }
}
