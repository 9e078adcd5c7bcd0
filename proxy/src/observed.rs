//! What the gateway remembers of decisions: counts of a week, who was let through lately, and records of some.
//!
//! In comes each decision on a route, at the moment it is made; out go observations for `assay policy advise`, the guard's history, and records.
//! Nothing here waits for another request: counts lie in stripes, one a thread as a rule, and the rest is atomics. Devices and networks
//! are keyed hashes before they are remembered; the key lies in the state folder, so that a device keeps its name over a restart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use attest_core::random::{self, SystemRandom};
use attest_core::time::UnixTime;
use attest_core::verdict::Verdict;
use policies::observations::{Observations, Seen, hour_of};
use policies::recording::Pseudonyms;
use policies::{Action, Decision, Mode, RequestFacts};

use crate::guard::history::History;
use crate::guard::{Sight, kept};
use crate::recorder::Recorder;
use crate::route::Route;
use crate::telemetry::metrics::Metrics;
use crate::whole_file;

pub(crate) mod distinct;
pub(crate) mod shadow;
mod watch;

pub(crate) use watch::{InMode, RouteWatch};

/// In the state folder.
const KEY: &str = "pseudonyms.key";
const OBSERVATIONS: &str = "observations.json";
/// Bytes of observations that are read at a start: a thousand routes with a hundred kilobytes each.
const LARGEST: u64 = 128 << 20;

/// One for the life of the process.
pub(crate) struct Observed {
    folder: PathBuf,
    names: Pseudonyms,
    /// What was counted since it was last gathered.
    stripes: Box<[Stripe]>,
    /// What was gathered.
    total: Mutex<Observations>,
    /// Who was let through lately.
    pub history: History,
    /// Records of decisions.
    pub recorder: Recorder,
}

/// Apart from its neighbours, so that two threads do not share a cache line.
#[derive(Default)]
#[repr(align(128))]
struct Stripe(Mutex<Observations>);

/// What a decision is seen with.
pub(crate) struct At<'a> {
    /// The request's id.
    pub id: crate::decision_id::DecisionId,
    /// Now, on the clock that nobody sets.
    pub steady: Duration,
    /// Where differences and trips are counted.
    pub metrics: &'a Metrics,
}

impl Observed {
    /// With what an earlier process left in the state folder.
    ///
    /// # Errors
    /// The key of device names can't be read or made. What else is damaged begins anew, with a warning.
    pub(crate) fn open(state_dir: &Path, recorder: Recorder, threads: usize) -> io::Result<Self> {
        let names = Pseudonyms::new(key(&state_dir.join(KEY))?);
        let history = History::default();
        kept::load_history(state_dir, &history);
        Ok(Self {
            folder: state_dir.to_path_buf(),
            names,
            stripes: (0..(threads * 2).next_power_of_two()).map(|_| Stripe::default()).collect(),
            total: Mutex::new(load(&state_dir.join(OBSERVATIONS))),
            history,
            recorder,
        })
    }

    /// A device in log and records: the same for all its requests to this gateway, and no way back to its id.
    pub(crate) fn device(&self, device: &str) -> u64 {
        self.names.device(device)
    }

    /// Everything that is remembered of one decision. The hash of the device, if there is one.
    pub(crate) fn look(
        &self,
        decision: &Decision,
        facts: &RequestFacts<'_>,
        route: &Route,
        at: &At<'_>,
    ) -> Option<u64> {
        let (who, why) = (decision.verified(), decision.why());
        let claims = who.claims();
        let device = claims.and_then(|_| who.device()).map(|device| self.device(device));
        // Of a device the network is asked for only where the guard counts it.
        let network = device.map_or_else(|| self.names.network(facts.address), |_| 0);
        // As `Seen::new`, with the hashes that are needed again.
        let (rule, enforced) =
            why.monitored().next().unwrap_or_else(|| (why.rule(), why.would().unwrap_or(why.action())));
        let seen = Seen {
            route: &route.name,
            verdict: who.verdict(),
            app: claims.and_then(|claims| claims.app()),
            version: claims.and_then(|claims| claims.ver()),
            rule,
            action: why.action(),
            enforced,
            device,
            network,
        };
        self.stripe().record(hour_of(facts.now), &seen);
        if let Some(device) = device.filter(|_| who.verdict() == Verdict::Attested) {
            self.guard(decision, facts, route, device, at);
        }
        if let Some(shadow) = &route.watch.shadow {
            shadow.ask(decision, facts, device.unwrap_or(network), route, &at.metrics.candidate_differences);
        }
        let class = match decision {
            Decision::Permit(permit) => Some(permit.class()),
            Decision::Refuse(_) => None,
        };
        let wanted = self.recorder.wants(device.unwrap_or(network), class.is_none(), at.steady);
        if let Some(wanted) = wanted {
            let id = at.id.text();
            let made = policies::recording::Facts {
                id: id.as_str(),
                generation: route.generation,
                who,
                what: facts,
                why,
                class,
            };
            self.recorder.keep(route.watch.records.record(&made, &self.names), wanted);
        }
        device
    }

