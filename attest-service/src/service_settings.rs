//! In: the checked configuration. Out: the part of it that the service needs, in one value. What is proven: this process
//! is the one that serves, and the API's path is one that can be routed.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use settings::{AppSettings, AttestationSource, ServeLimits, Settings, TlsFiles, TokenSettings};

/// What the service needs to know.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// Where to listen; port 0 lets the system choose.
    pub address: SocketAddr,
    /// TLS of the listener; absent: plaintext.
    pub tls: Option<TlsFiles>,
    /// Whether a gateway in this process forwards to the service. Beside a listener with TLS it then gets a plaintext one
    /// of its own, on a free loopback port.
    pub gateway_beside: bool,
    /// Path prefix of the API, without a trailing slash.
    pub path: String,
    /// The folder of the database and of `feed.pub`.
    pub state_dir: PathBuf,
    /// File of the key under which the service seals its own secrets.
    pub unlock: PathBuf,
    /// File of the bearer token that remote gateways show; absent: none is served.
    pub gateway_token_file: Option<PathBuf>,
    /// Answers leave at the next multiple of this after arrival.
    pub quantum: Duration,
    /// How long a challenge can be used.
    pub challenge_life: Duration,
    /// What clients can cost.
    pub limits: ServeLimits,
    /// What tokens say.
    pub token: TokenSettings,
    /// The apps that can be attested.
    pub apps: BTreeMap<String, AppSettings>,
    /// `--dev`: log each appraisal in a sentence too.
    pub explain: bool,
}

impl ServiceSettings {
    /// The service's part of `settings`; nothing where it runs elsewhere or is not configured. Without an address of its
    /// own it listens on a free loopback port, for the gateway in the same process.
    #[must_use]
    pub fn of(settings: &Settings, explain: bool) -> Option<Self> {
        let attestation = settings.attestation.as_ref()?;
        let AttestationSource::Serve(serve) = &attestation.source else { return None };
        Some(Self {
            address: serve.address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            tls: serve.tls.clone(),
            gateway_beside: settings.listeners.public.is_some(),
            path: serve.path.clone(),
            state_dir: settings.state.dir.clone(),
            unlock: serve.unlock.clone(),
            gateway_token_file: serve.gateway_token_file.clone(),
            quantum: serve.quantum,
            challenge_life: serve.challenge_life,
            limits: serve.limits,
            token: attestation.token.clone(),
            apps: attestation.apps.clone(),
            explain,
        })
    }
}
