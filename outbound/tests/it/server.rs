//! A server with a certificate of its own authority that reads one request on each connection and then says what it was
//! told to say, well-formed or not.

use std::sync::{Arc, Mutex};

use attest_core::target::Scheme;
use outbound::{Place, Tls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What it says to a request.
#[derive(Clone)]
pub(crate) enum Says {
    /// These bytes, and then the connection is closed.
    This(String),
    /// These bytes, and then nothing, for ever.
    ThisAndNothing(&'static str),
    /// A body without end.
    Endless,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    authority: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// With a certificate for `name`.
    pub(crate) async fn over_tls(name: &str, says: Says) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root = authority.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let own = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        Self::start(Some(TlsAcceptor::from(Arc::new(config))), root.pem(), says).await
    }

    pub(crate) async fn in_plain_text(says: Says) -> Self {
        Self::start(None, String::new(), says).await
    }

    async fn start(tls: Option<TlsAcceptor>, authority: String, says: Says) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let log = requests.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (tls, log, says) = (tls.clone(), log.clone(), says.clone());
                tokio::spawn(async move {
                    match tls {
                        // Who refuses the certificate never gets to a request.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(tcp).await {
                                answer(stream, &log, says).await;
                            }
                        }
                        None => answer(tcp, &log, says).await,
                    }
                });
            }
        });
        Self { port, authority, requests }
    }

    /// Roots that its certificate chains to.
    pub(crate) fn roots(&self) -> Tls {
        Tls::pem(self.authority.as_bytes()).unwrap()
    }

    pub(crate) fn place(&self, name: &str) -> Place {
        Place::new(Scheme::Https, name, self.port).unwrap()
    }

    /// All requests so far, with heads in lower case.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// An answer with this body.
pub(crate) fn answer_of(status: &str, headers: &str, body: &str) -> Says {
    Says::This(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, log: &Mutex<Vec<String>>, says: Says) {
    let Some(request) = read(&mut stream).await else { return };
    log.lock().unwrap().push(request);
    match says {
        Says::This(text) => {
            let _gone = stream.write_all(text.as_bytes()).await;
            let _gone = stream.shutdown().await;
        }
        Says::ThisAndNothing(text) => {
            let _gone = stream.write_all(text.as_bytes()).await;
            let _gone = stream.flush().await;
            std::future::pending::<()>().await;
        }
        Says::Endless => {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            while sent.is_ok() {
                sent = stream.write_all(format!("1000\r\n{}\r\n", "x".repeat(0x1000)).as_bytes()).await;
            }
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let mut piece = [0; 1024];
        let length = stream.read(&mut piece).await.ok().filter(|length| *length > 0)?;
        text.extend_from_slice(&piece[..length]);
        let whole = String::from_utf8(text.clone()).unwrap();
        let Some((head, body)) = whole.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            return Some(format!("{head}\r\n\r\n{body}"));
        }
    }
}
