//! TLS of a listener: certificates that can be read anew while connections are open, and the server's settings.
//!
//! In: the PEM files that the configuration names. Out: a rustls configuration for TLS 1.2 and 1.3 that offers HTTP/2
//! and HTTP/1.1, and asks for a client's certificate where there are authorities for them. Proven between: the files hold a
//! chain and the private key that belongs to it; a reload that fails leaves everything in use as it was.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ProducesTickets, ResolvesServerCert, danger::ClientCertVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use settings::TlsFiles;

use super::clients::{ClientAuthorities, Edition};

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
    /// The authorities of client certificates can't be read, or there is none.
    #[error("cannot use the client certificates' authorities {path}: {reason}", path = path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The cryptographic provider refused the settings; not a matter of the files.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// What a listener shows its clients and asks of them, and the files it comes from.
pub struct Certificates {
    files: TlsFiles,
    chain: Arc<Chain>,
    clients: Option<Arc<ClientAuthorities>>,
    ticketer: Arc<dyn ProducesTickets>,
    config: ArcSwap<ServerConfig>,
}

/// The chain in use, for the next handshake.
#[derive(Debug)]
struct Chain(ArcSwap<CertifiedKey>);

/// What was read anew, and is not in use yet.
pub struct Fresh {
    chain: CertifiedKey,
    clients: Option<(Arc<Edition>, ServerConfig)>,
}

impl Certificates {
    /// Reads the files for the first time. `client_ca_file`: the authorities of client certificates; without them none is
    /// asked for.
    ///
    /// # Errors
    /// [`TlsError`] naming the file.
    pub fn load(files: TlsFiles, client_ca_file: Option<PathBuf>) -> Result<Arc<Self>, TlsError> {
        let chain = Arc::new(Chain(ArcSwap::from_pointee(read(&files)?)));
        let clients = client_ca_file.map(ClientAuthorities::load).transpose()?.map(Arc::new);
        // Tickets are kept by the client: rustls' own store of 256 sessions would be of no use to many phones.
        let ticketer = aws_lc_rs::Ticketer::new()?;
        let config = server_config(&chain, clients.as_ref().map(|clients| clients.verifier()), &ticketer)?;
        Ok(Arc::new(Self { files, chain, clients, ticketer, config: ArcSwap::from_pointee(config) }))
    }

    /// Reads the files anew; handshakes that begin after this get what they hold. True if the chain is another one.
    ///
    /// # Errors
    /// [`TlsError`] naming the file; what is in use stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        Ok(self.take(self.read_anew()?))
    }

    /// Reads the files anew, and changes nothing yet.
    ///
    /// # Errors
    /// [`TlsError`] naming the file.
    pub fn read_anew(&self) -> Result<Fresh, TlsError> {
        let chain = read(&self.files)?;
        let clients = self.clients.as_ref().map(|clients| {
            let edition = clients.read()?;
            let config = server_config(&self.chain, Some(edition.verifier()), &self.ticketer)?;
            Ok::<_, TlsError>((edition, config))
        });
        Ok(Fresh { chain, clients: clients.transpose()? })
    }

    /// Uses what was read for handshakes that begin after this. True if the chain is another one.
    pub fn take(&self, fresh: Fresh) -> bool {
        if let (Some(clients), Some((edition, config))) = (&self.clients, fresh.clients) {
            // In this order: whoever reads the new edition's number gets the new configuration with it.
            self.config.store(Arc::new(config));
            clients.swap(edition);
        }
        let changed = self.chain.0.load().cert != fresh.chain.cert;
        self.chain.0.store(Arc::new(fresh.chain));
        changed
    }

    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let clients = self.clients.iter().map(|clients| clients.file());
        [&self.files.certificate, &self.files.key].into_iter().chain(clients)
    }

    /// The settings of the next handshake: TLS 1.2 and 1.3 by aws-lc-rs, session tickets, `h2` before `http/1.1`.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Who may sign clients' certificates, where they are asked for.
    pub(crate) const fn clients(&self) -> Option<&Arc<ClientAuthorities>> {
        self.clients.as_ref()
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Certificates({:?})", self.files)
    }
}

impl ResolvesServerCert for Chain {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn server_config(
    chain: &Arc<Chain>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    ticketer: &Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(clients),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(chain) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = Arc::clone(ticketer);
    config.send_tls13_tickets = 1;
    Ok(config)
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

    use rustls_pki_types::UnixTime;

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
        let error = Certificates::load(files, None).unwrap_err();
        assert!(error.to_string().contains("absent.pem"), "{error}");
    }

    #[test]
    fn refuses_a_file_without_a_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let (_, files) = write_pair(dir.path(), "a.example");
        fs::write(&files.certificate, "no PEM here").unwrap();
        let error = Certificates::load(files, None).unwrap_err();
        assert!(error.to_string().contains("cert.pem"), "{error}");
    }

    #[test]
    fn refuses_a_key_of_another_certificate() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (_, mut files) = write_pair(one.path(), "a.example");
        files.key = write_pair(two.path(), "a.example").1.key;
        assert!(matches!(Certificates::load(files, None), Err(TlsError::Mismatch { .. })));
    }

    #[test]
    fn authorities_are_read_with_the_certificate_and_kept_when_they_break() {
        let dir = tempfile::tempdir().unwrap();
        let (der, files) = write_pair(dir.path(), "a.example");
        let ca = dir.path().join("clients.pem");
        let load = |text: &str| {
            fs::write(&ca, text).unwrap();
            Certificates::load(files.clone(), Some(ca.clone()))
        };
        for bad in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(load(bad).unwrap_err().to_string().contains("clients.pem"), "{bad}");
        }
        let certificates = load(&fs::read_to_string(&files.certificate).unwrap()).unwrap();
        assert_eq!(certificates.files().count(), 3);
        let (clients, before) = (certificates.clients().unwrap(), certificates.config());
        let leaf = [CertificateDer::from(der)];
        let number = clients.number();
        assert!(clients.vouches_for(&leaf, UnixTime::now()));
        fs::write(&ca, "broken").unwrap();
        certificates.reload().unwrap_err();
        assert!(clients.number() == number && Arc::ptr_eq(&before, &certificates.config()));
        fs::write(&ca, rcgen::generate_simple_self_signed(vec!["b.example".to_owned()]).unwrap().cert.pem()).unwrap();
        certificates.reload().unwrap();
        assert!(clients.number() != number && !clients.vouches_for(&leaf, UnixTime::now()));
    }

    #[test]
    fn a_failed_reload_keeps_the_certificate_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let (first, files) = write_pair(dir.path(), "a.example");
        let certificates = Certificates::load(files.clone(), None).unwrap();
        assert!(!certificates.reload().unwrap());
        fs::write(&files.key, "broken").unwrap();
        certificates.reload().unwrap_err();
        assert_eq!(certificates.chain.0.load().cert[0].as_ref(), first);
        let (second, _) = write_pair(dir.path(), "b.example");
        assert!(certificates.reload().unwrap());
        assert_eq!(certificates.chain.0.load().cert[0].as_ref(), second);
    }
}
