//! Tokens in hand, and one fetch for many callers. Comes in: a binding (or none) and how to fetch. Goes out: a
//! token. Proven between: for each binding at most one fetch is under way, however many callers wait (and those that were
//! under way when all was forgotten); one caller
//! who goes away does not take the fetch with them; a service that just failed is not asked again at once.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use attest_core::random::Random;
use tokio::sync::watch;

use crate::clock::Elapsed;
use crate::retry::Retry;
use crate::status::{FetchError, Status};
use crate::token::Token;

/// The hash a token is bound to; `None` for the plain one.
pub(crate) type Binding = Option<[u8; 32]>;

type Outcome = Option<Result<Token, FetchError>>;

/// All slots of one client.
pub(crate) struct Cache {
    clock: Arc<dyn Elapsed>,
    /// How long a failure is told again without asking, at the least.
    hold: Duration,
    random: Arc<dyn Random>,
    slots: Mutex<Slots>,
}

/// One binding's state.
#[derive(Default)]
struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    token: Option<Token>,
    failed: Option<(FetchError, Duration)>,
    failures: u32,
    flight: Option<watch::Receiver<Outcome>>,
    /// How often all was forgotten: a flight of an earlier era brings nothing home.
    era: u64,
}

impl Cache {
    pub(crate) fn new(clock: Arc<dyn Elapsed>, hold: Duration, random: Arc<dyn Random>) -> Self {
        Self { clock, hold, random, slots: Mutex::default() }
    }

    /// A token that needs nobody: fresh, or the one in hand while a failure is held.
    pub(crate) fn ready(&self, binding: &Binding) -> Option<Result<Token, FetchError>> {
        let slot = latest(&mut lock(&self.slots), binding)?;
        lock(&slot.0).ready(self.clock.elapsed())
    }

    /// The token of `binding`: from the cache, from the fetch under way, or from a new one made by `fetch`.
    ///
    /// # Errors
    /// What the fetch said, where there is no older token to go on with.
    pub(crate) async fn fetch<F>(&self, binding: Binding, fetch: impl FnOnce() -> F) -> Result<Token, FetchError>
    where
        F: Future<Output = Result<Token, FetchError>> + Send + 'static,
    {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return Err(FetchError::NoRuntime) };
        let slot = self.slot(&binding);
        let (mut landing, take_off) = {
            let mut state = lock(&slot.0);
            if let Some(ready) = state.ready(self.clock.elapsed()) {
                return ready;
            }
            match &state.flight {
                Some(flight) => (flight.clone(), None),
                None => {
                    let (tell, flight) = watch::channel(None);
                    state.flight = Some(flight.clone());
                    (flight, Some(Landing { slot: Arc::clone(&slot), era: state.era, tell }))
                }
            }
        };
        // Outside the lock: a runtime that is shutting down drops the task, and with it the `Landing`, at once.
        if let Some(landed) = take_off {
            let (clock, random) = (Arc::clone(&self.clock), Arc::clone(&self.random));
            let (hold, fetch) = (self.hold, fetch());
            // A task of its own: it goes on when the caller who happened to be first is dropped.
            runtime.spawn(async move {
                let outcome = fetch.await;
                landed.land(outcome, clock.elapsed(), hold, &*random);
            });
        }
        match landing.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(FetchError::CutOff)),
            // The sender is gone without a word: the runtime that flew it was shut down.
            Err(_) => Err(FetchError::CutOff),
        }
    }

    /// Forgets `token` where it is the one in hand, so that the next caller fetches.
    pub(crate) fn forget(&self, token: &Token) {
        self.each(|state| {
            if state.has(token) {
                state.token = None;
            }
        });
    }

    /// Forgets every token, those under way too: who waits for one gets it, and nobody else does.
    pub(crate) fn forget_all(&self) {
        self.each(|state| {
            (state.token, state.flight) = (None, None);
            state.era += 1;
        });
    }

    /// Forgets failures that another network may cure; not what the service asked for.
    pub(crate) fn forget_network_failures(&self) {
        self.each(|state| {
            let cured = [Status::NoNetwork, Status::PoorNetwork, Status::MitmDetected];
            if state.failed.as_ref().is_some_and(|(error, _)| cured.contains(&error.status())) {
                (state.failed, state.failures) = (None, 0);
            }
        });
    }

    /// Whether `token` is in hand.
    pub(crate) fn holds(&self, token: &Token) -> bool {
        let mut held = false;
        self.each(|state| held |= state.has(token));
        held
    }

    /// Takes in a token that came by another way, bound to nothing.
    pub(crate) fn put(&self, token: Token) {
        let slot = self.slot(&None);
        let mut state = lock(&slot.0);
        (state.token, state.failed, state.failures) = (Some(token), None, 0);
    }

    fn each(&self, mut change: impl FnMut(&mut State)) {
        let slots: Vec<_> = lock(&self.slots).iter().map(|(_, slot)| Arc::clone(slot)).collect();
        for slot in slots {
            change(&mut lock(&slot.0));
        }
    }

    /// The slot of `binding`; a new one puts out the one that nobody asked for the longest.
    fn slot(&self, binding: &Binding) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        if let Some(slot) = latest(&mut slots, binding) {
            return slot;
        }
        if slots.len() >= MAX_SLOTS {
            slots.pop_front();
        }
        let slot = Arc::new(Slot::default());
        slots.push_back((*binding, Arc::clone(&slot)));
        slot
    }
}

