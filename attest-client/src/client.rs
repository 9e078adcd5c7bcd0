//! The client an app holds. Comes in: who the app is and where its service is. Goes out: tokens.
//! Proven between: the address may be used and the names can travel; nothing is sent before the first fetch.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use attest_core::random::{Random, SystemRandom};
use attest_core::reference::Platform;
use attest_core::token::binding::{BindingStyle, binding_hash};

use crate::attester::{Attester, BadIdentity};
use crate::blocking;
use crate::cache::{Binding, Cache};
use crate::clock::{Elapsed, SinceBoot};
use crate::device_key::{DeviceKey, DeviceKeyError, SoftwareKey};
use crate::evidence::EvidenceProvider;
use crate::fetch::Fetch;
use crate::reaction::{self, Reaction};
use crate::retry::Retry;
use crate::service::{BadService, Reach, Service};
use crate::status::{FetchError, Status};
use crate::token::Token;

/// Fetches tokens and keeps them. Cheap to clone; clones share tokens and connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    fetch: Fetch,
    cache: Cache,
    refused: Mutex<Option<Duration>>,
}

impl Client {
    /// A client of the service at `service_url` (`https://attest.example.com/assay/v1`), for the app and version that
    /// were registered there.
    #[must_use]
    pub fn builder(service_url: impl Into<String>, app: impl Into<String>, version: impl Into<String>) -> Builder {
        Builder::new(service_url.into(), app.into(), version.into())
    }

    /// A token: the one in hand through the first four fifths of its life, then a new one.
    ///
    /// Callers who come at the same time share one fetch; a caller who stops waiting does not end it. While the
    /// service cannot be had, the token in hand is given out beyond its life, and [`Token::status`] says so.
    /// A token does not say that the app passed: that is between the service and the gateway.
    ///
    /// # Errors
    /// [`FetchError`]; [`FetchError::status`] has it in a word. Needs a Tokio runtime with time and I/O.
    pub async fn fetch_token(&self) -> Result<Token, FetchError> {
        self.fetch(None).await
    }

    /// A token bound to `header_value`, such as the `Authorization` header that the request will carry: on a route that
    /// binds, the gateway refuses it beside any other value. Each value has a token of its own (the last 32 are kept).
    ///
    /// # Errors
    /// As [`Client::fetch_token`].
    pub async fn fetch_token_bound(&self, header_value: &[u8]) -> Result<Token, FetchError> {
        self.fetch(Some(binding_of(&[header_value]))).await
    }

    /// The same for a route that binds several headers: their values, in the order in which the route names them.
    ///
    /// # Errors
    /// As [`Client::fetch_token`].
    pub async fn fetch_token_bound_to(&self, header_values: &[&[u8]]) -> Result<Token, FetchError> {
        self.fetch(Some(binding_of(header_values))).await
    }

    /// What to do with a gateway's answer to a request that carried `token`, and does so much of it as is the
    /// client's: a token that was refused is forgotten, so that the next fetch brings a new one.
    ///
    /// After a 403 that happens at most once a minute; within the minute the answer is [`Reaction::Deliver`].
    #[must_use]
    pub fn on_response(&self, token: &Token, status: u16, code: Option<&str>) -> Reaction {
        let reaction = reaction::on_response(status, code);
        match reaction {
            Reaction::Retry => self.0.cache.forget(token),
            Reaction::FetchAgain if self.may_fetch_again() => self.0.cache.forget(token),
            Reaction::FetchAgain => return Reaction::Deliver,
            Reaction::Deliver | Reaction::Wait => {}
        }
        reaction
    }

    pub(crate) fn ready(&self, binding: &Binding) -> Option<Result<Token, FetchError>> {
        self.0.cache.ready(binding)
    }

    pub(crate) async fn fetch(&self, binding: Binding) -> Result<Token, FetchError> {
        self.0.cache.fetch(binding, || self.0.fetch.clone().token(binding)).await
    }

    fn may_fetch_again(&self) -> bool {
        let now = self.0.fetch.clock.elapsed();
        let mut refused = self.0.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = refused.is_none_or(|last| now.saturating_sub(last) >= AFTER_A_REFUSAL);
        if allowed {
            *refused = Some(now);
        }
        allowed
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client").field("service", &self.0.fetch.service).finish_non_exhaustive()
    }
}

