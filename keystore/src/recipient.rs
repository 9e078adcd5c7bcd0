//! Sealing without being able to read. In: a store's public key and a secret. Out: what only the holder of the private
//! half opens, which is sealed in the store's head. HPKE in base mode proves nothing of who sealed: that is for the
//! fingerprint that a person compares, or for an operator's signature.
//!
//! # Source
//! RFC 9180, sections 5.1.1 and 6.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.

use std::fmt;

use attest_core::random::{NoRandomness, Random};
use aws_lc_rs::agreement;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use zeroize::Zeroizing;

use crate::crypto::{DoesNotOpen, Key256};
use crate::operator::{NotAPublicKey, checked_text, parse_checked};

/// The public half of a store: 32 bytes of X25519, written `assay-seal-` and base64url of them with four bytes of their
/// SHA-256, which find slips of typing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub(crate) [u8; 32]);

impl PublicKey {
    /// Parses the text form.
    ///
    /// # Errors
    /// Another prefix or length, or a slip: the check bytes do not fit.
    pub fn parse(text: &str) -> Result<Self, NotAPublicKey> {
        parse_checked(PREFIX, text).map(Self)
    }

    /// Seals `clear`: the encapsulated key (32 bytes), and ciphertext with tag.
    pub(crate) fn seal(&self, aad: &[u8], clear: &[u8]) -> Result<([u8; 32], Vec<u8>), DoesNotOpen> {
        let (enc, sealed) = SUITE.seal(INFO, aad, clear, &HpkePublicKey(self.0.to_vec())).map_err(|_| DoesNotOpen)?;
        Ok((enc.0.try_into().map_err(|_| DoesNotOpen)?, sealed))
    }
}

/// A new pair: the public half, and the 32 bytes of the private one.
pub(crate) fn generate(random: &dyn Random) -> Result<(PublicKey, Key256), NoRandomness> {
    let mut private = Zeroizing::new([0; 32]);
    random.fill(private.as_mut_slice())?;
    let public = public_of(&private).ok_or(NoRandomness)?;
    Ok((public, private))
}

/// The public half of a private one. Every 32 bytes are a private key of X25519 (RFC 7748, section 5).
pub(crate) fn public_of(private: &[u8; 32]) -> Option<PublicKey> {
    let key = agreement::PrivateKey::from_private_key(&agreement::X25519, private).ok()?;
    let public = key.compute_public_key().ok()?;
    public.as_ref().try_into().ok().map(PublicKey)
}

/// Opens what [`PublicKey::seal`] made.
pub(crate) fn open(
    private: &[u8; 32],
    enc: &[u8; 32],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let private = HpkePrivateKey::from(private.to_vec());
    let opened = SUITE.open(&EncapsulatedSecret(enc.to_vec()), INFO, aad, sealed, &private);
    opened.map(Zeroizing::new).map_err(|_| DoesNotOpen)
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&checked_text(PREFIX, &self.0))
    }
}

const PREFIX: &str = "assay-seal-";
const INFO: &[u8] = b"assay-keystore-pending-v2";