    /// The device's history, and whether its refusal is one too many.
    fn guard(&self, decision: &Decision, facts: &RequestFacts<'_>, route: &Route, device: u64, at: &At<'_>) {
        let device = route.watch.on_this_route(device);
        let let_through = matches!(decision, Decision::Permit(_));
        if let_through {
            self.history.seen(device, facts.now);
        }
        let by_guard = facts.mode == Mode::Monitor(policies::Cause::Guard);
        if facts.mode != Mode::Normal && !by_guard {
            // An operator's order decides now, not the policy.
            return;
        }
        let refused = !let_through || (by_guard && decision.why().would().is_some());
        let network = if refused { self.names.network(facts.address) } else { 0 };
        let sight = Sight { device, network, refused, now: facts.now, steady: at.steady };
        let who = decision.verified();
        let before = RequestFacts { mode: Mode::Normal, ..*facts };
        let trip =
            route.watch.guard.sight(&self.history, &sight, |policy| policy.judge(who, &before).action != Action::Block);
        if let Some(trip) = trip {
            at.metrics.guard_trips.get_or_create(&route.watch.labels).inc();
            tracing::error!(
                route = &*route.name,
                devices_regressed = trip.regressed,
                active = trip.active,
                "devices_regressed: devices that were let through before this policy are refused by it; until the policy changes, \
                 refusals on this route take no effect. POST /guard/{}/reset enforces it all the same",
                route.name
            );
        }
    }

    fn stripe(&self) -> MutexGuard<'_, Observations> {
        // A mask, as their number is a power of two.
        let at = THIS_THREAD.with(|number| *number) & (self.stripes.len() - 1);
        self.stripes.get(at).map_or_else(|| lock(&self.total), |stripe| lock(&stripe.0))
    }

    /// Everything that was counted, a week back.
    pub(crate) fn gathered(&self, now: UnixTime) -> Observations {
        let mut total = lock(&self.total);
        for stripe in &self.stripes {
            let counted = std::mem::take(&mut *lock(&stripe.0));
            total.merge(&counted);
        }
        total.forget(hour_of(now));
        total.clone()
    }

    /// Writes down what was counted, and who was let through. Blocks.
    ///
    /// # Errors
    /// What the file system says; what was written before is as it was.
    pub(crate) fn save(&self, now: UnixTime) -> io::Result<()> {
        whole_file::replace(&self.folder.join(OBSERVATIONS), self.gathered(now).to_json().as_bytes())?;
        kept::save_history(&self.folder, &self.history)
    }
}

static THREADS: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    static THIS_THREAD: usize = THREADS.fetch_add(1, Relaxed);
}

fn lock(observations: &Mutex<Observations>) -> MutexGuard<'_, Observations> {
    observations.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Observations of an earlier process, as far as there are any.
fn load(path: &Path) -> Observations {
    let read = || -> Result<Observations, String> {
        let length = std::fs::metadata(path).map_err(|why| why.to_string())?.len();
        if length > LARGEST {
            return Err("longer than any that a gateway writes".to_owned());
        }
        let bytes = std::fs::read(path).map_err(|why| why.to_string())?;
        Observations::from_json(&bytes).map_err(|why| why.to_string())
    };
    if !path.exists() {
        return Observations::default();
    }
    read().unwrap_or_else(|why| {
        tracing::warn!(file = %path.display(), "counting begins anew: {why}");
        Observations::default()
    })
}

/// The key of names: that of an earlier process, or a new one.
fn key(path: &Path) -> io::Result<[u8; 16]> {
    if let Ok(bytes) = std::fs::read(path)
        && let Ok(key) = <[u8; 16]>::try_from(zeroize::Zeroizing::new(bytes).as_slice())
    {
        return Ok(key);
    }
    let fresh: [u8; 16] = random::array(&SystemRandom).map_err(|why| io::Error::other(why.to_string()))?;
    whole_file::replace(path, &fresh)?;
    Ok(fresh)
}

#[cfg(test)]
mod tests;
