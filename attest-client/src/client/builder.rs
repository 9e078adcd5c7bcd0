//! Settings of a client. Comes in: what the app knows about itself. Goes out: a [`Client`], or what can't be used.
//! Proven between: the address may be used, every name can travel; nothing is sent.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use attest_core::random::{Random, SystemRandom};
use attest_core::reference::Platform;
use http::header::{HeaderName, InvalidHeaderName};

use super::{Client, Inner};
use crate::attester::{Attester, BadIdentity, Keys};
use crate::blocking;
use crate::cache::Cache;
use crate::clock::{Elapsed, SinceBoot};
use crate::device_key::{DeviceKey, DeviceKeyError, SoftwareKey};
use crate::evidence::EvidenceProvider;
use crate::fetch::Fetch;
use crate::provoked::Provoked;
use crate::retry::Retry;
use crate::service::{self, BadService, Reach, Service};
use crate::stamp::Stamping;
use crate::status::Status;

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
    /// The header that carries the token, or one that it is bound to.
    #[error("header: {0}")]
    Header(#[from] InvalidHeaderName),
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
            Self::Identity(_) | Self::DeviceKey(_) | Self::Header(_) | Self::Thread(_) => Status::InternalError,
        }
    }
}

/// Settings of a [`Client`]. Only the three of [`Client::builder`] are needed.
pub struct Builder {
    reach: Reach,
    attester: AttesterParts,
    header: String,
    bind: Vec<String>,
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
    libraries: Vec<String>,
    self_check: bool,
    key: Option<Arc<dyn DeviceKey>>,
    providers: Vec<Arc<dyn EvidenceProvider>>,
}

impl Builder {
    pub(super) fn new(url: String, app: String, version: String) -> Self {
        Self {
            reach: Reach { url, request_timeout: REQUEST_TIMEOUT, only_roots_pem: None, danger_plaintext: false },
            attester: AttesterParts {
                app,
                version,
                platform: PLATFORM,
                build: String::new(),
                facts: vec![("os".into(), std::env::consts::OS.into()), ("arch".into(), std::env::consts::ARCH.into())],
                libraries: Vec::new(),
                self_check: false,
                key: None,
                providers: Vec::new(),
            },
            header: TOKEN_HEADER.to_owned(),
            bind: Vec::new(),
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

    /// Measures this library with the program: its file name (`libshop.so`). Name what the registration names
    /// (`assay app register --library`), in any order; each must be loaded when a token is fetched. On Android the
    /// app's libraries are all that is measured, so at least one is needed there.
    #[must_use]
    pub fn measure_library(mut self, name: impl Into<String>) -> Self {
        self.attester.libraries.push(name.into());
        self
    }

    /// Asks the kernel for tracers that hide from `/proc`, too, at the cost of two short child processes a fetch: see
    /// [`findings_with_self_check`](crate::findings_with_self_check), which says where it can't be had.
    #[must_use]
    pub fn ptrace_self_check(mut self) -> Self {
        self.attester.self_check = true;
        self
    }

    /// The header that carries the token (`Assay-Token`), for [`Client::stamp`].
    #[must_use]
    pub fn token_header(mut self, name: impl Into<String>) -> Self {
        self.header = name.into();
        self
    }

    /// Headers that [`Client::stamp`] binds tokens to, in the order in which the route names them.
    #[must_use]
    pub fn bind_to<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.bind = names.into_iter().map(Into::into).collect();
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
            libraries: parts.libraries,
            self_check: parts.self_check,
            keys: Keys::new(key),
            providers: parts.providers,
        }
        .checked()?;
        let header = HeaderName::try_from(self.header)?;
        let bind = self.bind.into_iter().map(HeaderName::try_from).collect::<Result<_, _>>()?;
        let cache = Cache::new(Arc::clone(&self.clock), self.retry.hold, Arc::clone(&self.random));
        let fetch =
            Fetch { service, attester: Arc::new(attester), retry: self.retry, random: self.random, clock: self.clock };
        let inner = Inner {
            fetch,
            cache,
            provoked: Mutex::new(Provoked::default()),
            stamping: Stamping { header, bind },
            renewing: tokio::sync::Mutex::new(()),
        };
        Ok(Client(Arc::new(inner)))
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
        out.debug_struct("Builder").field("service", &service::shown(&self.reach.url)).finish_non_exhaustive()
    }
}

#[cfg(target_os = "android")]
const PLATFORM: Platform = Platform::Android;
#[cfg(target_os = "ios")]
const PLATFORM: Platform = Platform::Ios;
#[cfg(not(any(target_os = "android", target_os = "ios")))]
const PLATFORM: Platform = Platform::Linux;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The header that gateways read unless they are told another.
const TOKEN_HEADER: &str = "assay-token";
