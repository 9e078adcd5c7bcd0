//! In: checked settings, a clock, randomness. Out: a running service, or the reason why not, naming port, path or key.
//! What is proven at the return: the port is ours, the state opens with the unlock key, every secret exists on disk, and
//! requests are answered. Nothing is written before the port is had.

use std::{
    fmt, fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use attest_core::{
    b64u,
    challenge::ChallengeKey,
    feed::{FeedError, FeedKey, FeedPublicKey, SignedDocument},
    random::{NoRandomness, Random, array},
    time::Clock,
    token::key_set::KeySetError,
};
use keystore::{MasterKey, master_key::MasterKeyError};
use tokio::{net::TcpListener, sync::watch, task};
use tokio_rustls::TlsAcceptor;
use tracing::dispatcher::{self, Dispatch};

use crate::{
    answer_cache::{self, AnswerCache},
    api,
    challenge_store::{Capacity, ChallengeStore},
    evidence_policies::EvidencePolicies,
    gateway_token::{GatewayToken, GatewayTokenError},
    health::Health,
    key_sets::KeySets,
    limits::RateLimits,
    listener::{self, ListenError},
    metrics::Metrics,
    outcome::Recorder,
    quantum::Quantum,
    registry::{Registry, RegistryError},
    secrets::{Secrets, SecretsError, Source},
    service::Service,
    service_settings::ServiceSettings,
    signer::Signer,
    store::{self, Store, StoreError},
};

/// The public half of the feed key, for operators to hand to remote gateways.
const FEED_FILE: &str = "feed.pub";

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Port, certificate or private key.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The unlock key's file.
    #[error("attestation.serve.unlock: {0}")]
    Unlock(#[from] MasterKeyError),
    /// The gateway token's file.
    #[error("attestation.serve.gateway_token_file: {0}")]
    GatewayToken(#[from] GatewayTokenError),
    /// The state folder or its database.
    #[error("state.dir: {0}")]
    Store(#[from] StoreError),
    /// The service's own secrets.
    #[error("{0}")]
    Secrets(#[from] SecretsError),
    /// Algorithm and concealment, or a stored key, can't be used together.
    #[error("attestation.token: {0}")]
    Keys(#[from] KeySetError),
    /// The feed key can't be used.
    #[error("the feed key: {0}")]
    Feed(#[from] FeedError),
    /// A file of the state folder can't be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("no random bytes from the operating system")]
    NoRandomness(#[from] NoRandomness),
    /// The system gave no thread.
    #[error("the system gave no thread: {0}")]
    Thread(io::Error),
}

/// What a service does not make itself.
#[derive(Clone)]
pub struct Dependencies {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Nonces, token ids, secrets.
    pub random: Arc<dyn Random>,
}

/// A running service. Dropped, it stops at once; [`ServiceHandle::shutdown`] lets answers in work leave first.
pub struct ServiceHandle {
    service: Arc<Service>,
    registry: Registry,
    address: SocketAddr,
    internal_address: SocketAddr,
    internal_secret: String,
    feed_public: FeedPublicKey,
    stop: watch::Sender<bool>,
    serving: Vec<task::JoinHandle<()>>,
    recorder: JoinHandle<()>,
}

/// Starts the service on the runtime that this is called from.
///
/// # Errors
/// [`StartError`] names the port, path, file or key at fault.
pub async fn start(settings: ServiceSettings, dependencies: Dependencies) -> Result<ServiceHandle, StartError> {
    attest_core::install_crypto();
    let sockets = Sockets::bind(&settings).await?;
    // The threads that it starts log to where the caller's log goes.
    let log = dispatcher::get_default(Dispatch::clone);
    let parts = task::spawn_blocking(move || dispatcher::with_default(&log, || assemble(settings, &dependencies)))
        .await
        .map_err(|error| StartError::Thread(io::Error::other(error)))??;
    Ok(parts.serve(sockets))
}

/// What is listened on.
struct Sockets {
    own: (TcpListener, SocketAddr),
    tls: Option<TlsAcceptor>,
    /// For the gateway in this process, where it can't use the own one.
    internal: Option<(TcpListener, SocketAddr)>,
}

impl Sockets {
    async fn bind(settings: &ServiceSettings) -> Result<Self, ListenError> {
        let tls = settings.tls.as_ref().map(listener::tls).transpose()?;
        let own = listener::bind(settings.address).await?;
        let internal = match &tls {
            Some(_) if settings.gateway_beside => Some(listener::bind((Ipv4Addr::LOCALHOST, 0).into()).await?),
            Some(_) | None => None,
        };
        Ok(Self { own, tls, internal })
    }

    /// Where a gateway in this process reaches the service. A listener on all addresses is reached by loopback.
    fn internal_address(&self) -> SocketAddr {
        let (_, address) = self.internal.as_ref().unwrap_or(&self.own);
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, address.port())
    }
}

/// All of a service but its socket.
struct Parts {
    service: Arc<Service>,
    registry: Registry,
    recorder: JoinHandle<()>,
    internal_secret: String,
    feed_public: FeedPublicKey,
    path: String,
    appraisals: usize,
}

/// Opens the state and puts the parts together. Blocks on the disk.
fn assemble(settings: ServiceSettings, dependencies: &Dependencies) -> Result<Parts, StartError> {
    let Dependencies { clock, random } = dependencies;
    let master = MasterKey::from_file(&settings.unlock)?;
    let gateway_token = GatewayToken::from_file(settings.gateway_token_file.as_deref())?;

    let mut connection = store::open(&settings.state_dir)?;
    let source = Source { master: &master, master_path: settings.unlock.clone(), random: &**random, now: clock.now() };
    let secrets = Secrets::open(&mut connection, &settings.token.key_set, settings.token.algorithm, &source)?;
    let signer = Signer::new(&settings.token, &secrets)?;
    let key_sets = KeySets::new(&settings.token, &secrets, FeedKey::from_seed(&secrets.feed)?)?;
    let feed_public = key_sets.feed_public_key()?;
    publish_feed_key(&settings.state_dir, &feed_public)?;

    let store = Arc::new(Store::start(connection, key_sets.content_digest(), Arc::clone(clock))?);
    let registry = Registry::beside(&settings.state_dir, &store).map_err(|error| match error {
        RegistryError::Store(error) => StartError::Store(error),
        other => StartError::Thread(io::Error::other(other)),
    })?;
    let metrics = Arc::new(Metrics::new());
    let (recorder, recorder_thread) =
        Recorder::start(Arc::clone(&metrics), Arc::clone(&store), settings.explain).map_err(StartError::Thread)?;
    let challenges = ChallengeStore::new(
        ChallengeKey::new(&secrets.challenge),
        &settings.token.key_set,
        array(&**random)?,
        settings.challenge_life,
        Capacity::of(count(settings.limits.open_challenges)),
    );
    let service = Service {
        clock: Arc::clone(clock),
        random: Arc::clone(random),
        key_set: settings.token.key_set.clone(),
        device_salt: *secrets.device_salt,
        challenges,
        answers: AnswerCache::new(answer_cache::CAPACITY),
        policies: EvidencePolicies::of(&settings.apps),
        signer,
        key_sets,
        gateway_token,
        store,
        recorder,
        metrics,
        limits: RateLimits::new(settings.limits.per_address_per_minute),
        quantum: Quantum::new(settings.quantum),
    };
    Ok(Parts {
        service: Arc::new(service),
        registry,
        recorder: recorder_thread,
        internal_secret: b64u::encode(&array::<32>(&**random)?),
        feed_public,
        path: settings.path,
        appraisals: count(settings.limits.concurrency),
    })
}

impl Parts {
    fn serve(self, sockets: Sockets) -> ServiceHandle {
        let router = api::router(
            self.path.trim_end_matches('/'),
            Arc::clone(&self.service),
            self.internal_secret.clone(),
            self.appraisals,
        );
        let (stop, stopped) = watch::channel(false);
        let internal_address = sockets.internal_address();
        let Sockets { own: (socket, address), tls, internal } = sockets;
        let mut serving = vec![tokio::spawn(listener::serve(socket, tls, router.clone(), stopped.clone()))];
        if let Some((socket, _)) = internal {
            serving.push(tokio::spawn(listener::serve(socket, None, router, stopped)));
        }
        ServiceHandle {
            service: self.service,
            registry: self.registry,
            address,
            internal_address,
            internal_secret: self.internal_secret,
            feed_public: self.feed_public,
            stop,
            serving,
            recorder: self.recorder,
        }
    }
}

impl ServiceHandle {
    /// The address that is listened on; the port is the one the system chose where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a gateway in this process reaches the service, in plaintext; it never leaves the machine.
    #[must_use]
    pub fn internal_address(&self) -> SocketAddr {
        self.internal_address
    }

    /// What the gateway in this process sends as `assay-internal`, so that its `assay-client-address` is believed. New at
    /// each start; it never leaves the process but over loopback.
    #[must_use]
    pub fn internal_secret(&self) -> &str {
        &self.internal_secret
    }

    /// The signed key-set document, dated now: what `GET {path}/gateway/keysets` answers.
    ///
    /// # Errors
    /// Where it can't be signed.
    pub fn key_sets(&self) -> Result<SignedDocument, FeedError> {
        self.service.key_set_document()
    }

    /// A function that gives [`ServiceHandle::key_sets`], for a gateway in this process. It does not keep the service
    /// alive: after the service has stopped it gives nothing.
    pub fn key_set_source(&self) -> impl Fn() -> Option<SignedDocument> + Send + Sync + Clone + 'static {
        let service = Arc::downgrade(&self.service);
        move || service.upgrade()?.key_set_document().ok()
    }

    /// The public half of the key that signs the document.
    #[must_use]
    pub fn feed_public_key(&self) -> &FeedPublicKey {
        &self.feed_public
    }

    /// Whether tokens can be issued.
    #[must_use]
    pub fn health(&self) -> Health {
        self.service.health()
    }

    /// The registry of this service: what it changes holds when its call returns.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The metrics in the OpenMetrics text form, `# EOF` at the end.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.service.metrics_text()
    }

    /// Stops: no new connections, answers in work leave (at most 5 s), counters are written, threads end.
    pub async fn shutdown(self) {
        let Self { service, registry, stop, serving, recorder, .. } = self;
        drop(registry);
        let _ = stop.send(true);
        for listener in serving {
            let _ = listener.await;
        }
        let _ = task::spawn_blocking(move || close(service, recorder)).await;
    }
}

impl fmt::Debug for ServiceHandle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ServiceHandle").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Ends the threads in the order of the data: the recorder hands the last outcomes to the store, the store writes them.
fn close(service: Arc<Service>, recorder: JoinHandle<()>) {
    let Some(service) = Arc::into_inner(service) else { return };
    let store = Arc::clone(&service.store);
    drop(service);
    let _ = recorder.join();
    if let Some(store) = Arc::into_inner(store) {
        store.close();
    }
}

/// Writes the public half of the feed key beside the database, whole or not at all, where it is not there yet.
fn publish_feed_key(state_dir: &Path, feed: &FeedPublicKey) -> Result<(), StartError> {
    let text = format!("{feed}\n");
    let path = state_dir.join(FEED_FILE);
    if fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let partial = state_dir.join(".feed.pub.partial");
    fs::write(&partial, &text)
        .and_then(|()| fs::rename(&partial, &path))
        .map_err(|source| StartError::Write { path, source })
}

fn count(number: std::num::NonZeroU32) -> usize {
    usize::try_from(number.get()).unwrap_or(usize::MAX)
}
