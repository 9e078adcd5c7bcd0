//! Who the other end is.

use std::sync::Arc;

use attest_client::{FetchError, Status};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::fake::{Fake, client};

/// A service with a certificate that only itself vouches for, and that certificate.
async fn self_signed() -> (Fake, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (Fake::start_with(&[], Some(TlsAcceptor::from(Arc::new(config)))).await, made.cert.pem())
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_at_once_and_named() {
    let (fake, _) = self_signed().await;
    let error = client(&fake).0.build().unwrap().fetch_token().await.unwrap_err();
    assert_eq!((error.status(), &error), (Status::MitmDetected, &FetchError::Certificate));
    assert_eq!(fake.counts(), (0, 0));
}

#[tokio::test]
async fn a_pinned_certificate_is_trusted() {
    let (fake, pem) = self_signed().await;
    assert!(client(&fake).0.trust_only(pem).build().unwrap().fetch_token().await.is_ok());
}
