//! B: the attest request, from bytes to checked values; and the answers beside it.
//!
//! In: at most 64 KiB of JSON. Out: an [`AttestRequest`] whose every field has its form and bounds, and whose device
//! key is a point on the curve. Nothing is proven about the app: that is [`crate::appraisal`].

mod parse;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::b64u;
use crate::device_key::DevicePublicKey;
use crate::evidence_kind::EvidenceKind;
use crate::reference::Platform;
use crate::transcript::{Transcript, TranscriptHash};

/// Bytes of an attest request at most.
pub const MAX_ENVELOPE_BYTES: usize = 64 * 1024;

/// Facts about the device at most.
pub const MAX_DEVICE_FACTS: usize = 16;

/// Findings at most.
pub const MAX_FINDINGS: usize = 32;

/// Why the bytes are no attest request: where, and what was expected there. Holds none of the input.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("{place}: {what}")]
pub struct EnvelopeError {
    /// The member, as it is documented.
    pub place: &'static str,
    /// What was expected.
    pub what: &'static str,
}

/// One piece of Evidence, not yet looked at.
#[derive(Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What it claims to be.
    pub kind: EvidenceKind,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// The device key that this one takes over from, and its consent.
#[derive(Clone)]
pub struct PreviousKey {
    /// Its public half.
    pub device_key: DevicePublicKey,
    /// Its signature over T: r, s.
    pub signature: [u8; 64],
}

/// What an Attester sends.
#[derive(Clone)]
pub struct AttestRequest {
    /// The challenge, as it was given; at most 128 bytes.
    pub challenge: Vec<u8>,
    /// The app: 1 to 64 of `A-Z a-z 0-9 . _ + -`.
    pub app: String,
    /// Its version; the same characters.
    pub version: String,
    /// The platform.
    pub platform: Platform,
    /// The build's label; the same characters, or empty.
    pub build: String,
    /// The device's public key.
    pub device_key: DevicePublicKey,
    /// At most 16 facts about the device: names of 1 to 64 such characters, values of at most 128 printable ASCII ones.
    pub device: Vec<(String, String)>,
    /// At most 32 findings of 1 to 128 printable ASCII characters: a name, and details behind a colon.
    pub findings: Vec<String>,
    /// SHA-256 of what the token shall be bound to.
    pub binding: Option<[u8; 32]>,
    /// At most one piece of Evidence of each kind.
    pub evidence: Vec<Evidence>,
    /// The device key's signature over T: r, s.
    pub signature: [u8; 64],
    /// Where the installation renewed its device key: the one before, so that what is known of it goes on.
    pub previous: Option<PreviousKey>,
}

impl AttestRequest {
    /// Parses a request.
    ///
    /// # Errors
    /// The first [`EnvelopeError`] met. It depends on the envelope alone, so it may be told.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        parse::request(bytes)
    }

    /// The JSON of the request.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let evidence: Vec<Value> = self
            .evidence
            .iter()
            .map(|one| json!({"kind": one.kind.as_str(), "data": b64u::encode(&one.data)}))
            .collect();
        let device: serde_json::Map<String, Value> =
            self.device.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        let mut members = serde_json::Map::new();
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        put("challenge", b64u::encode(&self.challenge).into());
        put("app", self.app.as_str().into());
        put("version", self.version.as_str().into());
        put("platform", self.platform.as_str().into());
        put("build", self.build.as_str().into());
        put("device_key", b64u::encode(self.device_key.as_bytes()).into());
        put("device", device.into());
        put("findings", self.findings.iter().map(String::as_str).collect());
        if let Some(binding) = &self.binding {
            put("binding", b64u::encode(binding).into());
        }
        put("evidence", evidence.into());
        put("signature", b64u::encode(&self.signature).into());
        if let Some(previous) = &self.previous {
            let key = b64u::encode(previous.device_key.as_bytes());
            put("previous", json!({"device_key": key, "signature": b64u::encode(&previous.signature)}));
        }
        Value::Object(members)
    }

    /// T of this request, for the key set that the challenge is of. It depends on neither signature nor the bytes of the
    /// Evidence.
    #[must_use]
    pub fn transcript(&self, key_set: &str) -> TranscriptHash {
        self.with_transcript(key_set, |transcript| transcript.digest())
    }

    /// T without the device key: the challenge of `android-key`.
    #[must_use]
    pub fn transcript_without_device_key(&self, key_set: &str) -> TranscriptHash {
        self.with_transcript(key_set, |transcript| transcript.digest_without_device_key())
    }

    /// The Evidence of this kind, if it is there.
    #[must_use]
    pub fn evidence(&self, kind: EvidenceKind) -> Option<&[u8]> {
        self.evidence.iter().find(|evidence| evidence.kind == kind).map(|evidence| evidence.data.as_slice())
    }

    fn with_transcript(&self, key_set: &str, digest: impl Fn(&Transcript<'_>) -> TranscriptHash) -> TranscriptHash {
        let kinds: Vec<EvidenceKind> = self.evidence.iter().map(|evidence| evidence.kind).collect();
        digest(&Transcript {
            challenge: &self.challenge,
            key_set,
            app: &self.app,
            version: &self.version,
            platform: self.platform.as_str(),
            build: &self.build,
            device_facts: &self.device,
            findings: &self.findings,
            binding: self.binding,
            device_key: self.device_key.as_bytes(),
            kinds: &kinds,
            previous_key: self.previous.as_ref().map(|previous| previous.device_key.as_bytes().as_slice()),
        })
    }
}

impl std::fmt::Debug for AttestRequest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "AttestRequest({} {} {}, {:?})", self.app, self.version, self.platform, self.device_key)
    }
}

/// The answer to a challenge request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeResponse {
    /// The challenge, base64url.
    pub challenge: String,
    /// The key set that it is for.
    pub key_set: String,
    /// Seconds that it may be used.
    pub expires_in: u64,
}

/// The answer to an attest request: always this, whatever the appraisal found.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestResponse {
    /// The result token.
    pub token: String,
    /// Seconds that it lives.
    pub expires_in: u64,
}

impl std::fmt::Debug for AttestResponse {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "AttestResponse(token of {} bytes, {} s)", self.token.len(), self.expires_in)
    }
}

#[cfg(test)]
mod tests;
