//! In: why a request gets no token. Out: the answer, from the one table of this service. What is proven: every refusal
//! is decided from the envelope, the challenge and our own health, never from the Evidence (design section 3); the one
//! exception is `refused`, which exists only for key sets that conceal nothing.
//!
//! Bodies are problem details (RFC 9457): `type`, `title`, `status`, `code`, and for envelopes `detail`, the place
//! that could not be read. No input text is repeated.

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};

/// Why a request gets no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The body is not an attest (or challenge) request.
    NotAnEnvelope {
        /// What could not be read, and where: our words only.
        detail: String,
    },
    /// The body is over its bound.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The challenge was used for another transcript, or its answer is forgotten.
    ChallengeSpent,
    /// The challenge is over, of an earlier start, or not ours.
    ChallengeExpired,
    /// This client's rate is used up.
    RateLimited {
        /// When the next request may pass.
        wait: Duration,
    },
    /// Our fault: a store is full or away, or too much is going on. No token is issued.
    Unavailable,
    /// The app failed, and the key set conceals nothing (`open`).
    Refused,
    /// A gateway's credential is absent or wrong.
    Unauthorised,
    /// Nothing is served under this path.
    NotFound,
    /// The path is served, the method is not.
    MethodNotAllowed,
}

/// One row of the table.
struct Row {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
}

impl Refusal {
    #[deny(clippy::wildcard_enum_match_arm)] // a new refusal needs a decision
    fn row(&self) -> Row {
        let (status, code, title) = match self {
            Self::NotAnEnvelope { .. } => (400, "not_an_envelope", "The body is not an attestation request"),
            Self::TooLarge => (413, "too_large", "The body is too large"),
            Self::TooSlow => (408, "too_slow", "The body did not arrive in time"),
            Self::ChallengeSpent => (409, "challenge_spent", "The challenge has been used"),
            Self::ChallengeExpired => (410, "challenge_expired", "The challenge is over; take a new one"),
            Self::RateLimited { .. } => (429, "rate_limited", "Too many requests"),
            Self::Unavailable => (503, "unavailable", "No token can be issued now"),
            Self::Refused => (403, "refused", "The app was not accepted"),
            Self::Unauthorised => (401, "unauthorised", "A gateway token is needed"),
            Self::NotFound => (404, "not_found", "Nothing is served here"),
            Self::MethodNotAllowed => (405, "method_not_allowed", "This method is not served here"),
        };
        Row { status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), code, title }
    }

    /// The stable code, also the label in metrics.
    pub(crate) fn code(&self) -> &'static str {
        self.row().code
    }

    /// Status and body of this refusal.
    pub(crate) fn answer(&self) -> (StatusCode, Vec<u8>) {
        let Row { status, code, title } = self.row();
        let mut problem = serde_json::json!({
            "type": format!("https://assay.dev/problems/{code}"),
            "title": title,
            "status": status.as_u16(),
            "code": code,
        });
        if let (Self::NotAnEnvelope { detail }, Some(members)) = (self, problem.as_object_mut()) {
            members.insert("detail".to_owned(), detail.as_str().into());
        }
        (status, problem.to_string().into_bytes())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = self.answer();
        let mut response = problem(status, body);
        let headers = response.headers_mut();
        match &self {
            Self::RateLimited { wait } => {
                headers.insert(header::RETRY_AFTER, whole_seconds(*wait));
            }
            Self::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::Unauthorised => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"assay\""));
            }
            // What is left of the body is not read: the connection can't carry another request.
            Self::TooLarge | Self::TooSlow => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Self::NotAnEnvelope { .. }
            | Self::ChallengeSpent
            | Self::ChallengeExpired
            | Self::Refused
            | Self::NotFound
            | Self::MethodNotAllowed => {}
        }
        response
    }
}

/// A problem-details response around `body`.
pub(crate) fn problem(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// At least one second, rounded up: `Retry-After` knows no fractions.
fn whole_seconds(wait: Duration) -> HeaderValue {
    HeaderValue::from(wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_own_code_and_a_problem_body() {
        let all = [
            Refusal::NotAnEnvelope { detail: "challenge: absent".to_owned() },
            Refusal::TooLarge,
            Refusal::TooSlow,
            Refusal::ChallengeSpent,
            Refusal::ChallengeExpired,
            Refusal::RateLimited { wait: Duration::from_millis(1_200) },
            Refusal::Unavailable,
            Refusal::Refused,
            Refusal::Unauthorised,
            Refusal::NotFound,
            Refusal::MethodNotAllowed,
        ];
        let mut codes = std::collections::BTreeSet::new();
        for refusal in all {
            let (status, body) = refusal.answer();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["status"], status.as_u16());
            assert_eq!(body["code"], refusal.code());
            assert!(codes.insert(refusal.code()), "{refusal:?}");
        }
    }

    #[test]
    fn retry_after_is_rounded_up() {
        let response = Refusal::RateLimited { wait: Duration::from_millis(1_200) }.into_response();
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(Refusal::RateLimited { wait: Duration::ZERO }.into_response().headers()["retry-after"], "1");
    }
}
