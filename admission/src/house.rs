//! The seats of one upstream.
//!
//! In: a class, a client, the time. Out: a [`Seat`] at once, a [`Place`] in a queue, or a [`Shed`]. While nobody waits a
//! seat is one atomic count, without a lock and without allocation; who waits is behind one lock, which is never held
//! across an await.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::capacity::Capacity;
use crate::places::Places;
use crate::seat::{Place, Seat};
use crate::signals::{Control, Signals};
use crate::waiting::{Shed, Waiter, Waiting};
use crate::{Class, mixed};

/// Who asks for a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// How urgent.
    pub class: Class,
    /// Who shares with whom: one number for a device that platform Evidence vouches for, or for a network. A keyed hash,
    /// so that nobody chooses it.
    pub client: u64,
}

/// The seats of one upstream.
#[derive(Debug)]
pub struct Admission {
    opened: Instant,
    limit: AtomicU32,
    reserve: AtomicU32,
    inflight: AtomicU32,
    by_class: [AtomicU32; 4],
    /// Requests waiting, of the upper two classes and in all: what the paths without a lock read.
    waiting_upper: AtomicU32,
    waiting: AtomicU32,
    queues: Mutex<Waiting>,
    /// Until then the lower classes get nothing, in nanoseconds after `opened`.
    paused_until: AtomicU64,
    signals: Signals,
    control: Mutex<Control>,
    /// The last gradient, as the bits of an `f64`.
    gradient: AtomicU64,
    capacity: Mutex<Capacity>,
    streams: Places,
    most_streams: AtomicU32,
    uploads: Places,
}

impl Admission {
    /// An empty house. `salt`: a secret of this process, so that nobody knows whose hands and cohorts collide.
    #[must_use]
    pub fn new(capacity: Capacity, now: Instant, salt: u64) -> Arc<Self> {
        let admission = Arc::new(Self {
            opened: now,
            limit: AtomicU32::new(1),
            reserve: AtomicU32::new(0),
            inflight: AtomicU32::new(0),
            by_class: Default::default(),
            waiting_upper: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            queues: Mutex::new(Waiting::new(capacity.queues, mixed(salt))),
            paused_until: AtomicU64::new(0),
            signals: Signals::default(),
            control: Mutex::new(Control::new(capacity.limit)),
            gradient: AtomicU64::new(1_f64.to_bits()),
            capacity: Mutex::new(capacity),
            streams: Places::default(),
            most_streams: AtomicU32::new(0),
            uploads: Places::default(),
        });
        admission.resize(capacity, now);
        admission
    }

    /// Takes a reload's figures. Seats in use stay valid; a smaller limit is reached as they return; what was learned about
    /// the upstream stays.
    pub fn resize(self: &Arc<Self>, capacity: Capacity, now: Instant) {
        *lock(&self.capacity) = capacity;
        self.most_streams.store(capacity.streams, SeqCst);
        lock(&self.queues).bound(capacity.queues);
        // Held until the limit is stored: what a window found out for the old bounds must not come after it.
        let mut control = lock(&self.control);
        let limit = control.resize(capacity.limit);
        self.set_limit(limit, now);
    }

    /// Why this client would get nothing now, as far as it shows before its body is read. Nothing is taken.
    #[must_use]
    pub fn refuses(&self, who: Who, now: Instant) -> Option<Shed> {
        if who.class.is_upper() {
            return None;
        }
        if self.is_paused(now) {
            return Some(Shed::Paused);
        }
        // An answer that its client doesn't read would have nowhere to go, and keep its seat from everybody.
        if !self.has_room_for_stream(who) {
            return Some(Shed::Streams);
        }
        // While nobody waits there may be a free seat, which is anybody's.
        let open_for = now.saturating_duration_since(self.opened);
        (self.waiting.load(SeqCst) > 0 && lock(&self.queues).refuses(who, open_for, now)).then_some(Shed::Cohort)
    }

    /// A seat at once, if nobody of an equal or higher class is waiting for one.
    #[must_use]
    pub fn try_enter(self: &Arc<Self>, who: Who, now: Instant) -> Option<Seat> {
        let ahead = if who.class.is_upper() { &self.waiting_upper } else { &self.waiting };
        if ahead.load(SeqCst) > 0 {
            return None;
        }
        self.take(who, now)
    }

