//! `/devices`: what was seen of them, and what is decided of them.

use axum::{extract::Request, response::Response};

use super::Shared;
use crate::{
    call::Reply,
    problem::Problem,
    types::{Device, DeviceQuery, Enrol, Mark, Page, Reason},
};

/// The devices.
#[utoipa::path(get, path = "/devices", tag = "devices", params(DeviceQuery), responses(
    (status = 200, body = Page<Device>), (status = "default", body = Problem)))]
pub(super) async fn list(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, call| Reply::ok(&desk.viewer()?.devices(&call.query()?)?)).await
}

/// One device, with its `ETag`.
#[utoipa::path(get, path = "/devices/{id}", tag = "devices", params(("id" = String, Path, description = "The `did` of its tokens")),
    responses((status = 200, body = Device, headers(("etag" = String))), (status = "default", body = Problem)))]
pub(super) async fn show(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            let (device, version) = desk.viewer()?.device(call.path("id")?)?;
            Ok(Reply::ok(&device)?.at(version))
        })
        .await
}

/// Forgets what was seen of a device about which nothing is decided: forgetting is no way around a ban.
#[utoipa::path(delete, path = "/devices/{id}", tag = "devices",
    params(("id" = String, Path, description = "The `did` of its tokens"), ("if-match" = String, Header, description = "Its ETag")),
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn forget(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            desk.operator()?.forget(call.path("id")?, call.expected()?)?;
            Ok(Reply::nothing())
        })
        .await
}

/// Decides of a device: a ban, a forced pass or fail, or nothing any more.
#[utoipa::path(put, path = "/devices/{id}/mark", tag = "devices",
    params(("id" = String, Path, description = "The `did` of its tokens"),
        ("if-match" = Option<String>, Header, description = "The device's ETag"),
        ("if-none-match" = Option<String>, Header, description = "`*` for a device that was never seen here")),
    request_body = Mark, responses((status = 200, body = Device, headers(("etag" = String))), (status = "default", body = Problem)))]
pub(super) async fn mark(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            let operator = desk.operator()?;
            let (device, version) = operator.mark(call.path("id")?, &call.body()?, call.expected()?)?;
            Ok(Reply::ok(&device)?.at(version))
        })
        .await
}

/// Lets a debug device pass for a while, with the mark `dev` in its tokens.
#[utoipa::path(put, path = "/devices/{id}/enrolment", tag = "devices",
    params(("id" = String, Path, description = "The `did` of its tokens"),
        ("if-match" = Option<String>, Header, description = "The device's ETag"),
        ("if-none-match" = Option<String>, Header, description = "`*` for a device that was never seen here")),
    request_body = Enrol, responses((status = 200, body = Device, headers(("etag" = String))), (status = "default", body = Problem)))]
pub(super) async fn enrol(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            let operator = desk.operator()?;
            let (device, version) = operator.enrol(call.path("id")?, &call.body()?, call.expected()?)?;
            Ok(Reply::ok(&device)?.at(version))
        })
        .await
}

/// Ends an enrolment.
#[utoipa::path(delete, path = "/devices/{id}/enrolment", tag = "devices",
    params(("id" = String, Path, description = "The `did` of its tokens"), ("if-match" = String, Header, description = "The device's ETag")),
    request_body = Reason, responses((status = 200, body = Device, headers(("etag" = String))), (status = "default", body = Problem)))]
pub(super) async fn end_enrolment(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            let operator = desk.operator()?;
            let (device, version) = operator.end_enrolment(call.path("id")?, &call.body()?, call.expected()?)?;
            Ok(Reply::ok(&device)?.at(version))
        })
        .await
}
