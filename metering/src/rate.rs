//! The arithmetic of a rate: GCRA, the generic cell rate algorithm.
//!
//! In: a cell (the time at which its allowance is whole again), a rate and the time. Out: the cell after one request, and
//! whether that request fits. What is proven: in any span of time no more pass than the burst and what the rate gives in
//! that span.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// So many requests in each window, and how many of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    requests: u64,
    /// Nanoseconds.
    window: u64,
    /// Nanoseconds that one request uses up.
    cost: u64,
    /// Nanoseconds that may be used up at once.
    tolerance: u64,
}

/// What one request found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// It counts; so many more fit right now.
    Within {
        /// Requests that would still pass at this instant.
        remaining: u64,
        /// Until the allowance is whole again, if nothing more comes.
        whole_in: Duration,
    },
    /// It does not count, and would after this long.
    Exceeded {
        /// Until the next request fits.
        retry_after: Duration,
    },
}

impl Rate {
    /// `requests` in each `window`, of which `burst` may come at once: all of them where it is not said, and never more.
    /// A window of zero is raised to a nanosecond.
    #[must_use]
    pub fn new(requests: NonZeroU64, window: Duration, burst: Option<NonZeroU32>) -> Self {
        let requests = requests.get();
        let window = nanos(window).max(1);
        let cost = (window / requests).max(1);
        let tolerance = match burst.map(|burst| u64::from(burst.get())) {
            Some(burst) if burst < requests => burst.saturating_mul(cost).min(window),
            _ => window,
        };
        Self { requests, window, cost, tolerance: tolerance.max(cost) }
    }

    /// Requests in a window.
    #[must_use]
    pub fn requests(self) -> u64 {
        self.requests
    }

    /// The window.
    #[must_use]
    pub fn window(self) -> Duration {
        Duration::from_nanos(self.window)
    }

    /// What one request uses up of [`Rate::tolerance`].
    #[must_use]
    pub fn cost(self) -> Duration {
        Duration::from_nanos(self.cost)
    }

    /// What may be used up at once: the window, or less where the burst is smaller.
    #[must_use]
    pub fn tolerance(self) -> Duration {
        Duration::from_nanos(self.tolerance)
    }

    /// One step: the cell's new value and the answer. `full_at` and `now` are nanoseconds since any one moment.
    pub(crate) fn step(self, full_at: u64, now: u64) -> (u64, Count) {
        // A cell is at most full: also where its window was made shorter since.
        let begin = full_at.clamp(now, now.saturating_add(self.tolerance));
        let next = begin.saturating_add(self.cost);
        let used = next - now;
        if used > self.tolerance {
            return (begin, Count::Exceeded { retry_after: Duration::from_nanos(used - self.tolerance) });
        }
        let remaining = (self.tolerance - used) / self.cost;
        (next, Count::Within { remaining, whole_in: Duration::from_nanos(used) })
    }

    /// The cell without one request that it counted.
    pub(crate) fn give_back(self, full_at: u64) -> u64 {
        full_at.saturating_sub(self.cost)
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use governor::clock::FakeRelativeClock;
    use governor::{Quota, RateLimiter};
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn rate(requests: u64, window: Duration, burst: Option<u32>) -> Rate {
        Rate::new(NonZeroU64::new(requests).unwrap(), window, burst.and_then(NonZeroU32::new))
    }

    /// Whether it passes; the cell is moved.
    fn passes(cell: &mut u64, rate: Rate, now: u64) -> bool {
        let (next, count) = rate.step(*cell, now);
        *cell = next;
        matches!(count, Count::Within { .. })
    }

    #[test]
    fn a_burst_bounds_what_comes_at_once_and_not_the_rate() {
        let rate = rate(60, MINUTE, Some(5));
        let mut cell = 0;
        assert_eq!((0..100).filter(|_| passes(&mut cell, rate, 0)).count(), 5);
        let (_, count) = rate.step(cell, 0);
        assert_eq!(count, Count::Exceeded { retry_after: Duration::from_secs(1) });
        let second = 1_000_000_000;
        assert_eq!((1..=55).filter(|n| passes(&mut cell, rate, n * second)).count(), 55);
    }

    #[test]
    fn a_burst_of_more_than_the_rate_is_the_rate() {
        assert_eq!(rate(3, MINUTE, Some(100)).tolerance(), MINUTE);
        assert_eq!(rate(3, MINUTE, None), rate(3, MINUTE, Some(3)));
    }

    #[test]
    fn no_rate_is_without_bound_and_none_lets_nothing_through() {
        for odd in [rate(u64::MAX, Duration::ZERO, None), rate(u64::MAX, MINUTE, Some(1)), rate(1, Duration::MAX, None)]
        {
            let mut cell = 0;
            assert!(passes(&mut cell, odd, 0), "{odd:?}");
        }
        let mut cell = 0;
        let single = rate(u64::MAX, MINUTE, Some(1));
        assert!(passes(&mut cell, single, 0) && !passes(&mut cell, single, 0));
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_plus_the_rate(
            requests in 1_u64..50,
            burst in 1_u32..60,
            gaps in proptest::collection::vec(0_u64..5_000, 1..300),
        ) {
            let rate = rate(requests, MINUTE, Some(burst));
            let (mut cell, mut now, mut passed) = (0, 0, 0_u64);
            for gap in gaps {
                now += gap * 1_000_000;
                passed += u64::from(passes(&mut cell, rate, now));
            }
            let allowed = u64::from(burst).min(requests) + now / rate.cost + 1;
            prop_assert!(passed <= allowed, "{} of {}", passed, allowed);
        }

        #[test]
        fn agrees_with_governor(
            period_ms in 1_u64..5_000,
            burst in 1_u32..40,
            gaps in proptest::collection::vec(0_u64..10_000, 1..200),
        ) {
            // So many requests that one is used up each period.
            let period = Duration::from_millis(period_ms);
            let requests = 1_000_u64;
            let rate = rate(requests, period * 1_000, Some(burst));
            let quota = Quota::with_period(period).unwrap().allow_burst(NonZeroU32::new(burst).unwrap());
            let clock = FakeRelativeClock::default();
            let theirs = RateLimiter::direct_with_clock(quota, clock.clone());
            let theirs = Arc::new(theirs);
            let (mut cell, mut now) = (0, 0);
            for gap in gaps {
                let gap = Duration::from_millis(gap);
                clock.advance(gap);
                now += nanos(gap);
                prop_assert_eq!(passes(&mut cell, rate, now), theirs.check().is_ok());
            }
        }
    }
}
