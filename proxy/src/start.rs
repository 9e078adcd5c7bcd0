//! From checked settings to a gateway that serves, and back to silence.
//!
//! In come [`Settings`] and what only the caller can give; out goes a [`GatewayHandle`], or the address or
//! file that can't be used. Everything that can fail is tried before the first request is taken: sockets
//! are bound first, then the configuration is built, then both are joined.
//!
//! Two runtimes: one for requests alone, one for everything that may take its time (admin API, probes,
//! feeds, name resolution, reloads). Both belong to one thread, so a handle works in and outside async code.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use attest_core::time::Clock;
use axum::Router;
use pingora_core::server::configuration::ServerConf;
use prometheus_client::metrics::counter::Counter;
use settings::{AccessLog as AccessLogSetting, Settings, SharedSettings, UpstreamSettings};
use shared_state::SharedState;
use tokio::runtime::{Builder, Runtime as Tokio};
use tokio::sync::watch;

use crate::admin::{self, MoreMetrics};
use crate::feeds;
use crate::gateway::Gateway;
use crate::generation::{Generation, GenerationError, LocalService};
use crate::guard::earlier::Earlier;
use crate::last_good::keeper::{self, Keeper};
use crate::limits::{SharedLimits, keep_probing, kept};
use crate::listener::{self, BindError, BoundListener, Edge, Entrance, TlsError};
use crate::observed::Observed;
use crate::probe;
use crate::recorder::Recorder;
use crate::reload::{self, FromLastGood, LoadSettings, Reloader, Taken};
use crate::runtime::{Runtime, Telling};
use crate::telemetry::access_log::{AccessLog, Writer};
use crate::telemetry::key_audit::{AuditWriter, KeyAudit};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::{self, Exporter};

mod handle;
mod sockets;

pub use handle::GatewayHandle;
use sockets::Sockets;

/// What a gateway needs beside its settings.
pub struct Dependencies {
    /// Now, for tokens and log lines.
    pub clock: Arc<dyn Clock>,
    /// Reads the configuration anew; called for each reload, never for the start.
    pub reload: Arc<LoadSettings>,
    /// Hears of each configuration that a reload has taken: what else runs in the process goes along.
    pub taken: Arc<Taken>,
    /// Where the settings are kept ones ([`LastGood`](crate::LastGood)): since when, and what is wrong with the files.
    pub from_last_good: Option<FromLastGood>,
    /// The attestation service, when it runs in this process.
    pub local_service: Option<LocalService>,
    /// Where access lines go instead of where the settings say: for tests and the demonstration.
    pub access_log: Option<Box<dyn std::io::Write + Send>>,
}

