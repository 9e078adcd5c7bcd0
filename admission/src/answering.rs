//! An answer that its client doesn't read is not the upstream's work.
//!
//! In: the seat of a request whose answer has begun and is not all in. Out: the same seat, or after a while a place among
//! the streams. A client that doesn't read keeps the upstream's answer open for as long as a write may take; on its seat it
//! would keep others out for so long. So an answer that is not in a second after its head is a stream, whatever it calls
//! itself; where there is no place among the streams it is asked for again each second, and the seat is held meanwhile:
//! all that is open at an upstream is bounded by both together. Such an answer of a lower class is in the way as soon as
//! somebody of a higher one waits, and who passes it on is told, so that it ends.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::house::now;
use crate::seat::Seat;

/// How long after its head an answer may hold its seat.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The seat of an answer that is on its way. Dropping it gives back what it holds.
#[derive(Debug)]
pub struct Answering {
    watched: Arc<Watched>,
    timer: AbortHandle,
}

#[derive(Debug)]
struct Watched {
    seat: Mutex<Option<Seat>>,
    /// It should be a stream by now, and found no place.
    overdue: AtomicBool,
}

impl Answering {
    /// Watches over `seat` from now on; within a runtime.
    #[must_use]
    pub fn begin(seat: Seat) -> Self {
        let watched = Arc::new(Watched { seat: Mutex::new(Some(seat)), overdue: AtomicBool::new(false) });
        let watching = watched.clone();
        let timer = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PATIENCE).await;
                let placed = watching.seat().as_mut().is_none_or(|seat| seat.stream(now()).is_ok());
                watching.overdue.store(!placed, Relaxed);
                if placed {
                    return;
                }
            }
        });
        Self { watched, timer: timer.abort_handle() }
    }

    /// Whether this answer of a lower class holds for too long a seat that a higher class waits for: it has to end.
    #[must_use]
    pub fn is_in_the_way(&self) -> bool {
        self.watched.overdue.load(Relaxed) && self.watched.seat().as_ref().is_some_and(Seat::is_in_the_way)
    }
}

impl Watched {
    fn seat(&self) -> MutexGuard<'_, Option<Seat>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.timer.abort();
        let seat = self.watched.seat().take();
        drop(seat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;
    use crate::{Admission, Capacity, Limit, Who};

    fn house(streams: u32) -> Arc<Admission> {
        let capacity = Capacity { reserve: 0, streams, ..Capacity::of(Limit::Fixed(1)) };
        Admission::new(capacity, now(), 1)
    }

    const SLOW: Who = Who { class: Class::Unattested, client: 1 };
    const MOMENT: Duration = Duration::from_millis(10);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_keeps_its_seat_for_a_second() {
        let house = house(8);
        let answer = Answering::begin(house.try_enter(SLOW, now()).unwrap());
        tokio::time::sleep(PATIENCE - MOMENT).await;
        assert_eq!((house.inflight(), house.streams()), (1, 0));
        tokio::time::sleep(2 * MOMENT).await;
        assert_eq!((house.inflight(), house.streams()), (0, 1));
        drop(answer);
        assert_eq!((house.inflight(), house.streams()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_read_gives_its_seat_back_at_its_end() {
        let house = house(8);
        let answer = Answering::begin(house.try_enter(SLOW, now()).unwrap());
        tokio::time::sleep(MOMENT).await;
        drop(answer);
        tokio::time::sleep(2 * PATIENCE).await;
        assert_eq!((house.inflight(), house.streams()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_place_among_the_streams_it_stays_counted_until_there_is_one() {
        let house = house(2);
        let mut other = house.try_enter(SLOW, now()).unwrap();
        other.stream(now()).unwrap();
        let answer = Answering::begin(house.try_enter(SLOW, now()).unwrap());
        tokio::time::sleep(3 * PATIENCE).await;
        assert_eq!((house.inflight(), house.streams()), (1, 1), "the last place is for the upper classes");
        drop(other);
        tokio::time::sleep(PATIENCE).await;
        assert_eq!((house.inflight(), house.streams()), (0, 1));
        drop(answer);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lower_one_without_a_place_is_in_the_way_once_a_higher_class_waits() {
        for class in [Class::Unattested, Class::Attested] {
            let house = house(1);
            let answer = Answering::begin(house.try_enter(Who { class, client: 1 }, now()).unwrap());
            let mut other = house.line_up(Who { class: Class::Attested, client: 2 }, now()).unwrap();
            assert!(!answer.is_in_the_way(), "it has its second");
            tokio::time::sleep(PATIENCE / 2).await;
            drop(other);
            tokio::time::sleep(PATIENCE).await;
            assert!(!answer.is_in_the_way(), "nobody waits");
            other = house.line_up(Who { class: Class::Attested, client: 2 }, now()).unwrap();
            assert_eq!(answer.is_in_the_way(), class == Class::Unattested);
            drop((answer, other));
            assert_eq!((house.inflight(), house.streams()), (0, 0));
        }
    }
}
