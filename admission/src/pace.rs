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
}

impl Pace {
    /// A seat came back while somebody waited.
    pub(crate) fn returned(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            let seen = now.saturating_duration_since(last);
            self.gap = Some(match self.gap {
                None => seen,
                // One long silence is not a pace: a sample counts for four times what is known at most.
                Some(gap) => (gap * 31 + seen.min(gap * 4 + Duration::from_millis(1))) / 32,
            });
        }
    }

    /// Nobody waits any more: what comes next says nothing about how fast a queue gets shorter.
    pub(crate) fn rest(&mut self) {
        self.last = None;
    }

    /// How long it takes until `ahead` others and one more were seated; nothing while it is not known.
    ///
    /// Whoever is first in line always has a chance: with nobody seated the pace would never be learned anew.
    pub(crate) fn wait_behind(&self, ahead: u32) -> Option<Duration> {
        if ahead == 0 {
            return None;
        }
        Some(self.gap?.saturating_mul(ahead.saturating_add(1)))
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
        assert_eq!(pace.wait_behind(99), None, "nothing is known yet");
        for _ in 0..200 {
            pace.returned(now);
            now += 2 * MS;
        }
        assert_eq!(pace.wait_behind(99), Some(200 * MS));
        assert_eq!(pace.wait_behind(0), None, "the first in line always has a chance");
    }

    #[test]
    fn one_long_silence_does_not_make_everybody_hopeless() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for _ in 0..200 {
            pace.returned(now);
            now += 2 * MS;
        }
        pace.returned(now + 10_000 * MS);
        assert!(pace.wait_behind(99).unwrap() < 300 * MS);
        // Nor does a time in which nobody waited.
        pace.rest();
        pace.returned(now + 90_000 * MS);
        assert!(pace.wait_behind(99).unwrap() < 300 * MS);
    }
}
