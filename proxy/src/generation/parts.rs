//! The parts of a generation, each built from settings and what runs already.
//!
//! In come checked settings and the running generation, if there is one; out goes one part, or why it can't be had.
//! Nothing of the running generation is changed here.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use attest_core::time::UnixTime;
use key_sources::KeySource;
use keystore::Keystore;
use settings::{
    AttestationSource, IssuerRef, RouteSettings, ServeLimits, ServeSettings, Settings, TokenSettings, UpstreamSettings,
};

use super::{Generation, GenerationError, LocalService};
use crate::admission;
use crate::feeds::OwnFeeds;
use crate::guard::RouteGuard;
use crate::guard::earlier::Earlier;
use crate::internal::Internal;
use crate::keys::{Keys, LiveKey, Taking, TokenPlace};
use crate::observed::RouteWatch;
use crate::route::{Issuer, Meters, Parties, Route, Stripped};
use crate::token_cache::KeySetId;
use crate::upstream::Upstream;

/// Sockets, connection bounds and the state folder are taken at start. To ignore a change of them would be
/// to run something else than the file says.
pub(super) fn refuse_what_takes_a_restart(old: &Settings, new: &Settings) -> Result<(), GenerationError> {
    let differs = |what, differs| if differs { Err(GenerationError::NeedsRestart(what)) } else { Ok(()) };
    let socket = |settings: &Settings| {
        let public = settings.listeners.public.as_ref()?;
        // What the file of authorities holds is read anew; whether clients are asked at all is not.
        Some((public.address, public.tls.clone(), public.client_ca_file.clone(), public.h2c, public.limits))
    };
    differs("listeners.public", socket(old) != socket(new))?;
    differs("listeners.probe", old.listeners.probe != new.listeners.probe)?;
    differs("listeners.admin", old.listeners.admin != new.listeners.admin)?;
    differs("state.dir", old.state.dir != new.state.dir)?;
    differs("state.database", old.state.database != new.state.database)?;
    differs("state.shared", old.state.shared != new.state.shared)?;
    differs("log.traces", old.log.traces != new.log.traces)?;
    differs("log", old.log != new.log)?;
    differs("our_faults.key_sets.refuse_after", keys_stale(old) != keys_stale(new))?;
    let (old, new) = (fixed_at_the_service(old).unzip(), fixed_at_the_service(new).unzip());
    differs("attestation.serve", old.0 != new.0)?;
    differs("attestation.token", old.1 != new.1)
}

/// What the service of this process took from the file at its start. Apps and limits it takes over while it runs, so they
/// are made the same.
fn fixed_at_the_service(settings: &Settings) -> Option<(ServeSettings, TokenSettings)> {
    let attestation = settings.attestation.as_ref()?;
    let AttestationSource::Serve(serve) = &attestation.source else { return None };
    let one = NonZeroU32::MIN;
    let limits = ServeLimits { per_address_per_minute: one, concurrency: one, open_challenges: one };
    Some((ServeSettings { limits, ..serve.clone() }, attestation.token.clone()))
}

/// How long a key is published before it signs; absent where the service runs elsewhere.
fn keys_stale(settings: &Settings) -> Option<Duration> {
    match &settings.attestation.as_ref()?.source {
        AttestationSource::Serve(serve) => Some(serve.keys_stale),
        AttestationSource::Remote(_) => None,
    }
}

/// Where the key store is and what opens it: what runs, where that is the same.
pub(super) fn key_source(settings: &Settings, running: Option<&Generation>) -> Option<Arc<KeySource>> {
    let keys = settings.keys.as_ref()?;
    let running = running.filter(|running| running.settings.keys.as_ref() == Some(keys));
    running.and_then(|running| running.source.clone()).or_else(|| Some(Arc::new(KeySource::new(keys))))
}

/// Opens the store, at no lower generation than this machine has seen and the configuration allows.
pub(super) async fn open_keys(source: &KeySource, now: UnixTime) -> Result<Keys, GenerationError> {
    let opened = source.open(&source.memory()).await.map_err(|why| GenerationError::Keystore(why.to_string()))?;
    Ok(Keys { store: opened.store, audit: opened.audit, taken: now })
}

/// Holds every route against the bounds of its key in this store: pointing a key elsewhere ends here.
pub(super) fn check_keys(settings: &Settings, keystore: &Keystore) -> Result<(), GenerationError> {
    let problems = settings.check_keys(keystore);
    if problems.iter().any(|problem| problem.severity == policies::Severity::Error) {
        let text = std::fs::read_to_string(&settings.path).unwrap_or_default();
        let shown: Vec<String> = problems.iter().map(|problem| problem.render(&text)).collect();
        return Err(GenerationError::Keys(shown.join("\n")));
    }
    Ok(())
}

