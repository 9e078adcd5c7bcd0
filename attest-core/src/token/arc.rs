//! The support code: why an appraisal ended as it did, readable by the service alone.
//!
//! One AES-256 block over 6 bytes of reasons, 6 random and 4 zero, as 26 base32 characters. There is no mode and no
//! nonce to get wrong, the same reasons never give the same code twice, and a code that was not made here does not
//! decode.

use aes::Aes256;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use data_encoding::BASE32_NOPAD;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::reasons::Reasons;

/// Characters of a code.
pub const ARC_CHARS: usize = 26;

/// The key of the codes: the service alone holds it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ArcKey([u8; 32]);

/// Not a code of this service.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("not a support code of this service")]
pub struct NotACode;

impl ArcKey {
    /// A key from 32 random bytes.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The code for these reasons. `random`: 6 fresh random bytes.
    #[must_use]
    pub fn encode(&self, reasons: Reasons, random: [u8; 6]) -> String {
        let [_, _, r0, r1, r2, r3, r4, r5] = reasons.bits().to_be_bytes();
        let [n0, n1, n2, n3, n4, n5] = random;
        let mut block = [r0, r1, r2, r3, r4, r5, n0, n1, n2, n3, n4, n5, 0, 0, 0, 0].into();
        Aes256::new((&self.0).into()).encrypt_block(&mut block);
        BASE32_NOPAD.encode(&block)
    }

    /// The reasons inside a code. Lower case, spaces and hyphens do not matter: codes are read out over the telephone.
    ///
    /// # Errors
    /// [`NotACode`].
    pub fn decode(&self, code: &str) -> Result<Reasons, NotACode> {
        let kept = code.bytes().filter(|byte| !matches!(byte, b' ' | b'-')).map(|byte| byte.to_ascii_uppercase());
        // One more than a code has, so that a longer text is still seen to be longer.
        let text: Vec<u8> = kept.take(ARC_CHARS + 1).collect();
        let bytes: [u8; 16] =
            BASE32_NOPAD.decode(&text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(NotACode)?;
        let mut block = bytes.into();
        Aes256::new((&self.0).into()).decrypt_block(&mut block);
        match block.0 {
            [r0, r1, r2, r3, r4, r5, _, _, _, _, _, _, 0, 0, 0, 0] => {
                Ok(Reasons::from_bits(u64::from_be_bytes([0, 0, r0, r1, r2, r3, r4, r5])))
            }
            _ => Err(NotACode),
        }
    }
}

impl std::fmt::Debug for ArcKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("ArcKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_this_service_did_not_make() {
        let code = ArcKey::new([1; 32]).encode(Reasons::TRACER, [0; 6]);
        assert_eq!(ArcKey::new([2; 32]).decode(&code), Err(NotACode));
        for text in ["", "A", "AAAAAAAAAAAAAAAAAAAAAAAAAA", &format!("{code}A"), &code[1..], "1ÄÖ"] {
            assert_eq!(ArcKey::new([1; 32]).decode(text), Err(NotACode), "{text}");
        }
    }

    #[test]
    fn the_same_reasons_give_different_codes() {
        let key = ArcKey::new([1; 32]);
        assert_ne!(key.encode(Reasons::ROOT, [0; 6]), key.encode(Reasons::ROOT, [1; 6]));
    }

    proptest! {
        #[test]
        fn round_trip_as_people_write_it(bits in 0_u64..1 << 48, random: [u8; 6]) {
            let key = ArcKey::new([7; 32]);
            let code = key.encode(Reasons::from_bits(bits), random);
            prop_assert_eq!(code.len(), ARC_CHARS);
            let spoken = format!("{} {}-{}", code[..8].to_lowercase(), &code[8..16], &code[16..]);
            prop_assert_eq!(key.decode(&spoken), Ok(Reasons::from_bits(bits)));
        }
    }
}
