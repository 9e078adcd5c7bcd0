//! The wire to the attestation service. Comes in: bytes to post. Goes out: one of the answers that the protocol
//! knows. Proven between: the service is who its certificate says; an answer is read to a bound; nothing follows
//! redirects.

use std::error::Error;
use std::time::Duration;

use reqwest::{Certificate, Client, Response, Url, redirect};
use zeroize::Zeroizing;

use crate::status::FetchError;

/// One service and the connections to it.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    client: Client,
    challenge: Url,
    attest: Url,
}

/// How the service is reached.
pub(crate) struct Reach {
    pub(crate) url: String,
    pub(crate) request_timeout: Duration,
    pub(crate) only_roots_pem: Option<Vec<u8>>,
    pub(crate) danger_plaintext: bool,
}

/// Why there can be no client for this address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadService {
    /// Not an `http` or `https` URL without query and fragment.
    #[error("not a service address: {0} (an example: https://attest.example.com/assay/v1)")]
    Url(String),
    /// Tokens over plain HTTP are for whoever listens; only loopback may do that.
    #[error("{0} is not https, and not on this machine")]
    Plaintext(String),
    /// The certificates handed in, or the system's, can't be used.
    #[error("trusted certificates: {0}")]
    Roots(String),
}

/// What came back, as far as the protocol goes on from it.
pub(crate) enum Answer {
    /// 200 and its body, which may hold a token.
    Good(Zeroizing<Vec<u8>>),
    /// 409 or 410: take a new challenge.
    Stale,
    /// Nothing whole came back. Whether the service read the request is not known.
    Lost(FetchError),
    /// It will be so next time as well (or `retry_after` from now).
    No(FetchError),
}

impl Service {
    /// Checks the address and builds the connection pool; nothing is sent.
    pub(crate) fn new(reach: &Reach) -> Result<Self, BadService> {
        let shown = shown(&reach.url);
        let url = Url::parse(&reach.url).map_err(|_| BadService::Url(shown.clone()))?;
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(BadService::Url(shown)),
        };
        let credentials = !url.username().is_empty() || url.password().is_some();
        if url.query().is_some() || url.fragment().is_some() || credentials {
            return Err(BadService::Url(shown));
        }
        let loopback = is_loopback(&url);
        if plain && !loopback && !reach.danger_plaintext {
            return Err(BadService::Plaintext(shown));
        }
        let base = url.as_str().trim_end_matches('/');
        let place = |name: &str| Url::parse(&format!("{base}/{name}")).map_err(|_| BadService::Url(shown.clone()));
        let (challenge, attest) = (place("challenge")?, place("attest")?);

        // reqwest's `rustls` brings aws-lc-rs and takes it unless the app installed another provider for the process;
        // the SDK itself never sets what is the process's own.
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT.min(reach.request_timeout))
            .timeout(reach.request_timeout)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("assay-sdk/", env!("CARGO_PKG_VERSION")));
        if loopback {
            builder = builder.no_proxy();
        }
        builder = match &reach.only_roots_pem {
            Some(pem) => {
                let roots = Certificate::from_pem_bundle(pem).map_err(|problem| BadService::Roots(chain(&problem)))?;
                if roots.is_empty() {
                    return Err(BadService::Roots("the PEM text holds no certificate".into()));
                }
                builder.tls_certs_only(roots)
            }
            // No TLS is spoken: a system without certificates must not be in the way.
            None if plain => builder.tls_certs_only([]),
            // There the system's roots are Java's, which the SDK does not call.
            None if cfg!(target_os = "android") => {
                return Err(BadService::Roots("on Android the app hands them in".into()));
            }
            None => builder,
        };
        let client = builder.build().map_err(|problem| BadService::Roots(chain(&problem)))?;
        Ok(Self { client, challenge, attest })
    }

    pub(crate) async fn challenge(&self) -> Answer {
        self.post(self.challenge.clone(), b"{}".to_vec()).await
    }

    pub(crate) async fn attest(&self, request: Vec<u8>) -> Answer {
        self.post(self.attest.clone(), request).await
    }

    async fn post(&self, url: Url, body: Vec<u8>) -> Answer {
        let request = self.client.post(url).header("content-type", "application/json").body(body);
        let response = match request.send().await {
            Ok(response) => response,
            Err(problem) => return failed(&problem),
        };
        let status = response.status().as_u16();
        let retry_after = retry_after(&response);
        match status {
            200 => match read(response).await {
                Ok(body) => Answer::Good(body),
                Err(answer) => answer,
            },
            409 | 410 => Answer::Stale,
            403 => Answer::No(FetchError::Rejected),
            429 => Answer::No(FetchError::Limited { retry_after }),
            503 => Answer::No(FetchError::Unavailable { retry_after }),
            // A proxy's own words for "the service behind me did not answer".
            502 | 504 => Answer::Lost(FetchError::Lost),
            status => Answer::No(FetchError::Protocol { status, what: "not an answer of an attestation service" }),
        }
    }
}

