//! `assay run`, `gateway`, `service`: the long-running processes.
//!
//! In: a configuration file. Out: listeners, and one line that says where they are; then silence, but for the access log
//! on stdout and messages on stderr, until SIGTERM or Ctrl-C. SIGHUP reloads.

use crate::args::Run;
use crate::commands::config;
use crate::memory;
use crate::output::{End, Output, Stop, note};
use async_trait::async_trait;
use attest_core::feed::{FeedPublicKey, GatewayFacts, SignedDocument};
use attest_core::random::SystemRandom;
use attest_core::time::{Clock, SystemClock};
use attest_service::{ServiceHandle, ServiceSettings};
use http::HeaderValue;
use proxy::{
    FetchKeySets, FetchRevocations, Fetched, FromLastGood, GatewayHandle, LastGood, LoadError, LocalService,
    ServiceListeners, StartError,
};
use serde_json::{Map, Value, json};
use settings::{Overrides, Report, Settings};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Which of the two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parts {
    /// The gateway, and the service where the file serves it.
    All,
    /// The gateway alone.
    Gateway,
    /// The attestation service alone.
    Service,
}

/// Runs until it is told to stop.
pub(crate) async fn run(parts: Parts, args: &Run, output: Output) -> Result<End, Stop> {
    let path = config::path(&args.config)?;
    let overrides = Overrides { dev: args.dev, now: Some(SystemClock.now()), ..Overrides::default() };
    let (settings, from_last_good) = read(&path, &overrides, parts)?;
    if settings.danger_core_dumps {
        memory::open()
    } else {
        memory::seal()
    }
    let mut signals = Signals::new()?;
    let service = match parts {
        Parts::Gateway => None,
        Parts::All | Parts::Service => start_service(&settings, args.dev, parts).await?.map(Arc::new),
    };
    let file = Arc::new(File { path, overrides, service: service.as_ref().map(Arc::downgrade).unwrap_or_default() });
    // A gateway has the probe and the operators' listener; a service without one has them itself.
    let aside = match (parts, &service) {
        (Parts::Service, Some(service)) => Some(service_listeners(&settings, service)?),
        _ => None,
    };
    let gateway = match parts {
        Parts::Service => None,
        Parts::All | Parts::Gateway => Some(start_gateway(settings, from_last_good, &file, service.as_deref()).await?),
    };
    if parts == Parts::Service && service.is_none() {
        return Err(Stop::no("the configuration does not serve attestation").hint("add attestation: { serve: … }"));
    }
    say_where(gateway.as_ref(), service.as_deref(), aside.as_ref(), output);
    while signals.next().await == Asked::Reload {
        // A gateway listens to this signal itself, and the service goes along: asked from here too, they would read
        // everything twice.
        if gateway.is_none()
            && let Err(refused) = tokio::task::block_in_place(|| file.load().map(|settings| file.hand_on(&settings)))
        {
            tracing::error!(target: "assay", "the changed file is refused, the last good one stays: {}", refused.report);
        }
    }
    drop(aside);
    stop(gateway, service, &mut signals).await;
    Ok(End::Yes)
}

/// Stops both within the drain time; a second signal ends it now.
async fn stop(gateway: Option<GatewayHandle>, service: Option<Arc<ServiceHandle>>, signals: &mut Signals) {
    let down = async {
        if let Some(gateway) = &gateway {
            gateway.shutdown();
            gateway.wait().await;
        }
        // A reload under way may hold it for a moment longer; then it ends with the process.
        if let Some(service) = service.and_then(Arc::into_inner) {
            service.shutdown().await;
        }
    };
    tokio::select! {
        () = down => {}
        () = signals.stop() => std::process::exit(1),
    }
}

async fn start_service(settings: &Settings, dev: bool, parts: Parts) -> Result<Option<ServiceHandle>, Stop> {
    let Some(service) = ServiceSettings::of(settings, dev) else { return Ok(None) };
    let own_address = matches!(settings.attestation.as_ref().map(|a| &a.source), Some(settings::AttestationSource::Serve(s)) if s.address.is_some());
    if parts == Parts::Service && !own_address {
        return Err(Stop::no("attestation.serve has no address: alone, the service needs one")
            .hint("add attestation: { serve: { address: 127.0.0.1:8444, … } }, or use `assay run`"));
    }
    let dependencies = attest_service::Dependencies { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) };
    let handle = attest_service::start(service, dependencies)
        .await
        .map_err(|e| Stop::no(format!("the service can't start: {e}")))?;
    Ok(Some(handle))
}

