//! In: why an operation was not done. Out: problem details (RFC 9457) with a stable code and, where one member of the
//! request is at fault, its name. What is proven: every refusal of this API has its row in the one table below, and none
//! repeats what the caller sent but names of things.

use std::{fmt, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong, in one word that programs may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Code {
    /// The request can't be understood; `field` names the member.
    Invalid,
    /// The token is absent, unknown, over or revoked.
    Unauthorised,
    /// The token's role or apps don't reach this.
    Forbidden,
    /// There is no such thing, or none that this token may see.
    NotFound,
    /// The path is served, the method is not.
    MethodNotAllowed,
    /// What is there forbids it.
    Conflict,
    /// The thing has changed since its `ETag` was read.
    PreconditionFailed,
    /// An edit needs `If-Match` (or `If-None-Match: *` for what is not there yet).
    PreconditionRequired,
    /// The body is over 64 KiB.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// Too many wrong tokens from this address.
    RateLimited,
    /// Our fault: the database is away, the disk full, or too much is going on.
    Unavailable,
    /// Our fault, and not one that waiting mends.
    Internal,
    /// A code that this client is too old to know.
    #[serde(other)]
    Other,
}

impl Code {
    /// Status and title.
    #[deny(clippy::wildcard_enum_match_arm)] // a new code needs a row
    const fn row(self) -> (u16, &'static str) {
        match self {
            Self::Invalid => (400, "The request can't be understood"),
            Self::Unauthorised => (401, "A valid admin token is needed"),
            Self::Forbidden => (403, "This token may not do that"),
            Self::NotFound => (404, "There is no such thing"),
            Self::MethodNotAllowed => (405, "This method is not served here"),
            Self::Conflict => (409, "What is there forbids it"),
            Self::PreconditionFailed => (412, "It has changed since you read it"),
            Self::PreconditionRequired => (428, "Say which state you mean to change"),
            Self::TooLarge => (413, "The body is too large"),
            Self::TooSlow => (408, "The body did not arrive in time"),
            Self::UnsupportedMediaType => (415, "The body has to be application/json"),
            Self::RateLimited => (429, "Too many wrong tokens"),
            Self::Unavailable => (503, "It can't be done now"),
            Self::Internal | Self::Other => (500, "Something is wrong on our side"),
        }
    }

    /// The word itself.
    #[must_use]
    #[deny(clippy::wildcard_enum_match_arm)]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthorised => "unauthorised",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::PreconditionFailed => "precondition_failed",
            Self::PreconditionRequired => "precondition_required",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::Other => "other",
        }
    }
}

/// Problem details, RFC 9457, as this API answers every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a sentence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: Code,
    /// What is wrong this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The member, parameter or header at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Seconds until it is worth trying again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(code: Code) -> Self {
        let (status, title) = code.row();
        Self {
            kind: format!("https://assay.dev/problems/{}", code.as_str()),
            title: title.to_owned(),
            status,
            code,
            detail: None,
            field: None,
            retry_after: (code == Code::Unavailable).then_some(1),
        }
    }

    /// The request can't be understood, because of `field`.
    #[must_use]
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: Some(field.into()), detail: Some(detail.into()), ..Self::new(Code::Invalid) }
    }

    /// There is no such `what`.
    #[must_use]
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(Code::NotFound).because(what)
    }

    /// What is there forbids it.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(Code::Conflict).because(detail)
    }

    /// The token does not reach this.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Code::Forbidden).because(detail)
    }

    /// What is wrong this time.
    #[must_use]
    pub fn because(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Which member is at fault.
    #[must_use]
    pub fn at(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// When it is worth trying again; at least a second, rounded up.
    #[must_use]
    pub(crate) fn after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
        Self { retry_after: Some(seconds), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.detail.as_deref().unwrap_or(&self.title);
        // Some sentences begin with it themselves.
        if let Some(field) = self.field.as_ref().filter(|field| !said.starts_with(field.as_str())) {
            write!(out, "{field}: ")?;
        }
        out.write_str(said)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(body.into());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self.code {
            Code::Unauthorised => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"assay-admin\""));
            }
            // What is left of the body is not read: the connection can't carry another request.
            Code::TooLarge | Code::TooSlow => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_on_the_wire_what_it_says_here() {
        let problem = Problem::invalid("until", "lies in the past");
        let read: serde_json::Value = serde_json::to_value(&problem).unwrap();
        assert_eq!(read["code"], "invalid");
        assert_eq!((read["status"].as_u64(), read["field"].as_str()), (Some(400), Some("until")));
        assert_eq!(serde_json::from_value::<Problem>(read).unwrap(), problem);
    }

    #[test]
    fn a_code_from_the_future_is_no_reason_to_fail() {
        let mut read = serde_json::to_value(Problem::new(Code::Conflict)).unwrap();
        read["code"] = "something_new".into();
        assert_eq!(serde_json::from_value::<Problem>(read).unwrap().code, Code::Other);
    }

    #[test]
    fn waiting_is_told_in_whole_seconds() {
        let problem = Problem::new(Code::RateLimited).after(Duration::from_millis(1_200));
        assert_eq!(problem.into_response().headers()["retry-after"], "2");
    }
}
