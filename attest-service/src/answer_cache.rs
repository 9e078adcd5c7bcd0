//! In: the transcript of an attest request whose challenge is ours and in time. Out: the right to make its answer, or
//! the answer that was already made. What is proven: one transcript has at most one maker, and whoever
//! sends it again within the keeping time gets the same bytes (a reply lost on a mobile network must not ruin a
//! genuine app). Bounded: the oldest answer goes first; a forgotten one means a new challenge.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use attest_core::time::UnixTime;
use bytes::Bytes;
use http::StatusCode;
use tokio::sync::watch;

pub(crate) mod sealed;

/// How long an answer is kept.
pub(crate) const KEEP: Duration = Duration::from_secs(30);
/// How many answers are kept, about 1 KiB each.
pub(crate) const CAPACITY: usize = 1 << 15;

/// An answer as it left: the same bytes for every retry.
pub(crate) struct Answer {
    /// 200, or 403 where the key set conceals nothing.
    pub(crate) status: StatusCode,
    /// The whole body. It holds a token: never logged.
    pub(crate) body: Bytes,
    /// The signature that the request carried over its transcript.
    pub(crate) signature: [u8; 64],
    /// Whether that signature was the device key's. An answer to a forged one is for its forger alone.
    pub(crate) signature_good: bool,
}

/// Keeps answers by transcript.
pub(crate) struct AnswerCache {
    kept: Arc<Mutex<Kept>>,
    capacity: usize,
}

#[derive(Default)]
struct Kept {
    by_transcript: HashMap<[u8; 32], Arc<Cell>>,
    /// In the order they came, with the time until which each is kept.
    order: VecDeque<(UnixTime, [u8; 32], Arc<Cell>)>,
}

type Cell = watch::Sender<Progress>;

#[derive(Clone)]
enum Progress {
    InWork,
    Made(Arc<Answer>),
    Abandoned,
}

/// What the cache says of a transcript.
pub(crate) enum Seen {
    /// Nobody has it: the caller makes the answer.
    First(Maker),
    /// It was made, or is being made by another task.
    Again(Waiter),
}

/// The right, and the duty, to make one answer. Dropped without an answer, those who wait are told so.
pub(crate) struct Maker {
    kept: Arc<Mutex<Kept>>,
    cell: Arc<Cell>,
    transcript: [u8; 32],
    made: bool,
}

/// Waits for an answer that somebody else makes.
pub(crate) struct Waiter(watch::Receiver<Progress>);

impl fmt::Debug for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

impl AnswerCache {
    /// An empty cache of at most `capacity` answers.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { kept: Arc::default(), capacity: capacity.max(1) }
    }

    /// Looks `transcript` up. For a challenge that is spent already: nothing new is begun, so that replaying spent
    /// challenges can't push answers out.
    pub(crate) fn find(&self, transcript: &[u8; 32], now: UnixTime) -> Option<Waiter> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.forget(now, self.capacity);
        kept.by_transcript.get(transcript).map(|cell| Waiter(cell.subscribe()))
    }

    /// Looks `transcript` up at `now` and, where nobody has it, hands out the right to make its answer, in one step.
    pub(crate) fn look(&self, transcript: [u8; 32], now: UnixTime) -> Seen {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.forget(now, self.capacity - 1);
        if let Some(cell) = kept.by_transcript.get(&transcript) {
            return Seen::Again(Waiter(cell.subscribe()));
        }
        let cell = Arc::new(watch::Sender::new(Progress::InWork));
        kept.by_transcript.insert(transcript, Arc::clone(&cell));
        kept.order.push_back((now.plus(KEEP), transcript, Arc::clone(&cell)));
        drop(kept);
        Seen::First(Maker { kept: Arc::clone(&self.kept), cell, transcript, made: false })
    }
}

