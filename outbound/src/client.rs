//! A small HTTPS client for requests that carry a secret.
//!
//! In comes one request and the time for all of it; out goes one answer of a bounded size. A redirect is an error, since it
//! would take the secret elsewhere; no proxy variable is looked at; no cookie, cache or compression. Each request has a
//! connection of its own, dialled by [`Dialer`]; sessions of TLS are resumed.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::address::AddressRules;
use crate::dial::{DialError, Dialer};
use crate::place::Url;
use crate::tls::Tls;

/// The size of an answer's body, where nothing else is said.
pub const MOST_ANSWER_BYTES: usize = 64 * 1024;
/// The head of an answer: all of it, and how many lines.
const MOST_HEAD_BYTES: usize = 16 * 1024;
const MOST_HEADERS: usize = 100;

/// Asks places, one request at a time.
#[derive(Clone, Debug)]
pub struct Client {
    dialer: Dialer,
    rules: AddressRules,
    tls: Tls,
    most: usize,
}

/// One request. `Host` and `Content-Length` are the client's; `headers` and `body` may hold secrets, so there is no `Debug`.
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to, with path and query.
    pub url: Url,
    /// As they are sent.
    pub headers: HeaderMap,
    /// Empty for none.
    pub body: Zeroizing<Vec<u8>>,
}

/// One answer, neither 1xx nor 3xx. Its body may hold a secret, so there is no `Debug`.
pub struct Response {
    /// 2xx, 4xx or 5xx.
    pub status: StatusCode,
    /// As they came.
    pub headers: HeaderMap,
    /// All of it.
    pub body: Zeroizing<Vec<u8>>,
}

/// Why there is no answer. Nothing of the request or of the answer is in it but the host and a status.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no connection, so nothing was sent.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The deadline passed.
    #[error("{host}: no answer in time")]
    TimedOut {
        /// Who was asked.
        host: String,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("{host}: {why}")]
    Broken {
        /// Who was asked.
        host: String,
        /// What happened.
        why: String,
    },
    /// It sends us elsewhere.
    #[error("{host}: it answers {status}, and redirects are not followed")]
    Redirect {
        /// Who was asked.
        host: String,
        /// 3xx.
        status: u16,
    },
    /// The body is longer than was asked for.
    #[error("{host}: the answer is larger than {most} bytes")]
    TooLarge {
        /// Who was asked.
        host: String,
        /// The bound.
        most: usize,
    },
    /// The body is compressed, though nobody asked for that.
    #[error("{host}: the answer is compressed")]
    Encoded {
        /// Who was asked.
        host: String,
    },
}

impl Client {
    /// Asks places whose addresses pass `rules` and whose certificates chain to `tls`; answers up to
    /// [`MOST_ANSWER_BYTES`].
    #[must_use]
    pub const fn new(dialer: Dialer, rules: AddressRules, tls: Tls) -> Self {
        Self { dialer, rules, tls, most: MOST_ANSWER_BYTES }
    }

    /// Takes answers of up to `most` bytes.
    #[must_use]
    pub const fn answers_up_to(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Sends `request` and reads the whole answer, from the name to the last byte within `patience`.
    ///
    /// # Errors
    /// Why there is no answer. A status such as 401 is an answer.
    pub async fn send(&self, request: Request, patience: Duration) -> Result<Response, SendError> {
        let until = Instant::now() + patience;
        let host = request.url.place.bare_host().to_owned();
        let connection = self.dialer.connect(&request.url.place, &self.rules, &self.tls, patience).await?;
        let exchange = exchange(connection.stream, request, &host, self.most);
        // Dropped at the deadline, with it the connection.
        timeout_at(until, exchange).await.unwrap_or(Err(SendError::TimedOut { host }))
    }
}

async fn exchange(
    stream: Box<dyn crate::dial::Stream>,
    request: Request,
    host: &str,
    most: usize,
) -> Result<Response, SendError> {
    let broken = |why: hyper::Error| SendError::Broken { host: host.to_owned(), why: told(&why) };
    let request = on_the_wire(request).ok_or_else(|| SendError::Broken {
        host: host.to_owned(),
        why: "its name can't stand in a header".to_owned(),
    })?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MOST_HEAD_BYTES)
        .max_headers(MOST_HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let ask = async {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let (head, body) = answer.into_parts();
        judge(&head, host, most)?;
        let body = whole(body, host, most).await?;
        Ok(Response { status: head.status, headers: head.headers, body })
    };
    tokio::pin!(ask);
    tokio::pin!(connection);
    // The connection moves the bytes; it ends before the answer is read only when there is no more to read.
    tokio::select! {
        biased;
        answer = &mut ask => answer,
        _ended = &mut connection => ask.await,
    }
}

fn on_the_wire(request: Request) -> Option<http::Request<Full<Bytes>>> {
    let Request { method, url, mut headers, body } = request;
    headers.insert(HOST, url.place.host_header()?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.remove(CONTENT_LENGTH);
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static("assay"));
    let mut sent = http::Request::new(Full::new(Bytes::from_owner(body)));
    *sent.method_mut() = method;
    *sent.uri_mut() = url.target.into();
    *sent.headers_mut() = headers;
    Some(sent)
}

fn judge(head: &http::response::Parts, host: &str, most: usize) -> Result<(), SendError> {
    if head.status.is_redirection() {
        return Err(SendError::Redirect { host: host.to_owned(), status: head.status.as_u16() });
    }
    let plain = |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if !head.headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        return Err(SendError::Encoded { host: host.to_owned() });
    }
    let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > most) {
        return Err(SendError::TooLarge { host: host.to_owned(), most });
    }
    Ok(())
}

async fn whole(mut body: Incoming, host: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, SendError> {
    let mut read = Zeroizing::new(Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|why| SendError::Broken { host: host.to_owned(), why: told(&why) })?;
        let Ok(piece) = frame.into_data() else { continue };
        if most - read.len() < piece.remaining() {
            return Err(SendError::TooLarge { host: host.to_owned(), most });
        }
        append(&mut read, &piece);
    }
    Ok(read)
}

/// Grows by hand: what a `Vec` leaves behind when it moves is not wiped.
fn append(read: &mut Zeroizing<Vec<u8>>, piece: &[u8]) {
    let needed = read.len() + piece.len();
    if needed > read.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * read.capacity()).max(4096)));
        larger.extend_from_slice(read);
        *read = larger;
    }
    read.extend_from_slice(piece);
}

/// The innermost cause is the one that helps, such as `connection reset`.
fn told(why: &hyper::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(why), |cause| cause.source());
    causes.last().map_or_else(|| why.to_string(), ToString::to_string)
}
