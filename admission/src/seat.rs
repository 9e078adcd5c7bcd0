//! What a request holds, from its turn to the end of its answer; and what it holds while it waits.
//!
//! In: a [`Place`] in a queue. Out: a [`Seat`]. Proven between: either is given back by `Drop`, so an aborted request leaves
//! nothing behind, and a seat that reaches a waiter who has just left goes to the next one.
//!
//! A seat is one of three things. At first it counts against the upstream's limit. While its client uploads, and once the
//! head of an endless answer came, it takes a place of another kind instead, which has a cap of its own and does not count
//! against the limit: the upstream is not working on it, or works on it for as long as it lasts.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::Class;
use crate::house::{Admission, Who, now};
use crate::waiting::Shed;

/// The right to have one request at an upstream. Dropping it gives back what it holds.
#[derive(Debug)]
pub struct Seat {
    /// Empty only while a seat is being returned.
    admission: Option<Arc<Admission>>,
    who: Who,
    kind: Kind,
}

/// What a seat counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Seat,
    Upload,
    Stream,
}

impl Seat {
    /// For a seat that was just counted.
    pub(crate) fn counted(admission: Arc<Admission>, who: Who) -> Self {
        Self { admission: Some(admission), who, kind: Kind::Seat }
    }

    pub(crate) fn belongs_to(&mut self, who: Who) {
        self.who = who;
    }

    /// Whose it is.
    #[must_use]
    pub fn who(&self) -> Who {
        self.who
    }

    /// The client sends its body at its own pace, and the upstream gets it so: from now on until [`Self::body_is_in`] this
    /// is a place among the uploads, half as many as there are seats, and the seat is another's.
    ///
    /// # Errors
    /// `Uploads` if there is none; the seat stays.
    pub fn upload(&mut self, now: Instant) -> Result<(), Shed> {
        self.become_a(Kind::Upload, now)
    }

    /// The body is with the upstream, which now works on it: a seat again, if one is free. Where none is, the request goes on
    /// from its place; it has been at the upstream all the time, and stays counted and capped there.
    pub fn body_is_in(&mut self, now: Instant) {
        let Some(admission) = &self.admission else { return };
        if self.kind == Kind::Upload && admission.retake(self.who, now) {
            admission.places(false).leave(self.who);
            self.kind = Kind::Seat;
        }
    }

    /// What comes now may last: a place among the streams, and the seat is another's.
    ///
    /// # Errors
    /// `Streams` if there is none; what it was it stays.
    pub fn stream(&mut self, now: Instant) -> Result<(), Shed> {
        self.become_a(Kind::Stream, now)
    }

    /// Whether it counts against the limit.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.kind == Kind::Seat
    }

    /// Whether it keeps a higher class waiting: it counts, and is a lower one's.
    pub(crate) fn is_in_the_way(&self) -> bool {
        let upper_wait = self.admission.as_ref().is_some_and(|admission| admission.upper_wait());
        upper_wait && self.is_counted() && !self.who.class.is_upper()
    }

    /// The head of the answer came, so long after the whole request was with the upstream.
    ///
    /// Not to be told of a request whose body was still on its way: that would be its client's pace.
    pub fn answered(&self, time: Duration, now: Instant) {
        if let Some(admission) = &self.admission {
            admission.note_answer(self.who, time, now);
        }
    }

    /// The upstream refused (429, 503), could not be reached, or gave no answer in time. `retry_after`: what it asked for.
    ///
    /// Not to be told of a failure that is the client's, such as a body that it never sent.
    pub fn refused(&self, retry_after: Option<Duration>, now: Instant) {
        if let Some(admission) = &self.admission {
            admission.note_refusal(self.who, retry_after, now);
        }
    }

    /// Gives it back at `now`; as `Drop` does, which asks the clock.
    pub fn leave(mut self, now: Instant) {
        self.give_back(Some(now));
    }

    /// Gives it back without looking who waits: for callers that hold the queue's lock.
    pub(crate) fn leave_quietly(mut self) {
        if let Some(admission) = self.admission.take() {
            admission.count_out(self.who.class);
        }
    }

    fn become_a(&mut self, kind: Kind, now: Instant) -> Result<(), Shed> {
        let Some(admission) = &self.admission else { return Ok(()) };
        if self.kind == kind {
            return Ok(());
        }
        let streams = kind == Kind::Stream;
        if !admission.places(streams).take(self.who, admission.cap(streams)) {
            return Err(if streams { Shed::Streams } else { Shed::Uploads });
        }
        let was = std::mem::replace(&mut self.kind, kind);
        release(admission, self.who, was, Some(now));
        Ok(())
    }

    fn give_back(&mut self, now: Option<Instant>) {
        if let Some(admission) = self.admission.take() {
            release(&admission, self.who, self.kind, now);
        }
    }
}

fn release(admission: &Arc<Admission>, who: Who, kind: Kind, now: Option<Instant>) {
    match kind {
        Kind::Seat => admission.give_back(who.class, now),
        Kind::Upload => admission.places(false).leave(who),
        Kind::Stream => admission.places(true).leave(who),
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.give_back(None);
    }
}

/// A place in a queue: a future of the seat. Dropping it leaves the queue.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    class: Class,
    number: u64,
    until: Instant,
    granted: oneshot::Receiver<Result<Seat, Shed>>,
    over: bool,
}

impl Place {
    pub(crate) fn new(
        admission: Arc<Admission>,
        class: Class,
        number: u64,
        until: Instant,
        granted: oneshot::Receiver<Result<Seat, Shed>>,
    ) -> Self {
        Self { admission, class, number, until, granted, over: false }
    }

    /// When the wait is over without a seat: the caller drops it then.
    #[must_use]
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Leaves the queue at `now`; as `Drop` does, which asks the clock.
    pub fn leave(mut self, now: Instant) {
        self.go(now);
    }

    fn go(&mut self, now: Instant) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        // Closed first: a grant that races with this is then refused and passed on.
        self.granted.close();
        let unread = self.granted.try_recv().ok().and_then(Result::ok);
        self.admission.leave_queue(self.class, self.number, now >= self.until);
        if let Some(seat) = unread {
            seat.leave(now);
        }
    }
}

impl Future for Place {
    type Output = Result<Seat, Shed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let told = std::task::ready!(Pin::new(&mut self.granted).poll(cx));
        self.over = true;
        // A sender that is gone took the waiter with it.
        Poll::Ready(told.unwrap_or(Err(Shed::Full)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.over {
            self.go(now());
        }
    }
}
