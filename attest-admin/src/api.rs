//! The admin API over HTTP: who may come in, one file of routes a resource, and the one way that they are answered.
//!
//! In: a request with its peer's address. Out: the answer of an operation, or a problem. What is proven before an
//! operation runs: the address is within its attempts, the token is one of ours and good now, the body is whole, in time
//! and within 64 KiB. The store blocks, so operations run on their own threads, at most [`AT_ONCE`] of them.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use attest_core::time::Clock;
use attest_store::{Actor, Origin, Store};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, FromRequestParts as _, RawPathParams, Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::{sync::Semaphore, task, time::timeout};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    attempts::Attempts,
    call::{Call, Reply},
    description,
    desk::{Desk, Known},
    problem::{Code, Problem},
    strict::MAX_BODY,
};

mod audit;
mod builds;
mod devices;
mod gateways;
mod key_sets;
mod orders;
mod revocations;
mod status;
mod tokens;

/// Where the API is.
pub const PREFIX: &str = "/admin/v1";
/// Operations at once. They are few and short; what is more waits [`PATIENCE`].
const AT_ONCE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(5);
/// Time for a whole body.
const BODY: Duration = Duration::from_secs(10);

/// What the API stands on.
pub struct AdminParts {
    /// The Verifier's state.
    pub store: Store,
    /// What the configuration says of apps and key sets.
    pub known: Known,
    /// Tells the time that marks and tokens are held against.
    pub clock: Arc<dyn Clock>,
}

/// The API, shared by all requests.
pub(crate) struct Api {
    store: Store,
    known: Arc<Known>,
    clock: Arc<dyn Clock>,
    attempts: Attempts,
    seats: Arc<Semaphore>,
}

/// The router of the admin API, everything under [`PREFIX`].
///
/// Each request has to carry its peer as the extension [`ConnectInfo<SocketAddr>`]; one without is refused, because wrong
/// tokens could not be counted.
pub fn router(parts: AdminParts) -> Router {
    let AdminParts { store, known, clock } = parts;
    let seats = Arc::new(Semaphore::new(AT_ONCE));
    let api = Arc::new(Api { store, known: Arc::new(known), clock, attempts: Attempts::new(), seats });
    let (router, described) = described_routes().split_for_parts();
    let described: Bytes = serde_json::to_vec(&described).unwrap_or_default().into();
    router
        .route(&format!("{PREFIX}/openapi.json"), get(move || openapi_document(described.clone())))
        .fallback(|| refuse(Code::NotFound))
        .method_not_allowed_fallback(|| refuse(Code::MethodNotAllowed))
        .with_state(api)
}

/// The description of the API, OpenAPI 3.1, as it is served at `/admin/v1/openapi.json`.
#[must_use]
pub fn openapi() -> OpenApi {
    described_routes().into_openapi()
}

/// Every route, and with it its description: what is served is described, and the reverse.
fn described_routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(description::document()).nest(
        PREFIX,
        OpenApiRouter::new()
            .routes(routes!(status::show))
            .routes(routes!(builds::apps))
            .routes(routes!(builds::retire_version))
            .routes(routes!(builds::list, builds::register))
            .routes(routes!(builds::show, builds::change))
            .routes(routes!(devices::list))
            .routes(routes!(devices::show, devices::forget))
            .routes(routes!(devices::mark))
            .routes(routes!(devices::enrol, devices::end_enrolment))
            .routes(routes!(key_sets::list))
            .routes(routes!(key_sets::rotate))
            .routes(routes!(key_sets::retire))
            .routes(routes!(revocations::list, revocations::create))
            .routes(routes!(revocations::lift))
            .routes(routes!(orders::list, orders::give))
            .routes(routes!(orders::show, orders::end))
            .routes(routes!(gateways::list))
            .routes(routes!(tokens::list, tokens::create))
            .routes(routes!(tokens::revoke))
            .routes(routes!(tokens::test))
            .routes(routes!(audit::entries))
            .routes(routes!(audit::verify))
            .routes(routes!(audit::checkpoint)),
    )
}