impl Kept {
    /// Drops what is past its time, and the oldest while more than `room` are kept.
    fn forget(&mut self, now: UnixTime, room: usize) {
        while let Some((until, _, _)) = self.order.front() {
            if *until > now && self.order.len() <= room {
                return;
            }
            if let Some((_, transcript, cell)) = self.order.pop_front() {
                self.remove(&transcript, &cell);
            }
        }
    }

    /// Removes exactly this cell: the transcript may have been given up and begun anew.
    fn remove(&mut self, transcript: &[u8; 32], cell: &Arc<Cell>) {
        if self.by_transcript.get(transcript).is_some_and(|current| Arc::ptr_eq(current, cell)) {
            self.by_transcript.remove(transcript);
        }
    }
}

impl Maker {
    /// Keeps `answer` and hands it to those who wait.
    pub(crate) fn made(mut self, answer: Answer) -> Arc<Answer> {
        let answer = Arc::new(answer);
        self.cell.send_replace(Progress::Made(Arc::clone(&answer)));
        self.made = true;
        answer
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        if self.made {
            return;
        }
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.transcript, &self.cell);
        self.cell.send_replace(Progress::Abandoned);
    }
}

impl Waiter {
    /// The answer, once it is made; nothing where its maker gave up (the challenge was spent on another transcript).
    pub(crate) async fn answer(mut self) -> Option<Arc<Answer>> {
        let progress = self.0.wait_for(|progress| !matches!(progress, Progress::InWork)).await.ok()?;
        match &*progress {
            Progress::Made(answer) => Some(Arc::clone(answer)),
            Progress::InWork | Progress::Abandoned => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &'static str) -> Answer {
        Answer {
            status: StatusCode::OK,
            body: Bytes::from_static(text.as_bytes()),
            signature: [1; 64],
            signature_good: true,
        }
    }

    fn first(cache: &AnswerCache, transcript: u8, now: UnixTime) -> Maker {
        match cache.look([transcript; 32], now) {
            Seen::First(maker) => maker,
            Seen::Again(_) => panic!("seen before"),
        }
    }

    async fn again(cache: &AnswerCache, transcript: u8, now: UnixTime) -> Option<Arc<Answer>> {
        match cache.look([transcript; 32], now) {
            Seen::First(_) => panic!("not seen before"),
            Seen::Again(waiter) => waiter.answer().await,
        }
    }

    const START: i64 = 1_700_000_000;

    #[tokio::test]
    async fn a_retry_gets_the_same_bytes_until_the_time_is_over() {
        let cache = AnswerCache::new(8);
        let now = UnixTime::from_secs(START);
        first(&cache, 1, now).made(answer("a"));
        assert_eq!(again(&cache, 1, UnixTime::from_secs(START + 29)).await.unwrap().body, "a");
        drop(first(&cache, 1, UnixTime::from_secs(START + 30)));
    }

    #[tokio::test]
    async fn those_who_wait_get_what_the_maker_made_or_hear_that_he_gave_up() {
        let cache = AnswerCache::new(8);
        let now = UnixTime::from_secs(START);
        let maker = first(&cache, 1, now);
        let Seen::Again(waiter) = cache.look([1; 32], now) else { panic!("a second maker") };
        maker.made(answer("a"));
        assert_eq!(waiter.answer().await.unwrap().body, "a");

        let maker = first(&cache, 2, now);
        let Seen::Again(waiter) = cache.look([2; 32], now) else { panic!("a second maker") };
        drop(maker);
        assert!(waiter.answer().await.is_none());
        drop(first(&cache, 2, now));
    }

    #[tokio::test]
    async fn never_keeps_more_than_its_capacity() {
        let cache = AnswerCache::new(4);
        let now = UnixTime::from_secs(START);
        for transcript in 0..100 {
            first(&cache, transcript, now).made(answer("a"));
            let kept = cache.kept.lock().unwrap();
            assert!(kept.by_transcript.len() <= 4 && kept.order.len() <= 4);
        }
        assert!(again(&cache, 99, now).await.is_some());
        drop(first(&cache, 1, now));
    }
}
