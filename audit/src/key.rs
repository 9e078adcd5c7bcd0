//! The audit key. In: 32 bytes that follow from the key-encryption key. Out: MACs of lines and checkpoints, each under a
//! domain of its own, and the key before this one, sealed, so that a chain outlives a change of the key-encryption key.

use std::fmt;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use attest_core::random::{NoRandomness, Random};
use aws_lc_rs::hmac;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use zeroize::Zeroizing;

/// The key that authenticates audit chains. Wiped when dropped; `Debug` prints its id alone.
pub struct AuditKey {
    secret: Zeroizing<[u8; 32]>,
    lines: hmac::Key,
    checkpoints: hmac::Key,
    id: String,
}

impl AuditKey {
    /// The key of 32 secret bytes. They must have no other use: derive them from the key-encryption key under the label
    /// `assay-audit-v1`.
    pub fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        let derive = |label: &[u8]| {
            let bytes = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_slice()), label);
            hmac::Key::new(hmac::HMAC_SHA256, bytes.as_ref())
        };
        let (lines, checkpoints) = (derive(b"assay-audit-lines-v1"), derive(b"assay-audit-checkpoints-v1"));
        let id = hmac::sign(&derive(b"assay-audit-key-id-v1"), b"");
        let id = HEXLOWER.encode(id.as_ref().get(..8).unwrap_or_default());
        Self { secret, lines, checkpoints, id }
    }

    /// A public name of this key: 16 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn mac_of_line(&self, line: &[u8]) -> [u8; 32] {
        to_array(hmac::sign(&self.lines, line).as_ref())
    }

    /// In constant time.
    pub(crate) fn made_line(&self, line: &[u8], mac: &[u8; 32]) -> bool {
        hmac::verify(&self.lines, line, mac).is_ok()
    }

    pub(crate) fn mac_of_checkpoint(&self, text: &[u8]) -> [u8; 32] {
        to_array(hmac::sign(&self.checkpoints, text).as_ref())
    }

    /// In constant time.
    pub(crate) fn made_checkpoint(&self, text: &[u8], mac: &[u8; 32]) -> bool {
        hmac::verify(&self.checkpoints, text, mac).is_ok()
    }

    /// The key before this one, for whoever holds this one: `nonce | ciphertext | tag`, base64url.
    pub(crate) fn seal(&self, earlier: &Self, random: &dyn Random) -> Result<String, NoRandomness> {
        let nonce: [u8; NONCE] = attest_core::random::array(random)?;
        let payload = Payload { msg: earlier.secret.as_slice(), aad: SEALED };
        let sealed = self.cipher().encrypt(&nonce.into(), payload).map_err(|_| NoRandomness)?;
        Ok(BASE64URL_NOPAD.encode(&[nonce.as_slice(), &sealed].concat()))
    }

    /// What [`AuditKey::seal`] sealed under this very key.
    pub(crate) fn unseal(&self, sealed: &str) -> Option<Self> {
        let sealed = BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?;
        let (nonce, text) = sealed.split_first_chunk::<NONCE>()?;
        let opened = self.cipher().decrypt(&(*nonce).into(), Payload { msg: text, aad: SEALED }).map(Zeroizing::new);
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(opened.ok()?.first_chunk::<32>()?);
        Some(Self::new(secret))
    }

    fn cipher(&self) -> Aes256Gcm {
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_slice()), b"assay-audit-earlier-key-v1");
        let key = Zeroizing::new(to_array(key.as_ref()));
        Aes256Gcm::new((&*key).into())
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditKey({})", self.id)
    }
}

const NONCE: usize = 12;
const SEALED: &[u8] = b"assay-audit-earlier-key-v1";

/// HMAC-SHA-256 has exactly 32 bytes.
fn to_array(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or([0; 32])
}

#[cfg(test)]
mod tests {
    use super::*;
    use attest_core::random::SystemRandom;

    #[test]
    fn an_earlier_key_opens_under_its_successor_alone() {
        let [old, new, other] = [1, 2, 3].map(|byte| AuditKey::new(Zeroizing::new([byte; 32])));
        let sealed = new.seal(&old, &SystemRandom).unwrap();
        assert_eq!(new.unseal(&sealed).unwrap().id(), old.id());
        assert!(other.unseal(&sealed).is_none() && old.unseal(&sealed).is_none());
        assert!(new.unseal("").is_none() && new.unseal("AAAA").is_none() && new.unseal("not base64!").is_none());
    }

    #[test]
    fn lines_and_checkpoints_do_not_share_a_key() {
        let key = AuditKey::new(Zeroizing::new([1; 32]));
        assert!(key.made_line(b"text", &key.mac_of_line(b"text")));
        assert!(!key.made_line(b"text", &key.mac_of_checkpoint(b"text")));
        assert!(!key.made_checkpoint(b"texts", &key.mac_of_checkpoint(b"text")));
        assert_eq!(format!("{key:?}"), format!("AuditKey({})", key.id()));
    }
}
