//! In: a file of roots, or none. Out: TLS for PostgreSQL that verifies the server's name and certificate; there is no way
//! to ask for less.

use std::{fs, path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::StoreError;

/// Makes TLS connections.
pub(super) type Connector = MakeRustlsConnect;

/// The connector that trusts the certificates in `ca_file`, or the system's where there is none.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<Connector, StoreError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        let unusable = || StoreError::BadRoots { path: path.to_owned() };
        let text = fs::read(path).map_err(|source| StoreError::Path { path: path.to_owned(), source })?;
        for certificate in CertificateDer::pem_slice_iter(&text) {
            roots.add(certificate.map_err(|_| unusable())?).map_err(|_| unusable())?;
        }
        if roots.is_empty() {
            return Err(unusable());
        }
    } else {
        // Certificates that can't be read are left out; with none at all, no server verifies.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Away { why: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // What PostgreSQL 17 asks for under `sslnegotiation=direct`, and earlier ones ignore.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}
