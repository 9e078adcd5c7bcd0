//! The attestation service on another machine, asked over HTTPS.
//!
//! In: where it is and who we are. Out: documents of a bounded size, whose signature nobody has checked yet.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use attest_core::feed::{FEED_FORMAT_HEADER, FeedPublicKey, GatewayFacts, MAX_DOCUMENT_BYTES, SignedDocument};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use outbound::{AddressRules, Client, Dialer, Request, Response, Tls, Url};
use settings::RemoteSettings;
use zeroize::Zeroizing;

use super::source::{FetchKeySets, FetchRevocations, Fetched};

/// Time for a whole fetch.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a remote service can't be asked at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// A file it needs.
    #[error("attestation.remote: {}: {why}", path.display())]
    File { path: PathBuf, why: String },
    /// The client can't be built.
    #[error("attestation.remote: {0}")]
    Client(String),
}

/// The service on another machine.
pub(crate) struct Remote {
    client: Client,
    base: String,
    authorization: HeaderValue,
    pinned: FeedPublicKey,
}

impl Remote {
    /// A client for the service. Reads the files, connects to nothing yet.
    pub(crate) fn new(settings: &RemoteSettings) -> Result<Self, RemoteError> {
        let unreadable = |path: &PathBuf, why: String| RemoteError::File { path: path.clone(), why };
        let token = &settings.gateway_token_file;
        let bearer =
            std::fs::read_to_string(token).map(Zeroizing::new).map_err(|why| unreadable(token, why.to_string()))?;
        let bearer = Zeroizing::new(["Bearer ", bearer.trim_end()].concat());
        let mut authorization =
            HeaderValue::from_str(&bearer).map_err(|_| unreadable(token, "it holds more than a token".to_owned()))?;
        authorization.set_sensitive(true);
        let pinned = FeedPublicKey::parse(settings.feed_key.as_str())
            .map_err(|why| unreadable(&settings.feed_key_file, why.to_string()))?;
        let tls = match &settings.ca_file {
            Some(path) => {
                let pem = std::fs::read(path).map_err(|why| unreadable(path, why.to_string()))?;
                Tls::pem(&pem).map_err(|why| unreadable(path, why.to_string()))?
            }
            None => Tls::public().map_err(|why| RemoteError::Client(why.to_string()))?,
        };
        // A service may well be in a private network: its certificate and the pinned key say who it is.
        let client = Client::new(Dialer::system(), AddressRules::any_private(), tls).answers_up_to(MAX_DOCUMENT_BYTES);
        Ok(Self { client, base: settings.url.clone(), authorization, pinned })
    }

    async fn ask(&self, what: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        // A service that does not know the header answers in the older format, which is read too.
        let format = (HeaderName::from_static(FEED_FORMAT_HEADER), HeaderValue::from_static("2"));
        let answer = self.send(Method::GET, what, format, Zeroizing::default()).await?;
        Ok(answer.body)
    }

    async fn send(
        &self,
        method: Method,
        what: &str,
        header: (HeaderName, HeaderValue),
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Response, String> {
        let url = Url::parse(&format!("{}/gateway/{what}", self.base)).map_err(|why| why.to_string())?;
        let headers = HeaderMap::from_iter([header, (AUTHORIZATION, self.authorization.clone())]);
        let answer = self.client.send(Request { method, url, headers, body }, PATIENCE).await;
        let answer = answer.map_err(|why| why.to_string())?;
        good(answer.status.as_u16())?;
        Ok(answer)
    }
}

fn good(status: u16) -> Result<(), String> {
    match status {
        200..=299 => Ok(()),
        401 => Err("the service answered 401: gateway_token_file is not the one that it has".to_owned()),
        404 => Err("the service answered 404: attestation.remote.url is not its API".to_owned()),
        status => Err(format!("the service answered {status}")),
    }
}

#[async_trait]
impl FetchKeySets for Remote {
    async fn fetch(&self) -> Result<Fetched, String> {
        let text = self.ask("keysets").await?;
        let document = SignedDocument::parse(&text).map_err(|why| why.to_string())?;
        Ok(Fetched { document, pinned: self.pinned.clone() })
    }
}

#[async_trait]
impl FetchRevocations for Remote {
    async fn fetch(&self, after: u64) -> Result<Fetched, String> {
        let text = self.ask(&format!("revocations?after={after}")).await?;
        let document = SignedDocument::parse(&text).map_err(|why| why.to_string())?;
        Ok(Fetched { document, pinned: self.pinned.clone() })
    }

    fn pinned(&self) -> FeedPublicKey {
        self.pinned.clone()
    }

    async fn report(&self, facts: &GatewayFacts) -> Result<(), String> {
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let facts = Zeroizing::new(facts.to_json().into());
        self.send(Method::POST, "report", json, facts).await.map(drop)
    }
}
