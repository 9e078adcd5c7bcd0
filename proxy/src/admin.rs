//! Metrics, status, reload and what the gateway remembers of decisions, for operators and scrapers.
//!
//! In come requests on a listener that is bound to loopback, or asks for a bearer token; out go figures
//! and names. No secret, no token and no client's data is in reach.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use axum::extract::{Path as InPath, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::reload::Reloader;
use crate::runtime::Runtime;

mod status;

/// The token that callers must show, kept as its hash.
#[derive(Clone)]
pub(crate) struct AdminToken([u8; 32]);

impl AdminToken {
    /// Reads it from a file; a trailing line end is not part of it.
    ///
    /// # Errors
    /// The file can't be read, or holds a token under 16 bytes.
    pub(crate) fn from_file(path: &Path) -> Result<Self, String> {
        let text =
            zeroize::Zeroizing::new(std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?);
        let token = text.trim();
        if token.len() < 16 {
            return Err(format!("{}: the admin token must have 16 bytes at least", path.display()));
        }
        Ok(Self(hash(token.as_bytes())))
    }

    fn allows(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        // Hashes have one length: the comparison tells nothing, not even how long the token is.
        shown.is_some_and(|shown| self.0.ct_eq(&hash(shown)).into())
    }
}

fn hash(text: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text).as_ref());
    hash
}

/// Figures of what else runs in the process, as OpenMetrics text; nothing once that has ended. No name is one of ours.
pub type MoreMetrics = dyn Fn() -> Option<String> + Send + Sync;

#[derive(Clone)]
struct Admin {
    runtime: Arc<Runtime>,
    reloader: Arc<Reloader>,
    service: Option<Arc<MoreMetrics>>,
}

/// The whole API. `service`: the figures of the attestation service, where it runs in this process.
pub(crate) fn api(
    runtime: Arc<Runtime>,
    reloader: Arc<Reloader>,
    service: Option<Arc<MoreMetrics>>,
    token: Option<AdminToken>,
) -> Router {
    let admin = Admin { runtime, reloader, service };
    let api = Router::new()
        .route("/metrics", get(metrics))
        .route("/status", get(status::status))
        .route("/keys", get(keys))
        .route("/observations", get(observations))
        .route("/decisions/{id}", get(decision))
        .route("/guard/{route}/reset", post(reset_guard))
        .route("/reload", post(reload))
        .with_state(admin);
    guarded(api, token)
}

/// The API of a process that runs the attestation service alone: its figures.
pub(crate) fn api_of_service(figures: Arc<MoreMetrics>, token: Option<AdminToken>) -> Router {
    let metrics = async move || open_metrics(figures().unwrap_or_else(|| END.to_owned()));
    guarded(Router::new().route("/metrics", get(metrics)), token)
}

fn guarded(api: Router, token: Option<AdminToken>) -> Router {
    api.layer(middleware::from_fn_with_state(token, guard))
}

async fn guard(State(token): State<Option<AdminToken>>, request: Request, next: Next) -> Response {
    match &token {
        Some(token) if !token.allows(request.headers()) => {
            (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")]).into_response()
        }
        // Without a token the listener is on loopback; a page in a browser there must not get at it.
        None if request.headers().contains_key("origin") || !is_addressed_directly(&request) => {
            StatusCode::FORBIDDEN.into_response()
        }
        _ => next.run(request).await,
    }
}

/// Whether it was asked for under an address or `localhost`. A page can have its own name point at loopback (DNS
/// rebinding) and then ask, without `Origin`, under that name.
fn is_addressed_directly(request: &Request) -> bool {
    let host = || request.headers().get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    request.uri().authority().cloned().or_else(host).is_some_and(|authority| {
        let host = authority.host();
        host.eq_ignore_ascii_case("localhost") || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    })
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.runtime.metrics.gauges.refresh(&admin.runtime);
    let mut text = admin.runtime.metrics.text();
    if let Some(more) = admin.service.as_ref().and_then(|service| service()) {
        text.truncate(text.trim_end_matches(END).len());
        text.push_str(&more);
    }
    open_metrics(text)
}

/// The last line of a text of metrics.
const END: &str = "# EOF\n";

fn open_metrics(text: String) -> Response {
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}

async fn reload(State(admin): State<Admin>) -> Response {
    // A task of its own: who asked may hang up, and half a reload is none.
    let reloaded = tokio::spawn(async move { admin.reloader.reload().await }).await;
    match reloaded.unwrap_or_else(|_| Err("the gateway is stopping".to_owned())) {
        Ok(generation) => Json(json!({ "ok": true, "generation": generation })).into_response(),
        Err(report) => (StatusCode::CONFLICT, Json(json!({ "ok": false, "error": report }))).into_response(),
    }
}

/// The keys of the store, with what was counted of them; for `assay key list --gateway`.
async fn keys(State(admin): State<Admin>) -> Response {
    let generation = admin.runtime.generation.load_full();
    Json(crate::keys::told(&generation)).into_response()
}

/// What became of a week's requests, for `assay policy advise`.
async fn observations(State(admin): State<Admin>) -> Response {
    let runtime = admin.runtime;
    let now = runtime.clock.now();
    // Gathering takes as long as there are routes and versions.
    let gathered = tokio::task::spawn_blocking(move || runtime.observed.gathered(now).to_json()).await;
    match gathered {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The record of one of the last decisions.
async fn decision(State(admin): State<Admin>, InPath(id): InPath<String>) -> Response {
    match admin.runtime.observed.recorder.find(&id) {
        Some(record) => ([(CONTENT_TYPE, "application/json")], record.line()).into_response(),
        None => not_found(
            "decision_not_kept",
            "no such decision is kept: the last 4096 are, under load 96 refusals and 32 others in a second",
        ),
    }
}

/// Has a policy enforced that the guard opened: an operator has looked, and means it.
async fn reset_guard(State(admin): State<Admin>, InPath(name): InPath<String>) -> Response {
    let generation = admin.runtime.generation.load_full();
    let Some(route) = generation.route(&name) else { return not_found("no_such_route", "no route has this name") };
    if !route.watch.guard.end() {
        let why = "the guard of this route has not tripped";
        return (StatusCode::CONFLICT, Json(json!({ "ok": false, "code": "not_tripped", "error": why })))
            .into_response();
    }
    tracing::warn!(route = &*route.name, "an operator ended the guard: this policy is enforced from now on");
    Json(json!({ "ok": true, "route": name })).into_response()
}

fn not_found(code: &str, why: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "ok": false, "code": code, "error": why }))).into_response()
}
