//! One running configuration, built whole.
//!
//! In come checked settings; out goes everything that requests need of them, or the reason why this
//! configuration can't run. Nothing of a bad one is ever used: a generation is built beside the running
//! one and swapped in at once. What must outlive a change is taken over by name: the seats of an
//! upstream, its addresses, the key set's feed.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use attest_core::time::Clock;
use http::HeaderValue;
use ipnet::IpNet;
use keystore::{GenerationMemory, Keystore, MasterKey};
use settings::{
    Attestation, AttestationSource, ConnectionLimits, IssuerRef, RouteSettings, Settings, UpstreamSettings,
};

use crate::admission::Admission;
use crate::internal::{self, Internal};
use crate::key_sets::{FetchKeySets, OwnKeySets, Remote, RemoteError, keep_fetched};
use crate::route::{Issuer, Meters, Route, RouteKey, Stripped};
use crate::routes::RouteTable;
use crate::token_cache::KeySetId;
use crate::upstream::{Upstream, UpstreamError, keep_resolved};

/// How the service of this process is reached, when it runs here.
#[derive(Clone)]
pub struct LocalService {
    /// Where it listens, on loopback.
    pub address: SocketAddr,
    /// What shows it that a request came through this gateway; sent as `assay-internal`.
    pub internal_secret: HeaderValue,
    /// Its key sets, without a detour over the network.
    pub key_sets: Arc<dyn FetchKeySets>,
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
    /// The way to the service of this process.
    pub internal: Option<Arc<Internal>>,
    /// The feed of our own key set.
    pub own: Option<Arc<OwnKeySets>>,
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

/// The service in this process is asked so often.
const LOCAL_REFRESH: Duration = Duration::from_secs(1);
/// A first fetch and first resolutions may take so long before a configuration is used without them.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);

impl Generation {
    /// Builds `settings` beside `running`, and starts what it needs in the background.
    ///
    /// # Errors
    /// Why it can't run; `running` is untouched.
    pub(crate) async fn build(
        settings: Settings,
        running: Option<&Self>,
        local: Option<&LocalService>,
        clock: &Arc<dyn Clock>,
        fetch_failed: impl Fn() + Send + Clone + 'static,
    ) -> Result<Self, GenerationError> {
        if let Some(running) = running {
            refuse_what_takes_a_restart(&running.settings, &settings)?;
        }
        let settings = Arc::new(settings);
        let number = running.map_or(1, |running| running.number + 1);
        let keystore = open_keystore(&settings)?;
        let (own, is_new_feed) = own_key_sets(&settings, running, local, clock)?;
        let mut upstreams = BTreeMap::new();
        for (name, upstream) in &settings.upstreams {
            upstreams.insert(name.clone(), Arc::new(build_upstream(upstream.clone(), running)?));
        }
        let mut routes = Vec::with_capacity(settings.routes.len());
        for route in &settings.routes {
            routes.push(Arc::new(build_route(route, number, &settings, &upstreams, keystore.as_ref(), own.as_ref())?));
        }
        let internal = internal_way(&settings, running, local)?;
        // Nothing below can fail: from here on this is the next configuration.
        for (name, upstream) in &upstreams {
            upstream.admission.resize(Upstream::capacity(&upstream.settings));
            if let Some(old) = running.and_then(|running| running.upstreams.get(name)) {
                adopt_addresses(upstream, old);
            }
        }
        let first_fetch = own.clone().filter(|_| is_new_feed);
        get_ready(&upstreams, first_fetch, fetch_failed).await;
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
            internal,
            own,
            settings,
        })
    }
}

