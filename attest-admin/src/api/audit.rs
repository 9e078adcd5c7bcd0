//! `/audit`: who changed what, and whether the log is whole.

use axum::{extract::Request, response::Response};

use super::Shared;
use crate::{
    call::Reply,
    problem::Problem,
    types::{AuditEntry, AuditReport, AuditVerify, Checkpoint, Page, PageQuery},
};

/// The entries, the newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(PageQuery), responses(
    (status = 200, body = Page<AuditEntry>), (status = "default", body = Problem)))]
pub(super) async fn entries(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, call| Reply::ok(&desk.admin()?.audit(&call.query()?)?)).await
}

/// Checks every chain, and holds it against checkpoints that were kept elsewhere.
#[utoipa::path(post, path = "/audit/verify", tag = "audit", request_body = AuditVerify, responses(
    (status = 200, body = AuditReport), (status = "default", body = Problem)))]
pub(super) async fn verify(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, call| Reply::ok(&desk.admin()?.verify_audit(&call.body()?)?)).await
}

/// A signed checkpoint of what the log has come to, to be kept elsewhere.
#[utoipa::path(get, path = "/audit/checkpoint", tag = "audit", responses(
    (status = 200, body = Checkpoint), (status = "default", body = Problem)))]
pub(super) async fn checkpoint(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, _| Reply::ok(&desk.admin()?.checkpoint()?)).await
}
