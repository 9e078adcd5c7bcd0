//! A. In: `{}` or nothing. Out: a challenge: 16 random bytes, our epoch, the key set, the time, a MAC. Nothing is
//! stored, so asking for many costs us nothing but their rate.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::StatusCode;

use super::{Admitted, Api, json};
use crate::refusal::Refusal;

pub(super) async fn issue(State(api): State<Arc<Api>>, request: Request) -> Response {
    let admitted = match api.admit(request).await {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    match answer(&api, &admitted).await {
        Ok(body) => json(StatusCode::OK, body),
        Err(refusal) => api.refuse(refusal),
    }
}

async fn answer(api: &Api, admitted: &Admitted<'_>) -> Result<Vec<u8>, Refusal> {
    if !is_empty_object(&admitted.body) {
        return Err(Refusal::NotAnEnvelope { detail: "the body of a challenge request is {} or empty".to_owned() });
    }
    api.service.challenge().await
}

/// Nothing, or an object without members; fields of a later version would otherwise be silently ignored.
fn is_empty_object(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.is_empty()
        || body
            .strip_prefix(b"{")
            .and_then(|rest| rest.strip_suffix(b"}"))
            .is_some_and(|inside| inside.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_an_empty_object_are_challenge_requests() {
        for good in [&b""[..], b"{}", b" { }\r\n"] {
            assert!(is_empty_object(good), "{good:?}");
        }
        for bad in [&b"{"[..], b"[]", b"null", b"{\"key_set\":\"other\"}", b"{}{}"] {
            assert!(!is_empty_object(bad), "{bad:?}");
        }
    }
}
