//! The other end of the API, for the command line: the same types over HTTP.
//!
//! In: where the service is, a token, roots to trust. Out: typed answers, the service's own problems, or that it is away.
//! What is proven: the token goes over TLS or loopback only, to no redirect's target and through no proxy, and stands in
//! no error; an answer is bounded in bytes and time.

use std::{fmt, net::IpAddr, time::Duration};

use http::{HeaderMap, HeaderValue, header};
use reqwest::{Certificate, Url, redirect};
use zeroize::Zeroizing;

use crate::{PREFIX, problem::Problem};
use exchange::away;

mod exchange;
mod operations;

/// Time for a whole answer; a verification of a long audit log takes its while.
const PATIENCE: Duration = Duration::from_secs(60);

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
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
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