type Slots = VecDeque<(Binding, Arc<Slot>)>;

/// The slot of `binding`, moved to where it is put out last.
fn latest(slots: &mut Slots, binding: &Binding) -> Option<Arc<Slot>> {
    let at = slots.iter().position(|(held, _)| held == binding)?;
    let (binding, slot) = slots.remove(at)?;
    slots.push_back((binding, Arc::clone(&slot)));
    Some(slot)
}

impl State {
    fn has(&self, token: &Token) -> bool {
        self.token.as_ref().is_some_and(|held| held.is_same(token))
    }

    fn ready(&self, now: Duration) -> Option<Result<Token, FetchError>> {
        if let Some(token) = self.token.as_ref().filter(|token| token.is_fresh(now)) {
            return Some(Ok(token.clone()));
        }
        let (error, until) = self.failed.as_ref()?;
        (now < *until).then(|| self.instead_of(error))
    }

    /// A failure, or the token in hand where the failure is a passing one: gateways verify offline, and may have
    /// been told to accept an expired token while none can be had.
    fn instead_of(&self, error: &FetchError) -> Result<Token, FetchError> {
        match &self.token {
            Some(token) if error.status().is_passing() => Ok(token.clone().kept(error.status())),
            _ => Err(error.clone()),
        }
    }
}

/// The end of a flight. Dropped before it landed (its runtime went away), it leaves the slot free for another.
struct Landing {
    slot: Arc<Slot>,
    era: u64,
    tell: watch::Sender<Outcome>,
}

impl Landing {
    fn land(self, outcome: Result<Token, FetchError>, now: Duration, hold: Duration, random: &dyn Random) {
        let told = {
            let mut state = lock(&self.slot.0);
            match outcome {
                outcome if state.era != self.era => outcome,
                Ok(token) => {
                    state.token = Some(token.clone());
                    (state.failed, state.failures) = (None, 0);
                    Ok(token)
                }
                Err(error) => {
                    state.failures = state.failures.saturating_add(1);
                    let held = Retry::hold(hold, state.failures, error.retry_after(), random);
                    let until = now.saturating_add(held);
                    let told = state.instead_of(&error);
                    state.failed = Some((error, until));
                    told
                }
            }
        };
        self.tell.send_replace(Some(told));
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut state = lock(&self.slot.0);
        if state.era == self.era {
            state.flight = None;
        }
    }
}

/// A panic elsewhere leaves nothing half-written here: each critical section sets whole values.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bindings remembered at once: users who log in and out, not a list that grows.
const MAX_SLOTS: usize = 32;

#[cfg(test)]
mod tests;
