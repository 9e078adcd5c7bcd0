//! One running configuration, built whole.
//!
//! In come checked settings; out goes everything that requests need of them, or the reason why this
//! configuration can't run. Nothing of a bad one is ever used: a generation is built beside the running
//! one and swapped in at once. What must outlive a change is taken over by name: the seats of an
//! upstream, its addresses, the feeds of the service.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use attest_core::time::{Clock, UnixTime};
use http::HeaderValue;
use ipnet::IpNet;
use key_sources::KeySource;
use keystore::VersionId;
use settings::{ConnectionLimits, Settings};

use crate::admin::MoreMetrics;
use crate::admission;
use crate::feeds::{FetchFailures, FetchKeySets, FetchRevocations, OwnFeeds, RemoteError};
use crate::guard::earlier::Earlier;
use crate::internal::{self, Internal};
use crate::keys::{Keys, LiveKey, Taking};
use crate::route::Route;
use crate::routes::RouteTable;
use crate::telemetry::key_audit;
use crate::upstream::{Upstream, UpstreamError, keep_resolved};

mod parts;

/// How the service of this process is reached, when it runs here.
#[derive(Clone)]
pub struct LocalService {
    /// Where it listens, on loopback.
    pub address: SocketAddr,
    /// What shows it that a request came through this gateway; sent as `assay-internal`.
    pub internal_secret: HeaderValue,
    /// Its key sets, without a detour over the network.
    pub key_sets: Arc<dyn FetchKeySets>,
    /// What it took back, likewise.
    pub revocations: Arc<dyn FetchRevocations>,
    /// Its figures, for the operators' listener.
    pub metrics: Arc<MoreMetrics>,
}

/// Everything that requests need of a configuration.
pub(crate) struct Generation {
    /// Rises with each configuration taken.
    pub number: u64,
    /// What it was built from.
    pub settings: Arc<Settings>,
    /// Bounds of connections.
    pub limits: ConnectionLimits,
    /// Who may name a client's address.
    pub trusted_proxies: Vec<IpNet>,
    /// Which route a request takes.
    pub table: RouteTable,
    /// All routes.
    pub routes: Vec<Arc<Route>>,
    /// All upstreams by name, the service's own among them.
    pub upstreams: BTreeMap<String, Arc<Upstream>>,
    /// The key store; none where there are no keys.
    pub keys: ArcSwapOption<Keys>,
    /// Where that is, and what opens it.
    pub source: Option<Arc<KeySource>>,
    /// Of its keys those that routes name.
    pub live: BTreeMap<String, Arc<LiveKey>>,
    /// The way to the service of this process.
    pub internal: Option<Arc<Internal>>,
    /// What our own service publishes.
    pub own: Option<Arc<OwnFeeds>>,
    /// When it was taken.
    pub taken: UnixTime,
}

/// Why a configuration can't run. Names, never values.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// The keystore does not open.
    #[error("{0}")]
    Keystore(String),
    /// A route names a key that is not in the store, or wants one used outside its bounds. With places.
    #[error("{0}")]
    Keys(String),
    /// An upstream can't be dialled as it is.
    #[error("{0}")]
    Upstream(String),
    /// The attestation service can't be asked.
    #[error("{0}")]
    Attestation(String),
    /// Something that settings should have refused; a bug of ours, said rather than run with.
    #[error("route {route}: {what}")]
    Inconsistent {
        /// The route.
        route: String,
        /// What does not fit.
        what: &'static str,
    },
    /// What only a restart changes.
    #[error("{0} changed, which takes a restart")]
    NeedsRestart(&'static str),
}

impl From<UpstreamError> for GenerationError {
    fn from(why: UpstreamError) -> Self {
        Self::Upstream(why.to_string())
    }
}

impl From<RemoteError> for GenerationError {
    fn from(why: RemoteError) -> Self {
        Self::Attestation(why.to_string())
    }
}

/// A first fetch and first resolutions may take so long before a configuration is used without them.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);

