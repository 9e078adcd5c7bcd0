//! A client certificate as Pingora wants it.
//!
//! In: the chain and the private key in PEM, from a key that was opened. Out: both in DER; proven between: what Pingora
//! would stop the process for is there and can be read.

use std::sync::Arc;

use pingora_core::utils::tls::CertKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Chain and key for the handshake; `None` where they can't be read.
pub(super) fn read(chain: &[u8], key: &[u8]) -> Option<Arc<CertKey>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain: Vec<Vec<u8>> = chain.ok()?.into_iter().map(|certificate| certificate.to_vec()).collect();
    if chain.is_empty() {
        return None;
    }
    let key = PrivateKeyDer::from_pem_slice(key).ok()?;
    let key = key.secret_der().to_vec();
    // Pingora's own parser panics on a certificate that it can't read; here that is one more key that can't be used.
    std::panic::catch_unwind(|| Arc::new(CertKey::new(chain, key))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_pingora_would_panic_on() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap().self_signed(&key).unwrap();
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(read(b"", key.serialize_pem().as_bytes()).is_none());
        assert!(read(nonsense.as_bytes(), key.serialize_pem().as_bytes()).is_none());
        assert!(read(certificate.pem().as_bytes(), b"no key").is_none());
        assert!(read(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).is_some());
    }
}
