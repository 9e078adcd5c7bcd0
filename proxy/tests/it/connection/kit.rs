//! What the connection tests share: an upstream that records whole requests, a tiny proxy, a client that speaks bytes.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::{Request, Response, body::Frame, service::service_fn};
use hyper_util::rt::TokioIo;
use pingora_core::{modules::http::HttpModules, server::configuration::ServerConf, upstreams::peer::HttpPeer};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::{ProxyHttp, Session, http_proxy};
use proxy::{
    connection::{self, ConnectionStats, Counter, HeadFindings},
    listener::{self, Drained, Edge, Entrance},
};
use settings::ConnectionLimits;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore, mpsc, watch},
    task::JoinHandle,
};

/// Longer than anything here takes; what runs into it has hung.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for `what`, but not for ever.
pub(super) async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(PATIENCE, what).await.expect("it hangs")
}

/// A request that reached the upstream whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) body: Vec<u8>,
}

/// An upstream that answers every whole request; `/stream` sends "one", and "two" once told to.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    pub(super) whole: mpsc::UnboundedReceiver<Whole>,
    pub(super) go_on: Arc<Notify>,
}

impl Upstream {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, whole) = mpsc::unbounded_channel();
        let go_on = Arc::new(Notify::new());
        let told = Arc::clone(&go_on);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (sender, told) = (sender.clone(), Arc::clone(&told));
                let service = service_fn(move |request| answer(request, sender.clone(), Arc::clone(&told)));
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
            }
        });
        Self { address, whole, go_on }
    }
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    whole: mpsc::UnboundedSender<Whole>,
    go_on: Arc<Notify>,
) -> Result<Response<BoxBody<Bytes, std::convert::Infallible>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let _ = whole.send(Whole { method: head.method.to_string(), target: head.uri.to_string(), body: body.to_vec() });
    if head.uri.path() != "/stream" {
        let text = format!("{} {} {}", head.method, head.uri, body.len());
        return Ok(Response::new(http_body_util::Full::new(Bytes::from(text)).boxed()));
    }
    let (pieces, body) = mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        let _ = pieces.send(Bytes::from_static(b"one")).await;
        go_on.notified().await;
        let _ = pieces.send(Bytes::from_static(b"two")).await;
    });
    let stream = futures_util::stream::unfold(body, |mut body| async move {
        body.recv().await.map(|piece| (Ok(Frame::data(piece)), body))
    });
    Ok(Response::new(StreamBody::new(stream).boxed()))
}

/// A proxy as small as one can be; it does with the connection layer what the stages do.
pub(super) struct Tiny {
    upstream: SocketAddr,
    /// Requests for `/wait` queue here.
    pub(super) turn: Arc<Semaphore>,
    pub(super) seen: mpsc::UnboundedSender<Seen>,
}

/// What the tiny proxy noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// A request for `/wait` began to queue.
    Queued,
    /// Its client left while it queued.
    Left,
    /// A head: listener, server name, whether HTTP/2, findings.
    Head { listener: String, server_name: Option<String>, http2: bool, findings: Vec<&'static str> },
}

#[derive(Default)]
pub(super) struct Context {
    findings: HeadFindings,
}

#[async_trait]
impl ProxyHttp for Tiny {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::default()
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, context: &mut Context) -> Result<()> {
        let facts = connection::facts(session).expect("every connection has facts");
        facts.leave_head();
        context.findings = facts.take_head_findings();
        let _ = self.seen.send(Seen::Head {
            listener: facts.listener().to_owned(),
            server_name: facts.tls().and_then(|tls| tls.server_name.as_deref().map(str::to_owned)),
            http2: facts.is_http2(),
            findings: context.findings.iter().map(connection::HeadFinding::as_str).collect(),
        });
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
        let head = session.req_header();
        // `_` in a name is what CGI-style servers read as `-`: the stages strip or refuse it, here it is refused.
        let disguised = head.headers.keys().any(|name| {
            ["content-length", "transfer-encoding"].contains(&name.as_str().replace('_', "-").as_str())
                && name.as_str().contains('_')
        });
        let refuse = context.findings.is_invalid() || disguised || !known.contains(&head.method.as_str());
        let own = if refuse || head.uri.path() == "/refuse" {
            Some((400, "refused"))
        } else if head.uri.path() == "/quote" {
            Some((200, "HTTP/1.1 101 is a quotation"))
        } else {
            None
        };
        if let Some((status, text)) = own {
            let mut answer = ResponseHeader::build(status, Some(2))?;
            answer.insert_header("content-length", text.len().to_string())?;
            session.write_response_header(Box::new(answer), false).await?;
            session.write_response_body(Some(Bytes::from_static(text.as_bytes())), true).await?;
            return Ok(true);
        }
        if head.uri.path() == "/switch" {
            let mut answer = ResponseHeader::build(101, Some(2))?;
            answer.insert_header("connection", "upgrade")?;
            answer.insert_header("upgrade", "websocket")?;
            session.write_response_header(Box::new(answer), false).await?;
            while let Some(said) = session.downstream_session.read_request_body().await? {
                session.write_response_body(Some(said), false).await?;
            }
            return Ok(true);
        }
        if head.uri.path() == "/wait" {
            let _ = self.seen.send(Seen::Queued);
            tokio::select! {
                () = connection::client_left(session) => {
                    let _ = self.seen.send(Seen::Left);
                    return Err(Error::explain(ErrorType::ConnectionClosed, "left the queue").into_down());
                }
                permit = self.turn.acquire() => permit.unwrap().forget(),
            }
        }
        Ok(false)
    }

    async fn upstream_peer(&self, _session: &mut Session, _context: &mut Context) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.upstream, false, String::new());
        peer.options.idle_timeout = Some(Duration::from_secs(10));
        Ok(Box::new(peer))
    }
}

