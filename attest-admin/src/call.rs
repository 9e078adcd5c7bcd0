//! One request, whole, as the operations read it; and what they answer.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    etag::{Expected, Version},
    problem::{Code, Problem},
    strict,
};

/// A request with its body in, from somebody whose token was taken.
pub(crate) struct Call {
    pub(crate) path: Vec<(String, String)>,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// A part of the path, by its name in the route.
    pub(crate) fn path(&self, name: &str) -> Result<&str, Problem> {
        let found = self.path.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).ok_or_else(|| Problem::new(Code::Internal))
    }

    /// The parameters after `?`.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        strict::query(&self.query)
    }

    /// The body.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(Code::UnsupportedMediaType).at("content-type"));
        }
        strict::body(&self.body)
    }

    /// What the caller believes the thing to be that is about to change.
    pub(crate) fn expected(&self) -> Result<Expected, Problem> {
        Expected::of(&self.headers)
    }
}

/// What an operation answers.
pub(crate) struct Reply {
    status: StatusCode,
    version: Option<Version>,
    body: Vec<u8>,
}

impl Reply {
    /// 200 with a document.
    pub(crate) fn ok(document: &impl Serialize) -> Result<Self, Problem> {
        Self::with(StatusCode::OK, document)
    }

    /// 201 with a document.
    pub(crate) fn created(document: &impl Serialize) -> Result<Self, Problem> {
        Self::with(StatusCode::CREATED, document)
    }

    /// 204.
    pub(crate) fn nothing() -> Self {
        Self { status: StatusCode::NO_CONTENT, version: None, body: Vec::new() }
    }

    fn with(status: StatusCode, document: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(document).map_err(|_| Problem::new(Code::Internal))?;
        Ok(Self { status, version: None, body })
    }

    /// With the `ETag` that an edit of it needs.
    pub(crate) fn at(self, version: Version) -> Self {
        Self { version: Some(version), ..self }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body.into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.status != StatusCode::NO_CONTENT {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(version) = self.version.and_then(|version| HeaderValue::from_str(&version.etag()).ok()) {
            headers.insert(header::ETAG, version);
        }
        response
    }
}