pub(crate) fn binding_of(header_values: &[&[u8]]) -> [u8; 32] {
    binding_hash(header_values, BindingStyle::LengthPrefixed)
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The service's address or certificates.
    #[error(transparent)]
    Service(#[from] BadService),
    /// App, version, build or device facts.
    #[error(transparent)]
    Identity(#[from] BadIdentity),
    /// The device key.
    #[error("device key: {0}")]
    DeviceKey(#[from] DeviceKeyError),
    /// The blocking client's thread.
    #[error("no thread to fetch on: {0}")]
    Thread(std::io::Error),
}

impl BuildError {
    /// The word for it.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Service(_) => Status::BadUrl,
            Self::Identity(_) | Self::DeviceKey(_) | Self::Thread(_) => Status::InternalError,
        }
    }
}

/// Settings of a [`Client`]. Only the three of [`Client::builder`] are needed.
pub struct Builder {
    reach: Reach,
    attester: AttesterParts,
    retry: Retry,
    clock: Arc<dyn Elapsed>,
    random: Arc<dyn Random>,
}

struct AttesterParts {
    app: String,
    version: String,
    platform: Platform,
    build: String,
    facts: Vec<(String, String)>,
    key: Option<Arc<dyn DeviceKey>>,
    providers: Vec<Arc<dyn EvidenceProvider>>,
}

impl Builder {
    fn new(url: String, app: String, version: String) -> Self {
        Self {
            reach: Reach { url, request_timeout: REQUEST_TIMEOUT, only_roots_pem: None, danger_plaintext: false },
            attester: AttesterParts {
                app,
                version,
                platform: PLATFORM,
                build: String::new(),
                facts: vec![("os".into(), std::env::consts::OS.into()), ("arch".into(), std::env::consts::ARCH.into())],
                key: None,
                providers: Vec::new(),
            },
            retry: Retry::default(),
            clock: Arc::new(SinceBoot),
            random: Arc::new(SystemRandom),
        }
    }

    /// The build's label, where a version has several (per processor, per store).
    #[must_use]
    pub fn build_label(mut self, label: impl Into<String>) -> Self {
        self.attester.build = label.into();
        self
    }

    /// The device key: a [`SoftwareKey`] kept in a file, or a hardware key of yours. Without one, a key is made that
    /// ends with the process, and the device is a new one at each start.
    #[must_use]
    pub fn device_key(mut self, key: impl DeviceKey + 'static) -> Self {
        self.attester.key = Some(Arc::new(key));
        self
    }

    /// A source of platform Evidence. The measurement needs none.
    #[must_use]
    pub fn evidence(mut self, provider: impl EvidenceProvider + 'static) -> Self {
        self.attester.providers.push(Arc::new(provider));
        self
    }

    /// A fact about the device for the operator's eyes (model, OS version). `os` and `arch` are there. At most 16, and
    /// nothing personal: they are stored.
    #[must_use]
    pub fn device_fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attester.facts.push((name.into(), value.into()));
        self
    }

    /// Trust these PEM certificates for the service, and no others: a private authority, or a pin.
    #[must_use]
    pub fn trust_only(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.reach.only_roots_pem = Some(pem.into());
        self
    }

    /// The longest one request may take (10 s), connecting included.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.reach.request_timeout = timeout;
        self
    }

    /// Bounds of a fetch as a whole.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The clock that tokens age by.
    #[must_use]
    pub fn clock(mut self, clock: impl Elapsed + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Allows plain `http` to another machine: whoever is on the way reads tokens and can use them. For a network that
    /// is encrypted underneath.
    #[must_use]
    pub fn danger_plaintext(mut self) -> Self {
        self.reach.danger_plaintext = true;
        self
    }

    /// The client. Sends nothing.
    ///
    /// # Errors
    /// [`BuildError`] naming what can't be used.
    pub fn build(self) -> Result<Client, BuildError> {
        let service = Service::new(&self.reach)?;
        let parts = self.attester;
        let key = match parts.key {
            Some(key) => key,
            None => Arc::new(SoftwareKey::in_memory()?),
        };
        let attester = Attester {
            app: parts.app,
            version: parts.version,
            platform: parts.platform,
            build: parts.build,
            facts: parts.facts,
            key,
            providers: parts.providers,
        }
        .checked()?;
        let cache = Cache::new(Arc::clone(&self.clock), self.retry.hold);
        let fetch =
            Fetch { service, attester: Arc::new(attester), retry: self.retry, random: self.random, clock: self.clock };
        Ok(Client(Arc::new(Inner { fetch, cache, refused: Mutex::new(None) })))
    }

    /// The client for threads that may wait, with a thread of its own to fetch on.
    ///
    /// # Errors
    /// As [`Builder::build`], and [`BuildError::Thread`].
    pub fn build_blocking(self) -> Result<blocking::Client, BuildError> {
        blocking::Client::new(self.build()?)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Builder").field("service", &self.reach.url).finish_non_exhaustive()
    }
}

#[cfg(target_os = "android")]
const PLATFORM: Platform = Platform::Android;
#[cfg(target_os = "ios")]
const PLATFORM: Platform = Platform::Ios;
#[cfg(not(any(target_os = "android", target_os = "ios")))]
const PLATFORM: Platform = Platform::Linux;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const AFTER_A_REFUSAL: Duration = Duration::from_secs(60);
