//! The device key: P-256, in hardware where there is some. It signs the transcript of every attest request, and gives
//! the device its id.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
};
use zeroize::Zeroizing;

use crate::b64u::{self, NotBase64Url};
use crate::crypto::sha256;
use crate::transcript::TranscriptHash;

/// The key is no P-256 key of the form that was asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("not a P-256 key")]
pub struct NotADeviceKey;

/// The signature is not the device key's over this transcript.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("the device key did not sign this transcript")]
pub struct BadDeviceSignature;

/// The public half, proven to be a point on the curve.
#[derive(Clone)]
pub struct DevicePublicKey {
    point: [u8; 65],
    parsed: ParsedPublicKey,
}

impl DevicePublicKey {
    /// Parses a point, SEC 1 uncompressed: `04`, x, y; 65 bytes.
    ///
    /// # Errors
    /// [`NotADeviceKey`], also for a point that is not on the curve.
    pub fn parse(point: &[u8]) -> Result<Self, NotADeviceKey> {
        let point: [u8; 65] = point.try_into().map_err(|_| NotADeviceKey)?;
        if point.first() != Some(&4) {
            return Err(NotADeviceKey);
        }
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| NotADeviceKey)?;
        Ok(Self { point, parsed })
    }

    /// The point, as it was parsed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 65] {
        &self.point
    }

    /// The key as SubjectPublicKeyInfo, DER (RFC 5480): what `ipk` carries in base64.
    #[must_use]
    pub fn to_spki_der(&self) -> [u8; 91] {
        let mut der = [0; 91];
        for (to, from) in der.iter_mut().zip(SPKI_P256.iter().chain(&self.point)) {
            *to = *from;
        }
        der
    }

    /// Verifies ECDSA with SHA-256 over the 32 bytes of the transcript hash; `signature`: r, s, 64 bytes.
    ///
    /// # Errors
    /// [`BadDeviceSignature`].
    pub fn verify(&self, transcript: &TranscriptHash, signature: &[u8]) -> Result<(), BadDeviceSignature> {
        self.verify_message(transcript.as_bytes(), signature)
    }

    /// The same over another message.
    ///
    /// # Errors
    /// [`BadDeviceSignature`].
    pub fn verify_message(&self, message: &[u8], signature: &[u8]) -> Result<(), BadDeviceSignature> {
        self.parsed.verify_sig(message, signature).map_err(|_| BadDeviceSignature)
    }

    /// The JWK thumbprint (RFC 7638, SHA-256).
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        let [_, coordinates @ ..] = &self.point;
        let (x, y) = coordinates.split_at(32);
        let (x, y) = (b64u::encode(x), b64u::encode(y));
        // Section 3.2: the required members, in this order, without white space.
        sha256(&[br#"{"crv":"P-256","kty":"EC","x":""#, x.as_bytes(), br#"","y":""#, y.as_bytes(), br#""}"#])
    }

    /// The device's id under a key set's salt: nobody chooses it, and two key sets can't compare notes.
    #[must_use]
    pub fn device_id(&self, salt: &[u8; 32]) -> DeviceId {
        let hash = sha256(&[salt, &self.thumbprint()]);
        DeviceId(hash.first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Debug for DevicePublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "DevicePublicKey({})", b64u::encode(&self.thumbprint()))
    }
}

/// A device, by the first 16 bytes of SHA-256(salt, thumbprint). As text: 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId([u8; 16]);

impl DeviceId {
    /// The id with these bytes, as a store kept it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&b64u::encode(&self.0))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "DeviceId({self})")
    }
}

impl FromStr for DeviceId {
    type Err = NotBase64Url;

    fn from_str(text: &str) -> Result<Self, NotBase64Url> {
        b64u::decode_array(text.as_bytes()).map(Self)
    }
}

/// A device key in software, for platforms without hardware for it. Its `Debug` shows nothing.
pub struct DevicePrivateKey(EcdsaKeyPair);

