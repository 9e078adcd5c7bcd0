//! `/keysets`: the keys that tokens are signed with.

use axum::{extract::Request, response::Response};

use super::Shared;
use crate::{
    call::Reply,
    problem::Problem,
    types::{KeySet, Page, Rotate, Rotation},
};

/// The key sets and their keys.
#[utoipa::path(get, path = "/keysets", tag = "keysets", responses(
    (status = 200, body = Page<KeySet>), (status = "default", body = Problem)))]
pub(super) async fn list(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, _| Reply::ok(&desk.viewer()?.key_sets()?)).await
}

/// Lets the next key take over.
#[utoipa::path(post, path = "/keysets/{name}/rotate", tag = "keysets", params(("name" = String, Path, description = "The key set")),
    request_body = Rotate, responses((status = 200, body = Rotation), (status = "default", body = Problem)))]
pub(super) async fn rotate(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, call| Reply::ok(&desk.admin()?.rotate(call.path("name")?, &call.body()?)?)).await
}

/// Retires a key at once: every token that it signed is refused. Where it signed, the next one does.
#[utoipa::path(delete, path = "/keysets/{name}/keys/{kid}", tag = "keysets",
    params(("name" = String, Path, description = "The key set"), ("kid" = String, Path, description = "The key's id")),
    responses((status = 200, body = Rotation), (status = "default", body = Problem)))]
pub(super) async fn retire(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| Reply::ok(&desk.admin()?.retire_key(call.path("name")?, call.path("kid")?)?))
        .await
}
