//! Rates counted in this process.
//!
//! In: whom a request counts for, under which rate, and when. Out: what is left, or how long to wait. What is proven: a
//! request counts under all its rates or under none; the table has one size at most, whatever subjects clients make up.
//!
//! It is bounded to [`MOST`] live subjects. When it is full of live ones, newcomers to one rate share a single cell:
//! under a flood of made-up subjects strangers are limited together, and nobody's count is forgotten.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use dashmap::DashMap;

use crate::rate::{Count, Rate, nanos};

/// Live subjects at most, 16 bytes each and as much again for the table.
pub const MOST: usize = 1 << 18;
/// How often a full map may be swept, in nanoseconds: a sweep walks all cells.
const SWEEP_EVERY: u64 = 100_000_000;
/// Cells for newcomers to a full map, chosen by the rate: one that is used up for a day must not keep out those whom
/// another limits by the minute.
const OVERFLOWS: usize = 64;

/// The counts of all rates of all routes. One for the life of a process: they survive a reload, since a subject is
/// found by the limit's name.
#[derive(Debug)]
pub struct Rates {
    hasher: RandomState,
    epoch: Instant,
    /// Subject to the time (nanoseconds since the epoch) at which its allowance is whole again.
    full_at: DashMap<u64, u64, BuildHasherDefault<Hashed>>,
    /// Cells in the map; it may be off by the requests that are counting right now.
    live: AtomicUsize,
    /// Of newcomers while the map is full.
    overflow: [Mutex<u64>; OVERFLOWS],
    swept: AtomicU64,
}

impl Rates {
    /// No counts yet; times are measured from `epoch`.
    #[must_use]
    pub fn new(epoch: Instant) -> Self {
        Self {
            hasher: RandomState::new(),
            epoch,
            full_at: DashMap::default(),
            live: AtomicUsize::new(0),
            overflow: [const { Mutex::new(0) }; OVERFLOWS],
            swept: AtomicU64::new(0),
        }
    }

    /// Counts one request of `subject` (limit, and whom it is for) at `now`.
    pub fn count(&self, subject: &impl Hash, rate: Rate, now: Instant) -> Count {
        let key = self.hasher.hash_one(subject);
        let now = nanos(now.saturating_duration_since(self.epoch));
        // The guard of the map is gone before the next line asks it anything: holding one would deadlock.
        if let Some(count) = self.full_at.get_mut(&key).map(|mut cell| take(&mut cell, rate, now)) {
            return count;
        }
        if self.live.load(Ordering::Relaxed) >= MOST && !self.sweep(now) {
            return self.in_overflow(rate, |cell| take(cell, rate, now));
        }
        let mut cell = self.full_at.entry(key).or_insert_with(|| {
            self.live.fetch_add(1, Ordering::Relaxed);
            0
        });
        take(&mut cell, rate, now)
    }

    /// Takes back one request that counted, because another limit refused it.
    pub fn give_back(&self, subject: &impl Hash, rate: Rate) {
        let key = self.hasher.hash_one(subject);
        let own = self.full_at.get_mut(&key).map(|mut cell| *cell = rate.give_back(*cell));
        if own.is_none() {
            self.in_overflow(rate, |cell| *cell = rate.give_back(*cell));
        }
    }

    /// Live subjects.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    fn in_overflow<T>(&self, rate: Rate, change: impl FnOnce(&mut u64) -> T) -> T {
        // Rates are the operator's: nobody seeks a place, and the same ones always meet.
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(rate);
        let place = usize::try_from(hash % OVERFLOWS as u64).unwrap_or(0);
        let [first, ..] = &self.overflow;
        let cell = self.overflow.get(place).unwrap_or(first);
        change(&mut cell.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes room in a full map, at most ten times a second; tells whether there is some.
    fn sweep(&self, now: u64) -> bool {
        let last = self.swept.load(Ordering::Relaxed);
        let due = now >= last.saturating_add(SWEEP_EVERY);
        if !due || self.swept.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return false;
        }
        // A cell whose allowance is whole says the same as no cell.
        self.full_at.retain(|_, full_at| *full_at > now);
        let live = self.full_at.len();
        self.live.store(live, Ordering::Relaxed);
        live < MOST
    }
}

