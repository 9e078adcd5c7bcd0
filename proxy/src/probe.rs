//! `/livez` and `/readyz`, for whoever decides whether requests are sent here.
//!
//! In come probes, from anywhere; out goes one word. Ready is red while draining, and on nothing else: if it
//! turned red when a store or service is away, an orchestrator would take down every gateway at once,
//! and what the configuration says about our faults would never get its turn.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::runtime::Runtime;

/// The whole API. It exists from the first good configuration on.
pub(crate) fn api(runtime: Arc<Runtime>) -> Router {
    Router::new().route("/livez", get(|| async { "live\n" })).route("/readyz", get(ready)).with_state(runtime)
}

/// The same of a process that runs the attestation service alone: it answers from the moment that the service does, and
/// no longer than it.
pub(crate) fn api_of_service() -> Router {
    Router::new().route("/livez", get(|| async { "live\n" })).route("/readyz", get(|| async { "ready\n" }))
}

async fn ready(State(runtime): State<Arc<Runtime>>) -> (StatusCode, &'static str) {
    if runtime.is_draining() { (StatusCode::SERVICE_UNAVAILABLE, "draining\n") } else { (StatusCode::OK, "ready\n") }
}
