//! The arithmetic of stage 5: who may use an upstream now, who waits, who is turned away.
//!
//! In comes a class; out goes a [`Seat`], or a [`Shed`] with the reason. Proven between: no more
//! than `limit` seats are out at once, the lower classes never take the last `reserve` of them,
//! and a seat comes back however the request ends, because giving it back is its `Drop`.
//!
//! The upper two classes wait first come first served, critical before attested, up to a deadline.
//! The lower two get spare capacity only: a short queue, newest first (the oldest has most likely
//! been given up by its client), 100 ms at most. A simulation of the choice is in the reference:
//! a strict priority queue with a small reserve kept attested latency flat at 3.5 times overload.

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policies::Class;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

mod queue;
#[cfg(test)]
mod tests;

use queue::{Waiter, Waiting};

/// How an upstream's capacity is shared. All of it can change at a reload without losing a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// Seats in all; never zero.
    pub limit: u32,
    /// Seats that only the upper two classes may take; less than `limit`.
    pub reserve: u32,
    /// Waiting places for each of the four classes.
    pub queue_length: u32,
    /// The longest wait of the upper two classes.
    pub deadline: Duration,
}

/// The longest wait of a request that only gets spare capacity.
const SPARE_WAIT: Duration = Duration::from_millis(100);

/// Why a request got no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shed {
    /// Every waiting place was taken, or a newer request took this one's place.
    Full,
    /// No seat became free in time.
    Deadline,
    /// The client left while it waited.
    ClientLeft,
}

impl Shed {
    /// The word in log and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Deadline => "deadline",
            Self::ClientLeft => "client_left",
        }
    }
}

/// The seats of one upstream.
#[derive(Debug)]
pub(crate) struct Admission {
    limit: AtomicU32,
    reserve: AtomicU32,
    queue_length: AtomicU32,
    deadline_ms: AtomicU64,
    inflight: AtomicU32,
    by_class: [AtomicU32; 4],
    /// Requests waiting in the upper two queues, and in all: what the paths without a lock read.
    waiting_upper: AtomicU32,
    waiting: AtomicU32,
    queues: Mutex<Waiting>,
}

impl Admission {
    /// An empty house with this many seats.
    pub(crate) fn new(capacity: Capacity) -> Arc<Self> {
        let admission = Arc::new(Self {
            limit: AtomicU32::new(0),
            reserve: AtomicU32::new(0),
            queue_length: AtomicU32::new(0),
            deadline_ms: AtomicU64::new(0),
            inflight: AtomicU32::new(0),
            by_class: Default::default(),
            waiting_upper: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            queues: Mutex::default(),
        });
        admission.resize(capacity);
        admission
    }

    /// Takes a reload's figures. Seats in use stay valid; a smaller limit is reached as they return.
    pub(crate) fn resize(self: &Arc<Self>, capacity: Capacity) {
        let limit = capacity.limit.max(1);
        self.limit.store(limit, SeqCst);
        self.reserve.store(capacity.reserve.min(limit - 1), SeqCst);
        self.queue_length.store(capacity.queue_length, SeqCst);
        let millis = u64::try_from(capacity.deadline.as_millis()).unwrap_or(u64::MAX);
        self.deadline_ms.store(millis, SeqCst);
        self.seat_the_waiting(&mut self.lock());
    }

    /// A seat at once, if nobody of an equal or higher class is waiting for one.
    pub(crate) fn try_enter(self: &Arc<Self>, class: Class) -> Option<Seat> {
        let ahead = if is_upper(class) { &self.waiting_upper } else { &self.waiting };
        if ahead.load(SeqCst) > 0 {
            return None;
        }
        self.take(class)
    }

