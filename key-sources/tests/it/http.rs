//! A server of one test, on 127.0.0.1: HTTP/1.1, in the clear or over TLS, one request a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it came.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The one value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }
}

type Answer = dyn Fn(&Request) -> (u16, String) + Send + Sync;

/// Answers until the test is over.
pub(crate) struct Server {
    pub(crate) port: u16,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<Arc<Answer>>>,
    /// PEM of the certificate that clients have to trust.
    pub(crate) ca: Option<String>,
}

impl Server {
    pub(crate) fn plain(answer: impl Fn(&Request) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answer))
    }

    /// Over TLS, as `localhost`.
    pub(crate) fn tls(answer: impl Fn(&Request) -> (u16, String) + Send + Sync + 'static) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        Self::start(Some((Arc::new(config), made.cert.pem())), Arc::new(answer))
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// From now on it answers otherwise.
    pub(crate) fn answer(&self, answer: impl Fn(&Request) -> (u16, String) + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    fn start(tls: Option<(Arc<ServerConfig>, String)>, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (config, ca) = tls.unzip();
        let server = Self { port, asked: Arc::default(), answer: Arc::new(Mutex::new(answer)), ca };
        let (asked, answer) = (Arc::clone(&server.asked), Arc::clone(&server.answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = Arc::clone(&answer.lock().unwrap());
                // A client that does not trust the certificate goes away: nothing to serve.
                let _ = match &config {
                    None => serve(stream, &asked, &*answer),
                    Some(config) => serve(
                        StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream),
                        &asked,
                        &*answer,
                    ),
                };
            }
        });
        server
    }
}

fn serve(stream: impl Read + Write, asked: &AtomicUsize, answer: &Answer) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        stream.read_line(&mut line).map(|_| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut parts = first.split(' ').map(str::to_owned);
    let (Some(method), Some(target)) = (parts.next(), parts.next()) else { return Ok(()) };
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    asked.fetch_add(1, Ordering::SeqCst);
    let (status, text) = answer(&Request { method, target, headers, body });
    let location = if (300..400).contains(&status) { "Location: http://127.0.0.1:1/\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{location}Connection: close\r\n\r\n",
        text.len()
    );
    let stream = stream.get_mut();
    stream.write_all(head.as_bytes())?;
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// For `TcpStream`'s sake: what a port that nobody listens on is.
pub(crate) fn closed_port() -> u16 {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    port
}
