//! A client of raw bytes, and what comes back.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One response, dechunked.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended as its framing says.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.text()))
    }
}

/// Sends bytes and reads to the end of the connection.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), tcp.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "no end of the answer: {}", String::from_utf8_lossy(&answer));
    parse(&answer)
}

/// A connection that is kept for the next request.
pub(crate) struct Kept(TcpStream);

impl Kept {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Asks, and reads as far as the answer goes.
    pub(crate) async fn get(&mut self, host: &str, target: &str, token: &str) -> Answer {
        self.ask("GET", host, target, token, b"").await
    }

    /// The same with a body.
    pub(crate) async fn ask(&mut self, method: &str, host: &str, target: &str, token: &str, body: &[u8]) -> Answer {
        let head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nassay-token: {token}\r\n");
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        self.0.write_all(&[head.as_bytes(), length.as_bytes(), b"\r\n", body].concat()).await.unwrap();
        let mut bytes = Vec::new();
        loop {
            let read = tokio::time::timeout(Duration::from_secs(20), self.0.read_buf(&mut bytes)).await;
            assert!(read.unwrap().unwrap() > 0, "closed: {}", String::from_utf8_lossy(&bytes));
            if bytes.windows(4).any(|end| end == b"\r\n\r\n") {
                let answer = parse(&bytes);
                if answer.whole {
                    return answer;
                }
            }
        }
    }
}

pub(crate) fn parse(answer: &[u8]) -> Answer {
    let end = answer.windows(4).position(|end| end == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(answer)));
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    if status == 100 {
        return parse(&answer[end + 4..]);
    }
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers.append(http::HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value.trim()).unwrap());
    }
    let rest = &answer[end + 4..];
    let chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
    let length = headers.get("content-length").map(|length| length.to_str().unwrap().parse::<usize>().unwrap());
    let (body, whole) = if chunked { dechunked(rest) } else { (rest.to_vec(), length.is_none_or(|n| n == rest.len())) };
    Answer { status, headers, body, whole }
}

fn dechunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|end| end == b"\r\n") else { return (body, false) };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap().trim(), 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let Some(chunk) = rest.get(line + 2..line + 2 + size) else { return (body, false) };
        body.extend_from_slice(chunk);
        let Some(next) = rest.get(line + 4 + size..) else { return (body, false) };
        rest = next;
    }
}
