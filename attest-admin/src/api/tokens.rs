//! `/tokens`: who may use this API; and `/test-tokens`.

use axum::{extract::Request, response::Response};

use super::Shared;
use crate::{
    call::Reply,
    problem::Problem,
    types::{AdminToken, CreatedToken, NewTestToken, NewToken, Page, TestToken},
};

/// The tokens of this API, never their texts.
#[utoipa::path(get, path = "/tokens", tag = "tokens", responses(
    (status = 200, body = Page<AdminToken>), (status = "default", body = Problem)))]
pub(super) async fn list(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, _| Reply::ok(&desk.admin()?.tokens()?)).await
}

/// Makes a token. Its text is in this answer and nowhere else.
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = NewToken, responses(
    (status = 201, body = CreatedToken), (status = "default", body = Problem)))]
pub(super) async fn create(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, call| Reply::created(&desk.admin()?.create_token(&call.body()?)?)).await
}

/// Revokes a token.
#[utoipa::path(delete, path = "/tokens/{name}", tag = "tokens", params(("name" = String, Path, description = "The token's name")),
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn revoke(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            desk.admin()?.revoke_token(call.path("name")?)?;
            Ok(Reply::nothing())
        })
        .await
}

/// Issues a result token for tests, marked `dev`: only routes with `allow_dev` take it.
#[utoipa::path(post, path = "/test-tokens", tag = "tokens", request_body = NewTestToken, responses(
    (status = 201, body = TestToken), (status = "default", body = Problem)))]
pub(super) async fn test(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, call| Reply::created(&desk.operator()?.test_token(&call.body()?)?)).await
}
