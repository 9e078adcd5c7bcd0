//! `/apps` and `/builds`: what is vouched for.

use axum::{extract::Request, response::Response};

use super::Shared;
use crate::{
    call::Reply,
    problem::Problem,
    types::{App, Build, BuildQuery, NewBuild, Page, Registered, Retire, Retired, SetBuild},
};

/// The apps of the configuration and of the registry.
#[utoipa::path(get, path = "/apps", tag = "builds", responses(
    (status = 200, body = Page<App>), (status = "default", body = Problem)))]
pub(super) async fn apps(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, _| Reply::ok(&desk.viewer()?.apps()?)).await
}

/// Stops vouching for a version of an app: all its builds, or one.
#[utoipa::path(post, path = "/apps/{app}/retire", tag = "builds", params(("app" = String, Path, description = "The app's name")),
    request_body = Retire, responses((status = 200, body = Retired), (status = "default", body = Problem)))]
pub(super) async fn retire_version(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, call| Reply::ok(&desk.operator()?.retire(call.path("app")?, &call.body()?)?)).await
}

/// The builds, the newest first.
#[utoipa::path(get, path = "/builds", tag = "builds", params(BuildQuery), responses(
    (status = 200, body = Page<Build>), (status = "default", body = Problem)))]
pub(super) async fn list(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, call| Reply::ok(&desk.viewer()?.builds(&call.query()?)?)).await
}

/// Vouches for a build. The same build again changes nothing.
#[utoipa::path(post, path = "/builds", tag = "builds", request_body = NewBuild, responses(
    (status = 200, description = "It was there already, or is live again", body = Registered),
    (status = 201, description = "It is new", body = Registered), (status = "default", body = Problem)))]
pub(super) async fn register(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            let registered = desk.operator()?.register(&call.body()?)?;
            match registered.outcome {
                crate::types::BuildOutcome::Added => Reply::created(&registered),
                crate::types::BuildOutcome::Unchanged | crate::types::BuildOutcome::Restored => Reply::ok(&registered),
            }
        })
        .await
}

/// One build, with its `ETag`.
#[utoipa::path(get, path = "/builds/{number}", tag = "builds", params(("number" = u32, Path, description = "The registry's number of it")),
    responses((status = 200, body = Build, headers(("etag" = String))), (status = "default", body = Problem)))]
pub(super) async fn show(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            let (build, version) = desk.viewer()?.build(call.path("number")?)?;
            Ok(Reply::ok(&build)?.at(version))
        })
        .await
}

/// Retires one build.
#[utoipa::path(patch, path = "/builds/{number}", tag = "builds",
    params(("number" = u32, Path, description = "The registry's number of it"), ("if-match" = String, Header, description = "Its ETag")),
    request_body = SetBuild, responses((status = 200, body = Build, headers(("etag" = String))), (status = "default", body = Problem)))]
pub(super) async fn change(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            let operator = desk.operator()?;
            let (build, version) = operator.set_build(call.path("number")?, &call.body()?, call.expected()?)?;
            Ok(Reply::ok(&build)?.at(version))
        })
        .await
}