async fn refuse(code: Code) -> Problem {
    Problem::new(code)
}

async fn openapi_document(text: Bytes) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What every handler is given.
type Shared = State<Arc<Api>>;

impl Api {
    /// Lets the caller in, takes the whole request, and runs `operation`.
    async fn answer<F>(self: Arc<Self>, request: Request, operation: F) -> Response
    where
        F: FnOnce(&Desk, &Call) -> Result<Reply, Problem> + Send + 'static,
    {
        match self.reply(request, operation).await {
            Ok(reply) => reply.into_response(),
            Err(problem) => problem.into_response(),
        }
    }

    async fn reply<F>(self: Arc<Self>, request: Request, operation: F) -> Result<Reply, Problem>
    where
        F: FnOnce(&Desk, &Call) -> Result<Reply, Problem> + Send + 'static,
    {
        let (mut parts, body) = request.into_parts();
        let actor = Arc::clone(&self).let_in(&parts).await?;
        let path = path_parts(&mut parts).await?;
        let body = read_body(body).await?;
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let call = Call { path, query, headers: parts.headers, body };
        self.blocking(move |api| {
            let desk = Desk::new(api.store.clone(), Arc::clone(&api.known), actor, api.clock.now());
            operation(&desk, &call)
        })
        .await?
    }

    /// Whose token this is. Wrong ones are counted by address, and all answered alike.
    async fn let_in(self: Arc<Self>, parts: &Parts) -> Result<Actor, Problem> {
        let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() else {
            tracing::error!(target: "assay::admin", "a request without its peer's address");
            return Err(Problem::new(Code::Internal));
        };
        let address = peer.ip();
        let token = bearer(&parts.headers);
        let shown = token.as_deref().map_or(&[][..], Vec::as_slice);
        let slow = |wait| Problem::new(Code::RateLimited).after(wait);
        self.attempts.check(address, shown, now()).map_err(slow)?;
        let Some(token) = token else { return Err(self.wrong(address, &[])) };
        let (known, token) = Arc::clone(&self)
            .blocking(move |api| (api.store.authenticate(&token, Origin::Remote(address)), token))
            .await?;
        let actor = known?.ok_or_else(|| self.wrong(address, &token))?;
        self.attempts.good(&token);
        Ok(actor)
    }

    fn wrong(&self, address: IpAddr, token: &[u8]) -> Problem {
        self.attempts.wrong(address, token, now());
        Problem::new(Code::Unauthorised)
    }

    /// Runs what blocks, on a thread of its own, when there is a seat.
    async fn blocking<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = || Problem::new(Code::Unavailable);
        let seat = timeout(PATIENCE, Arc::clone(&self.seats).acquire_owned()).await;
        let seat = seat.map_err(|_| busy())?.map_err(|_| busy())?;
        let done = task::spawn_blocking(move || {
            let done = work(&self);
            drop(seat);
            done
        });
        done.await.map_err(|_| Problem::new(Code::Internal))
    }
}

/// The monotonic clock: attempts are counted by it alone, so that no set clock opens the door.
fn now() -> Instant {
    Instant::now()
}

/// The token of `Authorization: Bearer …`, where it stands exactly once.
fn bearer(headers: &HeaderMap) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?.as_bytes(), values.next()) else { return None };
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.to_vec().into())
}

async fn path_parts(parts: &mut Parts) -> Result<Vec<(String, String)>, Problem> {
    let found = RawPathParams::from_request_parts(parts, &()).await;
    let found = found.map_err(|_| Problem::invalid("path", "it can't be read"))?;
    Ok(found.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The whole body, bounded in bytes and time.
async fn read_body(body: Body) -> Result<Bytes, Problem> {
    match timeout(BODY, Limited::new(body, MAX_BODY).collect()).await {
        Err(_) => Err(Problem::new(Code::TooSlow)),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::new(Code::TooLarge)),
        // The connection broke: nobody will read this answer.
        Ok(Err(_)) => Err(Problem::invalid("body", "it ended early")),
    }
}