fn service_listeners(settings: &Settings, service: &Arc<ServiceHandle>) -> Result<ServiceListeners, Stop> {
    let started = ServiceListeners::start(&settings.listeners, Arc::new(service.metrics_source()));
    started.map_err(|e| Stop::no(format!("the service can't start: {e}")))
}

async fn start_gateway(
    settings: Settings,
    from_last_good: Option<FromLastGood>,
    file: &Arc<File>,
    service: Option<&ServiceHandle>,
) -> Result<GatewayHandle, Stop> {
    let local = service.map(local).transpose()?;
    let (state, sources) = (settings.state.dir.clone(), settings.sources.clone());
    let is_first = from_last_good.is_none();
    let refused = match try_gateway(settings, from_last_good, file, local.clone()).await? {
        Ok(gateway) => return Ok(gateway),
        Err(why) => why,
    };
    // The file reads well, and can't run: its key store does not open, say. What ran before may.
    if is_first && matches!(refused, StartError::Configuration(_)) {
        let report = LoadError { report: refused.to_string(), sources };
        for kept in LastGood::of(&state).resume(&file.path, &file.overrides) {
            let from = FromLastGood { taken: kept.taken, report: report.clone() };
            if let Ok(gateway) = try_gateway(kept.settings, Some(from), file, local.clone()).await? {
                return Ok(gateway);
            }
        }
    }
    Err(Stop::no(format!("the gateway can't start: {refused}")))
}

async fn try_gateway(
    settings: Settings,
    from_last_good: Option<FromLastGood>,
    file: &Arc<File>,
    local_service: Option<LocalService>,
) -> Result<Result<GatewayHandle, StartError>, Stop> {
    let (read, taken) = (Arc::clone(file), Arc::clone(file));
    let dependencies = proxy::Dependencies {
        clock: Arc::new(SystemClock),
        reload: Arc::new(move || read.load()),
        taken: Arc::new(move |settings| taken.hand_on(settings)),
        from_last_good,
        local_service,
        access_log: None,
    };
    let started = tokio::task::spawn_blocking(move || proxy::start(settings, dependencies)).await;
    started.map_err(|e| Stop::unknown(e.to_string()))
}

/// What to start with: the file; or, where that is bad and a gateway ran here before, what it ran with last.
fn read(path: &Path, overrides: &Overrides, parts: Parts) -> Result<(Settings, Option<FromLastGood>), Stop> {
    let report = match config::load_with(path, overrides) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                note(&loaded.render(warning));
            }
            crate::logging::start(loaded.settings.log.level.as_str());
            return Ok((loaded.settings, None));
        }
        Err(report) => report,
    };
    let refused = config::refused(&report);
    if parts == Parts::Service {
        return Err(refused);
    }
    // At the level of the file nobody can read: what is passed over has to be told.
    crate::logging::start("info");
    let Some((settings, from)) = proxy::instead(path, overrides, load_error(report)) else {
        return Err(
            refused.hint("nothing that ran before is kept in the state folder, so there is nothing to start with")
        );
    };
    Ok((settings, Some(from)))
}

fn load_error(report: Report) -> LoadError {
    LoadError { report: report.to_string(), sources: report.sources }
}

/// The configuration file of this process, to be read anew.
struct File {
    path: PathBuf,
    overrides: Overrides,
    /// The service of this process, which goes along with a file that is good.
    service: Weak<ServiceHandle>,
}

impl File {
    fn load(&self) -> Result<Settings, LoadError> {
        match config::load_with(&self.path, &self.overrides) {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    tracing::warn!(target: "assay", "{}:{}: {}", warning.file, warning.line, warning.message);
                }
                Ok(loaded.settings)
            }
            Err(report) => Err(load_error(report)),
        }
    }

    /// Apps, Evidence policies and limits change at once; the rest of a service needs a start.
    fn hand_on(&self, settings: &Settings) {
        let Some(service) = self.service.upgrade() else { return };
        let Some(new) = ServiceSettings::of(settings, self.overrides.dev) else {
            tracing::warn!(target: "assay", "attestation.serve is gone from the file: the service stays until the next start");
            return;
        };
        match service.reload(new) {
            Ok(()) => tracing::info!(target: "assay", "the service has taken the file"),
            Err(fixed) => tracing::warn!(
                target: "assay",
                "the service goes on as it was: {} takes effect at its next start", fixed.setting
            ),
        }
    }
}

