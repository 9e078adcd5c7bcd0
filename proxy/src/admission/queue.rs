//! The waiting requests of one upstream, by class.
//!
//! Nothing here blocks or counts seats; the caller holds the lock and hands seats in. Each queue is
//! bounded by the room it is told, and a waiter leaves by its number in logarithmic time.

use std::collections::VecDeque;

use policies::Class;
use tokio::sync::oneshot;

use super::{Seat, index, is_upper};

/// One waiting request: where its seat goes.
#[derive(Debug)]
pub(super) struct Waiter {
    id: u64,
    grant: oneshot::Sender<Seat>,
}

impl Waiter {
    pub(super) fn new(grant: oneshot::Sender<Seat>) -> Self {
        Self { id: 0, grant }
    }
}

/// All queues of an upstream.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    next_id: u64,
    /// In the order of [`CLASSES`]; each sorted by id, oldest at the front.
    queues: [VecDeque<Waiter>; 4],
}

/// Highest first: the order in which seats are handed out.
const CLASSES: [Class; 4] = [Class::Critical, Class::Attested, Class::Partial, Class::Unattested];

impl Waiting {
    /// Adds a waiter. A full upper queue turns the newcomer away; a full lower one drops its oldest.
    pub(super) fn join(&mut self, class: Class, mut waiter: Waiter, room: u32) -> Option<u64> {
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        self.next_id += 1;
        let id = self.next_id;
        waiter.id = id;
        let queue = self.queues.get_mut(index(class))?;
        if queue.len() >= room {
            if is_upper(class) || room == 0 {
                return None;
            }
            queue.pop_front();
        }
        queue.push_back(waiter);
        Some(id)
    }

    /// Removes the waiter with this number, if it is still there.
    pub(super) fn leave(&mut self, class: Class, id: u64) {
        if let Some(queue) = self.queues.get_mut(index(class))
            && let Ok(at) = queue.binary_search_by_key(&id, |waiter| waiter.id)
        {
            queue.remove(at);
        }
    }

    /// The highest class that somebody waits in.
    pub(super) fn next_class(&self) -> Option<Class> {
        CLASSES.into_iter().find(|class| !self.of(*class).is_none_or(VecDeque::is_empty))
    }

    /// Gives `seat` to the next in line of `class`; the seat comes back if nobody took it.
    pub(super) fn grant(&mut self, class: Class, seat: Seat) -> Option<Seat> {
        let queue = self.queues.get_mut(index(class))?;
        let waiter = if is_upper(class) { queue.pop_front() } else { queue.pop_back() };
        match waiter {
            Some(waiter) => waiter.grant.send(seat).err(),
            None => Some(seat),
        }
    }

    /// Waiters of the upper two classes.
    pub(super) fn upper(&self) -> u32 {
        self.count(is_upper)
    }

    /// Waiters of all classes.
    pub(super) fn all(&self) -> u32 {
        self.count(|_| true)
    }

    fn of(&self, class: Class) -> Option<&VecDeque<Waiter>> {
        self.queues.get(index(class))
    }

    fn count(&self, counted: impl Fn(Class) -> bool) -> u32 {
        let waiters = CLASSES
            .into_iter()
            .filter(|class| counted(*class))
            .filter_map(|class| self.of(class))
            .map(VecDeque::len)
            .sum::<usize>();
        u32::try_from(waiters).unwrap_or(u32::MAX)
    }
}
