//! Client certificates: over TLS 1.2 and 1.3, HTTP/1 and HTTP/2; and what a reload makes of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::client::ClientConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::super::kit::{Parts, Rig};

const ROUTES: &str = r#"
  api:
    match: { host: api.test, path: "/**" }
    upstream: api
    callers: [backend, pinned]
    policy:
      default: block
      rules:
        - { name: genuine, when: { verdict: attested }, then: allow }
        - { name: backend, when: { verdict: missing, caller: [backend, pinned] }, then: allow }
"#;

/// Somebody who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate of a client, with its key.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, name: &str, until: i32) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        Shown { chain: vec![signed.der().clone()], key: key.serialize_der() }
    }
}

/// A gateway that asks for certificates of `clients.pem`, and how it is reached.
struct Asking {
    rig: Rig,
    trusted: CertificateDer<'static>,
}

async fn asking(authority: &Authority, pinned: &Shown) -> Asking {
    let server = rcgen::generate_simple_self_signed(vec!["api.test".to_owned()]).unwrap();
    let top = format!(
        "callers:\n  backend: {{ client_certificate: {{ subject_alt_name: [\"dns:backend.acme.test\"] }} }}\n  pinned: {{ client_certificate: {{ sha256: [{}] }} }}\n",
        super::sha256_hex(&pinned.chain[0])
    );
    let files = vec![
        ("cert.pem", server.cert.pem().into_bytes()),
        ("key.pem", server.signing_key.serialize_pem().into_bytes()),
        ("clients.pem", authority.pem.clone().into_bytes()),
    ];
    let rig = Rig::start(Parts {
        top: top.leak(),
        public: ", tls: { certificate: cert.pem, key: key.pem, client_ca_file: clients.pem }",
        routes: ROUTES.to_owned(),
        files,
        ..Parts::default()
    })
    .await;
    Asking { rig, trusted: server.cert.der().clone() }
}

impl Asking {
    fn client(
        &self,
        shown: Option<&Shown>,
        alpn: &[u8],
        version: &'static rustls::SupportedProtocolVersion,
    ) -> ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.trusted.clone()).unwrap();
        let builder = ClientConfig::builder_with_protocol_versions(&[version]).with_root_certificates(roots);
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(shown.key.clone()));
                builder.with_client_auth_cert(shown.chain.clone(), key).unwrap()
            }
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    }

    async fn connect(&self, config: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.rig.gateway.public()).await?;
        TlsConnector::from(config.clone()).connect(ServerName::try_from("api.test").unwrap(), tcp).await
    }

    /// The status of one request on a connection of its own; none where TLS failed.
    async fn status(&self, config: &Arc<ClientConfig>) -> Option<u16> {
        status(&mut self.connect(config).await.ok()?).await
    }

    async fn shows(&self, shown: Option<&Shown>) -> Option<u16> {
        self.status(&Arc::new(self.client(shown, b"http/1.1", &rustls::version::TLS13))).await
    }
}

/// Asks once, and reads as far as the answer goes.
async fn status(tls: &mut TlsStream<TcpStream>) -> Option<u16> {
    tls.write_all(b"GET /orders HTTP/1.1\r\nhost: api.test\r\n\r\n").await.ok()?;
    let mut bytes = Vec::new();
    loop {
        let read = tokio::time::timeout(Duration::from_secs(10), tls.read_buf(&mut bytes)).await.unwrap();
        if read.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ").or(line.strip_prefix("Content-Length: ")));
        if length.is_none_or(|length| length.trim().parse::<usize>().unwrap() <= body.len()) {
            return head.split(' ').nth(1)?.parse().ok();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_or_finished_certificate_fails_the_handshake_and_an_unknown_one_is_nobody() {
    let (ours, theirs) = (Authority::new("Acme CA"), Authority::new("Acme CA"));
    let pinned = ours.sign("pinned.acme.test", 2040);
    let asking = asking(&ours, &pinned).await;
    // Another authority, even one of the same name.
    assert_eq!(asking.shows(Some(&theirs.sign("backend.acme.test", 2040))).await, None);
    assert_eq!(asking.shows(Some(&ours.sign("backend.acme.test", 2021))).await, None);
    // Ours, but for somebody who is no caller; and none at all.
    assert_eq!(asking.shows(Some(&ours.sign("other.acme.test", 2040))).await, Some(401));
    assert_eq!(asking.shows(None).await, Some(401));
    assert!(asking.rig.api.seen().is_empty());
    asking.rig.logged(|line| line["no_caller"] == "certificate_unknown").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_known_by_its_name_or_hash_on_both_protocols() {
    let ours = Authority::new("Acme CA");
    let (pinned, named) = (ours.sign("pinned.acme.test", 2040), ours.sign("Backend.acme.test", 2040));
    let asking = asking(&ours, &pinned).await;
    for (shown, name) in [(&named, "backend"), (&pinned, "pinned")] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let client = Arc::new(asking.client(Some(shown), b"http/1.1", version));
            // The second of them is a resumed session.
            for _ in 0..2 {
                assert_eq!(asking.status(&client).await, Some(200));
                assert_eq!(asking.rig.api.last().headers["x-assay-caller"], name);
            }
        }
        let h2 = Arc::new(asking.client(Some(shown), b"h2", &rustls::version::TLS13));
        let tls = asking.connect(&h2).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("https://api.test/orders").body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
        assert_eq!(asking.rig.api.last().headers["x-assay-caller"], name);
    }
    let line = asking.rig.logged(|line| line["caller"] == "backend").await;
    assert_eq!(line["caller_by"], "client_certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_taken_out_ends_open_connections_and_resumed_sessions_too() {
    let (old, new) = (Authority::new("Old CA"), Authority::new("New CA"));
    let (was, is) = (old.sign("backend.acme.test", 2040), new.sign("backend.acme.test", 2040));
    let asking = asking(&old, &was).await;
    let client = Arc::new(asking.client(Some(&was), b"http/1.1", &rustls::version::TLS13));
    let mut open = asking.connect(&client).await.unwrap();
    assert_eq!(status(&mut open).await, Some(200));
    assert_eq!(asking.shows(Some(&is)).await, None);
    std::fs::write(asking.rig.folder.path().join("clients.pem"), &new.pem).unwrap();
    asking.rig.gateway.reload().await.unwrap();
    assert_eq!(asking.shows(Some(&is)).await, Some(200));
    assert_eq!(status(&mut open).await, Some(401));
    // With its ticket it gets as far as a request, and no further.
    assert_ne!(asking.status(&client).await, Some(200));
    std::fs::write(asking.rig.folder.path().join("clients.pem"), "broken").unwrap();
    asking.rig.gateway.reload().await.unwrap_err();
    assert_eq!(asking.shows(Some(&is)).await, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_while_its_connection_is_open_is_no_proof_any_more() {
    let ours = Authority::new("Acme CA");
    let shown = ours.sign("backend.acme.test", 2040);
    let asking = asking(&ours, &shown).await;
    let client = Arc::new(asking.client(Some(&shown), b"http/1.1", &rustls::version::TLS13));
    let mut open = asking.connect(&client).await.unwrap();
    assert_eq!(status(&mut open).await, Some(200));
    asking.rig.issuer.clock.advance(Duration::from_secs(20 * 365 * 24 * 3600));
    assert_eq!(status(&mut open).await, Some(401));
}
