//! Tokens in hand, and one fetch for many callers. Comes in: a binding (or none) and how to fetch. Goes out: a
//! token. Proven between: for each binding at most one fetch is under way, however many callers wait; one caller
//! who goes away does not take the fetch with them; a service that just failed is not asked again at once.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Elapsed;
use crate::status::FetchError;
use crate::token::Token;

/// The hash a token is bound to; `None` for the plain one.
pub(crate) type Binding = Option<[u8; 32]>;

type Outcome = Option<Result<Token, FetchError>>;

/// All slots of one client.
pub(crate) struct Cache {
    clock: Arc<dyn Elapsed>,
    /// How long a failure is told again without asking, at the least.
    hold: Duration,
    slots: Mutex<Slots>,
}

/// One binding's state.
#[derive(Default)]
struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    token: Option<Token>,
    failed: Option<(FetchError, Duration)>,
    flight: Option<watch::Receiver<Outcome>>,
}

impl Cache {
    pub(crate) fn new(clock: Arc<dyn Elapsed>, hold: Duration) -> Self {
        Self { clock, hold, slots: Mutex::default() }
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
                    (flight, Some(Landing { slot: Arc::clone(&slot), tell }))
                }
            }
        };
        // Outside the lock: a runtime that is shutting down drops the task, and with it the `Landing`, at once.
        if let Some(landed) = take_off {
            let (clock, hold, fetch) = (Arc::clone(&self.clock), self.hold, fetch());
            // A task of its own: it goes on when the caller who happened to be first is dropped.
            runtime.spawn(async move {
                let outcome = fetch.await;
                landed.land(outcome, clock.elapsed(), hold);
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
        let slots: Vec<_> = lock(&self.slots).iter().map(|(_, slot)| Arc::clone(slot)).collect();
        for slot in slots {
            let mut state = lock(&slot.0);
            if state.token.as_ref().is_some_and(|held| held.is_same(token)) {
                state.token = None;
            }
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
    tell: watch::Sender<Outcome>,
}

impl Landing {
    fn land(self, outcome: Result<Token, FetchError>, now: Duration, hold: Duration) {
        let told = {
            let mut state = lock(&self.slot.0);
            match outcome {
                Ok(token) => {
                    state.token = Some(token.clone());
                    state.failed = None;
                    Ok(token)
                }
                Err(error) => {
                    let until = now.saturating_add(error.retry_after().unwrap_or(hold).max(hold).min(LONGEST_HOLD));
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
        lock(&self.slot.0).flight = None;
    }
}

/// A panic elsewhere leaves nothing half-written here: each critical section sets whole values.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bindings remembered at once: users who log in and out, not a list that grows.
const MAX_SLOTS: usize = 32;
/// However long the service asks for, an app asks again after this.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