/// The service of this process, as its gateway needs it.
fn local(service: &ServiceHandle) -> Result<LocalService, Stop> {
    let mut secret = HeaderValue::from_str(service.internal_secret()).map_err(|e| Stop::unknown(e.to_string()))?;
    secret.set_sensitive(true);
    let feeds = Arc::new(InProcess {
        key_sets: Box::new(service.key_set_source()),
        revocations: Box::new(service.revocation_source()),
        report: Box::new(service.gateway_reports()),
        pinned: service.feed_public_key().clone(),
    });
    Ok(LocalService {
        address: service.internal_address(),
        internal_secret: secret,
        key_sets: feeds.clone(),
        revocations: feeds,
        metrics: Arc::new(service.metrics_source()),
    })
}

/// Takes what a gateway says of itself; nothing when the service has stopped.
type TakesFacts = Box<dyn Fn(&GatewayFacts) -> Option<()> + Send + Sync>;

/// What the service publishes, without a detour over the network; signed and checked all the same.
struct InProcess {
    key_sets: Box<dyn Fn() -> Option<SignedDocument> + Send + Sync>,
    revocations: Box<dyn Fn(u64) -> Option<SignedDocument> + Send + Sync>,
    report: TakesFacts,
    pinned: FeedPublicKey,
}

impl InProcess {
    fn fetched(&self, document: Option<SignedDocument>) -> Result<Fetched, String> {
        let document = document.ok_or_else(|| "the service has stopped".to_owned())?;
        Ok(Fetched { document, pinned: self.pinned.clone() })
    }
}

#[async_trait]
impl FetchKeySets for InProcess {
    async fn fetch(&self) -> Result<Fetched, String> {
        self.fetched((self.key_sets)())
    }
}

#[async_trait]
impl FetchRevocations for InProcess {
    async fn fetch(&self, after: u64) -> Result<Fetched, String> {
        self.fetched((self.revocations)(after))
    }

    fn pinned(&self) -> FeedPublicKey {
        self.pinned.clone()
    }

    async fn report(&self, facts: &GatewayFacts) -> Result<(), String> {
        (self.report)(facts).ok_or_else(|| "the service has stopped".to_owned())
    }
}

/// The first line: where everything listens.
fn say_where(
    gateway: Option<&GatewayHandle>,
    service: Option<&ServiceHandle>,
    aside: Option<&ServiceListeners>,
    output: Output,
) {
    let mut places = Map::new();
    if let Some(gateway) = gateway {
        places.insert("public".into(), json!(gateway.public()));
    }
    let probe = gateway.map_or_else(|| aside.and_then(ServiceListeners::probe), GatewayHandle::probe);
    let admin = gateway.map_or_else(|| aside.and_then(ServiceListeners::admin), GatewayHandle::admin);
    for (name, address) in [("probe", probe), ("admin", admin)] {
        if let Some(address) = address {
            places.insert(name.into(), json!(address));
        }
    }
    if let Some(service) = service {
        places.insert("service".into(), json!(service.address()));
        if let Some(address) = service.admin_address() {
            places.insert("service_admin".into(), json!(address));
        }
    }
    if output.is_json() {
        output.line(&json!({ "listening": places }));
    } else {
        let text = |(name, at): (&String, &Value)| format!("{name} {}", at.as_str().unwrap_or_default());
        note(&format!("listening: {}", places.iter().map(text).collect::<Vec<_>>().join(", ")));
    }
}

/// What a signal asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Reload,
    Stop,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, Stop> {
        let listen = |kind| signal(kind).map_err(|e| Stop::unknown(format!("signals: {e}")));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// The next signal that asks to stop.
    async fn stop(&mut self) {
        while self.next().await == Asked::Reload {}
    }
}

/// How long the process may still take after both have stopped.
pub(crate) const LAST_MOMENT: Duration = Duration::from_millis(200);
