//! In: checked settings, a clock, randomness. Out: a running service, or the reason why not, naming port, path or key.
//! What is proven at the return: the ports are ours, the state opens with the unlock key, every secret exists on disk,
//! and requests are answered. Nothing is written before the ports are had.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use attest_core::{
    b64u,
    challenge::ChallengeKey,
    feed::FeedPublicKey,
    random::{NoRandomness, Random, array},
    time::Clock,
};
use attest_store::{Database, OpenError, Opening, Store, StoreError};
use keystore::{MasterKey, master_key::MasterKeyError};
use shared_state::{ConnectError, SharedState};
use tokio::{sync::watch, task, time::interval};
use tracing::dispatcher::{self, Dispatch};

use crate::{
    admin::Admin,
    answer_cache::{self, AnswerCache, sealed::AnswerKey},
    api, audit,
    challenges::{Capacity, Challenges, embedded::ChallengeStore, shared::SharedChallenges},
    device_ages::DeviceAges,
    evidence_policies::EvidencePolicies,
    gateway_token::{GatewayToken, GatewayTokenError},
    handle::{ServiceHandle, seats},
    limits::RateLimits,
    listener::{self, ListenError},
    metrics::Metrics,
    outcome::Recorder,
    quantum::Quantum,
    service::Service,
    service_settings::ServiceSettings,
    steadiness::Steadiness,
};

mod sockets;

use self::sockets::Sockets;

