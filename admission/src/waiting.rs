//! Who is next.
//!
//! In: requests that found no seat. Out: one after the other, by class, then by client in turn. Nothing here blocks or
//! counts seats; the caller holds the lock and hands seats in. Every queue is bounded, and a waiter leaves by its number in
//! logarithmic time.
//!
//! The upper two classes wait first come first served up to a deadline; who can't be served within it leaves at once. The
//! lower two get spare capacity only: newest first, since the oldest has most likely been given up by its client; for
//! `spare_wait` at most, and once the queue has stood for so long without getting empty, for a fifth of it (as CoDel does,
//! and Facebook's "Fail at Scale": a standing queue only adds waiting).

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::capacity::Queues;
use crate::cohorts::Cohorts;
use crate::house::Who;
use crate::pace::Pace;
use crate::seat::Seat;
use crate::{CLASSES, Class};

mod fair;

use fair::Fair;

/// Why a request got no seat, or no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shed {
    /// Every waiting place was taken, or another client's request took this one's place.
    Full,
    /// No seat became free in time.
    Deadline,
    /// None would, by the pace of the queue.
    TooLong,
    /// There is not enough for all clients of its class, and this one is not among those that wait now.
    Cohort,
    /// The upstream asked to be left alone, and the class gets spare capacity only.
    Paused,
    /// Too many streams are open, or too many of this client.
    Streams,
    /// Too many uploads are on their way, or too many of this client.
    Uploads,
    /// The client left while it waited.
    ClientLeft,
}

impl Shed {
    /// The word in log and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Deadline => "deadline",
            Self::TooLong => "too_long",
            Self::Cohort => "cohort",
            Self::Paused => "paused",
            Self::Streams => "streams",
            Self::Uploads => "uploads",
            Self::ClientLeft => "client_left",
        }
    }
}

/// One waiting request: where its seat goes.
#[derive(Debug)]
pub(crate) struct Waiter {
    grant: oneshot::Sender<Result<Seat, Shed>>,
    who: Who,
    since: Instant,
}

impl Waiter {
    pub(crate) fn new(grant: oneshot::Sender<Result<Seat, Shed>>, who: Who, since: Instant) -> Self {
        Self { grant, who, since }
    }

    /// Sends it away. It may have left by itself.
    fn shed(self, why: Shed) {
        let _ = self.grant.send(Err(why));
    }
}

/// All queues of an upstream.
#[derive(Debug)]
pub(crate) struct Waiting {
    rules: Queues,
    salt: u64,
    next_id: u64,
    /// In the order of [`CLASSES`].
    queues: [Fair; 4],
    /// Of the lower two classes.
    cohorts: [Cohorts; 2],
    pace: Pace,
}

impl Waiting {
    pub(crate) fn new(rules: Queues, salt: u64) -> Self {
        Self {
            rules,
            salt,
            next_id: 0,
            queues: std::array::from_fn(|_| Fair::new(salt)),
            cohorts: Default::default(),
            pace: Pace::default(),
        }
    }

    /// Takes a reload's rules; those that wait already stay.
    pub(crate) fn bound(&mut self, rules: Queues) {
        self.rules = rules;
    }

    /// Adds a waiter; its number. `open_for`: the time since the house was opened.
    ///
    /// # Errors
    /// Why it does not wait.
    pub(crate) fn join(&mut self, waiter: Waiter, open_for: Duration) -> Result<u64, Shed> {
        let (who, now) = (waiter.who, waiter.since);
        let upper = who.class.is_upper();
        let room = if upper { self.rules.length } else { self.rules.spare_length };
        if room == 0 {
            return Err(Shed::Full);
        }
        let at = self.queues.get(who.class.index()).map_or(0, |queue| queue.queue_of(who.client));
        if upper {
            self.has_time(who, at, now)?;
        } else {
            let salt = self.salt;
            let may = self.cohorts(who.class).is_none_or(|cohorts| cohorts.may_wait(who.client, salt, open_for, now));
            if !may {
                return Err(Shed::Cohort);
            }
        }
        self.next_id += 1;
        let (id, patience) = (self.next_id, self.patience(who.class, now));
        let queue = self.queues.get_mut(who.class.index()).ok_or(Shed::Full)?;
        let full = queue.len() >= room;
        // Whoever has most waiting makes room: in the upper queues with its newest, in the lower with its oldest.
        let crowded_out = if full { queue.crowd_out(at, upper) } else { None };
        if full && crowded_out.is_none() {
            return Err(Shed::Full);
        }
        let mut in_vain = 0;
        if let Some(waiter) = crowded_out {
            waiter.shed(Shed::Full);
            in_vain += 1;
        }
        if !upper {
            in_vain += queue.drop_older(at, now, patience);
        }
        let number = queue.push(at, id, waiter, now);
        self.told_in_vain(who.class, in_vain);
        Ok(number)
    }

