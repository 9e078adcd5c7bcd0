//! The service's key sets, fetched as a gateway fetches them: with the gateway's token, against the pinned feed key.
//!
//! In: `attestation.remote` of the configuration. Out: a document whose signature was checked.

use crate::output::Stop;
use attest_core::feed::{FeedPublicKey, KeySetDocument, SignedDocument};
use settings::RemoteSettings;
use std::time::Duration;

/// Fetches once.
pub(crate) async fn fetch(remote: &RemoteSettings) -> Result<KeySetDocument, Stop> {
    let token = std::fs::read_to_string(&remote.gateway_token_file)
        .map_err(|e| Stop::usage(format!("{}: {e}", remote.gateway_token_file.display())))?;
    fetch_from(&remote.url, token.trim(), remote.feed_key.as_str()).await
}

/// Fetches once, from `base`.
pub(crate) async fn fetch_from(base: &str, token: &str, pinned: &str) -> Result<KeySetDocument, Stop> {
    let unknown =
        |e: reqwest::Error| Stop::unknown(format!("the attestation service did not answer: {}", e.without_url()));
    let pinned = FeedPublicKey::parse(pinned).map_err(|e| Stop::no(format!("the pinned feed key: {e}")))?;
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().map_err(unknown)?;
    let answer = client.get(format!("{base}/gateway/keysets")).bearer_auth(token).send().await.map_err(unknown)?;
    if !answer.status().is_success() {
        return Err(Stop::unknown(format!("the attestation service answered {}", answer.status())));
    }
    let body = answer.bytes().await.map_err(unknown)?;
    let signed = SignedDocument::parse(&body).map_err(|e| Stop::no(e.to_string()))?;
    let payload = pinned.verify(&signed).map_err(|e| Stop::no(e.to_string()))?;
    KeySetDocument::parse(&payload).map_err(|e| Stop::no(e.to_string()))
}
