//! `/revocations`: what gateways refuse although its signature is genuine.

use axum::{extract::Request, response::Response};

use super::Shared;
use crate::{
    call::Reply,
    problem::Problem,
    types::{Lift, NewRevocation, Page, PageQuery, Revocation},
};

/// The entries of the feed, the newest first.
#[utoipa::path(get, path = "/revocations", tag = "revocations", params(PageQuery), responses(
    (status = 200, body = Page<Revocation>), (status = "default", body = Problem)))]
pub(super) async fn list(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, call| Reply::ok(&desk.viewer()?.revocations(&call.query()?)?)).await
}

/// Revokes, at gateways within seconds.
#[utoipa::path(post, path = "/revocations", tag = "revocations", request_body = NewRevocation, responses(
    (status = 204), (status = "default", body = Problem)))]
pub(super) async fn create(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            desk.admin()?.revoke(&call.body()?)?;
            Ok(Reply::nothing())
        })
        .await
}

/// Takes a revocation back. A ban is taken back at its device.
#[utoipa::path(post, path = "/revocations/lift", tag = "revocations", request_body = Lift, responses(
    (status = 204), (status = "default", body = Problem)))]
pub(super) async fn lift(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            desk.admin()?.lift(&call.body()?)?;
            Ok(Reply::nothing())
        })
        .await
}
