//! The door for platform Evidence. Comes in: the transcript's hash. Goes out: the platform's bytes over it.
//! Proven between: nothing here; but what a provider signs is the transcript, never the bare challenge, so that
//! its Evidence is worthless to another device key.

use attest_core::evidence_kind::EvidenceKind;

/// What a platform is asked to vouch for.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// SHA-256 over the whole transcript: for App Attest the client data hash's input, for Play Integrity the request
    /// hash or nonce (as base64url without padding).
    pub transcript: [u8; 32],
    /// The same without the device key: the attestation challenge for `android-key`, where the attested key *is* the
    /// device key and does not exist before the challenge is fixed.
    pub transcript_without_device_key: [u8; 32],
}

/// One source of platform Evidence: App Attest, Play Integrity, Android Key Attestation. Bytes in, bytes out.
///
/// Called on a thread that may block: a provider can wait for its platform's own network calls.
pub trait EvidenceProvider: Send + Sync {
    /// The kind it gives, always the same.
    fn kind(&self) -> EvidenceKind;

    /// Whether it will give Evidence now. The kinds on offer are part of the transcript, so this is asked first.
    fn is_available(&self) -> bool {
        true
    }

    /// The platform's object over `bound`, as the platform made it (at most 32 KiB).
    ///
    /// # Errors
    /// A sentence for the app's log. The fetch then fails with it: a token without a kind that the service requires
    /// would be refused later, silently.
    fn evidence(&self, bound: &Bound) -> Result<Vec<u8>, String>;
}
