//! The other end of the API, for the command line: the same types over HTTP.
//!
//! In: where the service is, a token, roots to trust. Out: typed answers, the service's own problems, or that it is away.
//! What is proven: the token goes over TLS or loopback only, to no redirect's target and through no proxy, and stands in
//! no error; an answer is bounded in bytes and time.

use std::{fmt, net::IpAddr, time::Duration};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Certificate, Response, Url, redirect};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{
    PREFIX,
    etag::{Expected, Version},
    problem::{Code, Problem},
    types::{
        AdminToken, App, AuditEntry, AuditReport, AuditVerify, Build, BuildQuery, Checkpoint, CreatedToken, Device,
        DeviceQuery, Enrol, KeySet, Lift, Mark, NewBuild, NewRevocation, NewTestToken, NewToken, Page, PageQuery,
        Reason, Registered, Retire, Retired, Revocation, Rotate, Rotation, SetBuild, Status, TestToken,
    },
};

/// Time for a whole answer; a verification of a long audit log takes its while.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer.
const MAX_ANSWER: usize = 8 << 20;

/// A client of one service.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The service's address can't be used.
    #[error("{url}: {why}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The token can't be sent.
    #[error("the token is no admin token: it has other characters than a header takes")]
    Token,
    /// The roots can't be used.
    #[error("the file of roots holds no certificate in PEM form")]
    Roots,
    /// The service said no.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The service did not answer, or not as one.
    #[error("the service at {at} did not answer: {why}")]
    Away {
        /// Where it was looked for.
        at: String,
        /// What the system says.
        why: String,
    },
}

impl Client {
    /// A client of the service at `url` (scheme, host, port), with the text of `token`.
    ///
    /// `roots`: PEM certificates to trust instead of the system's.
    ///
    /// # Errors
    /// `Url` for plain HTTP off loopback, or more than an origin; `Token`; `Roots`.
    pub fn new(url: &str, token: &Zeroizing<String>, roots: Option<&[u8]>) -> Result<Self, ClientError> {
        let base = origin(url)?;
        let text = Zeroizing::new(format!("Bearer {}", token.trim()));
        let mut bearer = HeaderValue::from_str(&text).map_err(|_| ClientError::Token)?;
        bearer.set_sensitive(true);
        let mut builder = reqwest::Client::builder()
            .default_headers(HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE);
        if let Some(roots) = roots {
            let roots = Certificate::from_pem_bundle(roots).map_err(|_| ClientError::Roots)?;
            if roots.is_empty() {
                return Err(ClientError::Roots);
            }
            builder = builder.tls_certs_only(roots);
        }
        let http = builder.build().map_err(|error| away(&base, &error))?;
        Ok(Self { http, base })
    }

