//! Whether it is worth asking at all.
//!
//! In come successes and failures; out goes whether the next request should ask. A state that is away costs a few
//! requests their time-out, and after that none: somebody in the background finds out when it is back.

use std::sync::atomic::{AtomicU32, Ordering};

/// Points for a failure; a success takes one away. So it opens where more than every third answer fails, and not for a
/// single one.
const FAILURE: u32 = 2;
/// Points at which it opens: three failures in a row.
const OPEN_AT: u32 = 3 * FAILURE;

/// Closed while things go well.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    points: AtomicU32,
}

impl Breaker {
    /// Whether nobody should ask.
    pub(super) fn is_open(&self) -> bool {
        self.points.load(Ordering::Relaxed) >= OPEN_AT
    }

    /// An answer came. While it is open that changes nothing: late answers don't close it.
    pub(super) fn succeeded(&self) {
        let points = self.points.load(Ordering::Relaxed);
        if points > 0 && points < OPEN_AT {
            // Lost to another request's: then that one counts, and the next success does again.
            let _ = self.points.compare_exchange(points, points - 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// No answer came. Tells whether this one opened it.
    pub(super) fn failed(&self) -> bool {
        let more = |points: u32| (points < OPEN_AT).then(|| (points + FAILURE).min(OPEN_AT));
        let before = self.points.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        before.is_ok_and(|points| points + FAILURE >= OPEN_AT)
    }

    /// It answers again.
    pub(super) fn close(&self) {
        self.points.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_at_the_third_failure_in_a_row_and_says_so_once() {
        let breaker = Breaker::default();
        assert_eq!([breaker.failed(), breaker.failed()], [false, false]);
        assert!(!breaker.is_open());
        assert!(breaker.failed());
        assert!(breaker.is_open());
        assert!(!breaker.failed(), "it is open already");
    }

    #[test]
    fn an_answer_that_comes_late_does_not_close_it() {
        let breaker = Breaker::default();
        while !breaker.failed() {}
        for _ in 0..100 {
            breaker.succeeded();
        }
        assert!(breaker.is_open());
        breaker.close();
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_failure_now_and_then_opens_nothing_and_every_second_does() {
        let breaker = Breaker::default();
        for _ in 0..100 {
            assert!(!breaker.failed());
            (0..3).for_each(|_| breaker.succeeded());
        }
        assert!(!breaker.is_open());
        let opened = (0..20).any(|_| {
            let opened = breaker.failed();
            breaker.succeeded();
            opened
        });
        assert!(opened);
    }
}
