//! The few primitives everything else is made of, on aws-lc: SHA-256, HMAC-SHA-256, HKDF-SHA-256.
//!
//! In: bytes. Out: arrays of fixed length. Nothing here decides anything.

use aws_lc_rs::{digest, hkdf, hmac};

/// Installs the process-wide cryptography of `jsonwebtoken` (its aws-lc backend). May be called any number of times.
///
/// Assay's own checks never ask for it; it is for code that uses `jsonwebtoken` beside us, which panics when two
/// backends are compiled in and none was chosen.
pub fn install_crypto() {
    // The error says that a provider is already there, which is what we want.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// A SHA-256 in the making.
pub(crate) struct Sha256(digest::Context);

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds a field with its length in front (u32, big endian), which makes a list of fields unambiguous.
    pub(crate) fn update_field(&mut self, field: &[u8]) {
        self.update(&length_prefix(field.len()));
        self.update(field);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        to_array(self.0.finish().as_ref())
    }
}

/// SHA-256 over the parts, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finish()
}

/// SHA-256 over bytes that lie together; allocates nothing, here or in aws-lc.
pub(crate) fn sha256_at_once(bytes: &[u8]) -> [u8; 32] {
    to_array(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// HMAC-SHA-256 over the parts, one after the other.
pub(crate) fn hmac_sha256(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    to_array(context.sign().as_ref())
}

/// HKDF-SHA-256 (RFC 5869) to 32 bytes.
pub(crate) fn hkdf_sha256(secret: &[u8], salt: &[u8], info: &[u8]) -> [u8; 32] {
    struct Len32;
    impl hkdf::KeyType for Len32 {
        fn len(&self) -> usize {
            32
        }
    }
    let mut out = [0_u8; 32];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let filled = prk.expand(&[info], Len32).and_then(|okm| okm.fill(&mut out));
    // 32 bytes are far below the 255 * 32 that HKDF can give, so the error has no way to happen.
    debug_assert!(filled.is_ok());
    out
}

/// A length or count as a field carries it: u32, big endian.
pub(crate) fn length_prefix(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn to_array(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0_u8; 32];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hkdf_agrees_with_rfc_5869_appendix_a_1() {
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let okm = hkdf_sha256(&[0x0b; 22], &salt, &info);
        let expected = data_encoding::HEXLOWER
            .decode(b"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")
            .unwrap();
        assert_eq!(okm.as_slice(), expected);
    }

    #[test]
    fn the_provider_may_be_installed_twice() {
        install_crypto();
        install_crypto();
    }
}
