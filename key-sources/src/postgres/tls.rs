//! In: a file of roots, or none. Out: TLS for PostgreSQL that verifies the server's name and certificate; there is no way
//! to ask for less.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Makes TLS connections.
pub(super) type Connector = MakeRustlsConnect;

/// The connector that trusts the certificates in `ca_file`, or the system's where there is none; or why there is none.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<Connector, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        let unusable = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let text = std::fs::read(path).map_err(|why| unusable(&why))?;
        for certificate in CertificateDer::pem_slice_iter(&text) {
            roots.add(certificate.map_err(|why| unusable(&why))?).map_err(|why| unusable(&why))?;
        }
        if roots.is_empty() {
            return Err(unusable(&"it holds no certificate"));
        }
    } else {
        // Certificates that can't be read are left out; with none at all, no server verifies.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // What PostgreSQL 17 asks for under `sslnegotiation=direct`, and earlier ones ignore.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}
