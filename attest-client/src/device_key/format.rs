//! What keystores give, as the wire wants it. Comes in: DER. Goes out: a point, or `r || s`.
//! Proven between: the bytes have exactly that form; whether the point is on the curve is asked later, once for all keys.

/// The public key as SEC 1, uncompressed: from that form itself (65 bytes, what `SecKeyCopyExternalRepresentation`
/// gives), or from a SubjectPublicKeyInfo of a P-256 key (91 bytes, what Java's `PublicKey.getEncoded` gives).
///
/// # Source
/// SEC 1, section 2.3.3; RFC 5480, section 2.
#[must_use]
pub fn public_key(bytes: &[u8]) -> Option<[u8; 65]> {
    let point = bytes.strip_prefix(&SPKI_P256[..]).unwrap_or(bytes);
    point.try_into().ok().filter(|point: &[u8; 65]| point.first() == Some(&4))
}

/// The signature as `r || s`: from that form itself (64 bytes), or from DER (`SEQUENCE { INTEGER r, INTEGER s }`, 8 to
/// 72 bytes, what Android Keystore and the Secure Enclave give).
///
/// # Source
/// RFC 3279, section 2.2.3.
#[must_use]
pub fn signature(bytes: &[u8]) -> Option<[u8; 64]> {
    if let Ok(raw) = bytes.try_into() {
        // DER of 64 bytes would need both numbers to be 3 bytes short: once in 2^48 signatures, and it fails closed.
        return Some(raw);
    }
    let (&[SEQUENCE, length], body) = bytes.split_first_chunk()? else { return None };
    if usize::from(length) != body.len() {
        return None;
    }
    let (r, rest) = integer(body)?;
    let (s, rest) = integer(rest)?;
    let mut raw = [0; 64];
    let (left, right) = raw.split_at_mut(32);
    left.copy_from_slice(&r);
    right.copy_from_slice(&s);
    rest.is_empty().then_some(raw)
}

/// One positive INTEGER of at most 32 bytes, padded to 32, and what follows it.
fn integer(bytes: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (&[INTEGER, length], rest) = bytes.split_first_chunk()? else { return None };
    let (digits, rest) = rest.split_at_checked(usize::from(length))?;
    let digits = match digits {
        // A sign octet stands only where the number would else read as negative (X.690, 8.3.2).
        [0, high, ..] if *high >= 0x80 => digits.get(1..)?,
        [0] | [0, ..] => return None,
        [high, ..] if *high < 0x80 => digits,
        _ => return None,
    };
    let mut padded = [0; 32];
    padded.get_mut(32_usize.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    Some((padded, rest))
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING of 65 bytes follows }.
const SPKI_P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn der(r: &[u8; 32], s: &[u8; 32]) -> Vec<u8> {
        let number = |digits: &[u8; 32]| {
            let mut digits = digits.to_vec();
            while digits.len() > 1 && digits[0] == 0 && digits[1] < 0x80 {
                digits.remove(0);
            }
            if digits[0] >= 0x80 {
                digits.insert(0, 0);
            }
            [&[INTEGER, u8::try_from(digits.len()).unwrap()], &digits[..]].concat()
        };
        let body = [number(r), number(s)].concat();
        [&[SEQUENCE, u8::try_from(body.len()).unwrap()], &body[..]].concat()
    }

    #[test]
    fn refuses_what_is_neither_form() {
        let good = der(&[0x81; 32], &[0x7f; 32]);
        assert!(signature(&good).is_some());
        for bad in [&[][..], &[0x30], &good[..good.len() - 1], &[&good[..], &[0]].concat(), &[0; 63], &[0x30; 71]] {
            assert_eq!(signature(bad), None, "{bad:02x?}");
        }
        // Negative, padded without need, empty, 33 digits.
        for number in [&[2, 1, 0x80][..], &[2, 2, 0, 1], &[2, 0], &[&[2, 33][..], &[1; 33]].concat()] {
            let body = [number, &[2, 1, 1]].concat();
            assert_eq!(signature(&[&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat()), None);
        }
    }

    #[test]
    fn a_public_key_is_read_from_both_forms_and_no_other() {
        let point = *attest_core::device_key::DevicePrivateKey::generate().unwrap().public_key().unwrap().as_bytes();
        assert_eq!(public_key(&point), Some(point));
        assert_eq!(public_key(&[&SPKI_P256[..], &point].concat()), Some(point));
        assert_eq!(public_key(&point[..64]), None);
        assert_eq!(public_key(&[&[2][..], &point[1..]].concat()), None);
        assert_eq!(public_key(&SPKI_P256), None);
    }

    proptest! {
        #[test]
        fn der_reads_back(r in any::<[u8; 32]>(), s in any::<[u8; 32]>()) {
            prop_assume!(r[0] != 0 && s[0] != 0);
            prop_assert_eq!(signature(&der(&r, &s)), Some([r, s].concat().try_into().unwrap()));
        }

        #[test]
        fn any_bytes_give_a_signature_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = signature(&bytes);
            let _ = public_key(&bytes);
        }
    }
}