    /// What the service says of itself and of the token.
    ///
    /// # Errors
    /// [`ClientError`], as for each of the following.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get(&["status"], &()).await
    }

    /// The apps.
    pub async fn apps(&self) -> Result<Page<App>, ClientError> {
        self.get(&["apps"], &()).await
    }

    /// The builds.
    pub async fn builds(&self, query: &BuildQuery) -> Result<Page<Build>, ClientError> {
        self.get(&["builds"], query).await
    }

    /// Vouches for a build.
    pub async fn register(&self, build: &NewBuild) -> Result<Registered, ClientError> {
        self.send(Method::POST, &["builds"], build, None).await?.json()
    }

    /// One build.
    pub async fn build(&self, number: &str) -> Result<(Build, Version), ClientError> {
        self.ask(&["builds", number], &()).await?.versioned()
    }

    /// Retires one build.
    pub async fn set_build(
        &self,
        number: &str,
        set: &SetBuild,
        expected: Expected,
    ) -> Result<(Build, Version), ClientError> {
        self.send(Method::PATCH, &["builds", number], set, Some(expected)).await?.versioned()
    }

    /// Retires a version of an app, or one build of it.
    pub async fn retire(&self, app: &str, retire: &Retire) -> Result<Retired, ClientError> {
        self.send(Method::POST, &["apps", app, "retire"], retire, None).await?.json()
    }

    /// The devices.
    pub async fn devices(&self, query: &DeviceQuery) -> Result<Page<Device>, ClientError> {
        self.get(&["devices"], query).await
    }

    /// One device.
    pub async fn device(&self, id: &str) -> Result<(Device, Version), ClientError> {
        self.ask(&["devices", id], &()).await?.versioned()
    }

    /// Decides of a device.
    pub async fn mark(&self, id: &str, mark: &Mark, expected: Expected) -> Result<(Device, Version), ClientError> {
        self.send(Method::PUT, &["devices", id, "mark"], mark, Some(expected)).await?.versioned()
    }

    /// Enrols a debug device.
    pub async fn enrol(&self, id: &str, enrol: &Enrol, expected: Expected) -> Result<(Device, Version), ClientError> {
        self.send(Method::PUT, &["devices", id, "enrolment"], enrol, Some(expected)).await?.versioned()
    }

    /// Ends an enrolment.
    pub async fn end_enrolment(
        &self,
        id: &str,
        why: &Reason,
        expected: Expected,
    ) -> Result<(Device, Version), ClientError> {
        self.send(Method::DELETE, &["devices", id, "enrolment"], why, Some(expected)).await?.versioned()
    }

    /// Forgets a device.
    pub async fn forget(&self, id: &str, expected: Expected) -> Result<(), ClientError> {
        self.bare(Method::DELETE, &["devices", id], Some(expected)).await.map(drop)
    }

    /// The key sets.
    pub async fn key_sets(&self) -> Result<Page<KeySet>, ClientError> {
        self.get(&["keysets"], &()).await
    }

    /// Lets the next key take over.
    pub async fn rotate(&self, name: &str, rotate: &Rotate) -> Result<Rotation, ClientError> {
        self.send(Method::POST, &["keysets", name, "rotate"], rotate, None).await?.json()
    }

    /// Retires a key at once.
    pub async fn retire_key(&self, name: &str, kid: &str) -> Result<Rotation, ClientError> {
        self.bare(Method::DELETE, &["keysets", name, "keys", kid], None).await?.json()
    }

    /// The revocations.
    pub async fn revocations(&self, query: &PageQuery) -> Result<Page<Revocation>, ClientError> {
        self.get(&["revocations"], query).await
    }

    /// Revokes.
    pub async fn revoke(&self, revocation: &NewRevocation) -> Result<(), ClientError> {
        self.send(Method::POST, &["revocations"], revocation, None).await.map(drop)
    }

    /// Takes a revocation back.
    pub async fn lift(&self, lift: &Lift) -> Result<(), ClientError> {
        self.send(Method::POST, &["revocations", "lift"], lift, None).await.map(drop)
    }

    /// The tokens of the API.
    pub async fn tokens(&self) -> Result<Page<AdminToken>, ClientError> {
        self.get(&["tokens"], &()).await
    }

    /// Makes a token.
    pub async fn create_token(&self, token: &NewToken) -> Result<CreatedToken, ClientError> {
        self.send(Method::POST, &["tokens"], token, None).await?.json()
    }

    /// Revokes a token.
    pub async fn revoke_token(&self, name: &str) -> Result<(), ClientError> {
        self.bare(Method::DELETE, &["tokens", name], None).await.map(drop)
    }

    /// Issues a test token.
    pub async fn test_token(&self, token: &NewTestToken) -> Result<TestToken, ClientError> {
        self.send(Method::POST, &["test-tokens"], token, None).await?.json()
    }

    /// The audit log.
    pub async fn audit(&self, query: &PageQuery) -> Result<Page<AuditEntry>, ClientError> {
        self.get(&["audit"], query).await
    }

    /// Verifies the audit log.
    pub async fn verify_audit(&self, verify: &AuditVerify) -> Result<AuditReport, ClientError> {
        self.send(Method::POST, &["audit", "verify"], verify, None).await?.json()
    }

    /// A checkpoint of the audit log.
    pub async fn checkpoint(&self) -> Result<Checkpoint, ClientError> {
        self.get(&["audit", "checkpoint"], &()).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &impl Serialize) -> Result<T, ClientError> {
        self.ask(path, query).await?.json()
    }

    async fn ask(&self, path: &[&str], query: &impl Serialize) -> Result<Answer, ClientError> {
        let mut url = self.url(path)?;
        let query = serde_urlencoded::to_string(query).unwrap_or_default();
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
        self.answer(self.http.get(url)).await
    }

    async fn bare(&self, method: Method, path: &[&str], expected: Option<Expected>) -> Result<Answer, ClientError> {
        let request = self.http.request(method, self.url(path)?);
        self.answer(conditional(request, expected)).await
    }

    async fn send(
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
    fn url(&self, path: &[&str]) -> Result<Url, ClientError> {
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

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// An answer of success.
struct Answer {
    at: Url,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| self.unread(&error.to_string()))
    }

    fn versioned<T: DeserializeOwned>(&self) -> Result<(T, Version), ClientError> {
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
fn away(base: &Url, error: &reqwest::Error) -> ClientError {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let why = causes.last().map_or_else(|| "the request failed".to_owned(), ToString::to_string);
    ClientError::Away { at: base.to_string(), why }
}

/// Scheme, host and port of a service.
fn origin(text: &str) -> Result<Url, ClientError> {
    let wrong = |why| ClientError::Url { url: text.to_owned(), why };
    // What is wrong may be a token in the wrong place: only whole URLs are repeated.
    let url = Url::parse(text)
        .map_err(|_| ClientError::Url { url: "the URL".to_owned(), why: "it is none: write https://host:port" })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ClientError::Url {
            url: "the URL".to_owned(),
            why: "it holds a name or password: tokens come from a file",
        });
    }
    let host = url.host_str().ok_or_else(|| wrong("no host"))?;
    let loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return Err(wrong("plain http is for loopback only; use https")),
        _ => return Err(wrong("neither https nor http")),
    }
    let path = url.path().trim_end_matches('/');
    if !(path.is_empty() || path == PREFIX) || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("only scheme, host and port"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_nowhere_in_the_clear() {
        for bad in [
            "http://admin.example.com",
            "http://192.0.2.1:9443",
            "ftp://localhost",
            "admin.example.com:9443",
            "https://anna:secret@admin.example.com",
            "https://admin.example.com/other",
            "https://admin.example.com/?a=b",
            "https://",
        ] {
            let refused = origin(bad).unwrap_err().to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
        for good in [
            "https://admin.example.com",
            "https://a:9443/admin/v1/",
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "http://localhost:1",
        ] {
            assert!(origin(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_name_stays_one_part_of_the_path() {
        attest_core::install_crypto();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::new("http://127.0.0.1:1", &Zeroizing::new("t".to_owned()), None).unwrap();
        for name in ["..", ".", ""] {
            assert!(client.url(&["tokens", name]).is_err(), "{name:?}");
        }
        assert_eq!(client.url(&["tokens", "a/../b?c#d"]).unwrap().path(), "/admin/v1/tokens/a%2F..%2Fb%3Fc%23d");
        assert!(!format!("{client:?}").contains("Bearer"));
    }

    #[test]
    fn roots_that_are_none_and_tokens_that_no_header_takes_are_refused() {
        let token = Zeroizing::new("t".to_owned());
        assert!(matches!(Client::new("https://a", &token, Some(b"nothing")), Err(ClientError::Roots)));
        let broken = Zeroizing::new("a\nb".to_owned());
        assert!(matches!(Client::new("https://a", &broken, None), Err(ClientError::Token)));
    }
}
