//! `/orders`: what gateways are to do otherwise for a while.

use axum::{extract::Request, response::Response};

use super::Shared;
use crate::{
    call::Reply,
    problem::Problem,
    types::{GivenOrder, NewOrder, Order, OrderQuery, Page, Reason},
};

/// The orders in force, the newest first.
#[utoipa::path(get, path = "/orders", tag = "orders", params(OrderQuery), responses(
    (status = 200, body = Page<Order>), (status = "default", body = Problem)))]
pub(super) async fn list(api: Shared, request: Request) -> Response {
    api.0.answer(request, |desk, call| Reply::ok(&desk.viewer()?.orders(&call.query()?)?)).await
}

/// Gives an order, at gateways within seconds.
#[utoipa::path(post, path = "/orders", tag = "orders", request_body = NewOrder, responses(
    (status = 201, body = GivenOrder, headers(("etag" = String))), (status = "default", body = Problem)))]
pub(super) async fn give(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            let (given, version) = desk.operator()?.give_order(&call.body()?)?;
            Ok(Reply::created(&given)?.at(version))
        })
        .await
}

/// One order, over or not, with its `ETag`.
#[utoipa::path(get, path = "/orders/{number}", tag = "orders", params(("number" = u64, Path, description = "The order's number")),
    responses((status = 200, body = Order, headers(("etag" = String))), (status = "default", body = Problem)))]
pub(super) async fn show(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            let (order, version) = desk.viewer()?.order(call.path("number")?)?;
            Ok(Reply::ok(&order)?.at(version))
        })
        .await
}

/// Ends an order before its time.
#[utoipa::path(delete, path = "/orders/{number}", tag = "orders",
    params(("number" = u64, Path, description = "The order's number"), ("if-match" = String, Header, description = "Its ETag")),
    request_body = Reason, responses((status = 200, body = Order, headers(("etag" = String))), (status = "default", body = Problem)))]
pub(super) async fn end(api: Shared, request: Request) -> Response {
    api.0
        .answer(request, |desk, call| {
            let operator = desk.operator()?;
            let (order, version) = operator.end_order(call.path("number")?, &call.body()?, call.expected()?)?;
            Ok(Reply::ok(&order)?.at(version))
        })
        .await
}
