//! What a server's certificate has to chain to. There is no way to ask for less than that, and for the name.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Roots, and the sessions that are resumed under them.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

/// Why there are no roots.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The system has none.
    #[error("the system has no certificates of public authorities")]
    NoPublicRoots,
    /// The text is no certificate in PEM, or none that can be a root.
    #[error("{0}")]
    Unreadable(String),
    /// The text holds none.
    #[error("it holds no certificate")]
    Empty,
    /// The TLS library takes none of our settings; a fault of the build.
    #[error("TLS can't be set up: {0}")]
    Library(String),
}

impl Tls {
    /// The public authorities that the system trusts.
    ///
    /// # Errors
    /// [`TlsError::NoPublicRoots`].
    pub fn public() -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() { Err(TlsError::NoPublicRoots) } else { Self::under(roots) }
    }

    /// The authorities in `pem`, and no others.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn pem(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|why| TlsError::Unreadable(why.to_string()))?;
            roots.add(certificate).map_err(|why| TlsError::Unreadable(why.to_string()))?;
        }
        if roots.is_empty() { Err(TlsError::Empty) } else { Self::under(roots) }
    }

    fn under(roots: RootCertStore) -> Result<Self, TlsError> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|why| TlsError::Library(why.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config) })
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tls").finish_non_exhaustive()
    }
}
