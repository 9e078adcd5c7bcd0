//! The guard of a route: a policy that refuses the devices it let through yesterday stops refusing.
//!
//! In come decisions about attested requests; out goes, at most once for a policy, a [`Trip`]: from then on refusals of that route
//! take no effect, until its policy changes or an operator ends it. Opened is never more than enforcement: a route with a key
//! refuses as before, and so does what can't be verified; the policy's own `Monitor` mode sees to both.
//!
//! A device counts as *regressed* only if all of this holds, so that nobody trips it from outside:
//!
//! * this request is attested, and the policy in effect refuses it;
//! * the policy that was in force before would have let this very request through;
//! * the device was let through on this route [`HISTORY`] before the policy changed, and since then every day. Devices made up for the
//!   purpose, in any number, have no such past; forged tokens have no device at all;
//! * its address counts, too: a tenth as many networks as devices must be among them.
//!
//! Both numbers are of `window`: in two halves, of which the older one is forgotten when a new one begins.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use attest_core::time::UnixTime;
use policies::ResultPolicy;
use settings::GuardSettings;

use crate::observed::distinct::Distinct;

pub(crate) mod earlier;
pub(crate) mod history;
pub(crate) mod kept;

use history::History;

/// How long before a change of policy a device must have been let through first.
pub(crate) const HISTORY: Duration = Duration::from_secs(2 * 3600);
/// How long a policy is held against the one before it. After that it is what devices are used to.
const WATCHED: Duration = Duration::from_secs(24 * 3600);
/// How long a policy must have been in force to be what the next one is held against.
const SETTLED: Duration = Duration::from_secs(3600);

/// What watches over one policy of one route. Lives as long as that policy, over reloads that leave it as it is.
pub(crate) struct RouteGuard {
    asked: Option<GuardSettings>,
    digest: [u8; 32],
    policy: Arc<ResultPolicy>,
    /// What the policy is held against.
    before: Option<Arc<ResultPolicy>>,
    /// When the policy came into force.
    since: UnixTime,
    state: AtomicU8,
    counts: OnceLock<Box<Counts>>,
    trip: Mutex<Option<Trip>>,
}

/// How a guard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// It may trip.
    Watching = 0,
    /// Refusals of the route take no effect.
    Tripped = 1,
    /// An operator has ended it: this policy is meant.
    Ended = 2,
}

impl State {
    /// The word in status.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Watching => "watching",
            Self::Tripped => "tripped",
            Self::Ended => "ended",
        }
    }
}

/// What made it trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trip {
    /// When.
    pub at: UnixTime,
    /// Established devices that were refused within the window.
    pub regressed: u64,
    /// Established devices that were seen within the window.
    pub active: u64,
}

/// What a guard counts within its window.
struct Counts {
    halves: [Half; 2],
    /// Number of the half that is counted in.
    half: AtomicU64,
}

#[derive(Default)]
struct Half {
    active: Distinct,
    regressed: Distinct,
    networks: Distinct,
}

/// One attested request of a device, decided.
pub(crate) struct Sight {
    /// Keyed hash of the device on this route.
    pub device: u64,
    /// Keyed hash of its network.
    pub network: u64,
    /// Whether the policy in effect refuses it; or would, if the guard had not tripped.
    pub refused: bool,
    /// Now, on the wall.
    pub now: UnixTime,
    /// Now, on the clock that nobody sets.
    pub steady: Duration,
}

impl RouteGuard {
    /// The guard of a policy that takes the place of another. `old`: the guard of the policy that is in force.
    pub(crate) fn following(
        old: &Arc<Self>,
        asked: Option<GuardSettings>,
        policy: &Arc<ResultPolicy>,
        now: UnixTime,
    ) -> Arc<Self> {
        let digest = policy.digest();
        if old.digest == digest && old.asked == asked {
            return old.clone();
        }
        if old.digest == digest {
            // Only the numbers changed: the same policy, held against the same one.
            let state = old.state.load(Ordering::Acquire);
            let next = Self::new(asked, digest, policy.clone(), old.before.clone(), old.since);
            next.state.store(state, Ordering::Release);
            *next.lock() = *old.lock();
            return Arc::new(next);
        }
        let settled = old.state() != State::Tripped && now.since(old.since).is_some_and(|held| held >= SETTLED);
        let before = match &old.before {
            // A policy that was only just tried is nothing to be held against.
            Some(before) if !settled => before.clone(),
            _ => old.policy.clone(),
        };
        let before = (before.digest() != digest).then_some(before);
        Arc::new(Self::new(asked, digest, policy.clone(), before, now))
    }

    /// The guard of a policy at a start, from what was in force in earlier runs.
    pub(crate) fn resumed(
        asked: Option<GuardSettings>,
        policy: &Arc<ResultPolicy>,
        before: Option<Arc<ResultPolicy>>,
        since: UnixTime,
        state: Option<(State, Option<Trip>)>,
    ) -> Arc<Self> {
        let guard = Self::new(asked, policy.digest(), policy.clone(), before, since);
        if let Some((state, trip)) = state {
            guard.state.store(state as u8, Ordering::Release);
            *guard.lock() = trip;
        }
        Arc::new(guard)
    }