    /// A seat now or after waiting; `client_left` ends the wait early. Cancel safe: dropping the future leaves the queue.
    ///
    /// # Errors
    /// The reason for having none.
    pub async fn enter(self: &Arc<Self>, who: Who, client_left: impl Future<Output = ()>) -> Result<Seat, Shed> {
        let now = now();
        if let Some(seat) = self.try_enter(who, now) {
            return Ok(seat);
        }
        let mut place = self.line_up(who, now)?;
        let until = place.until().into();
        tokio::select! {
            biased;
            granted = timeout_at(until, &mut place) => granted.unwrap_or(Err(Shed::Deadline)),
            () = client_left => Err(Shed::ClientLeft),
        }
    }

    /// A place in the queue of its class, perhaps one that has its seat already.
    ///
    /// # Errors
    /// Why it need not wait.
    pub fn line_up(self: &Arc<Self>, who: Who, now: Instant) -> Result<Place, Shed> {
        if !who.class.is_upper() && self.is_paused(now) {
            return Err(Shed::Paused);
        }
        let (grant, granted) = oneshot::channel();
        let mut queues = lock(&self.queues);
        let open_for = now.saturating_duration_since(self.opened);
        let number = queues.join(Waiter::new(grant, who, now), open_for)?;
        let until = now + queues.longest(who.class);
        self.publish(&queues);
        // A seat that came back between the failed attempt and the line above saw nobody waiting.
        self.seat_the_waiting(&mut queues, now);
        drop(queues);
        Ok(Place::new(self.clone(), who.class, number, until, granted))
    }

    /// Whether a stream of this client would get a place: asked before an upstream is, where a request says that it wants
    /// one. Nothing is taken.
    #[must_use]
    pub fn has_room_for_stream(&self, who: Who) -> bool {
        self.streams.has_room(who, self.cap(true))
    }

    /// Whether somebody of the upper classes waits for a seat.
    pub(crate) fn upper_wait(&self) -> bool {
        self.waiting_upper.load(SeqCst) > 0
    }

    /// Seats in use, by class in the order of [`crate::CLASSES`].
    #[must_use]
    pub fn inflight_by_class(&self) -> [u32; 4] {
        [0, 1, 2, 3].map(|at| self.by_class.get(at).map_or(0, |n: &AtomicU32| n.load(Relaxed)))
    }

    /// Seats in use.
    #[must_use]
    pub fn inflight(&self) -> u32 {
        self.inflight.load(Relaxed)
    }

    /// Seats in all, now.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Requests waiting for a seat.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }

    /// Requests waiting, by class in the order of [`crate::CLASSES`].
    #[must_use]
    pub fn waiting_by_class(&self) -> [u32; 4] {
        lock(&self.queues).by_class()
    }

    /// Answers on their way that have given their seat back.
    #[must_use]
    pub fn streams(&self) -> u32 {
        self.streams.taken()
    }

    /// Requests at the upstream whose bodies are still on their way.
    #[must_use]
    pub fn uploads(&self) -> u32 {
        self.uploads.taken()
    }

    /// The usual time to the head of an answer to the one seen last, 0.5 to 1; always 1 where the limit is fixed.
    #[must_use]
    pub fn gradient(&self) -> f64 {
        f64::from_bits(self.gradient.load(Relaxed))
    }

    /// Whether the lower classes get nothing now, because the upstream asked for it.
    #[must_use]
    pub fn is_paused(&self, now: Instant) -> bool {
        let until = self.paused_until.load(Relaxed);
        until > 0 && self.at(now) < until
    }

    pub(crate) fn note_answer(self: &Arc<Self>, who: Who, time: Duration, now: Instant) {
        if self.signals.answered(who, time, self.inflight(), self.at(now)) {
            self.close_window(now);
        }
    }

    pub(crate) fn note_refusal(self: &Arc<Self>, who: Who, retry_after: Option<Duration>, now: Instant) {
        if self.signals.refused(who, retry_after, self.inflight(), self.at(now)) {
            self.close_window(now);
        }
    }

