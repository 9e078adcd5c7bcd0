//! What an admitted request holds at its upstream, from its turn to the end of its answer.
//!
//! In: a seat. Out: nothing; whatever it is by then is given back when the answer is in, or when the request is dropped.
//!
//! | from | it is |
//! | --- | --- |
//! | admitted, body in | a seat |
//! | admitted, a large body on its way | an upload, until the body's end |
//! | the head of a stream, or of an answer to a body that goes on | a stream |
//! | the head of an answer that is not in a second later | a stream; where there is no place, of a lower class: cut once a higher one waits |
//! | the end of the answer | nothing: a client that doesn't read holds nothing of the upstream |

use std::time::{Duration, Instant};

use super::{Answering, Seat, Shed};

/// Gives back what it holds when dropped.
#[derive(Debug)]
pub(crate) struct Held(State);

#[derive(Debug)]
enum State {
    Seat(Seat),
    Answering(Answering),
    Nothing,
}

impl Held {
    /// For a request that has its seat.
    pub(crate) fn new(seat: Seat) -> Self {
        Self(State::Seat(seat))
    }

    /// The seat, until an answer is on its way: what shows that the request was admitted.
    pub(crate) fn seat(&self) -> Option<&Seat> {
        match &self.0 {
            State::Seat(seat) => Some(seat),
            State::Answering(_) | State::Nothing => None,
        }
    }

    /// The end of the request's body passed.
    pub(crate) fn body_is_in(&mut self, now: Instant) {
        if let State::Seat(seat) = &mut self.0 {
            seat.body_is_in(now);
        }
    }

    /// What comes now may last.
    ///
    /// # Errors
    /// There is no place for it among the streams.
    pub(crate) fn stream(&mut self, now: Instant) -> Result<(), Shed> {
        match &mut self.0 {
            State::Seat(seat) => seat.stream(now),
            State::Answering(_) | State::Nothing => Ok(()),
        }
    }

    /// A piece of the answer came, and more will.
    pub(crate) fn answer_goes_on(&mut self) {
        match std::mem::replace(&mut self.0, State::Nothing) {
            State::Seat(seat) if seat.is_counted() => self.0 = State::Answering(Answering::begin(seat)),
            other => self.0 = other,
        }
    }

    /// Whether its client reads so slowly that it keeps a higher class from its seat.
    pub(crate) fn is_in_the_way(&self) -> bool {
        matches!(&self.0, State::Answering(answering) if answering.is_in_the_way())
    }

    /// The upstream has done its part.
    pub(crate) fn leave(&mut self) {
        self.0 = State::Nothing;
    }

    /// The head of the answer came, so long after the whole request was there.
    pub(crate) fn answered(&self, time: Duration, now: Instant) {
        if let State::Seat(seat) = &self.0 {
            seat.answered(time, now);
        }
    }

    /// The upstream refused, could not be reached or was too slow.
    pub(crate) fn refused(&self, retry_after: Option<Duration>, now: Instant) {
        if let State::Seat(seat) = &self.0 {
            seat.refused(retry_after, now);
        }
    }
}
