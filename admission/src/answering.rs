//! An answer that its client doesn't read is not the upstream's work.
//!
//! In: the seat of a request whose answer has begun and is not all in. Out: the same seat, or after a while a place among
//! the streams. A client that doesn't read keeps the upstream's answer open for as long as a write may take; on its seat it
//! would keep others out for so long. So an answer that is not in a second after its head is a stream, whatever it calls
//! itself; where there is no place among the streams it is asked for again each second, and the seat is held meanwhile:
//! all that is open at an upstream is bounded by both together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::house::now;
use crate::seat::Seat;

/// How long after its head an answer may hold its seat.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The seat of an answer that is on its way. Dropping it gives back what it holds.
#[derive(Debug)]
pub struct Answering {
    seat: Arc<Mutex<Option<Seat>>>,
    timer: AbortHandle,
}

impl Answering {
    /// Watches over `seat` from now on; within a runtime.
    #[must_use]
    pub fn begin(seat: Seat) -> Self {
        let seat = Arc::new(Mutex::new(Some(seat)));
        let watched = seat.clone();
        let timer = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PATIENCE).await;
                let mut seat = watched.lock().unwrap_or_else(PoisonError::into_inner);
                match seat.as_mut().map(|seat| seat.stream(now())) {
                    None | Some(Ok(())) => return,
                    Some(Err(_full)) => {}
                }
            }
        });
        Self { seat, timer: timer.abort_handle() }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.timer.abort();
        let seat = self.seat.lock().unwrap_or_else(PoisonError::into_inner).take();
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
}
