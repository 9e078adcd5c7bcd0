//! `/status`: what the service says of itself.

use axum::{extract::Request, response::Response};

use super::Shared;
use crate::{call::Reply, problem::Problem, types::Status};

/// The service's state, and what the token that asks may do.
#[utoipa::path(get, path = "/status", tag = "status", responses(
    (status = 200, body = Status), (status = "default", body = Problem)))]
pub(super) async fn show(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, _| Reply::ok(&desk.viewer()?.status()?)).await
}
