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
    open_with(INFO, private, enc, aad, sealed)
}

fn open_with(
    info: &[u8],
    private: &[u8; 32],
    enc: &[u8; 32],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let private = HpkePrivateKey::from(private.to_vec());
    let opened = SUITE.open(&EncapsulatedSecret(enc.to_vec()), info, aad, sealed, &private);
    opened.map(Zeroizing::new).map_err(|_| DoesNotOpen)
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&checked_text(PREFIX, &self.0))
    }
}

const PREFIX: &str = "assay-seal-";
const INFO: &[u8] = b"assay-keystore-pending-v2";

#[cfg(test)]
mod tests {
    use super::*;
    use attest_core::random::SystemRandom;
    use data_encoding::HEXLOWER;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    /// The test vectors that RFC 9180 refers to: mode 0, KEM 0x0020, KDF 0x0001, AEAD 0x0002, sequence number 0.
    #[test]
    fn opens_the_vector_of_the_rfc() {
        let private = hex("497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d");
        let public = hex("430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c");
        let enc = hex("6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256");
        let sealed: [u8; 45] =
            hex("e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a");
        assert_eq!(public_of(&private), Some(PublicKey(public)));
        let opened = open_with(b"Ode on a Grecian Urn", &private, &enc, b"Count-0", &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"Beauty is truth, truth beauty");
        assert!(open(&private, &enc, b"Count-0", &sealed).is_err(), "for another purpose");
    }

    #[test]
    fn refuses_another_key_other_data_and_every_flipped_bit() {
        let (public, private) = generate(&SystemRandom).unwrap();
        let (enc, sealed) = public.seal(b"bounds", b"sk-0123456789abcdef").unwrap();
        assert_eq!(open(&private, &enc, b"bounds", &sealed).unwrap().as_slice(), b"sk-0123456789abcdef");
        assert!(open(&private, &enc, b"other", &sealed).is_err());
        assert!(open(&generate(&SystemRandom).unwrap().1, &enc, b"bounds", &sealed).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&private, &enc, b"bounds", &changed).is_err(), "bit {bit}");
        }
        for byte in 0..enc.len() {
            let mut changed = enc;
            changed[byte] ^= 1;
            assert!(open(&private, &changed, b"bounds", &sealed).is_err(), "byte {byte} of the encapsulated key");
        }
    }

    #[test]
    fn refuses_to_seal_for_a_point_of_small_order() {
        // RFC 7748, section 6.1: the shared secret would be zero for everybody.
        assert!(PublicKey([0; 32]).seal(b"", b"sk-0123456789abcdef").is_err());
    }

    #[test]
    fn a_public_key_is_read_as_it_was_written() {
        let (public, _) = generate(&SystemRandom).unwrap();
        assert_eq!(PublicKey::parse(&public.to_string()), Ok(public));
        assert!(PublicKey::parse(&public.to_string().replace("assay-seal-", "assay-operator-")).is_err());
    }
}
