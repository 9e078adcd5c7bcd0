//! What a client's certificate says, and whether it is a caller's.
//!
//! In: the leaf of a chain that the listener has verified: signed by one of its authorities, in its time, for clients. Out:
//! its SHA-256 and its names. Nothing here verifies a chain; a name counts because an authority of ours signed it.

use std::fmt;

use data_encoding::HEXLOWER;
use rustls_pki_types::CertificateDer;
use subtle::ConstantTimeEq;
use webpki::EndEntityCert;

use crate::bearer::sha256;

/// Names of one certificate that are looked at.
const MAX_NAMES: usize = 64;

/// A subject alternative name (RFC 5280 section 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AltName {
    /// A DNS name, in lower case. One with a wildcard equals only itself.
    Dns(Box<str>),
    /// A URI, as it is written.
    Uri(Box<str>),
}

/// A client's certificate, as far as callers are told apart by it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    sha256: [u8; 32],
    names: Box<[AltName]>,
}

/// The certificate can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an X.509 certificate of version 3")]
pub struct NotACertificate;

impl ClientCertificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// [`NotACertificate`].
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, NotACertificate> {
        let certificate = EndEntityCert::try_from(der).map_err(|_| NotACertificate)?;
        let dns = certificate.valid_dns_names().map(|name| AltName::Dns(name.to_ascii_lowercase().into()));
        let uris = certificate.valid_uri_names().map(|uri| AltName::Uri(uri.into()));
        Ok(Self { sha256: sha256(der), names: dns.chain(uris).take(MAX_NAMES).collect() })
    }

    /// SHA-256 of the whole certificate, as `openssl x509 -fingerprint -sha256` shows it.
    #[must_use]
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ClientCertificate({})", HEXLOWER.encode(&self.sha256))
    }
}

/// Which certificates are a caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateMatch {
    /// One of these, by SHA-256.
    Sha256(Vec<[u8; 32]>),
    /// Any with one of these names, compared whole.
    Names(Vec<AltName>),
}

impl CertificateMatch {
    /// Whether it is one of them.
    #[must_use]
    pub fn fits(&self, certificate: &ClientCertificate) -> bool {
        match self {
            Self::Sha256(hashes) => hashes.iter().any(|hash| hash.ct_eq(&certificate.sha256).into()),
            Self::Names(names) => certificate.names.iter().any(|name| names.contains(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(names: &[SanType]) -> ClientCertificate {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        ClientCertificate::read(made.der()).unwrap()
    }

    fn san_dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().unwrap())
    }

    fn dns(name: &str) -> AltName {
        AltName::Dns(name.into())
    }

    fn uri(name: &str) -> AltName {
        AltName::Uri(name.into())
    }

    #[test]
    fn refuses_bytes_that_are_no_certificate() {
        for bytes in [&b""[..], &[0x30], &[1, 2, 3], &[0xff; 4000]] {
            assert_eq!(ClientCertificate::read(&CertificateDer::from(bytes)), Err(NotACertificate));
        }
    }

    #[test]
    fn names_are_compared_whole_and_kinds_are_kept_apart() {
        let backend = SanType::URI("spiffe://acme.example/backend".try_into().unwrap());
        let acme = certificate(&[san_dns("Backend.acme.example"), backend]);
        let fits = |name| CertificateMatch::Names(vec![name]).fits(&acme);
        assert!(fits(dns("backend.acme.example")) && fits(uri("spiffe://acme.example/backend")));
        for other in ["acme.example", "end.acme.example", "*.acme.example", "spiffe://acme.example/backend"] {
            assert!(!fits(dns(other)), "{other}");
        }
        for other in ["spiffe://acme.example/Backend", "spiffe://acme.example", "backend.acme.example"] {
            assert!(!fits(uri(other)), "{other}");
        }
        // An authority that signs wildcards must not so sign for the callers below them.
        let wildcard = certificate(&[san_dns("*.acme.example")]);
        assert!(!CertificateMatch::Names(vec![dns("backend.acme.example")]).fits(&wildcard));
    }

    #[test]
    fn a_hash_is_of_one_certificate_alone() {
        let (one, two) = (certificate(&[san_dns("a.example")]), certificate(&[san_dns("a.example")]));
        let only = CertificateMatch::Sha256(vec![[0; 32], *one.sha256()]);
        assert!(only.fits(&one) && !only.fits(&two));
        assert!(!CertificateMatch::Sha256(vec![]).fits(&one) && !CertificateMatch::Names(vec![]).fits(&one));
    }
}
