//! Certificates of clients: who may sign them, and whether one that was shown is still good.
//!
//! In: a PEM file of authorities, and the chain of a client that had one. Out: [`ClientIdentity`], in the facts of its
//! connection. Proven: the chain led to an authority of the file, in its time, for a client. The handshake proves it once, a
//! resumed session not at all, and a connection may outlive both file and certificate: so it is proven again with a resumed
//! session, after each change of the file, and once a minute.
//!
//! A certificate of somebody else, or one that is over, fails the handshake: whoever shows one means to be known by it, and
//! the alert says why. A client that has none is served as if nobody had asked. The names of the authorities are sent along,
//! so that a browser or a phone with certificates for other purposes shows none of them.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use callers::certificate::ClientCertificate;
use rustls::{
    RootCertStore,
    crypto::aws_lc_rs,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};

use super::tls::TlsError;

/// Authorities in one file: their names go into every handshake.
const MOST_AUTHORITIES: usize = 64;
/// How long a chain that was good stays so without being looked at again.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// Who may sign clients' certificates.
pub(crate) struct ClientAuthorities {
    file: PathBuf,
    current: ArcSwap<Edition>,
}

/// What one reading of the file gave.
pub(crate) struct Edition {
    number: u64,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Edition {
    pub(crate) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }
}

impl ClientAuthorities {
    /// Reads the file for the first time.
    pub(crate) fn load(file: PathBuf) -> Result<Self, TlsError> {
        let first = Edition { number: 1, verifier: read(&file)? };
        Ok(Self { file, current: ArcSwap::from_pointee(first) })
    }

    /// Reads it again, for [`swap`](Self::swap).
    pub(crate) fn read(&self) -> Result<Arc<Edition>, TlsError> {
        Ok(Arc::new(Edition { number: self.number() + 1, verifier: read(&self.file)? }))
    }

    /// Takes an edition; returns the one before.
    pub(crate) fn swap(&self, edition: Arc<Edition>) -> Arc<Edition> {
        self.current.swap(edition)
    }

    pub(crate) fn file(&self) -> &PathBuf {
        &self.file
    }

    /// Tells one edition from the next.
    pub(crate) fn number(&self) -> u64 {
        self.current.load().number
    }

    pub(crate) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.current.load().verifier)
    }

    /// Whether this chain, leaf first, leads to one of them at `now`.
    pub(crate) fn vouches_for(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> bool {
        let Some((leaf, between)) = chain.split_first() else { return false };
        self.current.load().verifier.verify_client_cert(leaf, between, now).is_ok()
    }
}

impl fmt::Debug for ClientAuthorities {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ClientAuthorities({}, {})", self.file.display(), self.number())
    }
}

fn read(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let fails = |reason: String| TlsError::Authorities { path: path.to_owned(), reason };
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|why| fails(why.to_string()))?;
    if certificates.len() > MOST_AUTHORITIES {
        return Err(fails(format!("more than {MOST_AUTHORITIES} certificates")));
    }
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|why| fails(why.to_string()))?;
    }
    if roots.is_empty() {
        return Err(fails("it holds no certificate in PEM".to_owned()));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|why| fails(why.to_string()))
}

/// A client that showed a certificate.
pub(crate) struct ClientIdentity {
    certificate: ClientCertificate,
    chain: Vec<CertificateDer<'static>>,
    authorities: Arc<ClientAuthorities>,
    checked: Mutex<Option<Checked>>,
}

/// When the chain was last looked at, by which edition, and what it came to.
#[derive(Clone, Copy)]
struct Checked {
    edition: u64,
    at: Duration,
    good: bool,
}

impl ClientIdentity {
    /// What a handshake left. `proven_by`: the edition that has just verified the chain; none after a resumed session.
    /// `None`: the leaf can't be read, and so names nobody.
    pub(crate) fn new(
        chain: &[CertificateDer<'static>],
        authorities: &Arc<ClientAuthorities>,
        proven_by: Option<u64>,
    ) -> Option<Self> {
        let certificate = ClientCertificate::read(chain.first()?).ok()?;
        let at = Duration::from_secs(UnixTime::now().as_secs());
        let checked = proven_by.map(|edition| Checked { edition, at, good: true });
        let authorities = Arc::clone(authorities);
        Some(Self { certificate, chain: chain.to_vec(), authorities, checked: Mutex::new(checked) })
    }

    /// The certificate, if it is still good at `now`, seconds since 1970.
    pub(crate) fn certificate(&self, now: Duration) -> Option<&ClientCertificate> {
        let edition = self.authorities.number();
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = checked.filter(|known| known.edition == edition && now.abs_diff(known.at) < GOOD_FOR);
        let good = match known {
            Some(known) => known.good,
            None => {
                let good = self.authorities.vouches_for(&self.chain, UnixTime::since_unix_epoch(now));
                *checked = Some(Checked { edition, at: now, good });
                good
            }
        };
        good.then_some(&self.certificate)
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ClientIdentity({:?})", self.certificate)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    const YEAR: u64 = 365 * 24 * 3600;

    /// An authority, and what it signs for a client.
    fn chain(folder: &Path, name: &str) -> (PathBuf, Vec<CertificateDer<'static>>) {
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, name);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = ca.self_signed(&ca_key).unwrap();
        let mut leaf = CertificateParams::new(vec!["backend.acme.example".to_owned()]).unwrap();
        leaf.not_before = rcgen::date_time_ymd(2020, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let file = folder.join(name);
        std::fs::write(&file, root.pem()).unwrap();
        (file, vec![leaf.der().clone()])
    }

    fn in_years(years: u64) -> Duration {
        Duration::from_secs((years - 1970) * YEAR)
    }

    #[test]
    fn a_chain_is_good_in_its_time_and_while_its_authority_is() {
        let dir = tempfile::tempdir().unwrap();
        let (file, shown) = chain(dir.path(), "acme.pem");
        let (other, _) = chain(dir.path(), "other.pem");
        let authorities = Arc::new(ClientAuthorities::load(file.clone()).unwrap());
        let resumed = ClientIdentity::new(&shown, &authorities, None).unwrap();
        assert!(resumed.certificate(in_years(2025)).is_some());
        // It ends while its connection is open.
        assert!(resumed.certificate(in_years(2031)).is_none());
        assert!(resumed.certificate(in_years(2026)).is_some());
        // Its authority is taken out.
        std::fs::copy(&other, &file).unwrap();
        authorities.swap(authorities.read().unwrap());
        assert!(resumed.certificate(in_years(2026)).is_none());
        assert!(ClientIdentity::new(&[], &authorities, None).is_none());
    }
}