    /// A seat now or after waiting; `client_left` ends the wait early. Cancel safe: dropping the
    /// future leaves the queue.
    ///
    /// # Errors
    /// The reason for having none.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        class: Class,
        client_left: impl Future<Output = ()>,
    ) -> Result<Seat, Shed> {
        if let Some(seat) = self.try_enter(class) {
            return Ok(seat);
        }
        let wait = if is_upper(class) { Duration::from_millis(self.deadline_ms.load(Relaxed)) } else { SPARE_WAIT };
        let mut place = self.line_up(class).ok_or(Shed::Full)?;
        tokio::select! {
            biased;
            granted = timeout_at(Instant::now() + wait, &mut place.granted) => match granted {
                Ok(Ok(seat)) => Ok(seat),
                Ok(Err(_pushed_out)) => Err(Shed::Full),
                Err(_elapsed) => Err(Shed::Deadline),
            },
            () = client_left => Err(Shed::ClientLeft),
        }
    }

    /// Seats in use, by class in the order of [`Class`], highest first.
    pub(crate) fn inflight_by_class(&self) -> [u32; 4] {
        [0, 1, 2, 3].map(|at| self.by_class.get(at).map_or(0, |n: &AtomicU32| n.load(Relaxed)))
    }

    /// Seats in use.
    pub(crate) fn inflight(&self) -> u32 {
        self.inflight.load(Relaxed)
    }

    /// Seats in all.
    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Requests waiting for a seat.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }

    fn take(self: &Arc<Self>, class: Class) -> Option<Seat> {
        let limit = self.limit.load(SeqCst);
        let usable = if is_upper(class) { limit } else { limit - self.reserve.load(SeqCst).min(limit) };
        self.inflight.fetch_update(SeqCst, SeqCst, |n| (n < usable).then_some(n + 1)).ok()?;
        if let Some(count) = self.by_class.get(index(class)) {
            count.fetch_add(1, Relaxed);
        }
        Some(Seat { admission: Some(self.clone()), class })
    }

    /// Joins the queue of `class`; `None` when it is full and this class may not push others out.
    fn line_up(self: &Arc<Self>, class: Class) -> Option<Place> {
        let (grant, granted) = oneshot::channel();
        let mut queues = self.lock();
        let room = self.queue_length.load(Relaxed);
        let id = queues.join(class, Waiter::new(grant), room)?;
        self.publish(&queues);
        // A seat that came back between the failed attempt and the line above saw nobody waiting.
        self.seat_the_waiting(&mut queues);
        Some(Place { admission: self.clone(), class, id, granted })
    }

    /// Hands free seats out in order of class; called with the lock held.
    fn seat_the_waiting(self: &Arc<Self>, queues: &mut Waiting) {
        while let Some(class) = queues.next_class() {
            let Some(seat) = self.take(class) else { break };
            if let Some(unused) = queues.grant(class, seat) {
                // Its client left in this very moment. Dropping the seat would take the lock again.
                unused.return_quietly();
            }
        }
        self.publish(queues);
    }

    fn publish(&self, queues: &Waiting) {
        self.waiting_upper.store(queues.upper(), SeqCst);
        self.waiting.store(queues.all(), SeqCst);
    }

    fn give_back(self: &Arc<Self>, class: Class) {
        self.count_out(class);
        if self.waiting.load(SeqCst) > 0 {
            self.seat_the_waiting(&mut self.lock());
        }
    }

    fn count_out(&self, class: Class) {
        if let Some(count) = self.by_class.get(index(class)) {
            count.fetch_sub(1, Relaxed);
        }
        self.inflight.fetch_sub(1, SeqCst);
    }

    /// The queues stay consistent at every await-free step, so a poisoned lock is still usable.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have one request in flight at an upstream. Dropping it frees the seat.
#[derive(Debug)]
pub(crate) struct Seat {
    /// Empty only while a seat is being returned quietly.
    admission: Option<Arc<Admission>>,
    class: Class,
}

impl Seat {
    /// Frees the seat without looking who waits: for callers that hold the queue's lock.
    fn return_quietly(mut self) {
        if let Some(admission) = self.admission.take() {
            admission.count_out(self.class);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            admission.give_back(self.class);
        }
    }
}

/// A place in a queue; dropping it leaves the queue.
struct Place {
    admission: Arc<Admission>,
    class: Class,
    id: u64,
    granted: oneshot::Receiver<Seat>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Closed first: a grant that races with this drop is then refused and passed on.
        self.granted.close();
        let unread = self.granted.try_recv().ok();
        {
            let mut queues = self.admission.lock();
            queues.leave(self.class, self.id);
            self.admission.publish(&queues);
        }
        drop(unread);
    }
}

/// Whether the class waits first come first served and may use the reserve.
fn is_upper(class: Class) -> bool {
    matches!(class, Class::Critical | Class::Attested)
}

fn index(class: Class) -> usize {
    match class {
        Class::Critical => 0,
        Class::Attested => 1,
        Class::Partial => 2,
        Class::Unattested => 3,
    }
}