    /// The places of streams, or of uploads.
    pub(crate) fn places(&self, streams: bool) -> &Places {
        if streams { &self.streams } else { &self.uploads }
    }

    /// How many of them there are.
    pub(crate) fn cap(&self, streams: bool) -> u32 {
        if streams { self.most_streams.load(Relaxed) } else { (self.limit() / 2).max(FEWEST_UPLOADS) }
    }

    /// Counts a request that is at the upstream already, if a seat is free.
    pub(crate) fn retake(self: &Arc<Self>, who: Who, now: Instant) -> bool {
        let usable = self.usable(who.class, now);
        self.count_in(who.class, usable)
    }

    pub(crate) fn give_back(self: &Arc<Self>, class: Class, at: Option<Instant>) {
        self.count_out(class);
        if self.waiting.load(SeqCst) > 0 {
            let now = at.unwrap_or_else(now);
            let mut queues = lock(&self.queues);
            queues.seat_returned(now);
            self.seat_the_waiting(&mut queues, now);
        }
    }

    pub(crate) fn count_out(&self, class: Class) {
        if let Some(count) = self.by_class.get(class.index()) {
            count.fetch_sub(1, Relaxed);
        }
        self.inflight.fetch_sub(1, SeqCst);
    }

    pub(crate) fn leave_queue(&self, class: Class, number: u64, in_vain: bool) {
        let mut queues = lock(&self.queues);
        queues.leave(class, number, in_vain);
        self.publish(&queues);
    }

    fn take(self: &Arc<Self>, who: Who, now: Instant) -> Option<Seat> {
        let usable = self.usable(who.class, now);
        self.count_in(who.class, usable).then(|| Seat::counted(self.clone(), who))
    }

    fn usable(&self, class: Class, now: Instant) -> u32 {
        let limit = self.limit.load(SeqCst);
        match class.is_upper() {
            true => limit,
            false if self.is_paused(now) => 0,
            false => limit.saturating_sub(self.reserve.load(SeqCst)),
        }
    }

    fn count_in(&self, class: Class, usable: u32) -> bool {
        let counted = self.inflight.fetch_update(SeqCst, SeqCst, |n| (n < usable).then_some(n + 1)).is_ok();
        if counted && let Some(count) = self.by_class.get(class.index()) {
            count.fetch_add(1, Relaxed);
        }
        counted
    }

    /// Hands free seats out in order of class; called with the lock held.
    fn seat_the_waiting(self: &Arc<Self>, queues: &mut Waiting, now: Instant) {
        while let Some(class) = queues.next_class() {
            // Whose it is shows when it is granted.
            let Some(seat) = self.take(Who { class, client: 0 }, now) else { break };
            if let Some(unused) = queues.grant(class, seat, now) {
                // All of them had left or waited for too long. Dropping the seat would take the lock again.
                unused.leave_quietly();
            }
        }
        self.publish(queues);
    }

    fn publish(&self, queues: &Waiting) {
        let [critical, attested, partial, unattested] = queues.by_class();
        self.waiting_upper.store(critical + attested, SeqCst);
        self.waiting.store(critical + attested + partial + unattested, SeqCst);
    }

    fn close_window(self: &Arc<Self>, now: Instant) {
        // Somebody else is at it.
        let Ok(mut control) = self.control.try_lock() else { return };
        let Some(verdict) = control.close(&self.signals, self.at(now)) else { return };
        self.gradient.store(verdict.gradient.to_bits(), Relaxed);
        if !verdict.pause.is_zero() {
            self.paused_until.store(self.at(now + verdict.pause), Relaxed);
        }
        if let Some(limit) = verdict.limit {
            self.set_limit(limit, now);
        }
    }

    fn set_limit(self: &Arc<Self>, limit: u32, now: Instant) {
        let reserve = lock(&self.capacity).reserve_of(limit);
        self.limit.store(limit, SeqCst);
        self.reserve.store(reserve, SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.seat_the_waiting(&mut lock(&self.queues), now);
        }
    }

    fn at(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.opened).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Uploads have so many places at least: of four seats half would be too few to share.
const FEWEST_UPLOADS: u32 = 4;

/// The clock of what waits; a test's own where it has one.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// What is behind the lock stays consistent at every step, so a poisoned one is still usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