/// Why a gateway did not start. Names the address, file or setting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener's address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificate or its key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The configuration can't run.
    #[error(transparent)]
    Configuration(#[from] GenerationError),
    /// There is no public listener.
    #[error("listeners.public: a gateway needs a listener for its clients")]
    NoPublicListener,
    /// The token of the admin listener.
    #[error("listeners.admin.token_file: {0}")]
    AdminToken(String),
    /// The state folder.
    #[error("state.dir: {0}")]
    StateDir(String),
    /// Roots for upstreams' certificates: what `SSL_CERT_FILE` names.
    #[error("SSL_CERT_FILE names {0}, which is not there")]
    NoRoots(String),
    /// The way to the collector of traces.
    #[error("log.traces: {0}")]
    Traces(String),
    /// The state that machines share can't be asked at all; one that is only away is no reason not to start.
    #[error("state.shared: {0}")]
    SharedState(#[from] shared_state::ConnectError),
    /// The audit log of keys.
    #[error("keys.audit: {0}")]
    Audit(#[from] audit::AuditError),
    /// The file that records go to.
    #[error("log.record: {0}")]
    Record(std::io::Error),
    /// Threads or timers could not be had.
    #[error("the runtime can't be started: {0}")]
    Runtime(String),
}

/// Starts a gateway; blocks until it serves or has failed to.
///
/// # Errors
/// What can't be used, by name.
pub fn start(settings: Settings, dependencies: Dependencies) -> Result<GatewayHandle, StartError> {
    // The first provider wins; Pingora would install another one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    attest_core::install_crypto();
    let sockets = Sockets::bind(&settings)?;
    let (tell, told) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("gateway".into())
        .spawn(move || live(settings, dependencies, sockets, &tell))
        .map_err(|why| StartError::Runtime(why.to_string()))?;
    match told.recv() {
        Ok(Ok(mut handle)) => {
            handle.thread = Mutex::new(Some(thread));
            Ok(handle)
        }
        Ok(Err(why)) => {
            let _ = thread.join();
            Err(why)
        }
        Err(_) => Err(StartError::Runtime("its thread ended".to_owned())),
    }
}

/// The gateway's own thread: owns the runtimes and the writer of the access log to the end.
fn live(
    settings: Settings,
    dependencies: Dependencies,
    sockets: Sockets,
    tell: &mpsc::Sender<Result<GatewayHandle, StartError>>,
) {
    let parts = match Parts::build(settings, dependencies, &sockets) {
        Ok(parts) => parts,
        Err(why) => {
            let _ = tell.send(Err(why));
            return;
        }
    };
    let (stop, stopped) = watch::channel(false);
    let (end, ended) = watch::channel(false);
    let handle = GatewayHandle {
        addresses: sockets.addresses(),
        reloader: parts.reloader.clone(),
        runtime: parts.runtime.clone(),
        aside: parts.aside.handle().clone(),
        stop,
        ended,
        thread: Mutex::new(None),
    };
    parts.serve(sockets, stopped, || {
        let _ = tell.send(Ok(handle));
    });
    let _ = end.send(true);
}

/// A gateway that is ready to serve.
struct Parts {
    requests: Tokio,
    aside: Tokio,
    edge: Arc<Edge<Gateway>>,
    runtime: Arc<Runtime>,
    reloader: Arc<Reloader>,
    /// The figures of the service in this process.
    service: Option<Arc<MoreMetrics>>,
    /// Where requests are traced.
    exporter: Option<Exporter>,
    keeper: Arc<Keeper>,
    /// Last, so that they are dropped last: they write what is left of log, records and audit log.
    writers: ([Writer; 2], AuditWriter),
}

impl Parts {
    fn build(settings: Settings, dependencies: Dependencies, sockets: &Sockets) -> Result<Self, StartError> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let requests = tokio_runtime("requests", threads)?;
        let aside = tokio_runtime("aside", 1)?;
        let access = settings.log.access;
        let traces = settings.log.traces.clone();
        let shared_state = settings.state.shared.clone();
        let limits = settings.listeners.public.as_ref().map(|public| public.limits).unwrap_or_default();
        let metrics = Metrics::new();
        let (local, failures) = (dependencies.local_service.as_ref(), metrics.fetch_failures.clone());
        let state_dir = settings.state.dir.clone();
        let record = settings.log.record.clone();
        let clock = &dependencies.clock;
        let earlier = Earlier::load(&state_dir, &settings.path, clock.now());
        let generation = aside.block_on(Generation::build(settings, None, local, clock, failures, &earlier))?;
        drop(earlier);
        let (recorder, records) = Recorder::start(record.as_ref()).map_err(StartError::Record)?;
        let observed = Observed::open(&state_dir, recorder, threads);
        let observed = observed.map_err(|why| StartError::StateDir(format!("{}: {why}", state_dir.display())))?;
        let failures = metrics.shared_state_failures.clone();
        let lost = metrics.settlements_lost.clone();
        let shared = aside.block_on(shared_limits(shared_state, failures, lost))?;
        let (log, writer) = access_log(access, dependencies.access_log)?;
        let dropped = metrics.key_audit_dropped.clone();
        let (key_audit, audit_writer) = KeyAudit::start(generation.audit_place(), clock.clone(), dropped)?;
        let traced = traces.map(|traces| traces::start(&traces, aside.handle(), metrics.traces_dropped.clone()));
        let (traces, exporter) = traced.transpose().map_err(StartError::Traces)?.unzip();
        let runtime = Runtime::new(
            dependencies.clock,
            Instant::now(),
            generation,
            shared,
            Telling { metrics, log, key_audit, traces, observed },
        );
        runtime.limits.restore(&kept::path(&state_dir), runtime.clock.now());
        let runtime = Arc::new(runtime);
        let service = dependencies.local_service.as_ref().map(|service| service.metrics.clone());
        let certificates = sockets.tls.clone();
        let reloader = Reloader::new(
            runtime.clone(),
            dependencies.reload,
            dependencies.taken,
            dependencies.local_service,
            certificates,
            dependencies.from_last_good,
        );
        let edge = {
            let _inside = requests.enter();
            Edge::new(proxy(runtime.clone(), threads), limits)
        };
        runtime.metrics.listeners.watch(edge.stats().clone());
        let keeper = Arc::new(Keeper::default());
        Ok(Self {
            requests,
            aside,
            edge,
            runtime,
            reloader,
            service,
            exporter,
            keeper,
            writers: ([writer, records], audit_writer),
        })
    }

    /// Serves until told to stop, and then for as long as open requests may take.
    fn serve(self, sockets: Sockets, stopped: watch::Receiver<bool>, ready: impl FnOnce()) {
        let Self { requests, aside, edge, runtime, reloader, service, exporter, keeper, writers } = self;
        let entrance = Entrance {
            name: "public".into(),
            tls: sockets.tls,
            h2c: runtime.generation.load().settings.listeners.public.as_ref().is_some_and(|public| public.h2c),
        };
        aside.spawn(feeds::watch(Arc::downgrade(&runtime)));
        aside.spawn(feeds::report(Arc::downgrade(&runtime), Arc::downgrade(&reloader)));
        aside.spawn(reload::watch(Arc::downgrade(&reloader)));
        aside.spawn(reload::on_hangup(Arc::downgrade(&reloader)));
        let budgets = kept::path(&runtime.generation.load().settings.state.dir);
        aside.spawn(kept::keep(Arc::downgrade(&runtime), budgets.clone()));
        aside.spawn(keeper::keep(keeper.clone(), Arc::downgrade(&runtime)));
        if let Some(probe) = sockets.probe {
            aside.spawn(serve_api(probe, probe::api(runtime.clone())));
        }
        if let Some(admin) = sockets.admin {
            aside.spawn(serve_api(admin, admin::api(runtime.clone(), reloader, service, sockets.admin_token)));
        }
        ready();
        let served = requests.block_on(async move {
            // A task of its own: the thread that blocks here is none of the workers.
            tokio::spawn(listener::serve(edge, sockets.public, entrance, stopped)).await
        });
        match served {
            Ok(Ok(drained)) if drained.cut > 0 => {
                tracing::warn!(connections = drained.cut, "stopped; open requests were cut at the drain limit");
            }
            Ok(Ok(_)) => tracing::info!("stopped"),
            Ok(Err(why)) => tracing::error!("the public listener failed: {why}"),
            Err(why) => tracing::error!("the public listener's task failed: {why}"),
        }
        if let Some(exporter) = exporter {
            aside.block_on(exporter.flush());
        }
        keeper.save(&runtime);
        // What is cut here is charged as it was reserved: budgets are written after it.
        requests.shutdown_timeout(LAST_PATIENCE);
        aside.block_on(kept::finish(runtime.clone(), budgets));
        aside.shutdown_timeout(LAST_PATIENCE);
        drop(writers);
    }
}

/// For what still runs after the last request: it is cut then.
const LAST_PATIENCE: Duration = Duration::from_millis(200);

fn tokio_runtime(name: &'static str, threads: usize) -> Result<Tokio, StartError> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(|why| StartError::Runtime(why.to_string()))
}

fn proxy(runtime: Arc<Runtime>, threads: usize) -> pingora_proxy::HttpProxy<Gateway> {
    let upstream_keepalive_pool_size = pooled(&runtime.generation.load().settings, threads);
    let conf = ServerConf { threads, upstream_keepalive_pool_size, ..ServerConf::default() };
    pingora_proxy::http_proxy(&Arc::new(conf), Gateway::new(runtime))
}

/// Connections kept to upstreams, for each thread: one for every request that may be in flight at the start. With
/// fewer, each burst would end in as many new handshakes. A reload with more seats keeps the pool as it is.
fn pooled(settings: &Settings, threads: usize) -> usize {
    let most = |upstream: &UpstreamSettings| usize::try_from(upstream.concurrency.most()).unwrap_or(usize::MAX);
    let seats = settings.upstreams.values().map(most);
    let seats = seats.fold(0_usize, usize::saturating_add);
    seats.div_ceil(threads.max(1)).clamp(LEAST_POOLED, MOST_POOLED)
}

/// Pingora's own default, and a bound on what resting connections may cost.
const LEAST_POOLED: usize = 128;
const MOST_POOLED: usize = 4096;

/// What machines count together, where the configuration names a server for it.
async fn shared_limits(
    settings: Option<SharedSettings>,
    failures: Counter,
    lost: Counter,
) -> Result<Option<Arc<SharedLimits>>, StartError> {
    let Some(settings) = settings else { return Ok(None) };
    let limits = SharedLimits::new(SharedState::connect(&settings).await?, failures, lost);
    tokio::spawn(keep_probing(Arc::downgrade(&limits)));
    Ok(Some(limits))
}

fn access_log(
    setting: AccessLogSetting,
    instead: Option<Box<dyn std::io::Write + Send>>,
) -> Result<(AccessLog, Writer), StartError> {
    let told = |why: std::io::Error| StartError::Runtime(why.to_string());
    match (instead, setting) {
        (Some(out), _) => AccessLog::to(out).map_err(told),
        (None, AccessLogSetting::Stdout) => AccessLog::to(std::io::stdout()).map_err(told),
        (None, AccessLogSetting::Stderr) => AccessLog::to(std::io::stderr()).map_err(told),
        (None, AccessLogSetting::Disabled) => Ok(AccessLog::disabled()),
    }
}

pub(crate) async fn serve_api(listener: BoundListener, api: Router) {
    let address = listener.local_addr();
    let served = match tokio::net::TcpListener::from_std(listener.into_std()) {
        Ok(listener) => axum::serve(listener, api).await,
        Err(why) => Err(why),
    };
    if let Err(why) = served {
        tracing::error!(%address, "a listener for operators failed: {why}");
    }
}
