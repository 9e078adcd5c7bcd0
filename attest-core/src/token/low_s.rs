//! The one of the two ECDSA signatures that we make and take: s in the lower half of the group order.
//!
//! (r, s) and (r, n - s) both verify. Where we made the signature, only the lower one is a token of ours.

use super::Algorithm;

/// A group order, big endian, and half of it, rounded down.
struct Order {
    order: &'static [u8],
    half: &'static [u8],
}

/// P-256 (FIPS 186-5).
const P256: Order = Order {
    order: &[
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
        0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ],
    half: &[
        0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73,
        0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
    ],
};

/// P-384 (FIPS 186-5).
const P384: Order = Order {
    order: &[
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2,
        0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
    ],
    half: &[
        0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe3, 0xb1, 0xa6, 0xc0, 0xfa, 0x1b, 0x96, 0xef, 0xac, 0x0d, 0x06, 0xd9,
        0x24, 0x58, 0x53, 0xbd, 0x76, 0x76, 0x0c, 0xb5, 0x66, 0x62, 0x94, 0xb9,
    ],
};

const fn order_of(alg: Algorithm) -> Option<Order> {
    match alg {
        Algorithm::ES256 => Some(P256),
        Algorithm::ES384 => Some(P384),
        _ => None,
    }
}

/// Whether an ECDSA signature (r || s) has s above half the order; of no other algorithm. Signatures are public; no
/// secret is compared.
pub(super) fn is_high(alg: Algorithm, signature: &[u8]) -> bool {
    order_of(alg).is_some_and(|of| {
        let s = signature.get(of.half.len()..).unwrap_or_default();
        s.len() == of.half.len() && s > of.half
    })
}

/// Makes it the lower one of the two signatures.
pub(super) fn lower(alg: Algorithm, signature: &mut [u8]) {
    if is_high(alg, signature) {
        flip(alg, signature);
    }
}

/// Makes it the other of the two: s becomes n - s.
pub(super) fn flip(alg: Algorithm, signature: &mut [u8]) {
    let Some(Order { order, .. }) = order_of(alg) else { return };
    let s = signature.get_mut(order.len()..).unwrap_or_default();
    let mut borrow = 0_u16;
    for (s, n) in s.iter_mut().rev().zip(order.iter().rev()) {
        let difference = 0x100 + u16::from(*n) - u16::from(*s) - borrow;
        borrow = u16::from(difference < 0x100);
        *s = difference.to_be_bytes()[1];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_s(s: &[u8]) -> Vec<u8> {
        [&vec![7; s.len()], s].concat()
    }

    fn lowered(alg: Algorithm, mut signature: Vec<u8>) -> Vec<u8> {
        lower(alg, &mut signature);
        signature
    }

    #[test]
    fn half_is_half_and_one_more_is_high() {
        for (alg, of) in [(Algorithm::ES256, P256), (Algorithm::ES384, P384)] {
            let mut above = of.half.to_vec();
            *above.last_mut().unwrap() += 1;
            assert!(!is_high(alg, &with_s(of.half)) && is_high(alg, &with_s(&above)));
            // n = 2 * half + 1, so n - (half + 1) = half.
            assert_eq!(lowered(alg, with_s(&above)), with_s(of.half));
            assert_eq!(lowered(alg, with_s(of.half)), with_s(of.half));
        }
    }

    #[test]
    fn subtraction_borrows_across_bytes() {
        for (alg, of) in [(Algorithm::ES256, P256), (Algorithm::ES384, P384)] {
            let mut almost = of.order.to_vec();
            *almost.last_mut().unwrap() -= 1;
            let mut one = vec![0; of.order.len()];
            *one.last_mut().unwrap() = 1;
            assert_eq!(lowered(alg, with_s(&almost)), with_s(&one));
        }
    }

    #[test]
    fn other_algorithms_and_lengths_have_no_high_half() {
        assert!(!is_high(Algorithm::RS256, &[0xff; 64]) && !is_high(Algorithm::EdDSA, &[0xff; 64]));
        assert!(!is_high(Algorithm::ES256, &[0xff; 63]) && !is_high(Algorithm::ES384, &[0xff; 64]));
    }
}