/// The connection layer in front of the tiny proxy, serving.
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    pub(super) stats: Arc<ConnectionStats>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) ended: JoinHandle<std::io::Result<Drained>>,
    pub(super) seen: mpsc::UnboundedReceiver<Seen>,
    pub(super) turn: Arc<Semaphore>,
}

/// How a [`Gateway`] differs from the ordinary one.
#[derive(Default)]
pub(super) struct How {
    pub(super) limits: ConnectionLimits,
    pub(super) h2c: bool,
    pub(super) tls: Option<Arc<listener::Certificates>>,
}

impl Gateway {
    pub(super) fn before(upstream: SocketAddr) -> Self {
        Self::start(upstream, How::default())
    }

    pub(super) fn start(upstream: SocketAddr, how: How) -> Self {
        install_crypto();
        let (seen_sender, seen) = mpsc::unbounded_channel();
        let turn = Arc::new(Semaphore::new(0));
        let tiny = Tiny { upstream, turn: Arc::clone(&turn), seen: seen_sender };
        let edge = Edge::new(http_proxy(&Arc::new(ServerConf::default()), tiny), how.limits);
        let bound = listener::bind(([127, 0, 0, 1], 0).into(), "a test").unwrap();
        let address = bound.local_addr();
        let (stop, stopping) = watch::channel(false);
        let entrance = Entrance { name: "public".into(), tls: how.tls, h2c: how.h2c };
        let stats = Arc::clone(edge.stats());
        let ended = tokio::spawn(listener::serve(edge, bound, entrance, stopping));
        Self { address, stats, stop, ended, seen, turn }
    }

    pub(super) async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// The next thing that the proxy noticed, other than heads.
    pub(super) async fn event(&mut self) -> Seen {
        loop {
            match soon(self.seen.recv()).await.unwrap() {
                Seen::Head { .. } => {}
                other => return other,
            }
        }
    }

    /// The next head that the proxy was given.
    pub(super) async fn head(&mut self) -> Seen {
        soon(self.seen.recv()).await.unwrap()
    }
}

pub(super) fn install_crypto() {
    // The first test wins; the others find it done.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A client that says exactly the bytes it is told to.
pub(super) struct Client<S> {
    pub(super) io: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) fn new(io: S) -> Self {
        Self { io, read: Vec::new() }
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.io.write_all(bytes.as_ref())).await.unwrap();
        soon(self.io.flush()).await.unwrap();
    }

    /// One response with a Content-Length: status and body.
    pub(super) async fn response(&mut self) -> (u16, String) {
        let head = self.until(b"\r\n\r\n").await;
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let status = head[9..12].parse().unwrap();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        while self.read.len() < length {
            assert!(self.more().await > 0, "cut in the body after {:?}", self.read);
        }
        let rest = self.read.split_off(length);
        let body = std::mem::replace(&mut self.read, rest);
        (status, String::from_utf8(body).unwrap())
    }

    /// Everything up to and with `mark`.
    pub(super) async fn until(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.read.windows(mark.len()).position(|window| window == mark) {
                let rest = self.read.split_off(at + mark.len());
                return std::mem::replace(&mut self.read, rest);
            }
            assert!(self.more().await > 0, "closed after {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    /// An answer if one comes, else nothing once the connection has ended.
    pub(super) async fn whatever(&mut self) {
        while !self.read.windows(4).any(|window| window == b"\r\n\r\n") && self.more().await > 0 {}
    }

    /// Everything until the connection ends, by FIN or by reset.
    pub(super) async fn rest(&mut self) -> String {
        while self.more().await > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    async fn more(&mut self) -> usize {
        let mut piece = [0; 4096];
        let read = soon(self.io.read(&mut piece)).await.unwrap_or(0);
        self.read.extend(&piece[..read]);
        read
    }
}

/// Waits until a count has come to `expected`: the count may follow what the client sees.
pub(super) async fn counted(counter: &Counter, expected: u64) {
    soon(async {
        while counter.get() != expected {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A file of `ASSAY_VECTORS`, or `None` with one line that says so.
pub(super) fn vectors(folder: &str) -> Option<std::path::PathBuf> {
    static TOLD: Mutex<bool> = Mutex::new(false);
    let default = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let path = std::env::var_os("ASSAY_VECTORS").map_or(default, Into::into).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    if !std::mem::replace(&mut *TOLD.lock().unwrap(), true) {
        eprintln!("skipped: the HTTP/1 vectors are not at {} (set ASSAY_VECTORS)", path.display());
    }
    None
}
