//! The server of the attestation service without its work: the same HTTP library, allocator and runtime; two requests
//! whose bodies are read and whose answers have the sizes of a challenge and of a token.
//!
//! usage: bench-empty PORT PATH

use std::convert::Infallible;
use std::error::Error;

use axum::{Router, body::Body, body::Bytes, extract::Request, routing::post};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tower::Service as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CHALLENGE: &[u8] = &[b'c'; 150];
const TOKEN: &[u8] = &[b't'; 620];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, path] = arguments.as_slice() else { return Err("usage: bench-empty PORT PATH".into()) };
    let router: Router = Router::new()
        .route(&format!("{path}/challenge"), post(|_: Bytes| async { CHALLENGE }))
        .route(&format!("{path}/attest"), post(|_: Bytes| async { TOKEN }));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let router = router.clone();
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let mut router = router.clone();
            async move {
                Ok::<_, Infallible>(router.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {}))
            }
        });
        tokio::spawn(http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service));
    }
}
