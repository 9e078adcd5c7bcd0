//! The audit key. In: 32 secret bytes of the key store, which a change of its key-encryption key leaves as they are. Out: MACs
//! of lines and checkpoints, each under a key of its own.

use std::fmt;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

/// The key that authenticates audit chains. `Debug` prints its id alone.
#[derive(Clone)]
pub struct AuditKey {
    lines: hmac::Key,
    checkpoints: hmac::Key,
    id: String,
}

impl AuditKey {
    /// The key of 32 secret bytes, which must have no other use: those that the key store gives for its audit chain.
    pub fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        let derive = |label: &[u8]| {
            let bytes = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_slice()), label);
            hmac::Key::new(hmac::HMAC_SHA256, bytes.as_ref())
        };
        let (lines, checkpoints) = (derive(b"assay-audit-lines-v1"), derive(b"assay-audit-checkpoints-v1"));
        let id = hmac::sign(&derive(b"assay-audit-key-id-v1"), b"");
        let id = HEXLOWER.encode(id.as_ref().get(..8).unwrap_or_default());
        Self { lines, checkpoints, id }
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
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditKey({})", self.id)
    }
}

/// HMAC-SHA-256 has exactly 32 bytes.
fn to_array(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or([0; 32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_checkpoints_do_not_share_a_key() {
        let key = AuditKey::new(Zeroizing::new([1; 32]));
        assert!(key.made_line(b"text", &key.mac_of_line(b"text")));
        assert!(!key.made_line(b"text", &key.mac_of_checkpoint(b"text")));
        assert!(!key.made_checkpoint(b"texts", &key.mac_of_checkpoint(b"text")));
        assert_eq!(format!("{key:?}"), format!("AuditKey({})", key.id()));
    }
}
