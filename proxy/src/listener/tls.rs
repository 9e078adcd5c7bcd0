//! TLS of a listener: certificates that can be read anew while connections are open, and the server's settings.
//!
//! In: the PEM files that the configuration names. Out: a rustls configuration for TLS 1.2 and 1.3 that offers HTTP/2
//! and HTTP/1.1. Proven between: the files hold a chain and the private key that belongs to it; a reload that fails
//! leaves the certificate in use as it was.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use settings::TlsFiles;

/// Why a listener's TLS files can't be used. Nothing of the key is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The certificate file can't be read, or is not PEM.
    #[error("cannot read the certificate {path}: {reason}", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The key file can't be read, or holds no private key in PEM.
    #[error("cannot read the private key {path}: {reason}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The key is of a kind that TLS has no use for, or not that of the certificate.
    #[error("the private key {key} does not go with the certificate {certificate}: {reason}", key = key.display(), certificate = certificate.display())]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What does not go together.
        reason: String,
    },
    /// The cryptographic provider refused the settings; not a matter of the files.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The certificate of a listener, and the files it comes from.
#[derive(Debug)]
pub struct Certificates {
    files: TlsFiles,
    current: ArcSwap<CertifiedKey>,
}

impl Certificates {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// [`TlsError`] naming the file.
    pub fn load(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let current = ArcSwap::from_pointee(read(&files)?);
        Ok(Arc::new(Self { files, current }))
    }

    /// Reads the files anew; handshakes that begin after this get what they hold. True if the chain is another one.
    ///
    /// # Errors
    /// [`TlsError`] naming the file; the certificate in use stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let fresh = read(&self.files)?;
        let changed = self.current.load().cert != fresh.cert;
        self.current.store(Arc::new(fresh));
        Ok(changed)
    }

    /// The files that are read.
    #[must_use]
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// The settings of a TLS listener: TLS 1.2 and 1.3 by aws-lc-rs, session tickets, `h2` before `http/1.1`.
///
/// # Errors
/// [`TlsError::Setup`] if the provider refuses, for instance for want of randomness.
pub fn server_config(certificates: Arc<Certificates>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Tickets are kept by the client: rustls' own store of 256 sessions would be of no use to many phones.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let certificate = |reason: String| TlsError::Certificate { path: files.certificate.clone(), reason };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(certificate("it holds no certificate in PEM".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| TlsError::Key { path: files.key.clone(), reason: error.to_string() })?;
    let mismatch = |error: rustls::Error| TlsError::Mismatch {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        reason: error.to_string(),
    };
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(mismatch)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(mismatch)?;
    Ok(certified)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn write_pair(dir: &Path, name: &str) -> (Vec<u8>, TlsFiles) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let files = TlsFiles { certificate: dir.join("cert.pem"), key: dir.join("key.pem") };
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        (made.cert.der().to_vec(), files)
    }

    #[test]
    fn refuses_a_missing_file_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let (_, mut files) = write_pair(dir.path(), "a.example");
        files.key = dir.path().join("absent.pem");
        let error = Certificates::load(files).unwrap_err();
        assert!(error.to_string().contains("absent.pem"), "{error}");
    }

    #[test]
    fn refuses_a_file_without_a_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let (_, files) = write_pair(dir.path(), "a.example");
        fs::write(&files.certificate, "no PEM here").unwrap();
        let error = Certificates::load(files).unwrap_err();
        assert!(error.to_string().contains("cert.pem"), "{error}");
    }

    #[test]
    fn refuses_a_key_of_another_certificate() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (_, mut files) = write_pair(one.path(), "a.example");
        files.key = write_pair(two.path(), "a.example").1.key;
        assert!(matches!(Certificates::load(files), Err(TlsError::Mismatch { .. })));
    }

    #[test]
    fn a_failed_reload_keeps_the_certificate_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let (first, files) = write_pair(dir.path(), "a.example");
        let certificates = Certificates::load(files.clone()).unwrap();
        assert!(!certificates.reload().unwrap());
        fs::write(&files.key, "broken").unwrap();
        certificates.reload().unwrap_err();
        assert_eq!(certificates.current.load().cert[0].as_ref(), first);
        let (second, _) = write_pair(dir.path(), "b.example");
        assert!(certificates.reload().unwrap());
        assert_eq!(certificates.current.load().cert[0].as_ref(), second);
    }
}
