//! An API that writes down all it is sent. In: raw requests. Out: what they were, and one answer for each.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Request line and fields, with their line ends.
    pub head: String,
    /// The body without its framing.
    pub body: Vec<u8>,
}

/// The API. Its thread lives as long as the test process; its listener answers whoever asks.
pub struct Recorder {
    /// Where it listens.
    pub address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

type Reply = dyn Fn(&Seen) -> Vec<u8> + Send + Sync;

impl Recorder {
    /// Answers every request with `{"ok":true}`.
    #[must_use]
    pub fn start() -> Self {
        Self::answering(|_| ok("application/json", "{\"ok\":true}"))
    }

    /// Answers every request with what `reply` makes of it.
    pub fn answering(reply: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (writer, reply): (_, Arc<Reply>) = (Arc::clone(&seen), Arc::new(reply));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, reply) = (Arc::clone(&writer), Arc::clone(&reply));
                std::thread::spawn(move || serve(stream, &seen, &*reply));
            }
        });
        Self { address, seen }
    }

    /// All requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The latest request.
    #[must_use]
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("the API has seen no request")
    }
}

impl Seen {
    /// The request line.
    #[must_use]
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// All values of a header.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }
}

/// A whole answer with a length.
#[must_use]
pub fn ok(kind: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Seen>>, reply: &Reply) {
    let mut buffer = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        while let Some((request, used)) = whole(&buffer) {
            buffer.drain(..used);
            let answer = reply(&request);
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
        match stream.read(&mut piece) {
            Ok(n) if n > 0 => buffer.extend_from_slice(&piece[..n]),
            _ => {
                if !buffer.is_empty() {
                    // Half a request is something that arrived, too: a test must be able to see it.
                    let head = String::from_utf8_lossy(&buffer).into_owned();
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(Seen { head, body: Vec::new() });
                }
                return;
            }
        }
    }
}

/// The first whole request of the buffer, and how many bytes it has.
fn whole(buffer: &[u8]) -> Option<(Seen, usize)> {
    let end = buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let seen = Seen { head, body: Vec::new() };
    if seen.values("transfer-encoding").is_empty() {
        let length: usize = seen.values("content-length").first().map_or(0, |length| length.parse().unwrap());
        let body = buffer.get(end..end + length)?.to_vec();
        return Some((Seen { body, ..seen }, end + length));
    }
    let (mut at, mut body) = (end, Vec::new());
    loop {
        let line_end = at + buffer.get(at..)?.windows(2).position(|w| w == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&buffer[at..line_end]).ok()?, 16).ok()?;
        body.extend_from_slice(buffer.get(line_end + 2..line_end + 2 + size)?);
        at = line_end + 4 + size;
        if at > buffer.len() {
            return None;
        }
        if size == 0 {
            return Some((Seen { body, ..seen }, at));
        }
    }
}
