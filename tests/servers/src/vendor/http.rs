//! HTTP/1.1 as a vendor's front end speaks it. In: a connection. Out: whole requests, and answers in one piece or streamed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// How long a connection may stand still.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: String,
    /// Path and query, byte for byte.
    pub target: String,
    /// Fields in their order, names in lower case, values trimmed.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl Call {
    /// The path, byte for byte.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The raw query; empty where there is none.
    #[must_use]
    pub fn raw_query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The query's parameters, decoded.
    #[must_use]
    pub fn query(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.raw_query().as_bytes()).into_owned().collect()
    }

    /// The body's form fields, decoded.
    #[must_use]
    pub fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// All values of a header; `name` in lower case.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header that stands there once; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        match self.values(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// What follows `Bearer ` in the only `Authorization`.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// User and password of the only `Authorization: Basic`, RFC 7617.
    #[must_use]
    pub fn basic(&self) -> Option<(String, String)> {
        let encoded = self.header("authorization")?.strip_prefix("Basic ")?;
        let text = String::from_utf8(data_encoding::BASE64.decode(encoded.as_bytes()).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }

    /// Whether `needle` shows anywhere in it.
    #[must_use]
    pub fn contains(&self, needle: &str) -> bool {
        let has = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        has(self.target.as_bytes())
            || has(&self.body)
            || self.headers.iter().any(|(name, value)| has(name.as_bytes()) || has(value.as_bytes()))
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    /// One piece: sent with its length. More: each in a chunk of its own, flushed.
    pieces: Vec<Vec<u8>>,
}

impl Reply {
    /// JSON.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::whole(status, "application/json", body.to_string())
    }

    /// A body in one piece.
    #[must_use]
    pub fn whole(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("Content-Type".to_owned(), kind.to_owned())], pieces: vec![body.into()] }
    }

    /// Server-sent events, one a piece.
    #[must_use]
    pub fn events(events: impl IntoIterator<Item = String>) -> Self {
        Self {
            status: 200,
            headers: vec![("Content-Type".to_owned(), "text/event-stream; charset=utf-8".to_owned())],
            pieces: events.into_iter().map(String::into_bytes).collect(),
        }
    }

    /// With a further header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn is_streamed(&self) -> bool {
        self.pieces.len() > 1
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Status\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.is_streamed() {
            head.push_str("Transfer-Encoding: chunked\r\n");
        } else if self.status != 204 && !self.headers.iter().any(|(name, _)| name == "Content-Length") {
            head.push_str(&format!("Content-Length: {}\r\n", self.pieces.first().map_or(0, Vec::len)));
        }
        head + "\r\n"
    }
}

/// A connection, one request at a time.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The method of the request being answered: a HEAD gets no body.
    head_only: bool,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        let _ = stream.set_read_timeout(Some(PATIENCE));
        Self { stream, buffer: Vec::new(), head_only: false }
    }

    /// The next whole request; none when the peer has ended.
    pub(super) fn next_call(&mut self) -> Option<Call> {
        let end = loop {
            match self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.more()?,
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.trim_end().split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        self.head_only = method == "HEAD";
        let mut call = Call { method, target, headers, body: Vec::new() };
        if call.header("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue")) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        call.body = if call.header("transfer-encoding").is_some() {
            self.chunks()?
        } else {
            let length = call.header("content-length").map_or(0, |length| length.parse().unwrap());
            self.exactly(length)?
        };
        Some(call)
    }

    /// Sends an answer; whether the connection goes on.
    pub(super) fn send(&mut self, reply: &Reply) -> bool {
        if self.stream.write_all(reply.head().as_bytes()).is_err() || self.head_only {
            return self.head_only;
        }
        if !reply.is_streamed() {
            return self.stream.write_all(reply.pieces.first().map_or(&[], Vec::as_slice)).is_ok();
        }
        reply.pieces.iter().all(|piece| self.chunk(piece)) && self.stream.write_all(b"0\r\n\r\n").is_ok()
    }

    /// Sends head and first piece, then ends the connection.
    pub(super) fn send_the_beginning(&mut self, reply: &Reply) -> bool {
        let _ = self.stream.write_all(reply.head().as_bytes());
        if let Some(first) = reply.pieces.first() {
            let sent = if reply.is_streamed() { first.as_slice() } else { &first[..first.len() / 2] };
            let _ = if reply.is_streamed() { self.chunk(sent) } else { self.stream.write_all(sent).is_ok() };
        }
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        false
    }

    /// Reads until the peer ends the connection.
    pub(super) fn wait_for_the_end(&mut self) -> bool {
        while self.more().is_some() {}
        false
    }

    fn chunk(&mut self, piece: &[u8]) -> bool {
        let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        self.stream.write_all(&framed).is_ok()
    }

    fn more(&mut self) -> Option<()> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(n) if n > 0 => {
                self.buffer.extend_from_slice(&piece[..n]);
                Some(())
            }
            _ => None,
        }
    }

    fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            self.more()?;
        }
        Some(self.buffer.drain(..length).collect())
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                match self.buffer.windows(2).position(|window| window == b"\r\n") {
                    Some(at) => break self.exactly(at + 2)?,
                    None => self.more()?,
                }
            };
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim().split(';').next()?, 16).ok()?;
            body.extend(self.exactly(size)?);
            self.exactly(2)?;
            if size == 0 {
                return Some(body);
            }
        }
    }
}
