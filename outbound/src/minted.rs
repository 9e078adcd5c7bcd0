//! Credentials that a token endpoint mints and that expire.
//!
//! In comes, with each use, how to get one; out goes the one that is good now. However many ask, one asks the endpoint.
//! A credential is replaced in the background before it expires, at the first use after four fifths of its life; while
//! that fails, the old one serves until it expires. An endpoint that fails is asked again after 1, 2, 4 … 60 s, and nobody
//! waits for it meanwhile. Those who wait are bounded in number and in time, and one that leaves stops nothing.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use attest_core::time::UnixTime;
use tokio::sync::watch;
use tokio::time::timeout;

/// Before expiry, at the latest, a credential is due to be replaced.
const AT_LEAST_BEFORE: Duration = Duration::from_secs(30);
/// Time for one attempt, whoever waits for it.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(30);
/// Between two attempts that fail.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Between two credentials that a caller gives up because they were refused.
const BETWEEN_REJECTIONS: Duration = Duration::from_secs(60);
/// Requests that wait for one credential.
const MOST_WAITING: usize = 1024;
/// Credentials of one cache: the keys of a configuration, never names from a client.
const MOST_CREDENTIALS: usize = 65_536;

/// A credential as it was minted.
#[derive(Debug)]
pub struct Fresh<V> {
    /// The credential.
    pub value: V,
    /// From when on it is refused.
    pub expires_at: UnixTime,
}

/// Why there is no credential now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The endpoint gave none.
    #[error("{why}")]
    Failed {
        /// What `mint` said.
        why: Arc<str>,
        /// When it is asked again.
        again_in: Duration,
    },
    /// Whoever asks waited as long as it can.
    #[error("no credential in time")]
    TimedOut,
    /// Too many wait for it already.
    #[error("{MOST_WAITING} requests wait for this credential already")]
    Crowded,
    /// The cache is full.
    #[error("there are {MOST_CREDENTIALS} credentials already")]
    Full,
}

/// Credentials of type `V`, each under a `K`: key, version, recipe.
pub struct Minted<K, V> {
    slots: Mutex<HashMap<K, Arc<Slot<V>>>>,
}

struct Slot<V> {
    state: Mutex<State<V>>,
    waiting: AtomicUsize,
}

struct State<V> {
    current: Option<Current<V>>,
    /// An attempt that runs.
    flight: Option<watch::Receiver<Landed<V>>>,
    /// In a row.
    failures: u32,
    /// Nobody asks before.
    rest_until: Option<UnixTime>,
    problem: Arc<str>,
    rejected_at: Option<UnixTime>,
}

struct Current<V> {
    value: Arc<V>,
    refresh_at: UnixTime,
    expires_at: UnixTime,
}

/// What became of an attempt; nothing while it runs.
type Landed<V> = Option<Result<Arc<V>, MintError>>;

impl<K: Eq + Hash + Clone, V: Send + Sync + 'static> Minted<K, V> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self { slots: Mutex::default() }
    }

    /// The credential under `key` that is good at `now`. Where there is none, `mint` gets one, and the caller waits for at
    /// most `patience`; `mint` runs to its end whether or not anybody waits. Its error is told to operators: no secret in it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn get<F>(
        &self,
        key: &K,
        now: UnixTime,
        patience: Duration,
        mint: impl FnOnce() -> F,
    ) -> Result<Arc<V>, MintError>
    where
        F: Future<Output = Result<Fresh<V>, String>> + Send + 'static,
    {
        let slot = self.slot(key)?;
        let mut flight = {
            let mut state = slot.lock();
            if let Some(current) = state.good(now) {
                let (value, due) = (current.value.clone(), now >= current.refresh_at);
                if due && state.may_ask(now) {
                    slot.start(&mut state, now, mint());
                }
                return Ok(value);
            }
            match state.flight.clone() {
                Some(flight) => flight,
                None if state.may_ask(now) => slot.start(&mut state, now, mint()),
                None => return Err(state.failed(now)),
            }
        };
        let _seat = Waiting::of(&slot).ok_or(MintError::Crowded)?;
        match timeout(patience, flight.wait_for(Option::is_some)).await {
            Ok(Ok(landed)) => landed.clone().unwrap_or(Err(MintError::TimedOut)),
            // An attempt always lands before it goes.
            Ok(Err(_)) | Err(_) => Err(MintError::TimedOut),
        }
    }

    /// Gives `value` up: the API refused it. At most once a minute for each key, so that an API that refuses everything
    /// does not become a flood at the token endpoint. Tells whether the next use gets another.
    pub fn reject(&self, key: &K, value: &Arc<V>, now: UnixTime) -> bool {
        let Some(slot) = self.lock().get(key).cloned() else { return false };
        let mut state = slot.lock();
        let recently = state.rejected_at.is_some_and(|at| now < at.plus(BETWEEN_REJECTIONS));
        let is_current = state.current.as_ref().is_some_and(|current| Arc::ptr_eq(&current.value, value));
        if recently || !is_current {
            return false;
        }
        state.rejected_at = Some(now);
        state.current = None;
        true
    }

    /// Forgets what is under keys that are no more.
    pub fn retain(&self, mut keep: impl FnMut(&K) -> bool) {
        self.lock().retain(|key, _| keep(key));
    }

    fn slot(&self, key: &K) -> Result<Arc<Slot<V>>, MintError> {
        let mut slots = self.lock();
        if let Some(slot) = slots.get(key) {
            return Ok(slot.clone());
        }
        if slots.len() >= MOST_CREDENTIALS {
            return Err(MintError::Full);
        }
        let slot = Arc::new(Slot { state: Mutex::default(), waiting: AtomicUsize::new(0) });
        slots.insert(key.clone(), slot.clone());
        Ok(slot)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Slot<V>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone, V: Send + Sync + 'static> Default for Minted<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for Minted<K, V> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        out.debug_struct("Minted").field("credentials", &slots.len()).finish_non_exhaustive()
    }
}

