//! HTTP/2 with prior knowledge and over TLS, and HTTP/1 over TLS.

use std::{fs, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::{Request, body::Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proxy::listener::Certificates;
use rustls_pki_types::{CertificateDer, ServerName};
use settings::TlsFiles;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::kit::{Client, Gateway, How, Seen, Upstream, counted, install_crypto, soon};

struct Tls {
    dir: tempfile::TempDir,
    certificates: Arc<Certificates>,
    trusted: CertificateDer<'static>,
}

impl Tls {
    fn new() -> Self {
        install_crypto();
        let dir = tempfile::tempdir().unwrap();
        let trusted = Self::write(&dir);
        let files = TlsFiles { certificate: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
        Self { certificates: Certificates::load(files, None).unwrap(), dir, trusted }
    }

    fn write(dir: &tempfile::TempDir) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).unwrap();
        fs::write(dir.path().join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(dir.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    }

    fn how(&self) -> How {
        How { tls: Some(Arc::clone(&self.certificates)), ..How::default() }
    }

    async fn connect(&self, gateway: &Gateway, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.trusted.clone()).unwrap();
        let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let tcp = TcpStream::connect(gateway.address).await?;
        let name = ServerName::try_from("Shop.example").unwrap();
        soon(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn speaks_http1_over_tls_and_knows_the_server_name() {
    let upstream = Upstream::start().await;
    let tls = Tls::new();
    let mut gateway = Gateway::start(upstream.address, tls.how());
    let mut client = Client::new(tls.connect(&gateway, b"http/1.1").await.unwrap());
    for _ in 0..2 {
        client.send("GET /one HTTP/1.1\r\nHost: shop.example\r\n\r\n").await;
        assert_eq!(client.response().await, (200, "GET /one 0".into()));
        let Seen::Head { server_name, http2, .. } = gateway.head().await else { panic!() };
        assert_eq!((server_name.as_deref(), http2), (Some("shop.example"), false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn speaks_http2_over_tls_when_asked_to() {
    let upstream = Upstream::start().await;
    let tls = Tls::new();
    let mut gateway = Gateway::start(upstream.address, tls.how());
    let stream = tls.connect(&gateway, b"h2").await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let request = Request::get("https://shop.example/two").body(Empty::<Bytes>::new()).unwrap();
        let answer = soon(sender.send_request(request)).await.unwrap();
        assert_eq!(soon(answer.collect()).await.unwrap().to_bytes(), "GET /two 0");
        let Seen::Head { server_name, http2, findings, .. } = gateway.head().await else { panic!() };
        assert_eq!((server_name.as_deref(), http2, findings.len()), (Some("shop.example"), true, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_after_a_reload_get_the_new_certificate() {
    let upstream = Upstream::start().await;
    let mut tls = Tls::new();
    let gateway = Gateway::start(upstream.address, tls.how());
    let old = tls.connect(&gateway, b"http/1.1").await.unwrap();
    let fresh = Tls::write(&tls.dir);
    assert!(tls.certificates.reload().unwrap());
    tls.connect(&gateway, b"http/1.1").await.unwrap_err();
    tls.trusted = fresh;
    tls.connect(&gateway, b"http/1.1").await.unwrap();
    let mut old = Client::new(old);
    old.send("GET /one HTTP/1.1\r\nHost: shop.example\r\n\r\n").await;
    assert_eq!(old.response().await.0, 200, "open connections stay");
    counted(&gateway.stats.tls_failed, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plaintext_on_a_tls_listener_is_counted_and_closed() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(upstream.address, Tls::new().how());
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.rest().await;
    counted(&gateway.stats.tls_failed, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_stream_frees_its_place_and_spares_its_siblings() {
    let upstream = Upstream::start().await;
    let mut gateway = Gateway::start(upstream.address, How { h2c: true, ..How::default() });
    let tcp = TcpStream::connect(gateway.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    // A body that has begun and does not end.
    let body = || {
        let begun =
            futures_util::stream::once(async { Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"begun"))) });
        StreamBody::new(futures_util::StreamExt::chain(begun, futures_util::stream::pending())).boxed_unsync()
    };
    let waiting = sender.send_request(Request::post("http://a/wait").body(body()).unwrap());
    let waiting = tokio::spawn(waiting);
    assert_eq!(gateway.event().await, Seen::Queued);
    waiting.abort();
    assert_eq!(gateway.event().await, Seen::Left);
    let request =
        Request::get("http://a/one").body(Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync());
    let answer = soon(sender.send_request(request.unwrap())).await.unwrap();
    assert_eq!(answer.status(), 200);
}
