//! RSA keys that may be used: long enough, with an exponent that means something, and not from a broken generator.

use super::KeySetError;

/// Checks modulus and exponent, big endian.
pub(super) fn check(modulus: &[u8], exponent: &[u8]) -> Result<(), KeySetError> {
    let (Some(first), Some(last)) = (modulus.first(), modulus.last()) else { return Err(KeySetError::Invalid) };
    if *first == 0 || last % 2 == 0 || modulus.len() > 1024 {
        return Err(KeySetError::Invalid);
    }
    let bits = modulus.len() * 8 - first.leading_zeros() as usize;
    if bits < 2048 {
        return Err(KeySetError::Weak("an RSA key has at least 2048 bits"));
    }
    match exponent {
        // aws-lc takes exponents of at most 33 bits, as do all who follow FIPS 186-5.
        [first, .., last] if *first != 0 && last % 2 == 1 && exponent.len() <= 4 => {}
        [only] if only % 2 == 1 && *only > 1 => {}
        _ => return Err(KeySetError::Invalid),
    }
    if is_roca(modulus) {
        return Err(KeySetError::Weak("an RSA key of the ROCA kind (CVE-2017-15361) can be factored"));
    }
    Ok(())
}

/// Keys from Infineon's broken library have a modulus that is a power of 65537 modulo every small prime; a sound key is
/// so by chance once in 2^27.
///
/// # Source
/// Nemec et al., "The Return of Coppersmith's Attack", CCS 2017, section 3.
fn is_roca(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.iter().all(|prime| {
        let residue = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * 65_537 % prime;
            power == residue
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modulus(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at * 37 % 251) as u8 | 0x81).collect()
    }

    #[test]
    fn refuses_short_even_and_padded_keys_and_exponent_one() {
        assert_eq!(check(&modulus(128), &[1, 0, 1]), Err(KeySetError::Weak("an RSA key has at least 2048 bits")));
        assert_eq!(check(&[&[0][..], &modulus(256)].concat(), &[3]), Err(KeySetError::Invalid));
        assert_eq!(check(&[], &[3]), Err(KeySetError::Invalid));
        assert_eq!(check(&modulus(1025), &[3]), Err(KeySetError::Invalid));
        for exponent in [&[][..], &[1], &[2], &[0, 3], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
            assert_eq!(check(&modulus(256), exponent), Err(KeySetError::Invalid), "{exponent:?}");
        }
        for exponent in [&[3][..], &[1, 0, 1]] {
            assert_eq!(check(&modulus(256), exponent), Ok(()), "{exponent:?}");
        }
    }

    #[test]
    fn a_power_of_65537_is_the_fingerprint() {
        // 65537^128 has 257 bytes and is in the subgroup modulo every prime.
        let mut power = vec![1_u8];
        for _ in 0..128 {
            let mut next = vec![0_u8; power.len() + 3];
            let mut carry = 0_u32;
            for (at, byte) in next.iter_mut().enumerate() {
                let digit = |at: Option<usize>| at.and_then(|at| power.get(at)).map_or(0, |digit| u32::from(*digit));
                let sum = digit(Some(at)) + digit(at.checked_sub(2)) + carry;
                *byte = sum as u8;
                carry = sum >> 8;
            }
            while next.last() == Some(&0) {
                next.pop();
            }
            power = next;
        }
        power.reverse();
        assert!(is_roca(&power));
        assert!(!is_roca(&modulus(256)));
    }
}