impl<V> Default for State<V> {
    fn default() -> Self {
        Self { current: None, flight: None, failures: 0, rest_until: None, problem: "".into(), rejected_at: None }
    }
}

impl<V> State<V> {
    fn good(&self, now: UnixTime) -> Option<&Current<V>> {
        self.current.as_ref().filter(|current| now < current.expires_at)
    }

    fn may_ask(&self, now: UnixTime) -> bool {
        self.flight.is_none() && self.rest_until.is_none_or(|until| now >= until)
    }

    fn failed(&self, now: UnixTime) -> MintError {
        let again_in = self.rest_until.and_then(|until| until.since(now)).unwrap_or_default();
        MintError::Failed { why: self.problem.clone(), again_in }
    }
}

impl<V: Send + Sync + 'static> Slot<V> {
    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an attempt; on the runtime of the caller.
    fn start<F>(self: &Arc<Self>, state: &mut State<V>, now: UnixTime, mint: F) -> watch::Receiver<Landed<V>>
    where
        F: Future<Output = Result<Fresh<V>, String>> + Send + 'static,
    {
        let (done, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        let attempt = Attempt { slot: self.clone(), done, asked_at: now, since: Instant::now(), landed: false };
        tokio::spawn(async move {
            let outcome = timeout(LONGEST_ATTEMPT, mint).await;
            attempt.land(outcome.unwrap_or_else(|_elapsed| Err("no answer in time".to_owned())));
        });
        flight
    }
}

/// A request that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn of<V>(slot: &'a Slot<V>) -> Option<Self> {
        let seat = Self(&slot.waiting);
        (slot.waiting.fetch_add(1, Ordering::AcqRel) < MOST_WAITING).then_some(seat)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One that runs. It lands on every way out, a panic of `mint` too: otherwise nobody would ever ask again.
struct Attempt<V: Send + Sync + 'static> {
    slot: Arc<Slot<V>>,
    done: watch::Sender<Landed<V>>,
    asked_at: UnixTime,
    since: Instant,
    landed: bool,
}

impl<V: Send + Sync + 'static> Attempt<V> {
    fn land(mut self, outcome: Result<Fresh<V>, String>) {
        self.settle(outcome);
    }

    fn settle(&mut self, outcome: Result<Fresh<V>, String>) {
        self.landed = true;
        let now = self.asked_at.plus(self.since.elapsed());
        // What has expired when it arrives is a failure: it must not be asked for again and again.
        let outcome = outcome.and_then(|fresh| match fresh.expires_at.since(now) {
            Some(life) if !life.is_zero() => Ok((fresh, life)),
            _ => Err("the credential had expired when it came".to_owned()),
        });
        let mut state = self.slot.lock();
        state.flight = None;
        let landed = match outcome {
            Ok((fresh, life)) => {
                let value = Arc::new(fresh.value);
                let refresh_at = fresh.expires_at.minus(spare(life));
                state.current = Some(Current { value: value.clone(), refresh_at, expires_at: fresh.expires_at });
                state.failures = 0;
                state.rest_until = None;
                Ok(value)
            }
            Err(why) => {
                let rest = rest_after(state.failures);
                state.failures = state.failures.saturating_add(1);
                state.rest_until = Some(now.plus(rest));
                state.problem = why.into();
                Err(state.failed(now))
            }
        };
        drop(state);
        self.done.send_replace(Some(landed));
    }
}

impl<V: Send + Sync + 'static> Drop for Attempt<V> {
    fn drop(&mut self) {
        if !self.landed {
            self.settle(Err("it was given up".to_owned()));
        }
    }
}

/// How long before its end a credential with this much life is due to be replaced.
fn spare(life: Duration) -> Duration {
    // One that lives less than a minute would otherwise be due as soon as it is there.
    (life / 5).max(AT_LEAST_BEFORE).min(life / 2)
}

/// The rest after so many failures before this one: 1, 2, 4 … 60 s.
fn rest_after(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(6)).min(LONGEST_REST)
}
