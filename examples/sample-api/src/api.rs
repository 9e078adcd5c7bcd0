//! The API's paths. Comes in: a request. Goes out: JSON, or 401 when the key is not there.
//! Proven between: everything outside the open routes runs only behind [`demand_key`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::stream;

/// What every handler may see.
pub(crate) struct Vendor {
    header: HeaderName,
    key: String,
    calls: AtomicU64,
}

/// The whole API: `/v1/catalogue/**` and `/open/**` for anybody, all else (unknown paths too) for holders of the key.
pub(crate) fn router(header: HeaderName, key: String) -> Router {
    let vendor = Arc::new(Vendor { header, key, calls: AtomicU64::new(0) });
    let paid = Router::new()
        .route("/v1/paid", any(paid))
        .route("/v1/echo", any(echo))
        .route("/v1/stream", get(stream::events))
        .route("/v1/slow", get(slow))
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(Arc::clone(&vendor), demand_key));
    let open = Router::new()
        .route("/v1/catalogue/items", get(catalogue))
        .route("/v1/catalogue/slow", get(slow))
        .route("/open/hello", get(hello));
    paid.merge(open).with_state(vendor)
}

async fn demand_key(State(vendor): State<Arc<Vendor>>, request: Request, next: Next) -> Response {
    let mut presented = request.headers().get_all(&vendor.header).iter();
    // Exactly one: a second copy of a credential is somebody's mistake, and a good vendor says so.
    let holds_key = match (presented.next(), presented.next()) {
        (Some(value), None) => vendor.key_in(value).is_some_and(|key| key.ct_eq(vendor.key.as_bytes()).into()),
        _ => false,
    };
    if holds_key {
        return next.run(request).await;
    }
    let missing = json!({ "error": "invalid_api_key", "header": vendor.header.as_str() });
    (StatusCode::UNAUTHORIZED, Json(missing)).into_response()
}

impl Vendor {
    fn key_in<'a>(&self, value: &'a HeaderValue) -> Option<&'a [u8]> {
        match self.header {
            header::AUTHORIZATION => value.as_bytes().strip_prefix(b"Bearer "),
            _ => Some(value.as_bytes()),
        }
    }
}

async fn paid(State(vendor): State<Arc<Vendor>>) -> Json<Value> {
    let calls = vendor.calls.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    Json(json!({ "paid": true, "calls": calls }))
}

/// Shows what arrived, credential included, in the body and in `x-echo-key`: a vendor with a careless debug page.
async fn echo(
    State(vendor): State<Arc<Vendor>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut seen: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in &headers {
        seen.entry(name.as_str()).or_default().push(String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    let answer =
        json!({ "method": method.as_str(), "path": uri.to_string(), "headers": seen, "body_bytes": body.len() });
    let mut response = Json(answer).into_response();
    if let Some(value) = headers.get(&vendor.header) {
        response.headers_mut().insert("x-echo-key", value.clone());
    }
    response
}

#[derive(Deserialize)]
struct Slow {
    #[serde(default)]
    ms: u64,
}

async fn slow(Query(asked): Query<Slow>) -> Json<Value> {
    let wait = asked.ms.min(stream::MAX_WAIT_MS);
    tokio::time::sleep(Duration::from_millis(wait)).await;
    Json(json!({ "slow": true, "ms": wait }))
}

async fn catalogue() -> Json<Value> {
    Json(json!({ "items": [{ "id": 1, "name": "touchstone" }, { "id": 2, "name": "cupel" }] }))
}

async fn hello() -> Json<Value> {
    Json(json!({ "hello": "world" }))
}

async fn unknown() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "error": "not_found" }))).into_response()
}
