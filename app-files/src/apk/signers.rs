//! One scheme's block. Comes in: its bytes. Goes out: who signed, and the content digests that were signed.
//! Proven between: every signature that can be checked is genuine, by the key that the first certificate carries, and
//! the algorithms that sign are those whose digests are signed.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA512_ASN1,
    ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

use super::digest::Algorithm;
use crate::der;
use crate::error::SignatureProblem;
use crate::zip::u32_at;

/// Which scheme's block it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    V2,
    V3,
    /// Rotated keys, for Android 13 and later.
    V31,
}

impl Scheme {
    pub(super) const fn id(self) -> u32 {
        match self {
            Self::V2 => 0x7109_871a,
            Self::V3 => 0xf053_68c0,
            Self::V31 => 0x1b93_ad61,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
            Self::V31 => "v3.1",
        }
    }
}

/// One signer whose signatures hold.
pub(super) struct Signer {
    pub(super) scheme: Scheme,
    /// SHA-256 of the certificate, DER.
    pub(super) certificate: [u8; 32],
    /// The signed digests of the content.
    pub(super) digests: Vec<(Algorithm, Vec<u8>)>,
    /// The oldest Android that the signer counts for; 0 in scheme v2, which does not say.
    pub(super) from_version: u32,
    /// Scheme v2 only: the signer signed with v3 too.
    pub(super) says_v3: bool,
    /// Scheme v3 only: another key signed with v3.1, for this Android version and later.
    pub(super) says_v31_from: Option<u32>,
}

/// As many as Android takes.
const MAX_SIGNERS: usize = 10;
/// Signatures of one signer, and certificates.
const MAX_ITEMS: usize = 32;
/// In v2: "a newer scheme is there".
const STRIPPING_PROTECTION: u32 = 0xbeef_f00d;
/// In v3: "v3.1 is there, from this Android version on".
const ROTATION_FROM: u32 = 0x559f_8b02;

use SignatureProblem::{Certificate, Digests, Forged, Malformed, Signers};

pub(super) fn parse_and_verify(block: &[u8], scheme: Scheme) -> Result<Vec<Signer>, SignatureProblem> {
    let mut block = block;
    let mut list = prefixed(&mut block)?;
    let mut signers = Vec::new();
    while !list.is_empty() {
        if signers.len() == MAX_SIGNERS {
            return Err(Signers);
        }
        signers.push(signer(prefixed(&mut list)?, scheme)?);
    }
    if signers.is_empty() || !block.is_empty() { Err(Signers) } else { Ok(signers) }
}

fn signer(mut bytes: &[u8], scheme: Scheme) -> Result<Signer, SignatureProblem> {
    let signed = prefixed(&mut bytes)?;
    let range = if scheme == Scheme::V2 { None } else { Some(take(&mut bytes, 8)?) };
    let signatures = pairs(prefixed(&mut bytes)?)?;
    let public_key = prefixed(&mut bytes)?;
    if !bytes.is_empty() {
        return Err(Malformed);
    }
    let mut checked = false;
    for (id, signature) in &signatures {
        let Some(algorithm) = verification(*id, public_key) else { continue };
        UnparsedPublicKey::new(algorithm, public_key).verify(signed, signature).map_err(|_| Forged)?;
        // The digest of fs-verity is not made here: a signature over nothing else would leave the content open.
        checked |= Algorithm::of(*id).is_some();
    }
    if !checked {
        return Err(SignatureProblem::Algorithm);
    }

    let mut fields = signed;
    let digests = pairs(prefixed(&mut fields)?)?;
    let mut certificates = prefixed(&mut fields)?;
    let certificate = prefixed(&mut certificates).map_err(|_| Certificate)?;
    // The range of Android versions stands outside of what is signed, and inside.
    if range.is_some() && Some(take(&mut fields, 8)?) != range {
        return Err(Malformed);
    }
    let attributes = attributes(prefixed(&mut fields)?)?;
    if der::public_key_of(certificate) != Some(public_key) {
        return Err(Certificate);
    }
    let ids = |pairs: &[(u32, &[u8])]| pairs.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    if ids(&digests) != ids(&signatures) {
        return Err(Digests);
    }
    let known = digests.iter().filter_map(|(id, digest)| Some((Algorithm::of(*id)?, digest.to_vec()))).collect();
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, certificate).as_ref());
    let said = |wanted| attributes.iter().filter(move |(id, _)| *id == wanted).map(|(_, value)| u32_at(value, 0));
    let says_v3 = scheme == Scheme::V2 && said(STRIPPING_PROTECTION).any(|version| version == Some(3));
    let says_v31_from = match said(ROTATION_FROM).next() {
        Some(version) if scheme == Scheme::V3 => Some(version.ok_or(Malformed)?),
        _ => None,
    };
    let from_version = range.and_then(|range| u32_at(range, 0)).unwrap_or_default();
    Ok(Signer { scheme, certificate: hash, digests: known, from_version, says_v3, says_v31_from })
}

