//! An API that asks for a client certificate, and remembers whose connections it had.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use keystore::Trust;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer as Authority, KeyPair, SanType,
    SerialNumber,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The API.
pub(crate) struct TlsApi {
    /// `https://127.0.0.1:port`
    pub(crate) url: String,
    /// The root of its own certificate, in PEM.
    pub(crate) roots: String,
    /// Their hash, as bounds write it.
    pub(crate) trust: String,
    clients: Authority<'static, KeyPair>,
    /// For each connection, who asked on it.
    seen: Arc<Mutex<Vec<Vec<String>>>>,
}

/// What a client shows: chain and private key.
pub(crate) struct Client {
    pub(crate) pem: String,
}

pub(crate) fn authority(name: &str) -> (rcgen::Certificate, Authority<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    (certificate, Authority::new(params, key))
}

pub(crate) async fn start() -> TlsApi {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (root, servers) = authority("servers");
    let (client_root, clients) = authority("clients");
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
    let certificate = params.signed_by(&key, &servers).unwrap();
    let mut trusted = RootCertStore::empty();
    trusted.add(client_root.der().clone()).unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(WebPkiClientVerifier::builder(trusted.into()).build().unwrap())
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let seen: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let (acceptor, all) = (TlsAcceptor::from(Arc::new(config)), seen.clone());
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, all) = (acceptor.clone(), all.clone());
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                let shown = tls.get_ref().1.peer_certificates().unwrap()[0].clone();
                // The name stands in the certificate as it is.
                let name = ["one", "other"].into_iter().find(|name| {
                    let name = format!("client {name}");
                    shown.windows(name.len()).any(|part| part == name.as_bytes())
                });
                let name = name.unwrap_or("nobody").to_owned();
                let at = {
                    let mut all = all.lock().unwrap();
                    all.push(Vec::new());
                    all.len() - 1
                };
                let mut head = Vec::new();
                let mut piece = [0; 4096];
                while let Ok(read @ 1..) = tls.read(&mut piece).await {
                    head.extend_from_slice(&piece[..read]);
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
                        all.lock().unwrap()[at].push(name.clone());
                        let body = format!("client {name}");
                        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                        tls.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    TlsApi {
        url: format!("https://{address}"),
        trust: Trust::in_private_roots(root.pem().as_bytes()).to_string(),
        roots: root.pem(),
        clients,
        seen,
    }
}

impl TlsApi {
    /// A certificate for a client; all have the same serial number.
    pub(crate) fn client(&self, name: &str) -> Client {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("client {name}"));
        params.serial_number = Some(SerialNumber::from(7));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.clients).unwrap();
        Client { pem: format!("{}{}", certificate.pem(), key.serialize_pem()) }
    }

    /// For each connection on which something was asked, who asked.
    pub(crate) fn connections(&self) -> Vec<Vec<String>> {
        self.seen.lock().unwrap().iter().filter(|names| !names.is_empty()).cloned().collect()
    }
}