impl Generation {
    /// Builds `settings` beside `running`, or after `earlier` runs, and starts what it needs in the background.
    ///
    /// # Errors
    /// Why it can't run; `running` is untouched.
    pub(crate) async fn build(
        settings: Settings,
        running: Option<&Self>,
        local: Option<&LocalService>,
        clock: &Arc<dyn Clock>,
        failures: FetchFailures,
        earlier: &Earlier,
    ) -> Result<Self, GenerationError> {
        if let Some(running) = running {
            parts::refuse_what_takes_a_restart(&running.settings, &settings)?;
        }
        let settings = Arc::new(settings);
        let number = running.map_or(1, |running| running.number + 1);
        let source = parts::key_source(&settings, running);
        let keys = match &source {
            Some(source) => Some(parts::open_keys(source, clock.now()).await?),
            None => None,
        };
        let keystore = keys.as_ref().map(|keys| &keys.store);
        if let Some(keystore) = keystore {
            parts::check_keys(&settings, keystore)?;
        }
        let old = running.and_then(|running| Some((running.settings.attestation.as_ref()?, running.own.as_ref()?)));
        let own = OwnFeeds::build(settings.attestation.as_ref(), old, local, clock, &settings.state.dir)?;
        let mut upstreams = BTreeMap::new();
        for (name, upstream) in &settings.upstreams {
            upstreams.insert(name.clone(), Arc::new(parts::upstream(upstream.clone(), running)?));
        }
        let parties = parts::parties(&settings)?;
        let mut taking = Taking::default();
        let live = parts::live_keys(&settings, keystore, running, &mut taking)?;
        let shared = parts::Shared {
            generation: number,
            settings: &settings,
            upstreams: &upstreams,
            live: &live,
            own: own.as_ref(),
            parties: &parties,
        };
        let mut routes = Vec::with_capacity(settings.routes.len());
        for route in &settings.routes {
            let watch = parts::watch(route, running, earlier, own.as_ref(), clock.now());
            routes.push(Arc::new(parts::route(route, &shared, watch)?));
        }
        let internal = parts::internal_way(&settings, running, local)?;
        // Nothing below can fail: from here on this is the next configuration.
        taking.take();
        for (name, upstream) in &upstreams {
            upstream.admission.resize(admission::capacity(&upstream.settings), Instant::now());
            if let Some(old) = running.and_then(|running| running.upstreams.get(name)) {
                adopt_addresses(upstream, old);
            }
        }
        get_ready(&upstreams, own.clone(), failures).await;
        if let Some(internal) = &internal {
            upstreams.insert(internal::NAME.to_owned(), internal.upstream.clone());
        }
        let public = settings.listeners.public.as_ref();
        Ok(Self {
            number,
            limits: public.map(|public| public.limits).unwrap_or_default(),
            trusted_proxies: public.map(|public| public.trusted_proxies.clone()).unwrap_or_default(),
            table: RouteTable::new(&routes),
            routes,
            upstreams,
            keys: ArcSwapOption::from_pointee(keys),
            source,
            live,
            internal,
            own,
            taken: clock.now(),
            settings,
        })
    }
}

impl Generation {
    /// Where the audit log of its keys is, and what authenticates it.
    pub(crate) fn audit_place(&self) -> Option<key_audit::Place> {
        let (settings, keys) = (self.settings.keys.as_ref()?, self.keys.load());
        Some(key_audit::Place { dir: settings.audit.clone(), key: keys.as_ref()?.audit.clone() })
    }

    /// The versions of all keys that routes name.
    pub(crate) fn key_versions(&self) -> HashSet<VersionId> {
        self.live.values().flat_map(|live| live.in_use().handle.ids().collect::<Vec<_>>()).collect()
    }

    /// Reads the key store anew and takes it, where every use that this configuration makes of its keys is within their
    /// bounds. Returns the store's own generation.
    ///
    /// # Errors
    /// Which key may not be used so; what was in use stays.
    pub(crate) async fn take_keys(&self, now: UnixTime) -> Result<u64, GenerationError> {
        let Some(source) = &self.source else { return Ok(0) };
        let keys = parts::open_keys(source, now).await?;
        parts::check_keys(&self.settings, &keys.store)?;
        let mut taking = Taking::default();
        for name in self.live.keys() {
            taking.key(name, &keys.store, Some(&self.live));
        }
        let number = keys.store.generation();
        // Nothing below can fail.
        taking.take();
        self.keys.store(Some(Arc::new(keys)));
        Ok(number)
    }

    /// The route of this name.
    pub(crate) fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| &*route.name == name)
    }
}

fn adopt_addresses(upstream: &Upstream, old: &Upstream) {
    if upstream.literal().is_none() && old.same_place(&upstream.settings) {
        upstream.adopt(old);
    }
}

/// First addresses and first documents of the service, for a moment; then both go on in the background.
async fn get_ready(upstreams: &BTreeMap<String, Arc<Upstream>>, own: Option<Arc<OwnFeeds>>, failures: FetchFailures) {
    let mut first = tokio::task::JoinSet::new();
    for upstream in upstreams.values().filter(|upstream| upstream.literal().is_none()) {
        let upstream = upstream.clone();
        first.spawn(async move {
            // Addresses taken over from the running configuration are good enough to begin with.
            if upstream.addresses().is_empty() {
                upstream.resolve().await;
            }
            tokio::spawn(keep_resolved(Arc::downgrade(&upstream)));
        });
    }
    if let Some(own) = own {
        own.start(&mut first, failures);
    }
    if tokio::time::timeout(FIRST_PATIENCE, async { while first.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!("an upstream's name or the attestation service takes long; starting without it");
        first.detach_all();
    }
}
