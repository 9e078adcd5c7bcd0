//! The attestation service on another machine, asked over HTTPS.
//!
//! In: where it is and who we are. Out: documents of a bounded size, whose signature nobody has checked yet.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use attest_core::feed::{FEED_FORMAT_HEADER, FeedPublicKey, GatewayFacts, MAX_DOCUMENT_BYTES, SignedDocument};
use http::header::CONTENT_TYPE;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use settings::RemoteSettings;
use zeroize::Zeroizing;

use super::source::{FetchKeySets, FetchRevocations, Fetched};
use crate::upstream::address;

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
    client: reqwest::Client,
    base: String,
    bearer: Zeroizing<String>,
    pinned: FeedPublicKey,
}

impl Remote {
    /// A client for the service. Reads the files, connects to nothing yet.
    pub(crate) fn new(settings: &RemoteSettings) -> Result<Self, RemoteError> {
        let text = |path: &PathBuf| {
            std::fs::read_to_string(path)
                .map(|text| Zeroizing::new(text.trim_end().to_owned()))
                .map_err(|why| RemoteError::File { path: path.clone(), why: why.to_string() })
        };
        let bearer = text(&settings.gateway_token_file)?;
        let pinned = FeedPublicKey::parse(settings.feed_key.as_str())
            .map_err(|why| RemoteError::File { path: settings.feed_key_file.clone(), why: why.to_string() })?;
        let mut client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(NoMetadata));
        if let Some(path) = &settings.ca_file {
            let problem = |why: String| RemoteError::File { path: path.clone(), why };
            let pem = std::fs::read(path).map_err(|why| problem(why.to_string()))?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(|why| problem(why.to_string()))?;
            client = client.tls_certs_only(roots);
        }
        let client = client.build().map_err(|why| RemoteError::Client(why.to_string()))?;
        Ok(Self { client, base: settings.url.clone(), bearer, pinned })
    }

    async fn ask(&self, what: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, String> {
        // A service that does not know the header answers in the older format, which is read too.
        let request = self.client.get(self.url(what)).header(FEED_FORMAT_HEADER, "2");
        let mut response = request.bearer_auth(&*self.bearer).send().await.map_err(told)?;
        good(response.status().as_u16())?;
        let mut document = Zeroizing::new(Vec::new());
        while let Some(piece) = response.chunk().await.map_err(told)? {
            if document.len() + piece.len() > most {
                return Err(format!("it is larger than {most} bytes"));
            }
            document.extend_from_slice(&piece);
        }
        Ok(document)
    }

    fn url(&self, what: &str) -> String {
        format!("{}/gateway/{what}", self.base)
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

/// The innermost cause is the one that helps, such as `Connection refused`.
fn told(why: reqwest::Error) -> String {
    let why = why.without_url();
    let causes = std::iter::successors(std::error::Error::source(&why), |cause| cause.source());
    causes.last().map_or_else(|| why.to_string(), ToString::to_string)
}

#[async_trait]
impl FetchKeySets for Remote {
    async fn fetch(&self) -> Result<Fetched, String> {
        let text = self.ask("keysets", MAX_DOCUMENT_BYTES).await?;
        let document = SignedDocument::parse(&text).map_err(|why| why.to_string())?;
        Ok(Fetched { document, pinned: self.pinned.clone() })
    }
}

#[async_trait]
impl FetchRevocations for Remote {
    async fn fetch(&self, after: u64) -> Result<Fetched, String> {
        let text = self.ask(&format!("revocations?after={after}"), MAX_DOCUMENT_BYTES).await?;
        let document = SignedDocument::parse(&text).map_err(|why| why.to_string())?;
        Ok(Fetched { document, pinned: self.pinned.clone() })
    }

    fn pinned(&self) -> FeedPublicKey {
        self.pinned.clone()
    }

    async fn report(&self, facts: &GatewayFacts) -> Result<(), String> {
        let request =
            self.client.post(self.url("report")).header(CONTENT_TYPE, "application/json").body(facts.to_json());
        let response = request.bearer_auth(&*self.bearer).send().await.map_err(told)?;
        good(response.status().as_u16())
    }
}

/// Resolves names as the system does and drops metadata services. A service may well be in a private
/// network: its certificate and the pinned key say who it is.
#[derive(Debug)]
pub(crate) struct NoMetadata;

impl Resolve for NoMetadata {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let usable: Vec<SocketAddr> =
                found.filter(|found| !address::is_metadata(address::unwrapped(found.ip()))).collect();
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}