impl DevicePrivateKey {
    /// A new key.
    ///
    /// # Errors
    /// [`NotADeviceKey`] when the machine gave no randomness.
    pub fn generate() -> Result<Self, NotADeviceKey> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self).map_err(|_| NotADeviceKey)
    }

    /// A key from PKCS#8 (DER).
    ///
    /// # Errors
    /// [`NotADeviceKey`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, NotADeviceKey> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Self).map_err(|_| NotADeviceKey)
    }

    /// The key as PKCS#8 (DER), to be kept where nobody else reads it.
    ///
    /// # Errors
    /// [`NotADeviceKey`] when it can't be encoded.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, NotADeviceKey> {
        let document = self.0.to_pkcs8v1().map_err(|_| NotADeviceKey)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The public half.
    ///
    /// # Errors
    /// [`NotADeviceKey`] when it can't be encoded.
    pub fn public_key(&self) -> Result<DevicePublicKey, NotADeviceKey> {
        DevicePublicKey::parse(self.0.public_key().as_ref())
    }

    /// Signs the transcript hash: r, s, 64 bytes.
    ///
    /// # Errors
    /// [`BadDeviceSignature`] when signing failed.
    pub fn sign(&self, transcript: &TranscriptHash) -> Result<[u8; 64], BadDeviceSignature> {
        self.sign_message(transcript.as_bytes())
    }

    /// Signs another message: r, s, 64 bytes. It must not be 32 bytes long: that is what a transcript is.
    ///
    /// # Errors
    /// [`BadDeviceSignature`] when signing failed.
    pub fn sign_message(&self, message: &[u8]) -> Result<[u8; 64], BadDeviceSignature> {
        let signature = self.0.sign(&SystemRandom::new(), message).map_err(|_| BadDeviceSignature)?;
        signature.as_ref().try_into().map_err(|_| BadDeviceSignature)
    }
}

impl fmt::Debug for DevicePrivateKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("DevicePrivateKey([redacted])")
    }
}

/// SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING of 65 bytes follows }.
const SPKI_P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

#[cfg(test)]
mod tests {
    use super::*;

    const T: TranscriptHash = TranscriptHash::from_bytes([5; 32]);

    #[test]
    fn refuses_points_that_are_short_compressed_or_off_the_curve() {
        let good = *DevicePrivateKey::generate().unwrap().public_key().unwrap().as_bytes();
        let mut off = good;
        off[64] ^= 1;
        let mut compressed = good;
        compressed[0] = 2;
        for point in [&[][..], &good[..64], &off, &compressed, &[&good[..], &[0]].concat(), &[4; 65], &[0; 65]] {
            assert_eq!(DevicePublicKey::parse(point).err(), Some(NotADeviceKey));
        }
    }

    #[test]
    fn refuses_a_signature_by_another_key_over_another_transcript_or_changed() {
        let (key, other) = (DevicePrivateKey::generate().unwrap(), DevicePrivateKey::generate().unwrap());
        let public = key.public_key().unwrap();
        let signature = key.sign(&T).unwrap();
        assert_eq!(public.verify(&T, &signature), Ok(()));
        assert_eq!(public.verify(&TranscriptHash::from_bytes([6; 32]), &signature), Err(BadDeviceSignature));
        assert_eq!(other.public_key().unwrap().verify(&T, &signature), Err(BadDeviceSignature));
        assert_eq!(public.verify(&T, &signature[..63]), Err(BadDeviceSignature));
        assert_eq!(public.verify(&T, &[0; 64]), Err(BadDeviceSignature));
    }

    #[test]
    fn a_key_comes_back_from_pkcs8_and_keeps_its_id() {
        let key = DevicePrivateKey::generate().unwrap();
        let again = DevicePrivateKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        let (one, two) = (key.public_key().unwrap(), again.public_key().unwrap());
        assert_eq!(one.device_id(&[1; 32]), two.device_id(&[1; 32]));
        assert_ne!(one.device_id(&[1; 32]), one.device_id(&[2; 32]));
        let id = one.device_id(&[1; 32]);
        assert_eq!(id.to_string().len(), 22);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("AAAA".parse::<DeviceId>().is_err());
        assert_eq!(DevicePrivateKey::from_pkcs8(b"no").err(), Some(NotADeviceKey));
    }

    #[test]
    fn the_thumbprint_is_that_of_the_jwk() {
        // The key of RFC 7515 A.3; the thumbprint by an independent implementation.
        let x = b64u::decode_array::<32>(b"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU").unwrap();
        let y = b64u::decode_array::<32>(b"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0").unwrap();
        let key = DevicePublicKey::parse(&[&[4][..], &x, &y].concat()).unwrap();
        assert_eq!(b64u::encode(&key.thumbprint()), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
    }
}
