//! PEM files: that they hold what they are named for, before a listener finds out.

use std::path::PathBuf;

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::{Check, Kind};
use crate::{
    file::names::FilePath,
    model::TlsFiles,
    shape::{Fault, Field},
};
use policies::yaml::Place;

/// The most that a PEM file may hold.
const MAX_PEM_BYTES: usize = 1024 * 1024;

impl Check<'_, '_> {
    /// Certificate and key of a listener.
    pub(crate) fn tls(&self, certificate: &Field<FilePath>, key: &Field<FilePath>, owner: Place) -> Option<TlsFiles> {
        self.need(certificate, owner, "certificate", "tls/fullchain.pem");
        self.need(key, owner, "key", "tls/privkey.pem");
        let certificate = self.certificates(certificate);
        let key = self.file(key, Kind::Private, MAX_PEM_BYTES).and_then(|(path, content, at)| {
            if PrivateKeyDer::from_pem_slice(&content.bytes).is_ok() {
                return Some(path);
            }
            let fault = Fault::new(format!("`{}` holds no private key", path.display()));
            self.refuse(at, "not_a_key", fault.hint("PEM with `BEGIN PRIVATE KEY` (also EC or RSA), not encrypted"));
            None
        });
        Some(TlsFiles { certificate: certificate?, key: key? })
    }

    /// A file with one certificate or more.
    pub(crate) fn certificates(&self, field: &Field<FilePath>) -> Option<PathBuf> {
        let (path, content, at) = self.file(field, Kind::Live, MAX_PEM_BYTES)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content.bytes).collect();
        if found.is_ok_and(|found| !found.is_empty()) {
            return Some(path);
        }
        let fault = Fault::new(format!("`{}` holds no certificate", path.display()));
        self.refuse(at, "not_a_certificate", fault.hint("PEM with `BEGIN CERTIFICATE`, the leaf first"));
        None
    }
}