/// The public half of the feed key, for operators to hand to remote gateways.
const FEED_FILE: &str = "feed.pub";
/// Characters of a host's name that go into that of its audit chain.
const MAX_HOST: usize = 48;
/// How often the clock is looked at when nobody asks for anything.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(1);

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
    /// The durable state can't be opened: its folder or database, the unlock key, a stored secret.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The durable state was opened and can't be read.
    #[error("state: {0}")]
    Store(#[from] StoreError),
    /// What is said of the shared store can't be used. (One that is away is no reason not to start.)
    #[error("state.shared: {0}")]
    Shared(#[from] ConnectError),
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

/// Starts the service on the runtime that this is called from.
///
/// # Errors
/// [`StartError`] names the port, path, file or key at fault.
pub async fn start(settings: ServiceSettings, dependencies: Dependencies) -> Result<ServiceHandle, StartError> {
    attest_core::install_crypto();
    let sockets = Sockets::bind(&settings).await?;
    let shared = match &settings.state.shared {
        Some(shared) => Some(SharedState::connect(shared).await?),
        None => None,
    };
    // The threads that it starts log to where the caller's log goes.
    let log = dispatcher::get_default(Dispatch::clone);
    let parts =
        task::spawn_blocking(move || dispatcher::with_default(&log, || assemble(settings, shared, &dependencies)))
            .await
            .map_err(|error| StartError::Thread(io::Error::other(error)))??;
    Ok(parts.serve(sockets))
}

/// All of a service but its sockets.
struct Parts {
    service: Arc<Service>,
    settings: ServiceSettings,
    recorder: JoinHandle<()>,
    internal_secret: String,
    feed_public: FeedPublicKey,
}

/// Opens the state and puts the parts together. Blocks on the disk, or on the database.
fn assemble(
    settings: ServiceSettings,
    shared: Option<Arc<SharedState>>,
    dependencies: &Dependencies,
) -> Result<Parts, StartError> {
    let Dependencies { clock, random } = dependencies;
    let master = MasterKey::from_file(&settings.unlock)?;
    let gateway_token = GatewayToken::from_file(settings.gateway_token_file.as_deref())?;
    let store = Store::open(Opening {
        database: Database::of(&settings.state)?,
        master,
        master_path: settings.unlock.clone(),
        token: &settings.token,
        keys_stale: settings.keys_stale,
        random: Arc::clone(random),
        clock: Arc::clone(clock),
        writer: writer_name(),
    })?;
    let live = Arc::new(store.live()?);
    let feed_public = live.snapshot().issuer.feed_public_key()?;
    publish_feed_key(&settings.state.dir, &feed_public)?;

    let metrics = Arc::new(Metrics::new(shared.is_some()));
    let (recorder, recorder_thread) =
        Recorder::start(Arc::clone(&metrics), Arc::clone(&live), settings.explain).map_err(StartError::Thread)?;
    let ages = DeviceAges::start(&store, Arc::clone(clock), settings.quantum).map_err(StartError::Thread)?;
    let service = Service {
        clock: Arc::clone(clock),
        steadiness: Steadiness::new(&**clock),
        random: Arc::clone(random),
        key_set: settings.token.key_set.clone(),
        device_salt: **store.device_salt(),
        token_lifetime_secs: settings.token.lifetime.as_secs(),
        challenges: challenges(&settings, &store, shared, &**random)?,
        ages,
        answers: AnswerCache::new(answer_cache::CAPACITY),
        policies: ArcSwap::from_pointee(EvidencePolicies::of(&settings.apps)),
        gateway_token,
        store,
        live,
        recorder,
        metrics,
        limits: ArcSwap::from_pointee(RateLimits::new(settings.limits.per_address_per_minute)),
        appraisals: ArcSwap::from_pointee(seats(settings.limits.concurrency)),
        quantum: Quantum::new(settings.quantum),
    };
    Ok(Parts {
        service: Arc::new(service),
        settings,
        recorder: recorder_thread,
        internal_secret: b64u::encode(&array::<32>(&**random)?),
        feed_public,
    })
}

/// The store of used challenges: the shared one where there is one.
fn challenges(
    settings: &ServiceSettings,
    store: &Store,
    shared: Option<Arc<SharedState>>,
    random: &dyn Random,
) -> Result<Challenges, NoRandomness> {
    let (key, key_set) = (ChallengeKey::new(store.challenge_key()), settings.token.key_set.as_str());
    let (life, total) = (settings.challenge_life, settings.limits.open_challenges);
    Ok(match shared {
        Some(shared) => {
            let answers = AnswerKey::new(store.answer_key());
            Challenges::Shared(SharedChallenges::new(shared, key, answers, key_set, life, total))
        }
        // A new epoch at each start: it lasts as long as the store does.
        None => {
            let capacity = Capacity::of_setting(total);
            Challenges::Embedded(ChallengeStore::new(key, key_set, array(random)?, life, capacity))
        }
    })
}

/// The name of this machine's audit chain, the same after a restart: `service@` and the host's name.
fn writer_name() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let good = |byte: &char| byte.is_ascii_alphanumeric() || matches!(byte, '.' | '-');
    let host: String = host.trim().chars().filter(good).take(MAX_HOST).collect();
    if host.is_empty() { "service".to_owned() } else { format!("service@{host}") }
}

impl Parts {
    fn serve(self, sockets: Sockets) -> ServiceHandle {
        let Self { service, settings, recorder, internal_secret, feed_public } = self;
        let router = api::router(settings.path.trim_end_matches('/'), Arc::clone(&service), internal_secret.clone());
        let (stop, stopped) = watch::channel(false);
        let internal_address = sockets.internal_address();
        let Sockets { own: (socket, address), tls, internal, admin } = sockets;
        let mut tasks = vec![
            tokio::spawn(listener::serve(socket, tls, router.clone(), stopped.clone())),
            tokio::spawn(audit::checkpoints(service.store.clone(), stopped.clone())),
            tokio::spawn(follow_clock(Arc::clone(&service), stopped.clone())),
        ];
        if let Some((socket, _)) = internal {
            tasks.push(tokio::spawn(listener::serve(socket, None, router, stopped.clone())));
        }
        let admin_address = admin.as_ref().map(|admin| admin.address);
        let admin = admin.map(|admin| {
            let api = Admin::new(service.store.clone(), Arc::clone(&service.clock), &settings);
            tasks.push(tokio::spawn(listener::serve(admin.socket, admin.tls, api.router(), stopped)));
            api
        });
        ServiceHandle {
            service,
            settings: Mutex::new(settings),
            address,
            admin_address,
            admin,
            internal_address,
            internal_secret,
            feed_public,
            stop,
            tasks,
            recorder,
        }
    }
}

/// Looks at the clock once a second until `stop` changes or its sender is gone.
async fn follow_clock(service: Arc<Service>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(LOOK_AT_CLOCK);
    loop {
        tokio::select! {
            _ = ticks.tick() => service.steadiness.follow(&*service.clock),
            _ = stop.changed() => return,
        }
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
    fs::create_dir_all(state_dir)
        .and_then(|()| fs::write(&partial, &text))
        .and_then(|()| fs::rename(&partial, &path))
        .map_err(|source| StartError::Write { path, source })
}
