//! The wire of an attestation service and nothing behind it: it counts, records, and answers as it was told.
//! Hand-written on a socket, because a lost reply is something that no HTTP server lets one make.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use attest_client::clock::Elapsed;
use attest_client::{Builder, Client, Retry};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// One answer to `/attest`.
#[derive(Clone, Copy)]
pub(crate) enum Reply {
    /// 200 with a token that tells how many there were.
    Token,
    /// The same, with this many seconds to live.
    Life(u64),
    /// A status, and `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// The connection is closed without a word.
    Lost,
}

/// A running fake; what it saw, and what it will say.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) challenges: usize,
    pub(crate) requests: Vec<Vec<u8>>,
    tokens: usize,
    replies: VecDeque<Reply>,
}

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
    accepting: Arc<tokio::task::JoinHandle<()>>,
}

impl Fake {
    /// Says `replies` in turn, and tokens from then on.
    pub(crate) async fn start(replies: &[Reply]) -> Self {
        Self::start_with(replies, None).await
    }

    pub(crate) async fn start_with(replies: &[Reply], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/assay/v1", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen { replies: replies.iter().copied().collect(), ..Seen::default() }));
        let served = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (seen, tls) = (Arc::clone(&served), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(socket, &seen).await,
                        Some(tls) => match tls.accept(socket).await {
                            Ok(socket) => serve(socket, &seen).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { url, seen, accepting: Arc::new(accepting) }
    }

    /// Nobody listens any more.
    pub(crate) async fn stop(&self) {
        self.accepting.abort();
        while !self.accepting.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap())
    }

    /// How many challenges were given and how many requests came.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.with(|seen| (seen.challenges, seen.requests.len()))
    }
}

/// One request on one connection.
async fn serve(mut socket: impl AsyncRead + AsyncWrite + Unpin, seen: &Mutex<Seen>) -> Option<()> {
    let (path, body) = read_request(&mut socket).await?;
    let answer = {
        let mut seen = seen.lock().unwrap();
        match path.as_str() {
            "/assay/v1/challenge" => {
                seen.challenges += 1;
                // 73 bytes in base64url: what a challenge looks like; nobody checks it here.
                ok(&format!(r#"{{"challenge":"{}","key_set":"default","expires_in":60}}"#, challenge(seen.challenges)))
            }
            "/assay/v1/attest" => {
                seen.requests.push(body);
                let reply = seen.replies.pop_front().unwrap_or(Reply::Token);
                let life = if let Reply::Life(life) = reply { life } else { 300 };
                match reply {
                    Reply::Lost => return None,
                    Reply::Token | Reply::Life(_) => {
                        seen.tokens += 1;
                        ok(&format!(r#"{{"token":"token.{}.x","expires_in":{life}}}"#, seen.tokens))
                    }
                    Reply::Status(status, retry_after) => {
                        let retry = retry_after.map(|after| format!("retry-after: {after}\r\n")).unwrap_or_default();
                        let place = "location: /assay/v1/challenge\r\n";
                        format!("HTTP/1.1 {status} X\r\n{retry}{place}content-length: 0\r\nconnection: close\r\n\r\n")
                    }
                }
            }
            other => panic!("no such path: {other}"),
        }
    };
    socket.write_all(answer.as_bytes()).await.ok()?;
    socket.shutdown().await.ok()
}

pub(crate) fn challenge(number: usize) -> String {
    attest_core::b64u::encode(&[u8::try_from(number).unwrap(); 73])
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

async fn read_request(socket: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        (socket.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse::<usize>().unwrap();
    while bytes.len() < head_end + length {
        (socket.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    }
    let path = head.split(' ').nth(1).unwrap().to_owned();
    Some((path, bytes[head_end..].to_vec()))
}

/// A client of `fake` that hardly pauses, and the clock its tokens age by.
pub(crate) fn client(fake: &Fake) -> (Builder, Hand) {
    let clock = Hand::default();
    let millisecond = Duration::from_millis(1);
    let retry = Retry { first_pause: millisecond, longest_pause: millisecond, ..Retry::default() };
    (Client::builder(&fake.url, "shop", "3.2.0").retry(retry).clock(clock.clone()), clock)
}

/// A clock that is set by hand, in seconds.
#[derive(Clone, Default)]
pub(crate) struct Hand(Arc<AtomicU64>);

impl Hand {
    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Elapsed for Hand {
    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}