/// How to check a signature of this number by this key. `None`: DSA, curves and lengths that are not checked here.
fn verification(id: u32, public_key: &[u8]) -> Option<&'static dyn VerificationAlgorithm> {
    // A key of another kind is not let off here: its signature is no RSA signature, and refused as that.
    if matches!(id, 0x0101..=0x0104 | 0x0421) && modulus_bytes(public_key).is_some_and(|bytes| bytes < MIN_MODULUS) {
        return None;
    }
    Some(match id {
        0x0101 => &RSA_PSS_2048_8192_SHA256,
        0x0102 => &RSA_PSS_2048_8192_SHA512,
        // 0x0421, 0x0423: the digest is that of fs-verity; the signature is the same.
        0x0103 | 0x0421 => &RSA_PKCS1_2048_8192_SHA256,
        0x0104 => &RSA_PKCS1_2048_8192_SHA512,
        0x0201 | 0x0423 => ecdsa(public_key, false)?,
        0x0202 => ecdsa(public_key, true)?,
        _ => return None,
    })
}

/// The length of an RSA key (RFC 8017, appendix A.1.1).
fn modulus_bytes(public_key: &[u8]) -> Option<usize> {
    let mut key = public_key;
    let mut info = der::expect(&mut key, der::SEQUENCE)?;
    der::expect(&mut info, der::SEQUENCE)?;
    // The first byte counts unused bits: none.
    let mut bits = der::expect(&mut info, der::BIT_STRING)?.strip_prefix(&[0])?;
    let mut numbers = der::expect(&mut bits, der::SEQUENCE)?;
    let modulus = der::expect(&mut numbers, der::INTEGER)?;
    Some(modulus.strip_prefix(&[0]).unwrap_or(modulus).len())
}

/// 2048 bits.
const MIN_MODULUS: usize = 256;

/// By the curve that the key names.
fn ecdsa(public_key: &[u8], sha512: bool) -> Option<&'static dyn VerificationAlgorithm> {
    let mut key = public_key;
    let mut info = der::expect(&mut key, der::SEQUENCE)?;
    let mut algorithm = der::expect(&mut info, der::SEQUENCE)?;
    der::expect(&mut algorithm, der::OBJECT_IDENTIFIER)?;
    Some(match (der::expect(&mut algorithm, der::OBJECT_IDENTIFIER)?, sha512) {
        (P256, false) => &ECDSA_P256_SHA256_ASN1,
        (P256, true) => &ECDSA_P256_SHA512_ASN1,
        (P384, false) => &ECDSA_P384_SHA256_ASN1,
        (P384, true) => &ECDSA_P384_SHA512_ASN1,
        (P521, false) => &ECDSA_P521_SHA256_ASN1,
        (P521, true) => &ECDSA_P521_SHA512_ASN1,
        _ => return None,
    })
}

/// secp256r1, secp384r1, secp521r1 (RFC 5480, section 2.1.1.1).
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

/// A length (u32, little endian) and as many bytes.
fn prefixed<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], SignatureProblem> {
    let len = u32_at(bytes, 0).and_then(|len| usize::try_from(len).ok()).ok_or(Malformed)?;
    take(bytes, 4)?;
    take(bytes, len)
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], SignatureProblem> {
    let (taken, rest) = bytes.split_at_checked(len).ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

/// A list of number and length-prefixed bytes; each number once.
fn pairs(mut list: &[u8]) -> Result<Vec<(u32, &[u8])>, SignatureProblem> {
    let mut found: Vec<(u32, &[u8])> = Vec::new();
    while !list.is_empty() {
        let mut pair = prefixed(&mut list)?;
        let id = u32_at(pair, 0).ok_or(Malformed)?;
        take(&mut pair, 4)?;
        if found.len() == MAX_ITEMS || found.iter().any(|(other, _)| *other == id) {
            return Err(Malformed);
        }
        found.push((id, prefixed(&mut pair)?));
    }
    Ok(found)
}

/// A list of number and bytes to the item's end.
fn attributes(mut list: &[u8]) -> Result<Vec<(u32, &[u8])>, SignatureProblem> {
    let mut found = Vec::new();
    while !list.is_empty() {
        let pair = prefixed(&mut list)?;
        if found.len() == MAX_ITEMS {
            return Err(Malformed);
        }
        found.push((u32_at(pair, 0).ok_or(Malformed)?, pair.get(4..).unwrap_or_default()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A DER element with a length of two bytes.
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, len[0], len[1]], content].concat()
    }

    #[test]
    fn an_rsa_key_that_is_too_short_is_named_so_and_not_a_forgery() {
        let rsa = |bytes: usize| {
            let modulus = element(der::INTEGER, &[&[0][..], &vec![0xff; bytes]].concat());
            let key = element(der::SEQUENCE, &[modulus, vec![2, 3, 1, 0, 1]].concat());
            let bits = element(der::BIT_STRING, &[vec![0], key].concat());
            element(der::SEQUENCE, &[element(der::SEQUENCE, b""), bits].concat())
        };
        for id in [0x0101, 0x0102, 0x0103, 0x0104, 0x0421] {
            assert!(verification(id, &rsa(128)).is_none(), "{id:x}");
            assert!(verification(id, &rsa(256)).is_some(), "{id:x}");
            assert!(verification(id, b"no key").is_some(), "{id:x}");
        }
    }
}
