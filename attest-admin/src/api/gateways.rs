//! `/gateways`: the fleet.

use axum::{extract::Request, response::Response};

use super::Shared;
use crate::{
    call::Reply,
    problem::Problem,
    types::{Gateway, Page, PageQuery},
};

/// The gateways, as they last told of themselves.
#[utoipa::path(get, path = "/gateways", tag = "gateways", params(PageQuery), responses(
    (status = 200, body = Page<Gateway>), (status = "default", body = Problem)))]
pub(super) async fn list(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, call| Reply::ok(&desk.viewer()?.gateways(&call.query()?)?)).await
}