/// The body, to a bound: an answer is a token and two numbers.
async fn read(mut response: Response) -> Result<Zeroizing<Vec<u8>>, Answer> {
    let mut body = Zeroizing::new(Vec::new());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(Answer::No(FetchError::Protocol { status: 200, what: "longer than 32 KiB" })),
            Ok(None) => return Ok(body),
            Err(problem) => return Err(failed(&problem)),
        }
    }
}

/// RFC 9110 section 10.2.3, the seconds form; a date would ask the device's wall clock, which may be wrong.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn failed(problem: &reqwest::Error) -> Answer {
    if is_certificate(problem) {
        return Answer::No(FetchError::Certificate);
    }
    Answer::Lost(if problem.is_connect() { FetchError::Unreachable } else { FetchError::Lost })
}

/// Looks for a refused certificate among the causes. An `io::Error` hides its inner error from `source()`.
fn is_certificate(problem: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(problem);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref::<rustls::Error>() {
            return true;
        }
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

/// An address for people: without user, password, query and fragment, which may hold what nobody should read.
pub(crate) fn shown(address: &str) -> String {
    let (scheme, rest) = address.split_once("//").unwrap_or(("", address));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let host = rest.rsplit('@').next().unwrap_or_default();
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}//{host}") }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An error with its causes; reqwest's own words alone say only "builder error".
fn chain(problem: &reqwest::Error) -> String {
    let mut text = problem.to_string();
    let mut next = problem.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than the idle time-out of common servers, so that a connection is not reused as it is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_ANSWER: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(url: &str) -> Reach {
        Reach {
            url: url.to_owned(),
            request_timeout: Duration::from_secs(1),
            only_roots_pem: None,
            danger_plaintext: false,
        }
    }

    #[test]
    fn refuses_addresses_that_are_none() {
        for bad in ["", "attest.example.com", "ftp://x/", "https://a/?q=1", "https://a/#f", "https://me:pw@a/"] {
            assert!(matches!(Service::new(&reach(bad)).unwrap_err(), BadService::Url(_)), "{bad}");
        }
    }

    #[test]
    fn what_may_be_a_secret_in_an_address_is_not_repeated() {
        for bad in [
            "https://me:s3cret@a/",
            "https://s3cret@a/",
            "http://me:s3@cret@a/x",
            "https://a/?key=s3cret",
            "//:s3cret@",
        ] {
            let problem = Service::new(&reach(bad)).unwrap_err().to_string();
            assert!(!problem.contains("s3") && !problem.contains("cret"), "{problem}");
        }
        let printed = format!("{:?}", crate::Client::builder("https://me:s3cret@a/?k=s3cret", "a", "1"));
        assert!(printed.contains("https://") && !printed.contains("s3cret"), "{printed}");
    }

    #[test]
    fn refuses_plain_http_beyond_this_machine_unless_told() {
        let far = reach("http://10.0.0.1:8080/assay/v1");
        assert!(matches!(Service::new(&far).unwrap_err(), BadService::Plaintext(_)));
        assert!(Service::new(&Reach { danger_plaintext: true, ..far }).is_ok());
        assert!(matches!(Service::new(&reach("http://localhost.example.com/")).unwrap_err(), BadService::Plaintext(_)));
    }

    #[test]
    fn refuses_certificates_that_are_none() {
        let bad = Reach { only_roots_pem: Some(b"hello".to_vec()), ..reach("https://a/") };
        assert!(matches!(Service::new(&bad).unwrap_err(), BadService::Roots(_)));
    }

    #[test]
    fn takes_loopback_in_plain_and_a_base_path_with_or_without_its_slash() {
        for good in ["http://127.0.0.1:1/assay/v1", "http://[::1]:1/assay/v1/", "http://localhost/assay/v1"] {
            let service = Service::new(&reach(good)).unwrap();
            assert_eq!(service.challenge.path(), "/assay/v1/challenge", "{good}");
            assert_eq!(service.attest.path(), "/assay/v1/attest", "{good}");
        }
    }
}
