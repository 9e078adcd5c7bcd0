//! In: a probe. Out: 200 while tokens can be issued, 503 while they can't. What a service whose database is away says
//! here is what its clients feel.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{Api, json};

pub(super) async fn health(State(api): State<Arc<Api>>) -> Response {
    let health = api.service.health();
    let status = if health.can_issue() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, health.to_json())
}
