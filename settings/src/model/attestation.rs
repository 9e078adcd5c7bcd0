//! `attestation:` our own tokens: who issues them, what they carry, and for which apps.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use attest_core::token::{Algorithm, key_set::Concealment};

use super::{AppSettings, TlsFiles};

/// The attestation service, as this process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// Run here, or asked for key sets elsewhere.
    pub source: AttestationSource,
    /// What tokens say and for how long.
    pub token: TokenSettings,
    /// The apps that can be attested, by name.
    pub apps: BTreeMap<String, AppSettings>,
}

/// Whether the service runs from this file or elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttestationSource {
    /// `serve:` this file describes the service itself.
    Serve(ServeSettings),
    /// `remote:` another machine runs it; the gateway fetches signed key sets.
    Remote(RemoteSettings),
}

/// `serve:` the attestation service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeSettings {
    /// Host under which the gateway's public listener answers the API; absent: any host.
    pub host: Option<String>,
    /// Path prefix of the API, without a trailing slash. Default `/assay/v1`.
    pub path: String,
    /// Own listener; absent: the API is reached through the gateway only.
    pub address: Option<SocketAddr>,
    /// TLS of the own listener.
    pub tls: Option<TlsFiles>,
    /// Bearer token that remote gateways show to fetch key sets; absent: no remote gateway is served.
    pub gateway_token_file: Option<PathBuf>,
    /// The key-encryption key under which the service seals its own secrets.
    pub unlock: PathBuf,
    /// Answers leave at the next multiple of this after arrival. Default 25 ms.
    pub quantum: Duration,
    /// How long a challenge can be used. Default 60 s.
    pub challenge_life: Duration,
    /// Bounds on what clients can cost.
    pub limits: ServeLimits,
    /// `admin:` the admin API's own listener; absent: it is not served.
    pub admin: Option<AdminApi>,
    /// How long some gateway may use a key set that it can't renew: the largest `our_faults.key_sets.refuse_after` of the
    /// file, at least its default. A new key is published this long before it signs.
    pub keys_stale: Duration,
}

/// `serve.admin:` the listener of the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminApi {
    /// Where it listens; on loopback, unless there is TLS.
    pub address: SocketAddr,
    /// TLS of the listener.
    pub tls: Option<TlsFiles>,
}

/// Bounds of the service; every one is a number, none means "unlimited".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeLimits {
    /// Challenges and attestations per client address (IPv6: /64) and minute. Default 120.
    pub per_address_per_minute: NonZeroU32,
    /// Attestations appraised at once. Default 64.
    pub concurrency: NonZeroU32,
    /// Challenges open at once. Default 100 000.
    pub open_challenges: NonZeroU32,
}

/// `remote:` where key sets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSettings {
    /// Base URL of the API, `https` (or `http` on loopback), without a trailing slash.
    pub url: String,
    /// Bearer token shown to the service.
    pub gateway_token_file: PathBuf,
    /// The service's `feed.pub`: the key that signs key sets, pinned.
    pub feed_key_file: PathBuf,
    /// The pinned key itself.
    pub feed_key: FeedPin,
    /// Time between fetches of key sets. Default 10 s.
    pub refresh: Duration,
    /// Time between fetches of revocations. Default 2 s.
    pub revocations_every: Duration,
    /// Roots for the service's certificate; absent: the system's.
    pub ca_file: Option<PathBuf>,
}

/// The text of a pinned feed key, `ed25519:…`, proven to parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPin(pub(crate) String);

impl FeedPin {
    /// `ed25519:` and 43 characters of base64url.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `token:` what result tokens say and how long they live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// Name of the key set. Default `default`.
    pub key_set: String,
    /// `iss` of every token.
    pub issuer: String,
    /// `aud` of every token.
    pub audience: String,
    /// Life of a token, whole seconds. Default 5 minutes.
    pub lifetime: Duration,
    /// Tolerance of gateways for clocks that differ. Default 30 s.
    pub leeway: Duration,
    /// Signature algorithm. Default HS256.
    pub algorithm: Algorithm,
    /// How a failed app's token differs. Default decoy.
    pub concealment: Concealment,
    /// Which optional claims tokens carry.
    pub claims: TokenClaims,
}

/// Optional claims. None depends on whether the app passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenClaims {
    /// `app`. Default true.
    pub app: bool,
    /// `ver`. Default true.
    pub ver: bool,
    /// `ip`, the address that asked. Default false.
    pub ip: bool,
    /// `did`, the device's id in this key set. Default true.
    pub did: bool,
    /// `cnf`, the thumbprint of the device key. Default false.
    pub cnf: bool,
    /// `ipk`, the device key itself. Default false.
    pub ipk: bool,
}

impl Default for TokenClaims {
    fn default() -> Self {
        Self { app: true, ver: true, ip: false, did: true, cnf: false, ipk: false }
    }
}