/// The keys are hashes already, under a key that is new at each start.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// One request at one cell.
fn take(cell: &mut u64, rate: Rate, now: u64) -> Count {
    let (full_at, count) = rate.step(*cell, now);
    *cell = full_at;
    count
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn rate(requests: u64, window: Duration) -> Rate {
        Rate::new(NonZeroU64::new(requests).unwrap(), window, None)
    }

    #[test]
    fn refuses_the_request_after_the_last_one_and_says_when() {
        let start = Instant::now();
        let rates = Rates::new(start);
        let three = rate(3, MINUTE);
        for left in [2, 1, 0] {
            let whole_in = MINUTE / 3 * (3 - u32::try_from(left).unwrap());
            assert_eq!(rates.count(&"a", three, start), Count::Within { remaining: left, whole_in });
        }
        assert_eq!(rates.count(&"a", three, start), Count::Exceeded { retry_after: MINUTE / 3 });
        let later = start + MINUTE / 3;
        assert_eq!(rates.count(&"a", three, later), Count::Within { remaining: 0, whole_in: MINUTE });
        assert!(matches!(rates.count(&"b", three, start), Count::Within { .. }));
    }

    #[test]
    fn a_refused_request_does_not_count() {
        let start = Instant::now();
        let rates = Rates::new(start);
        let one = rate(1, MINUTE);
        rates.count(&"a", one, start);
        for _ in 0..10 {
            assert!(matches!(rates.count(&"a", one, start), Count::Exceeded { .. }));
        }
        assert!(matches!(rates.count(&"a", one, start + MINUTE), Count::Within { .. }));
    }

    #[test]
    fn what_is_given_back_did_not_count() {
        let start = Instant::now();
        let rates = Rates::new(start);
        let two = rate(2, MINUTE);
        rates.count(&"a", two, start);
        for _ in 0..10 {
            assert!(matches!(rates.count(&"a", two, start), Count::Within { remaining: 0, .. }));
            rates.give_back(&"a", two);
        }
        rates.give_back(&"a", two);
        rates.give_back(&"a", two);
        for _ in 0..2 {
            assert!(
                matches!(rates.count(&"a", two, start), Count::Within { .. }),
                "given back once too often is no credit"
            );
        }
        assert!(matches!(rates.count(&"a", two, start), Count::Exceeded { .. }));
    }

    #[test]
    fn a_window_that_was_made_shorter_locks_nobody_out_for_the_old_one() {
        let start = Instant::now();
        let rates = Rates::new(start);
        let (daily, soon) = (rate(1, 1440 * MINUTE), rate(1, MINUTE));
        rates.count(&"a", daily, start);
        assert_eq!(rates.count(&"a", soon, start), Count::Exceeded { retry_after: MINUTE });
        assert!(matches!(rates.count(&"a", soon, start + MINUTE), Count::Within { remaining: 0, .. }));
    }

    #[test]
    fn made_up_subjects_share_one_cell_once_the_map_is_full() {
        let start = Instant::now();
        let rates = Rates::new(start);
        let one = rate(1, MINUTE);
        let mut passed = 0_usize;
        for subject in 0..(MOST * 2) {
            passed += usize::from(matches!(rates.count(&subject, one, start), Count::Within { .. }));
        }
        let bound = MOST + 1;
        assert!(passed <= bound, "{passed} passed, {bound} is all there is room for");
        assert!(matches!(rates.count(&"late", one, start + MINUTE * 2), Count::Within { .. }));
    }

    #[test]
    fn a_full_map_and_a_long_window_keep_nobody_from_a_short_one() {
        let start = Instant::now();
        let rates = Rates::new(start);
        let (daily, often) = (rate(1, 1440 * MINUTE), rate(60, MINUTE));
        for subject in 0..MOST + 10 {
            rates.count(&subject, daily, start);
        }
        assert!(matches!(rates.count(&"new", daily, start), Count::Exceeded { .. }));
        assert!(matches!(rates.count(&"new", often, start), Count::Within { .. }));
        rates.give_back(&"new", often);
        assert_eq!(rates.live(), MOST);
    }
}
