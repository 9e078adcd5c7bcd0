//! The one of the two ECDSA signatures that we make and take: s in the lower half of the group order.
//!
//! (r, s) and (r, n - s) both verify. Where we made the signature, only the lower one is a token of ours.

/// The order of P-256 (FIPS 186-5), big endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Half of it, rounded down.
const HALF: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73, 0x7d,
    0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// Whether the signature (r || s, 64 bytes) has s above half the order. Signatures are public; no secret is compared.
pub(super) fn is_high(signature: &[u8; 64]) -> bool {
    signature.last_chunk::<32>().is_some_and(|s| *s > HALF)
}

/// The lower one of the two signatures.
pub(super) fn lower(signature: [u8; 64]) -> [u8; 64] {
    if is_high(&signature) { flip(signature) } else { signature }
}

/// The other of the two: s becomes n - s.
pub(super) fn flip(signature: [u8; 64]) -> [u8; 64] {
    let mut out = signature;
    let mut borrow = 0_u16;
    for (s, n) in out.iter_mut().rev().zip(ORDER.iter().rev()) {
        let difference = 0x100 + u16::from(*n) - u16::from(*s) - borrow;
        borrow = u16::from(difference < 0x100);
        *s = difference.to_be_bytes()[1];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_s(s: [u8; 32]) -> [u8; 64] {
        let mut signature = [7; 64];
        signature[32..].copy_from_slice(&s);
        signature
    }

    #[test]
    fn half_is_half_and_one_more_is_high() {
        let mut above = HALF;
        above[31] += 1;
        assert!(!is_high(&with_s(HALF)) && is_high(&with_s(above)));
        // n = 2 * HALF + 1, so n - (HALF + 1) = HALF.
        assert_eq!(lower(with_s(above)), with_s(HALF));
        assert_eq!(lower(with_s(HALF)), with_s(HALF));
    }

    #[test]
    fn subtraction_borrows_across_bytes() {
        let mut almost = ORDER;
        almost[31] -= 1;
        let mut one = [0; 32];
        one[31] = 1;
        assert_eq!(lower(with_s(almost)), with_s(one));
    }
}
