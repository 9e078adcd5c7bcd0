//! The service on another machine, as far as a gateway asks it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use attest_core::feed::GatewayFacts;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use proxy::{FetchKeySets, FetchRevocations, Fetched};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{Issuer, Parts};

const TOKEN: &str = "gateway-token-of-this-very-test-alone";

/// Serves the issuer's feeds; the parts of a configuration that asks for them there, `more` beside the address.
pub(crate) async fn elsewhere(issuer: &Arc<Issuer>, more: &str, parts: Parts) -> Parts {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = axum::Router::new()
        .route("/assay/v1/gateway/keysets", get(key_sets))
        .route("/assay/v1/gateway/revocations", get(revocations))
        .route("/assay/v1/gateway/report", post(report))
        .with_state(issuer.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let pinned = FetchKeySets::fetch(&**issuer).await.unwrap().pinned.to_string();
    let remote = format!(
        "remote: {{ url: \"http://127.0.0.1:{port}/assay/v1\", gateway_token_file: gateway.token, \
         feed_key_file: feed.pub, {more} }}"
    );
    let mut files = parts.files;
    files.extend([("gateway.token", format!("{TOKEN}\n").into_bytes()), ("feed.pub", pinned.into_bytes())]);
    Parts { remote: Some(remote), files, ..parts }
}

async fn key_sets(State(issuer): State<Arc<Issuer>>, headers: HeaderMap) -> Result<String, StatusCode> {
    told(&issuer, &headers, FetchKeySets::fetch(&*issuer).await)
}

async fn revocations(
    State(issuer): State<Arc<Issuer>>,
    Query(query): Query<Value>,
    headers: HeaderMap,
) -> Result<String, StatusCode> {
    let after = query["after"].as_str().unwrap().parse().unwrap();
    assert_eq!(headers["assay-feed-format"], "2", "a gateway says that it reads orders");
    told(&issuer, &headers, FetchRevocations::fetch(&*issuer, after).await)
}

async fn report(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, body: String) -> StatusCode {
    let shown = headers.get("authorization").is_some_and(|shown| *shown == format!("Bearer {TOKEN}"));
    let facts = GatewayFacts::parse(body.as_bytes());
    match (shown, facts) {
        (true, Ok(facts)) => FetchRevocations::report(&*issuer, &facts)
            .await
            .map_or(StatusCode::SERVICE_UNAVAILABLE, |()| StatusCode::NO_CONTENT),
        _ => StatusCode::BAD_REQUEST,
    }
}

fn told(issuer: &Issuer, headers: &HeaderMap, fetched: Result<Fetched, String>) -> Result<String, StatusCode> {
    if headers.get("authorization").is_none_or(|shown| *shown != format!("Bearer {TOKEN}")) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    if issuer.bloated.load(Ordering::SeqCst) {
        return Ok("x".repeat(2 * attest_core::feed::MAX_DOCUMENT_BYTES));
    }
    fetched.map(|fetched| fetched.document.to_json()).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}
