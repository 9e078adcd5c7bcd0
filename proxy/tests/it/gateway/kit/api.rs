//! An API that remembers what it saw, and answers in the ways that a gateway has to stand.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// One request as the API saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// An API that remembers what it saw, and answers by path.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    /// The keys that `checked` takes.
    pub(super) accepted: Accepted,
}

pub(super) type Accepted = Arc<Mutex<Vec<String>>>;

impl Api {
    pub(crate) async fn start() -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Accepted::default();
        let app = axum::Router::new().fallback(answer).with_state((seen.clone(), accepted.clone()));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, seen, accepted }
    }

    /// From now on `checked` answers 401 to all other keys.
    pub(crate) fn accept(&self, keys: &[&str]) {
        *self.accepted.lock().unwrap() = keys.iter().map(|key| (*key).to_owned()).collect();
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the API saw nothing")
    }
}

async fn answer(State((seen, accepted)): State<(Arc<Mutex<Vec<Seen>>>, Accepted)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default().to_vec();
    let key = parts.headers.get("x-api-key").cloned().unwrap_or(HeaderValue::from_static("none"));
    seen.lock().unwrap().push(Seen {
        method: parts.method.clone(),
        target: parts.uri.to_string(),
        headers: parts.headers.clone(),
        body,
    });
    let path = parts.uri.path().rsplit('/').next().unwrap_or_default();
    // `usage:30` is `usage?30`, for routes that let no query through.
    let (path, query) = path.split_once(':').map_or((path, query.clone()), |(path, query)| (path, query.to_owned()));
    match path {
        "echo" => {
            let body = format!("{:?}", parts.headers);
            ([("x-echo-key", key), ("server", HeaderValue::from_static("secret-server/1.0"))], body).into_response()
        }
        "split" => {
            // The key in pieces, each a chunk of its own.
            let text = format!("before {} after", key.to_str().unwrap());
            let pieces: Vec<_> = text
                .as_bytes()
                .chunks(5)
                .map(|piece| Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(piece)))
                .collect();
            Response::new(Body::from_stream(futures_util::stream::iter(pieces)))
        }
        "slow" => {
            tokio::time::sleep(Duration::from_millis(query.parse().unwrap_or(100))).await;
            "slow".into_response()
        }
        "large" => vec![b'x'; 64 << 20].into_response(),
        "sse" => {
            let events = futures_util::stream::unfold(0, |n| async move {
                if n == 4 {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(if n == 0 { 0 } else { 150 })).await;
                Some((Ok::<_, std::io::Error>(format!("data: {n}\n\n")), n + 1))
            });
            ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
        }
        "usage" => {
            // What it used is in the query; with `gzip` before it, it says that it is compressed.
            let (tokens, coding) = query.strip_prefix("gzip").map_or((&*query, "identity"), |tokens| (tokens, "gzip"));
            let body = format!("{{\"choices\":[],\"usage\":{{\"total_tokens\":{tokens}}}}}");
            ([("content-type", "application/json"), ("content-encoding", coding)], body).into_response()
        }
        "usage-sse" => {
            // A piece of an event at a time; with `hang` before the tokens it never says what it used.
            let (tokens, hangs) = query.strip_prefix("hang").map_or((&*query, false), |tokens| (tokens, true));
            let text = format!(
                "data: {{\"choices\":[{{\"delta\":\"hello\"}}],\"usage\":null}}\n\ndata: {{\"choices\":[],\"usage\":{{\"total_tokens\":{tokens}}}}}\n\ndata: [DONE]\n\n"
            );
            let last = if hangs { text.find("\n\n").unwrap() + 2 } else { text.len() };
            let pieces: Vec<_> = text.as_bytes()[..last].chunks(7).map(bytes::Bytes::copy_from_slice).collect();
            let whole = futures_util::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
            let body = if hangs {
                Body::from_stream(futures_util::StreamExt::chain(whole, futures_util::stream::pending()))
            } else {
                Body::from_stream(whole)
            };
            ([("content-type", "text/event-stream")], body).into_response()
        }
        "token" => {
            // Another one each time; how long it lives is in the query.
            let asked = seen.lock().unwrap().iter().filter(|seen| seen.target.starts_with("/token")).count();
            let lives = query.parse().unwrap_or(3600);
            let token = format!("minted-{asked:04}-for-this-test-alone");
            serde_json::json!({ "access_token": token, "token_type": "Bearer", "expires_in": lives })
                .to_string()
                .into_response()
        }
        "checked" => {
            let good = accepted.lock().unwrap().iter().any(|accepted| key == accepted.as_str());
            (if good { StatusCode::OK } else { StatusCode::UNAUTHORIZED }, "checked").into_response()
        }
        "status" => (StatusCode::from_bytes(query.as_bytes()).unwrap(), "no").into_response(),
        "endless" => {
            let first = futures_util::stream::once(async { Ok::<_, std::io::Error>("data: 0\n\n") });
            let body = Body::from_stream(futures_util::StreamExt::chain(first, futures_util::stream::pending()));
            ([("content-type", "text/event-stream")], body).into_response()
        }
        "redirect" => (StatusCode::FOUND, [("location", query)]).into_response(),
        "gzip" => ([("content-encoding", "gzip")], "looks compressed").into_response(),
        "partial" => (StatusCode::PARTIAL_CONTENT, [("content-range", "bytes 0-3/10")], "part").into_response(),
        _ => "ok".into_response(),
    }
}

/// A listener that answers each connection's first head with these bytes and closes.
pub(crate) async fn scripted(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut head = Vec::new();
            let mut piece = [0; 4096];
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match tcp.read(&mut piece).await {
                    Ok(0) | Err(_) => break,
                    Ok(n) => head.extend_from_slice(&piece[..n]),
                }
            }
            let _ = tcp.write_all(answer).await;
        }
    });
    address
}

/// A listener whose connections end under their second request. With all heads that it saw.
pub(crate) async fn closes_under_the_second() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                let (mut head, mut answered) = (Vec::new(), false);
                let mut piece = [0; 4096];
                while let Ok(read @ 1..) = tcp.read(&mut piece).await {
                    head.extend_from_slice(&piece[..read]);
                    if !head.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    seen.lock().unwrap().push(String::from_utf8_lossy(&std::mem::take(&mut head)).into_owned());
                    if std::mem::replace(&mut answered, true) {
                        return;
                    }
                    let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
            });
        }
    });
    (address, heads)
}
