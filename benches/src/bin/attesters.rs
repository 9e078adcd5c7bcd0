//! Many installations of one app that attest, or the same two requests without their work.
//!
//! In: what to do, a server's address, the API's path, the registered file, how many times and over how many connections.
//! Out: one JSON line with how many were answered. Each connection is a thread of its own with a device key of its own.
//!
//! usage: attesters attest|empty|challenge ADDRESS PATH FILE COUNT CONNECTIONS
//!        attesters verify COUNT                            COUNT bare P-256 verifications, nothing else

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use attest_core::b64u;
use attest_core::device_key::DevicePrivateKey;
use attest_core::envelope::{AttestRequest, ChallengeResponse, Evidence};
use attest_core::evidence_kind::EvidenceKind;
use attest_core::measurement::{self, Measurement};
use attest_core::reference::Platform;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What one connection does, again and again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// A challenge, then an attestation with it.
    Attest,
    /// Two requests of the same sizes.
    Empty,
    /// A challenge that nobody uses.
    Challenge,
}

fn main() -> Outcome<()> {
    attest_core::install_crypto();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["verify", count] => verify(count.parse()?),
        [what, address, path, file, count, connections] => {
            let work = match *what {
                "attest" => Work::Attest,
                "empty" => Work::Empty,
                "challenge" => Work::Challenge,
                other => return Err(format!("not a kind of work: {other}").into()),
            };
            let measurement = measurement::measure_file(&std::fs::read(file)?)?;
            run(&Arc::new(Run::new(work, address, path, measurement, count.parse()?)), connections.parse()?)
        }
        _ => Err("usage: attesters attest|empty|challenge ADDRESS PATH FILE COUNT CONNECTIONS, or verify COUNT".into()),
    }
}

/// What all connections share.
struct Run {
    work: Work,
    address: String,
    path: String,
    measurement: Measurement,
    count: u64,
    begun: AtomicU64,
}

impl Run {
    fn new(work: Work, address: &str, path: &str, measurement: Measurement, count: u64) -> Self {
        Self { work, address: address.to_owned(), path: path.to_owned(), measurement, count, begun: AtomicU64::new(0) }
    }
}

fn run(run: &Arc<Run>, connections: usize) -> Outcome<()> {
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let run = Arc::clone(run);
            std::thread::spawn(move || installation(&run))
        })
        .collect();
    let mut done = 0;
    for thread in threads {
        done += thread.join().map_err(|_| "a connection's thread panicked")??;
    }
    println!("{{\"done\":{done}}}");
    Ok(())
}

/// One installation: its connection and its device key.
fn installation(run: &Run) -> Outcome<u64> {
    let mut connection = Connection::open(&run.address)?;
    let key = DevicePrivateKey::generate()?;
    let mut done = 0;
    while run.begun.fetch_add(1, Ordering::Relaxed) < run.count {
        let body = connection.post(&format!("{}/challenge", run.path), b"{}")?;
        match run.work {
            Work::Challenge => {}
            // As many bytes as a real one, made with the same work: the server sees a client of the same rhythm.
            Work::Empty => {
                let body = request(run, &key, &[0; 73])?;
                connection.post(&format!("{}/attest", run.path), &body)?;
            }
            Work::Attest => {
                let challenge: ChallengeResponse = serde_json::from_slice(&body)?;
                let body = request(run, &key, &b64u::decode(challenge.challenge.as_bytes(), 128)?)?;
                connection.post(&format!("{}/attest", run.path), &body)?;
            }
        }
        done += 1;
    }
    Ok(done)
}

fn request(run: &Run, key: &DevicePrivateKey, challenge: &[u8]) -> Outcome<Vec<u8>> {
    let mut request = AttestRequest {
        challenge: challenge.to_vec(),
        app: "shop".to_owned(),
        version: "1.0.0".to_owned(),
        platform: Platform::Linux,
        build: String::new(),
        device_key: key.public_key()?,
        device: vec![("model".to_owned(), "bench".to_owned()), ("os".to_owned(), "linux 6".to_owned())],
        findings: Vec::new(),
        binding: None,
        evidence: vec![Evidence { kind: EvidenceKind::Measurement, data: Vec::new() }],
        signature: [0; 64],
        previous: None,
    };
    let transcript = request.transcript("default");
    request.signature = key.sign(&transcript)?;
    let mac = measurement::mac(&run.measurement, challenge, &transcript);
    request.evidence = vec![Evidence { kind: EvidenceKind::Measurement, data: mac.to_vec() }];
    Ok(serde_json::to_vec(&request.to_json())?)
}

/// One kept connection that speaks as little HTTP/1.1 as it takes.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    fn post(&mut self, path: &str, body: &[u8]) -> Outcome<Vec<u8>> {
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        head.extend_from_slice(body);
        self.0.get_mut().write_all(&head)?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 200") {
            return Err(format!("answered {}", line.trim_end()).into());
        }
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            if line.trim_end().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(body)
    }
}

fn verify(count: u64) -> Outcome<()> {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING};
    use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair as _, UnparsedPublicKey};

    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let signature = pair.sign(&SystemRandom::new(), &[7; 32])?;
    for _ in 0..count {
        // Unparsed, as a key arrives in a request: the point is checked each time.
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        key.verify(std::hint::black_box(&[7; 32]), signature.as_ref())?;
    }
    println!("{{\"done\":{count}}}");
    Ok(())
}
