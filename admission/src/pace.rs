//! Will there be a seat in time?
//!
//! In: the moments at which seats came back while somebody waited. Out: how long the next so many take, so that a request
//! that can't be served in time is told at once, not at the end of its deadline.

use std::time::{Duration, Instant};

/// How far apart seats come back.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    last: Option<Instant>,
    gap: Option<Duration>,
    learned: Option<Instant>,
}

/// What was learned is good for so long, or for twice the gap where that is longer. Whoever is told that it takes too long
/// does not wait, and only where several wait is there something to learn: what nobody contradicts has to end by itself.
const GOOD_FOR: Duration = Duration::from_secs(2);
/// But never for longer.
const GOOD_AT_MOST: Duration = Duration::from_secs(10);

impl Pace {
    /// A seat came back while somebody waited.
    pub(crate) fn returned(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            let seen = now.saturating_duration_since(last);
            let is_old = !self.is_good_at(now);
            self.gap = Some(match self.gap {
                None => seen,
                // What is no longer believed does not outweigh what is seen.
                Some(gap) if is_old && seen < gap => seen,
                // One long silence is not a pace: a sample counts for four times what is known at most.
                Some(gap) => (gap * 31 + seen.min(gap * 4 + Duration::from_millis(1))) / 32,
            });
            self.learned = Some(now);
        }
    }

    /// Nobody waits any more: what comes next says nothing about how fast a queue gets shorter.
    pub(crate) fn rest(&mut self) {
        self.last = None;
    }

    /// How long it takes until `ahead` others and one more were seated; nothing while it is not known.
    ///
    /// Whoever is first in line always has a chance: with nobody seated the pace would never be learned anew.
    pub(crate) fn wait_behind(&self, ahead: u32, now: Instant) -> Option<Duration> {
        let gap = self.gap.filter(|_| ahead > 0 && self.is_good_at(now))?;
        Some(gap.saturating_mul(ahead.saturating_add(1)))
    }

    fn is_good_at(&self, now: Instant) -> bool {
        let good_for = (self.gap.unwrap_or_default() * 2).clamp(GOOD_FOR, GOOD_AT_MOST);
        self.learned.is_some_and(|learned| now.saturating_duration_since(learned) <= good_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_queue_that_moves_every_two_milliseconds_takes_a_hundred_times_that() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        assert_eq!(pace.wait_behind(99, now), None, "nothing is known yet");
        for _ in 0..200 {
            pace.returned(now);
            now += 2 * MS;
        }
        assert_eq!(pace.wait_behind(99, now), Some(200 * MS));
        assert_eq!(pace.wait_behind(0, now), None, "the first in line always has a chance");
        assert_eq!(pace.wait_behind(99, now + GOOD_FOR + MS), None, "it may have changed");
    }

    #[test]
    fn one_long_silence_does_not_make_everybody_hopeless() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for _ in 0..200 {
            pace.returned(now);
            now += 2 * MS;
        }
        now += 10_000 * MS;
        pace.returned(now);
        assert!(pace.wait_behind(99, now).unwrap() < 300 * MS);
        // Nor does a time in which nobody waited.
        pace.rest();
        now += 90_000 * MS;
        pace.returned(now);
        pace.returned(now + 2 * MS);
        assert!(pace.wait_behind(99, now + 2 * MS).unwrap() < 300 * MS);
    }
}