    fn new(
        asked: Option<GuardSettings>,
        digest: [u8; 32],
        policy: Arc<ResultPolicy>,
        before: Option<Arc<ResultPolicy>>,
        since: UnixTime,
    ) -> Self {
        let state = AtomicU8::new(State::Watching as u8);
        Self { asked, digest, policy, before, since, state, counts: OnceLock::new(), trip: Mutex::new(None) }
    }

    /// How it stands.
    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            1 => State::Tripped,
            2 => State::Ended,
            _ => State::Watching,
        }
    }

    /// Whether refusals of the route take no effect.
    pub(crate) fn is_tripped(&self) -> bool {
        self.asked.is_some() && self.state() == State::Tripped
    }

    /// What made it trip, for this policy.
    pub(crate) fn trip(&self) -> Option<Trip> {
        *self.lock()
    }

    /// Identity of the policy.
    pub(crate) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Whether there is an earlier policy that this one is still held against.
    pub(crate) fn is_watching(&self, now: UnixTime) -> bool {
        self.asked.is_some() && self.before.is_some() && now.since(self.since).is_none_or(|held| held < WATCHED)
    }

    /// Regressed and active devices within the window.
    pub(crate) fn counted(&self, steady: Duration) -> (u64, u64) {
        match (self.counts.get(), self.asked) {
            (Some(counts), Some(asked)) => {
                counts.turn(steady, asked.window);
                (counts.regressed(), counts.active())
            }
            _ => (0, 0),
        }
    }

    /// Counts one sight of a device; `passed_before` asks the earlier policy about this request. Some: it trips now.
    pub(crate) fn sight(
        &self,
        history: &History,
        sight: &Sight,
        passed_before: impl FnOnce(&ResultPolicy) -> bool,
    ) -> Option<Trip> {
        let (Some(asked), Some(before)) = (self.asked, &self.before) else { return None };
        if !self.is_watching(sight.now) || !history.is_established(sight.device, self.since.minus(HISTORY), sight.now) {
            return None;
        }
        let counts = self.counts.get_or_init(|| Box::new(Counts::new()));
        let half = counts.turn(sight.steady, asked.window);
        half.active.insert(sight.device);
        if !sight.refused || !passed_before(before) {
            return None;
        }
        half.networks.insert(sight.network);
        // A device that was counted before changes nothing.
        if !half.regressed.insert(sight.device) || self.state() != State::Watching {
            return None;
        }
        let devices = u64::from(asked.devices);
        let (regressed, active) = (counts.regressed(), counts.active());
        let enough = regressed >= devices && counts.networks() >= devices.div_ceil(10);
        if !enough || regressed.saturating_mul(100) < active.saturating_mul(u64::from(asked.share)) {
            return None;
        }
        let change = (State::Watching as u8, State::Tripped as u8);
        self.state.compare_exchange(change.0, change.1, Ordering::AcqRel, Ordering::Acquire).ok()?;
        let trip = Trip { at: sight.now, regressed, active };
        *self.lock() = Some(trip);
        Some(trip)
    }

    /// Has the policy enforced again, and never trip for it. False: it has not tripped.
    pub(crate) fn end(&self) -> bool {
        let change = (State::Tripped as u8, State::Ended as u8);
        self.state.compare_exchange(change.0, change.1, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Trip>> {
        self.trip.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn new() -> Self {
        Self { halves: Default::default(), half: AtomicU64::new(0) }
    }

    /// The half that `steady` lies in; those that are over are emptied. Who counts meanwhile may lose a count, which no number here
    /// depends on.
    fn turn(&self, steady: Duration, window: Duration) -> &Half {
        let length = u64::try_from(window.as_millis() / 2).unwrap_or(u64::MAX).max(1);
        // Numbered from 1: zero is the beginning.
        let now = u64::try_from(steady.as_millis()).unwrap_or(u64::MAX) / length + 1;
        let [even, odd] = &self.halves;
        let (this, other) = if now % 2 == 0 { (even, odd) } else { (odd, even) };
        let counted = self.half.load(Ordering::Acquire);
        if counted < now && self.half.compare_exchange(counted, now, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            this.clear();
            if now - counted > 1 {
                other.clear();
            }
        }
        this
    }

    fn active(&self) -> u64 {
        let [even, odd] = &self.halves;
        even.active.estimate_with(&odd.active)
    }

    fn regressed(&self) -> u64 {
        let [even, odd] = &self.halves;
        even.regressed.estimate_with(&odd.regressed)
    }

    fn networks(&self) -> u64 {
        let [even, odd] = &self.halves;
        even.networks.estimate_with(&odd.networks)
    }
}

impl Half {
    fn clear(&self) {
        self.active.clear();
        self.regressed.clear();
        self.networks.clear();
    }
}

#[cfg(test)]
mod tests;