/// Sockets, connection bounds and the state folder are taken at start. To ignore a change of them would be
/// to run something else than the file says.
fn refuse_what_takes_a_restart(old: &Settings, new: &Settings) -> Result<(), GenerationError> {
    let differs = |what, differs| if differs { Err(GenerationError::NeedsRestart(what)) } else { Ok(()) };
    let socket = |settings: &Settings| {
        settings.listeners.public.as_ref().map(|public| (public.address, public.tls.clone(), public.h2c, public.limits))
    };
    differs("listeners.public", socket(old) != socket(new))?;
    differs("listeners.probe", old.listeners.probe != new.listeners.probe)?;
    differs("listeners.admin", old.listeners.admin != new.listeners.admin)?;
    differs("state.dir", old.state_dir != new.state_dir)?;
    differs("log.traces", old.log.traces != new.log.traces)?;
    differs("log", old.log != new.log)?;
    // The service of this process took its part of the file at start.
    let served = |settings: &Settings| {
        let attestation = settings.attestation.clone();
        attestation.filter(|attestation| matches!(attestation.source, AttestationSource::Serve(_)))
    };
    differs("attestation", served(old) != served(new))
}

/// Opens the store and holds every route against the bounds of its key: pointing a key elsewhere ends here.
fn open_keystore(settings: &Settings) -> Result<Option<Keystore>, GenerationError> {
    let Some(keys) = &settings.keys else { return Ok(None) };
    let told = |why: &dyn std::fmt::Display| GenerationError::Keystore(why.to_string());
    let master = MasterKey::from_file(&keys.unlock).map_err(|why| told(&why))?;
    let memory = GenerationMemory::file(settings.state_dir.join("keystore-generations.json"));
    let keystore = Keystore::open(&keys.store, &master, &memory).map_err(|why| told(&why))?;
    let problems = settings.check_keys(&keystore);
    if problems.iter().any(|problem| problem.severity == policies::Severity::Error) {
        let text = std::fs::read_to_string(&settings.path).unwrap_or_default();
        let shown: Vec<String> = problems.iter().map(|problem| problem.render(&text)).collect();
        return Err(GenerationError::Keys(shown.join("\n")));
    }
    Ok(Some(keystore))
}

/// The feed of our own key set, and whether it was not running before.
fn own_key_sets(
    settings: &Settings,
    running: Option<&Generation>,
    local: Option<&LocalService>,
    clock: &Arc<dyn Clock>,
) -> Result<(Option<Arc<OwnKeySets>>, bool), GenerationError> {
    let Some(attestation) = &settings.attestation else { return Ok((None, false)) };
    let unchanged =
        |running: &&Generation| running.settings.attestation.as_ref().is_some_and(|old| same_feed(old, attestation));
    if let Some(own) = running.filter(unchanged).and_then(|running| running.own.clone()) {
        return Ok((Some(own), false));
    }
    let (source, refresh): (Arc<dyn FetchKeySets>, Duration) = match (&attestation.source, local) {
        (AttestationSource::Remote(remote), _) => (Arc::new(Remote::new(remote)?), remote.refresh),
        (AttestationSource::Serve(_), Some(local)) => (local.key_sets.clone(), LOCAL_REFRESH),
        (AttestationSource::Serve(_), None) => {
            return Err(GenerationError::Attestation(
                "attestation.serve: the service runs in another process, so this gateway needs \
                 attestation.remote with its address"
                    .to_owned(),
            ));
        }
    };
    let own = OwnKeySets::new(attestation.token.key_set.clone(), refresh, source, clock.clone());
    Ok((Some(Arc::new(own)), true))
}

fn same_feed(old: &Attestation, new: &Attestation) -> bool {
    old.source == new.source && old.token.key_set == new.token.key_set
}

fn build_upstream(settings: UpstreamSettings, running: Option<&Generation>) -> Result<Upstream, GenerationError> {
    let admission = running
        .and_then(|running| running.upstreams.get(&settings.name))
        .map_or_else(|| Admission::new(Upstream::capacity(&settings)), |old| old.admission.clone());
    Ok(Upstream::build(settings, admission)?)
}

