//! In: HTTP requests. Out: HTTP answers. What is proven before a handler does its work: the client is within its rate,
//! the body is complete, in time and at most 64 KiB, and there is room to work on it.
//!
//! | request | file | answer |
//! | --- | --- | --- |
//! | `POST {path}/challenge` | [`challenge`] | a challenge |
//! | `POST {path}/attest` | [`attest`] | a result token, always, once the challenge was good |
//! | `GET {path}/gateway/keysets` | [`feeds`] | the signed key-set document, to gateways alone |
//! | `GET {path}/gateway/revocations?after=N` | [`feeds`] | the signed revocations since number N, and operators' orders, to gateways alone |
//! | `POST {path}/gateway/report` | [`feeds`] | 204: what a gateway tells of itself was noted |
//! | `GET {path}/jwks.json` | [`feeds`] | the public keys, where the key set is open; else 404 |
//! | `GET {path}/health` | [`health`] | 200 or 503 |

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use subtle::ConstantTimeEq as _;
use tokio::sync::{Semaphore, SemaphorePermit};

mod attest;
mod challenge;
mod feeds;
mod health;

use crate::{metrics::Code, refusal::Refusal, service::Service};

/// Bytes of a request body.
const MAX_BODY: usize = 64 * 1024;
/// Time for a whole request body.
const BODY: Duration = Duration::from_secs(10);
/// Requests between arrival and answer: what waits for its quantum counts too.
const MAX_OPEN: usize = 16 * 1024;

/// By which the gateway in the same process vouches for the address it names.
const INTERNAL: HeaderName = HeaderName::from_static("assay-internal");
/// The address of the client, as the gateway in the same process saw it.
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("assay-client-address");

/// What every handler works with.
pub(crate) struct Api {
    service: Arc<Service>,
    internal_secret: String,
    open: Semaphore,
}

/// A request within its client's rate, with a seat until this is dropped, its body whole.
struct Admitted<'a> {
    address: IpAddr,
    body: Bytes,
    _seat: SemaphorePermit<'a>,
}

/// The routes of the service under `path` (no slash at its end; may be empty).
pub(crate) fn router(path: &str, service: Arc<Service>, internal_secret: String) -> Router {
    let api = Arc::new(Api { service, internal_secret, open: Semaphore::new(MAX_OPEN) });
    Router::new()
        .route(&format!("{path}/challenge"), post(challenge::issue))
        .route(&format!("{path}/attest"), post(attest::attest))
        .route(&format!("{path}/gateway/keysets"), get(feeds::key_sets))
        .route(&format!("{path}/gateway/revocations"), get(feeds::revocations))
        .route(&format!("{path}/gateway/report"), post(feeds::report))
        .route(&format!("{path}/jwks.json"), get(feeds::jwks))
        .route(&format!("{path}/health"), get(health::health))
        .fallback(|| async { Refusal::NotFound.into_response() })
        .method_not_allowed_fallback(|| async { Refusal::MethodNotAllowed.into_response() })
        .with_state(api)
}

impl Api {
    /// Lets a request in.
    ///
    /// # Errors
    /// The answer to whoever is not. Refused before its body was read, it is the last on its connection: what is left of
    /// the body can't be told from the next request, and behind a gateway that one is somebody else's.
    async fn admit(&self, request: Request) -> Result<Admitted<'_>, Response> {
        let unread = !request.body().is_end_stream();
        let entered = match self.client_address(&request) {
            Some(address) => self.enter(address).await,
            None => Err(Refusal::Unavailable),
        };
        let (address, seat) = entered.map_err(|refusal| {
            let mut response = self.refuse(refusal);
            if unread {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        })?;
        let body = read_body(request.into_body()).await.map_err(|refusal| self.refuse(refusal))?;
        Ok(Admitted { address, body, _seat: seat })
    }

    async fn enter(&self, address: IpAddr) -> Result<(IpAddr, SemaphorePermit<'_>), Refusal> {
        self.service.check_rate(address).await?;
        Ok((address, self.seat()?))
    }

    /// A seat for one request; 503 where there is none.
    fn seat(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.open.try_acquire().map_err(|_| Refusal::Unavailable)
    }

    /// Whose request this is. The named address is believed only from the gateway in the same process, which alone
    /// knows the secret; anybody else is who the connection says.
    fn client_address(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>()?.0.ip();
        let headers = request.headers();
        let vouched = only(headers, &INTERNAL)
            .is_some_and(|secret| secret.as_bytes().ct_eq(self.internal_secret.as_bytes()).into());
        if !vouched {
            return Some(peer);
        }
        only(headers, &CLIENT_ADDRESS).and_then(|address| address.to_str().ok()?.parse().ok()).or(Some(peer))
    }

    /// Counts and answers a refusal.
    fn refuse(&self, refusal: Refusal) -> Response {
        self.service.metrics.refusals.get_or_create(&Code { code: refusal.code() }).inc();
        refusal.into_response()
    }
}

/// The value of `name` where it stands exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// The whole body, bounded in bytes and time.
async fn read_body(body: Body) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY, Limited::new(body, MAX_BODY).collect()).await {
        Err(_) => Err(Refusal::TooSlow),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        // The connection broke: nobody will read this answer.
        Ok(Err(_)) => Err(Refusal::NotAnEnvelope { detail: "the body ended early".to_owned() }),
    }
}

/// A JSON answer that no cache keeps.
fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