    /// Whether a request of this client would not be let wait, whoever leaves.
    pub(crate) fn refuses(&mut self, who: Who, open_for: Duration, now: Instant) -> bool {
        let salt = self.salt;
        self.cohorts(who.class).is_some_and(|cohorts| cohorts.refuses(who.client, salt, open_for, now))
    }

    /// Removes the waiter with this number, if it is still there. `in_vain`: it waited its whole time.
    pub(crate) fn leave(&mut self, class: Class, number: u64, in_vain: bool) {
        let left = self.queues.get_mut(class.index()).is_some_and(|queue| queue.remove(number));
        if left && in_vain {
            self.told_in_vain(class, 1);
        }
        self.rest_if_empty();
    }

    /// The highest class that somebody waits in.
    pub(crate) fn next_class(&self) -> Option<Class> {
        CLASSES.into_iter().zip(&self.queues).find(|(_, queue)| queue.len() > 0).map(|(class, _)| class)
    }

    /// Gives `seat` to the next in line of `class`; the seat comes back if nobody took it.
    pub(crate) fn grant(&mut self, class: Class, mut seat: Seat, now: Instant) -> Option<Seat> {
        let upper = class.is_upper();
        let patience = self.patience(class, now);
        let Some(queue) = self.queues.get_mut(class.index()) else { return Some(seat) };
        let mut in_vain = 0;
        let unused = loop {
            let Some(waiter) = queue.pop(upper) else { break Some(seat) };
            if !upper && now.saturating_duration_since(waiter.since) > patience {
                waiter.shed(Shed::Deadline);
                in_vain += 1;
                continue;
            }
            seat.belongs_to(waiter.who);
            match waiter.grant.send(Ok(seat)) {
                Ok(()) => break None,
                // Its client left in this very moment.
                Err(Ok(back)) => seat = back,
                Err(Err(_)) => return None,
            }
        };
        if unused.is_none()
            && let Some(cohorts) = self.cohorts(class)
        {
            cohorts.served();
        }
        self.told_in_vain(class, in_vain);
        self.rest_if_empty();
        unused
    }

    /// A seat came back while somebody waited.
    pub(crate) fn seat_returned(&mut self, now: Instant) {
        self.pace.returned(now);
    }

    /// Waiters of each class, in the order of [`CLASSES`].
    pub(crate) fn by_class(&self) -> [u32; 4] {
        [0, 1, 2, 3].map(|at| self.queues.get(at).map_or(0, Fair::len))
    }

    /// The longest wait of a class.
    pub(crate) fn longest(&self, class: Class) -> Duration {
        if class.is_upper() { self.rules.deadline } else { self.rules.spare_wait }
    }

    /// Whether a request of an upper class would be seated within its deadline, as far as the pace tells.
    fn has_time(&self, who: Who, at: usize, now: Instant) -> Result<(), Shed> {
        let ahead_of_it = |class: Class| self.queues.get(class.index()).map_or(0, Fair::len);
        let own = self.queues.get(who.class.index()).map_or(0, |queue| queue.ahead_of(at));
        let ahead = own + if who.class == Class::Critical { 0 } else { ahead_of_it(Class::Critical) };
        match self.pace.wait_behind(ahead, now) {
            Some(wait) if wait > self.rules.deadline => Err(Shed::TooLong),
            _ => Ok(()),
        }
    }

    /// How long a request of a lower class may have waited and still be served.
    fn patience(&self, class: Class, now: Instant) -> Duration {
        let wait = self.rules.spare_wait;
        let stands = self.queues.get(class.index()).and_then(Fair::since);
        if stands.is_some_and(|since| now.saturating_duration_since(since) > wait) { wait / 5 } else { wait }
    }

    fn told_in_vain(&mut self, class: Class, count: u32) {
        if let Some(cohorts) = self.cohorts(class) {
            cohorts.in_vain(count);
        }
    }

    fn cohorts(&mut self, class: Class) -> Option<&mut Cohorts> {
        self.cohorts.get_mut(class.index().checked_sub(2)?)
    }

    fn rest_if_empty(&mut self) {
        if self.queues.iter().all(|queue| queue.len() == 0) {
            self.pace.rest();
        }
    }
}
