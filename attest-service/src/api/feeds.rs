//! In: a gateway's bearer token. Out: the signed key-set document, or the signed revocations since a number; and in, how
//! that gateway is. What is proven: whoever gets a document, or is listed as a gateway, knows the gateway token, compared in
//! constant time; the key sets hold the HMAC secrets, so nobody else may have them. The public keys of an open set are
//! for everybody.

use std::{net::IpAddr, sync::Arc};

use attest_core::feed::{FEED_FORMAT_HEADER, GatewayFacts, RevocationFormat, SignedDocument};
use attest_store::StoreError;
use axum::{
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{Api, json, only, read_body};
use crate::{refusal::Refusal, service::Service};

/// By which a gateway says which format of revocations it reads.
const FORMAT: HeaderName = HeaderName::from_static(FEED_FORMAT_HEADER);

/// How long anybody may keep the public keys: a key is published for longer before it signs.
const JWKS_FRESH: HeaderValue = HeaderValue::from_static("public, max-age=300");

pub(super) async fn key_sets(State(api): State<Arc<Api>>, request: Request) -> Response {
    document(&api, Asker::of(&api, &request), "keysets", |service| Ok(service.key_set_document())).await
}

pub(super) async fn revocations(State(api): State<Arc<Api>>, request: Request) -> Response {
    let after = after(request.uri().query()).ok_or(Refusal::NotFound);
    let format = RevocationFormat::asked(only(request.headers(), &FORMAT).map(HeaderValue::as_bytes));
    let asker = Asker::of(&api, &request);
    document(&api, asker, "revocations", |service| Ok(service.revocation_document(after?, format))).await
}

pub(super) async fn report(State(api): State<Arc<Api>>, request: Request) -> Response {
    match take_report(&api, request).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => api.refuse(refusal),
    }
}

pub(super) async fn jwks(State(api): State<Arc<Api>>, request: Request) -> Response {
    match public_keys(&api, Asker::of(&api, &request)).await {
        Ok(keys) => {
            let mut response = json(StatusCode::OK, keys.to_string());
            response.headers_mut().insert(header::CACHE_CONTROL, JWKS_FRESH);
            response
        }
        Err(refusal) => api.refuse(refusal),
    }
}

/// Who asks.
struct Asker {
    /// Whether it showed the gateway token.
    is_gateway: bool,
    address: Option<IpAddr>,
}

impl Asker {
    fn of(api: &Api, request: &Request) -> Self {
        let is_gateway = bearer(request.headers()).is_some_and(|token| api.service.gateway_token.is(token));
        Self { is_gateway, address: api.client_address(request) }
    }

    async fn counted(&self, api: &Api) -> Result<(), Refusal> {
        api.service.check_rate(self.address.ok_or(Refusal::Unavailable)?).await
    }

    /// Only strangers are counted: a gateway must get its keys however busy its neighbours are.
    async fn may_have_documents(&self, api: &Api) -> Result<(), Refusal> {
        if self.is_gateway {
            return Ok(());
        }
        self.counted(api).await?;
        Err(Refusal::Unauthorised)
    }
}

async fn take_report(api: &Api, request: Request) -> Result<(), Refusal> {
    Asker::of(api, &request).may_have_documents(api).await?;
    let body = read_body(request.into_body()).await?;
    let facts = GatewayFacts::parse(&body).map_err(|error| Refusal::NotAnEnvelope { detail: error.to_string() })?;
    api.service.gateway_reported(facts);
    Ok(())
}

async fn public_keys(api: &Api, asker: Asker) -> Result<serde_json::Value, Refusal> {
    asker.counted(api).await?;
    api.service.jwks().ok_or(Refusal::NotFound)
}

async fn document(
    api: &Api,
    asker: Asker,
    name: &'static str,
    sign: impl FnOnce(&Service) -> Result<Result<SignedDocument, StoreError>, Refusal>,
) -> Response {
    let signed = asker.may_have_documents(api).await.and_then(|()| sign(&api.service)).and_then(|signed| {
        signed.map_err(|error| {
            tracing::error!(target: "assay::feed", %error, "a document for gateways can't be signed");
            Refusal::Unavailable
        })
    });
    match signed {
        Ok(signed) => {
            api.service.fetched(name);
            json(StatusCode::OK, signed.to_json())
        }
        Err(refusal) => api.refuse(refusal),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = only(headers, &header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// The number after which the gateway wants to know; zero where it says nothing; nothing where it says something else.
fn after(query: Option<&str>) -> Option<u64> {
    match query.filter(|query| !query.is_empty()) {
        None => Some(0),
        Some(query) => {
            let number = query.strip_prefix("after=")?;
            let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            if plain { number.parse().ok() } else { None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_a_plain_one_or_absent() {
        for (query, number) in [
            (None, Some(0)),
            (Some(""), Some(0)),
            (Some("after=0"), Some(0)),
            (Some("after=18446744073709551615"), Some(u64::MAX)),
            (Some("after=18446744073709551616"), None),
            (Some("after=+1"), None),
            (Some("after=-1"), None),
            (Some("after="), None),
            (Some("after=1&after=2"), None),
            (Some("before=1"), None),
        ] {
            assert_eq!(after(query), number, "{query:?}");
        }
    }
}