/// The keys that routes name; those that run already go on, and get their new handles when `taking` is.
pub(super) fn live_keys(
    settings: &Settings,
    keystore: Option<&Keystore>,
    running: Option<&Generation>,
    taking: &mut Taking,
) -> Result<BTreeMap<String, Arc<LiveKey>>, GenerationError> {
    let mut live = BTreeMap::new();
    for (route, name) in settings.routes.iter().filter_map(|route| Some((route, route.key.as_ref()?))) {
        if !live.contains_key(name) {
            let key = keystore.and_then(|store| taking.key(name, store, running.map(|running| &running.live)));
            let missing =
                || GenerationError::Inconsistent { route: route.name.clone(), what: "its key does not exist" };
            live.insert(name.clone(), key.ok_or_else(missing)?);
        }
    }
    Ok(live)
}

pub(super) fn upstream(settings: UpstreamSettings, running: Option<&Generation>) -> Result<Upstream, GenerationError> {
    let admission = running
        .and_then(|running| running.upstreams.get(&settings.name))
        .map_or_else(|| admission::open(&settings), |old| old.admission.clone());
    Ok(Upstream::build(settings, admission, outbound::Dialer::system())?)
}

/// What all routes of a generation are built from.
pub(super) struct Shared<'a> {
    pub(super) generation: u64,
    pub(super) settings: &'a Settings,
    pub(super) upstreams: &'a BTreeMap<String, Arc<Upstream>>,
    pub(super) live: &'a BTreeMap<String, Arc<LiveKey>>,
    pub(super) own: Option<&'a Arc<OwnFeeds>>,
    pub(super) parties: &'a Parties,
}

pub(super) fn route(route: &RouteSettings, shared: &Shared<'_>, watch: RouteWatch) -> Result<Route, GenerationError> {
    let Shared { generation, settings, upstreams, live, own, parties } = *shared;
    let inconsistent = |what| GenerationError::Inconsistent { route: route.name.clone(), what };
    let upstream = upstreams.get(&route.upstream).ok_or_else(|| inconsistent("its upstream does not exist"))?;
    let key = match &route.key {
        None => None,
        Some(key) => Some(live.get(key).cloned().ok_or_else(|| inconsistent("its key does not exist"))?),
    };
    let issuer = match &route.token.issuer {
        IssuerRef::Own => {
            let token = &settings.attestation.as_ref().ok_or_else(|| inconsistent("there is no attestation"))?.token;
            Issuer::Own {
                feeds: own.cloned().ok_or_else(|| inconsistent("there is no key set"))?,
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
    let callers = parties.callers_of(route).map_err(inconsistent)?;
    Ok(Route {
        name: route.name.as_str().into(),
        generation,
        upstream: upstream.clone(),
        issuer,
        tokens: key.as_ref().map(|_| TokenPlace::beside(&upstream.settings)),
        key,
        stripped: Stripped::of(route, &callers),
        user: parties.users_of(route).map_err(inconsistent)?,
        callers,
        meters: Meters::of(&route.policy),
        watch,
        settings: route.clone(),
    })
}

/// What is watched on a route, from what is watched on it now.
pub(super) fn watch(
    route: &RouteSettings,
    running: Option<&Generation>,
    earlier: &Earlier,
    own: Option<&Arc<OwnFeeds>>,
    now: UnixTime,
) -> RouteWatch {
    let running = running.and_then(|running| running.route(&route.name)).map(|route| &route.watch);
    let guard = match running {
        Some(running) => RouteGuard::following(&running.guard, route.guard, &route.policy, now),
        None => earlier.guard(route, now),
    };
    RouteWatch::new(route, guard, running, own.cloned())
}

/// Who may call beside apps, and who vouches for users.
pub(super) fn parties(settings: &Settings) -> Result<Parties, GenerationError> {
    let inconsistent = |what| GenerationError::Inconsistent { route: "any".to_owned(), what };
    Parties::new(settings, |issuer| named_id(issuer, settings).issuer).map_err(inconsistent)
}

/// Identity of an issuer's keys in the token cache: any change of any file makes another one.
fn named_id(name: &str, settings: &Settings) -> KeySetId {
    let mut hasher = std::hash::DefaultHasher::new();
    (name, settings.digest).hash(&mut hasher);
    // Even ones are our own.
    KeySetId { issuer: hasher.finish() | 1, number: 0 }
}

pub(super) fn internal_way(
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
