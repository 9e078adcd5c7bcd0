//! In: the checked configuration. Out: the part of it that the service needs, in one value; and of two such values, what
//! a running service can't take over. What is proven: this process is the one that serves, and the API's path is one that
//! can be routed.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use settings::{
    AdminApi, AppSettings, AttestationSource, ServeLimits, Settings, StateSettings, TlsFiles, TokenSettings,
};

/// What the service needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Where the admin API listens; absent: it is not served.
    pub admin: Option<AdminApi>,
    /// The folder of the database and of `feed.pub`, the database where it is another one, the store that replicas share.
    pub state: StateSettings,
    /// File of the key under which the service seals its own secrets.
    pub unlock: PathBuf,
    /// File of the bearer token that remote gateways show; absent: none is served.
    pub gateway_token_file: Option<PathBuf>,
    /// How long gateways may go on with the key sets they have: a key is published for as long before it signs.
    pub keys_stale: Duration,
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

/// A change that a running service can't take over.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("{setting} changed: it holds from the next start on; the service goes on with what it has")]
pub struct NeedsRestart {
    /// The setting, as it stands in the configuration file.
    pub setting: &'static str,
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
            admin: serve.admin.clone(),
            state: settings.state.clone(),
            unlock: serve.unlock.clone(),
            gateway_token_file: serve.gateway_token_file.clone(),
            keys_stale: serve.keys_stale,
            quantum: serve.quantum,
            challenge_life: serve.challenge_life,
            limits: serve.limits,
            token: attestation.token.clone(),
            apps: attestation.apps.clone(),
            explain,
        })
    }

    /// Whether a service that runs with `self` can go on with `new`: apps, Evidence policies and limits may differ.
    ///
    /// # Errors
    /// The first setting that may not, and does.
    pub(crate) fn can_become(&self, new: &Self) -> Result<(), NeedsRestart> {
        let fixed = [
            ("attestation.serve.address", self.address == new.address),
            ("attestation.serve.tls", self.tls == new.tls),
            ("listeners.public", self.gateway_beside == new.gateway_beside),
            ("attestation.serve.path", self.path == new.path),
            ("attestation.serve.admin", self.admin == new.admin),
            ("state", self.state == new.state),
            ("attestation.serve.unlock", self.unlock == new.unlock),
            ("attestation.serve.gateway_token_file", self.gateway_token_file == new.gateway_token_file),
            ("our_faults.key_sets.refuse_after", self.keys_stale == new.keys_stale),
            ("attestation.serve.quantum", self.quantum == new.quantum),
            ("attestation.serve.challenge_life", self.challenge_life == new.challenge_life),
            ("attestation.token", self.token == new.token),
            ("--dev", self.explain == new.explain),
        ];
        fixed.into_iter().find(|(_, same)| !same).map_or(Ok(()), |(setting, _)| Err(NeedsRestart { setting }))
    }
}
