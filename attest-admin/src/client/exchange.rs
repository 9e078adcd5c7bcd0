//! One request, one answer.
//!
//! In: method, path, a body or query, and which state an edit means to change. Out: an answer of success, bounded in bytes and
//! time; the service's own problem; or that it is away, with the innermost cause.

use http::{HeaderMap, Method, StatusCode, header};
use reqwest::{Response, Url};
use serde::{Serialize, de::DeserializeOwned};

use super::{Client, ClientError};
use crate::{
    PREFIX,
    etag::{Expected, Version},
    problem::{Code, Problem},
};

/// Bytes of an answer.
const MAX_ANSWER: usize = 8 << 20;

impl Client {
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.ask(path, query).await?.json()
    }

    pub(super) async fn ask(&self, path: &[&str], query: &impl Serialize) -> Result<Answer, ClientError> {
        let mut url = self.url(path)?;
        let query = serde_urlencoded::to_string(query).unwrap_or_default();
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
        self.answer(self.http.get(url)).await
    }

    pub(super) async fn bare(
        &self,
        method: Method,
        path: &[&str],
        expected: Option<Expected>,
    ) -> Result<Answer, ClientError> {
        let request = self.http.request(method, self.url(path)?);
        self.answer(conditional(request, expected)).await
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
        expected: Option<Expected>,
    ) -> Result<Answer, ClientError> {
        let request = self.http.request(method, self.url(path)?).json(body);
        self.answer(conditional(request, expected)).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Answer, ClientError> {
        let response = request.send().await.map_err(|error| away(&self.base, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.body(response).await?;
        if status.is_success() {
            return Ok(Answer { at: self.base.clone(), headers, body });
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(problem.into()),
            Err(_) => Err(self.strange(status)),
        }
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| away(&self.base, &error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(ClientError::Away { at: self.base.to_string(), why: "its answer is too long".to_owned() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn strange(&self, status: StatusCode) -> ClientError {
        let why = format!("{status}, which is no answer of an admin API: is this its address?");
        ClientError::Away { at: self.base.to_string(), why }
    }

    /// A part of a path is a whole one: what a URL would read as another path names nothing.
    pub(super) fn url(&self, path: &[&str]) -> Result<Url, ClientError> {
        let mut url = self.base.clone();
        if path.iter().any(|part| matches!(*part, "" | "." | "..")) {
            return Err(Problem::new(Code::NotFound).into());
        }
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.clear().extend(PREFIX.split('/').filter(|part| !part.is_empty())).extend(path);
        }
        Ok(url)
    }
}

/// An answer of success.
pub(super) struct Answer {
    at: Url,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| self.unread(&error.to_string()))
    }

    pub(super) fn versioned<T: DeserializeOwned>(&self) -> Result<(T, Version), ClientError> {
        let tag = self.headers.get(header::ETAG).and_then(|tag| Version::parse(tag.to_str().ok()?));
        Ok((self.json()?, tag.ok_or_else(|| self.unread("it has no ETag"))?))
    }

    fn unread(&self, why: &str) -> ClientError {
        ClientError::Away { at: self.at.to_string(), why: format!("its answer can't be read: {why}") }
    }
}

fn conditional(request: reqwest::RequestBuilder, expected: Option<Expected>) -> reqwest::RequestBuilder {
    match expected.map(Expected::header) {
        Some((name, value)) => request.header(name, value),
        None => request,
    }
}

/// The innermost cause is the one that helps: "connection refused".
pub(super) fn away(base: &Url, error: &reqwest::Error) -> ClientError {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let why = causes.last().map_or_else(|| "the request failed".to_owned(), ToString::to_string);
    ClientError::Away { at: base.to_string(), why }
}
