//! How a measurement travels: not itself, but as the key of a MAC over the transcript.

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use super::Measurement;
use crate::crypto::{hkdf_sha256, hmac_sha256};
use crate::transcript::TranscriptHash;

/// HMAC-SHA-256 over T under HKDF-SHA-256(measurement, salt = challenge): fresh for every challenge, and tied to the
/// device key.
#[must_use]
pub fn mac(measurement: &Measurement, challenge: &[u8], transcript: &TranscriptHash) -> [u8; 32] {
    let key = hkdf_sha256(measurement.as_bytes(), challenge, b"assay-measurement-mac-v1");
    hmac_sha256(&hmac::Key::new(hmac::HMAC_SHA256, &key), &[transcript.as_bytes()])
}

/// Whether `offered` is that MAC; in constant time.
#[must_use]
pub fn verify_mac(
    measurement: &Measurement,
    challenge: &[u8],
    transcript: &TranscriptHash,
    offered: &[u8; 32],
) -> bool {
    mac(measurement, challenge, transcript).ct_eq(offered).into()
}
