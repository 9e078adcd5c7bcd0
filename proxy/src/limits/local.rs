//! Counts kept in this process.
//!
//! In comes a limit and whom it counts; out goes what is left, or how long to wait. The arithmetic is
//! GCRA (the generic cell rate algorithm): one number a subject, the time at which its allowance is
//! full again, so that a window has no edge to burst across.
//!
//! Subjects are chosen by clients, so the map is bounded: [`MOST`] live subjects. When it is full of live
//! subjects, newcomers to limits of one rate share a single cell: under a flood of made-up subjects strangers are limited
//! together, and nobody's count is forgotten.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;

use super::{Count, Rate, nanos};

/// Live subjects at most, 16 bytes each and as much again for the table.
const MOST: usize = 1 << 18;
/// How often a full map may be swept, in nanoseconds: a sweep walks all cells.
const SWEEP_EVERY: u64 = 100_000_000;
/// Cells for newcomers to a full map, chosen by the limit's rate: one that is used up for a day must not keep out
/// those whom another limits by the minute.
const OVERFLOWS: usize = 64;

/// The counts of all limits of all routes. One for the life of the process: they survive a reload,
/// since a subject is found by the limit's name.
#[derive(Debug)]
pub(crate) struct Limits {
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

impl Limits {
    /// No counts yet; times are measured from `epoch`.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            hasher: RandomState::new(),
            epoch,
            full_at: DashMap::default(),
            live: AtomicUsize::new(0),
            overflow: [const { Mutex::new(0) }; OVERFLOWS],
            swept: AtomicU64::new(0),
        }
    }

    /// Counts one request of `subject` (limit, route and whom it is for) at `now`.
    pub(crate) fn count(&self, subject: &impl Hash, rate: Rate, now: Instant) -> Count {
        let key = self.hasher.hash_one(subject);
        let now = nanos(now.saturating_duration_since(self.epoch));
        // The guard of the map is gone before the next line asks it anything: holding one would deadlock.
        if let Some(count) = self.full_at.get_mut(&key).map(|mut cell| take(&mut cell, rate, now)) {
            return count;
        }
        if self.live.load(Ordering::Relaxed) >= MOST && !self.sweep(now) {
            return self.take_overflow(rate, now);
        }
        let mut cell = self.full_at.entry(key).or_insert_with(|| {
            self.live.fetch_add(1, Ordering::Relaxed);
            0
        });
        take(&mut cell, rate, now)
    }

    fn take_overflow(&self, rate: Rate, now: u64) -> Count {
        // Rates are the operator's: nobody seeks a place, and the same ones always meet.
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(rate);
        let place = usize::try_from(hash).unwrap_or(0) % OVERFLOWS;
        match self.overflow.get(place) {
            Some(cell) => take(&mut cell.lock().unwrap_or_else(PoisonError::into_inner), rate, now),
            // Out of reach: the remainder is below their number.
            None => Count::Exceeded { retry_after: Duration::from_secs(1) },
        }
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
    let (full_at, count) = step(*cell, rate, now);
    *cell = full_at;
    count
}

/// One step of GCRA: the cell's new value and the answer.
fn step(full_at: u64, rate: Rate, now: u64) -> (u64, Count) {
    // A cell is at most full: also where its window was made shorter since.
    let begin = full_at.clamp(now, now.saturating_add(rate.window));
    let next = begin.saturating_add(rate.cost);
    let used = next - now;
    if used > rate.window {
        return (begin, Count::Exceeded { retry_after: Duration::from_nanos(used - rate.window) });
    }
    let remaining = (rate.window - used) / rate.cost;
    (next, Count::Within { remaining: u32::try_from(remaining).unwrap_or(u32::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn refuses_the_request_after_the_last_one_and_says_when() {
        let start = Instant::now();
        let limits = Limits::new(start);
        let rate = Rate::new(3, MINUTE);
        for remaining in [2, 1, 0] {
            assert_eq!(limits.count(&"a", rate, start), Count::Within { remaining });
        }
        assert_eq!(limits.count(&"a", rate, start), Count::Exceeded { retry_after: MINUTE / 3 });
        let later = start + MINUTE / 3;
        assert_eq!(limits.count(&"a", rate, later), Count::Within { remaining: 0 });
        assert!(matches!(limits.count(&"b", rate, start), Count::Within { .. }));
    }

    #[test]
    fn a_refused_request_does_not_count() {
        let start = Instant::now();
        let limits = Limits::new(start);
        let rate = Rate::new(1, MINUTE);
        limits.count(&"a", rate, start);
        for _ in 0..10 {
            assert!(matches!(limits.count(&"a", rate, start), Count::Exceeded { .. }));
        }
        assert!(matches!(limits.count(&"a", rate, start + MINUTE), Count::Within { .. }));
    }

    #[test]
    fn a_window_that_was_made_shorter_locks_nobody_out_for_the_old_one() {
        let start = Instant::now();
        let limits = Limits::new(start);
        let (daily, soon) = (Rate::new(1, 1440 * MINUTE), Rate::new(1, MINUTE));
        limits.count(&"a", daily, start);
        assert_eq!(limits.count(&"a", soon, start), Count::Exceeded { retry_after: MINUTE });
        assert_eq!(limits.count(&"a", soon, start + MINUTE), Count::Within { remaining: 0 });
    }

    #[test]
    fn made_up_subjects_share_one_cell_once_the_map_is_full() {
        let start = Instant::now();
        let limits = Limits::new(start);
        let rate = Rate::new(1, MINUTE);
        let mut passed = 0_usize;
        for subject in 0..(MOST * 2) {
            passed += usize::from(matches!(limits.count(&subject, rate, start), Count::Within { .. }));
        }
        let bound = MOST + 1;
        assert!(passed <= bound, "{passed} passed, {bound} is all there is room for");
        assert!(matches!(limits.count(&"late", rate, start + MINUTE * 2), Count::Within { .. }));
    }

    #[test]
    fn a_full_map_and_a_long_window_keep_nobody_from_a_short_one() {
        let start = Instant::now();
        let limits = Limits::new(start);
        let (daily, often) = (Rate::new(1, 1440 * MINUTE), Rate::new(60, MINUTE));
        for subject in 0..MOST + 10 {
            limits.count(&subject, daily, start);
        }
        assert!(matches!(limits.count(&"new", daily, start), Count::Exceeded { .. }));
        assert!(matches!(limits.count(&"new", often, start), Count::Within { .. }));
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_plus_the_rate(
            requests in 1_u32..50,
            gaps in proptest::collection::vec(0_u64..5_000, 1..300),
        ) {
            let rate = Rate::new(requests, MINUTE);
            let (mut cell, mut now, mut passed) = (0, 0, 0_u64);
            for gap in gaps {
                now += gap * 1_000_000;
                let (next, count) = step(cell, rate, now);
                cell = next;
                passed += u64::from(matches!(count, Count::Within { .. }));
            }
            let allowed = u64::from(requests) + now / rate.cost + 1;
            prop_assert!(passed <= allowed, "{} of {}", passed, allowed);
        }
    }
}
