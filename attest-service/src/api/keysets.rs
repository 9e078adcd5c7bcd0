//! In: a gateway's bearer token. Out: the signed key-set document. What is proven: whoever gets the document knows the
//! gateway token, compared in constant time; it holds the HMAC secrets, so nobody else may have it.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, header};

use super::{Api, json, only};
use crate::refusal::Refusal;

pub(super) async fn document(State(api): State<Arc<Api>>, request: Request) -> Response {
    match answer(&api, &request) {
        Ok(document) => json(StatusCode::OK, document),
        Err(refusal) => api.refuse(refusal),
    }
}

fn answer(api: &Api, request: &Request) -> Result<String, Refusal> {
    let known = bearer(request.headers()).is_some_and(|token| api.service.gateway_token.is(token));
    if !known {
        // Only strangers are counted: a gateway must get its keys however busy its neighbours are.
        let address = api.client_address(request).ok_or(Refusal::Unavailable)?;
        api.check_rate(address)?;
        return Err(Refusal::Unauthorised);
    }
    let document = api.service.key_set_document().map_err(|_| Refusal::Unavailable)?;
    Ok(document.to_json())
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = only(headers, &header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}