fn adopt_addresses(upstream: &Upstream, old: &Upstream) {
    if upstream.literal().is_none() && old.same_place(&upstream.settings) {
        upstream.adopt(old);
    }
}

fn build_route(
    route: &RouteSettings,
    generation: u64,
    settings: &Settings,
    upstreams: &BTreeMap<String, Arc<Upstream>>,
    keystore: Option<&Keystore>,
    own: Option<&Arc<OwnKeySets>>,
) -> Result<Route, GenerationError> {
    let inconsistent = |what| GenerationError::Inconsistent { route: route.name.clone(), what };
    let upstream = upstreams.get(&route.upstream).ok_or_else(|| inconsistent("its upstream does not exist"))?;
    let key = match &route.key {
        None => None,
        Some(key) => Some(route_key(key, keystore).ok_or_else(|| inconsistent("its key does not exist"))?),
    };
    let issuer = match &route.token.issuer {
        IssuerRef::Own => {
            let token = &settings.attestation.as_ref().ok_or_else(|| inconsistent("there is no attestation"))?.token;
            Issuer::Own {
                key_sets: own.cloned().ok_or_else(|| inconsistent("there is no key set"))?,
                issuer: token.issuer.clone(),
                audience: token.audience.clone(),
                leeway: token.leeway,
            }
        }
        IssuerRef::Named(name) => {
            let issuer = settings.issuers.get(name).ok_or_else(|| inconsistent("its issuer does not exist"))?;
            Issuer::Named { settings: Arc::new(issuer.clone()), id: named_id(name, settings) }
        }
    };
    Ok(Route {
        name: route.name.as_str().into(),
        generation,
        upstream: upstream.clone(),
        issuer,
        key,
        stripped: Stripped::of(route),
        meters: Meters::of(&route.policy),
        settings: route.clone(),
    })
}

/// Identity of an issuer's keys in the token cache: any change of any file makes another one.
fn named_id(name: &str, settings: &Settings) -> KeySetId {
    let mut hasher = std::hash::DefaultHasher::new();
    (name, settings.digest).hash(&mut hasher);
    // Even ones are our own.
    KeySetId { issuer: hasher.finish() | 1, number: 0 }
}

/// The key of a route; that its bounds allow this use has been checked for all routes together.
fn route_key(key: &str, keystore: Option<&Keystore>) -> Option<RouteKey> {
    let handle = keystore?.key(key)?;
    Some(RouteKey { name: key.into(), fingerprint: handle.fingerprint().to_string(), handle })
}

fn internal_way(
    settings: &Settings,
    running: Option<&Generation>,
    local: Option<&LocalService>,
) -> Result<Option<Arc<Internal>>, GenerationError> {
    let Some((AttestationSource::Serve(serve), local)) =
        settings.attestation.as_ref().map(|attestation| &attestation.source).zip(local)
    else {
        return Ok(None);
    };
    let admission =
        running.and_then(|running| running.internal.as_ref()).map(|internal| internal.upstream.admission.clone());
    let internal = Internal::new(serve, local.address, local.internal_secret.clone(), admission)?;
    Ok(Some(Arc::new(internal)))
}

/// First addresses and a first key set, for a moment; then both go on in the background.
async fn get_ready(
    upstreams: &BTreeMap<String, Arc<Upstream>>,
    first_fetch: Option<Arc<OwnKeySets>>,
    fetch_failed: impl Fn() + Send + Clone + 'static,
) {
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
    if let Some(feed) = first_fetch {
        first.spawn(async move {
            if let Err(problem) = feed.fetch().await {
                tracing::warn!("{problem}; tokens are unverifiable until it can be");
                fetch_failed();
            }
            tokio::spawn(keep_fetched(Arc::downgrade(&feed), fetch_failed));
        });
    }
    if tokio::time::timeout(FIRST_PATIENCE, async { while first.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!("an upstream's name or the key set takes long; starting without it");
        first.detach_all();
    }
}
