//! Tokens that are minted with a key: OAuth2 client credentials and JWT grants.
//!
//! In comes a key that was opened for a request; out goes a token that is good now, with the guard that finds it in answers.
//! However many requests ask, one asks the token endpoint; it is the one that the key is bound to, dialled under the address
//! rules and the roots of the upstream that the key is for.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use attest_core::random::SystemRandom;
use attest_core::time::{Clock, UnixTime};
use http::{HeaderMap, Method};
use keystore::{Guard, Minter, Trust, VersionId};
use outbound::{AddressRules, Client, Dialer, Fresh, MintError, Minted, Place, Request, Tls, Url};
use recipes::{MintedToken, TokenRequest};
use settings::UpstreamSettings;

use crate::telemetry::metrics::{Metrics, MintLabels};

/// Time for one question to a token endpoint.
const PATIENCE: Duration = Duration::from_secs(10);

/// The tokens of all keys. One for the life of the process.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Minted<VersionId, Token>);

/// A token, and what finds it and its key in answers.
pub(crate) struct Token {
    /// As it goes into requests.
    pub token: MintedToken,
    /// Of the key, and of this token.
    pub guard: Arc<Guard>,
}

/// A key that was opened, and waits for its token.
pub(crate) struct ToMint {
    /// Which version it is.
    pub id: VersionId,
    /// Asks for it.
    pub minter: Minter,
    /// Of the key.
    pub guard: Arc<Guard>,
    /// The key's name.
    pub key: Arc<str>,
}

/// How token endpoints are reached for one upstream.
pub(crate) struct TokenPlace {
    rules: AddressRules,
    roots: Option<PathBuf>,
    trust: Trust,
    client: OnceLock<Client>,
}

impl Tokens {
    /// The token that is good at `now`, waited for no longer than `patience`.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn get(
        &self,
        to_mint: &ToMint,
        place: &Arc<TokenPlace>,
        clock: &Arc<dyn Clock>,
        patience: Duration,
        metrics: &Metrics,
    ) -> Result<Arc<Token>, MintError> {
        let mint = || {
            let (minter, guard, key) = (to_mint.minter.clone(), to_mint.guard.clone(), to_mint.key.clone());
            let (place, clock, mints) = (place.clone(), clock.clone(), metrics.token_mints.clone());
            async move {
                let minted = mint(&minter, &guard, &place, &*clock).await;
                let outcome = if minted.is_ok() { "minted" } else { "failed" };
                mints.get_or_create(&MintLabels { key: key.clone(), outcome }).inc();
                if let Err(why) = &minted {
                    // Once for each question, however many requests wait for its answer.
                    tracing::warn!(key = %key, "no token was minted: {why}");
                }
                minted
            }
        };
        self.0.get(&to_mint.id, clock.now(), patience, mint).await
    }

    /// Forgets those of versions that are in no store any more.
    pub(crate) fn keep(&self, versions: &HashSet<VersionId>) {
        self.0.retain(|version| versions.contains(version));
    }

    /// The API refused this one: the next request gets another, once a minute.
    pub(crate) fn reject(&self, id: &VersionId, token: &Arc<Token>, now: UnixTime) {
        self.0.reject(id, token, now);
    }
}

async fn mint(
    minter: &Minter,
    guard: &Arc<Guard>,
    place: &TokenPlace,
    clock: &dyn Clock,
) -> Result<Fresh<Token>, String> {
    let request = minter.request(place.trust, clock.now(), &SystemRandom).map_err(|why| why.to_string())?;
    let answer = place.client()?.send(on_its_way(request)?, PATIENCE).await.map_err(|why| why.to_string())?;
    let token = minter.read(answer.status.as_u16(), &answer.body, clock.now()).map_err(|why| why.to_string())?;
    // One that is too short to be looked for can't be guarded, and so not used.
    let guard = guard.with(&[token.value()]).map_err(|_| "its token has under 16 bytes".to_owned())?;
    Ok(Fresh { expires_at: token.expires_at(), value: Token { token, guard } })
}

fn on_its_way(request: TokenRequest) -> Result<Request, String> {
    let TokenRequest { endpoint, headers, body } = request;
    let place = Place::new(endpoint.scheme(), endpoint.host(), endpoint.port()).map_err(|why| why.to_string())?;
    let target = endpoint.path().parse().map_err(|_| "its path is none".to_owned())?;
    let headers: HeaderMap = headers.into_iter().collect();
    Ok(Request { method: Method::POST, url: Url { place, target }, headers, body })
}

impl TokenPlace {
    /// For keys that are used at this upstream.
    pub(crate) fn beside(upstream: &UpstreamSettings) -> Arc<Self> {
        Arc::new(Self {
            rules: AddressRules::listed(&upstream.private_addresses),
            roots: upstream.ca_file.clone(),
            trust: upstream.trust,
            client: OnceLock::new(),
        })
    }

    fn client(&self) -> Result<&Client, String> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let tls = match &self.roots {
            None => public_roots()?,
            Some(path) => {
                let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
                let pem = std::fs::read(path).map_err(|why| told(&why))?;
                if Trust::in_private_roots(&pem) != self.trust {
                    return Err(told(&"it changed since the configuration was read"));
                }
                Tls::pem(&pem).map_err(|why| told(&why))?
            }
        };
        Ok(self.client.get_or_init(|| Client::new(Dialer::system(), self.rules.clone(), tls)))
    }
}

/// Read once: there are some hundred.
fn public_roots() -> Result<Tls, String> {
    static PUBLIC: OnceLock<Tls> = OnceLock::new();
    if let Some(tls) = PUBLIC.get() {
        return Ok(tls.clone());
    }
    let tls = Tls::public().map_err(|why| why.to_string())?;
    Ok(PUBLIC.get_or_init(|| tls).clone())
}
