//! In: the wall clock and the one that only goes forward. Out: whether the wall clock can be trusted to date a token.
//! What is proven: since it was last trusted nobody has moved it by more than a minute, or it has run evenly for a minute
//! since. In between nothing is issued: a token dated by a clock that jumps lives too long or is dead on arrival, and a
//! challenge may seem fresh again.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use attest_core::time::Clock;

/// A difference of so much is a jump; smaller corrections are how a clock is kept.
const JUMP: i64 = 60_000;
/// How long the clock has to run evenly after a jump before it is trusted again: challenges of before are over then.
const SETTLED: Duration = Duration::from_secs(60);
/// What a clock may be pulled straight by between two looks without being a step.
const SLEW: i64 = 1_000;

/// Watches one wall clock.
pub(crate) struct Steadiness {
    /// Wall clock less steady clock, in milliseconds, when it was last trusted.
    trusted: AtomicI64,
    jumped: AtomicBool,
    jump: Mutex<Option<Jump>>,
}

#[derive(Clone, Copy)]
struct Jump {
    offset: i64,
    since: Duration,
}

impl Steadiness {
    /// Trusts `clock` as it is now.
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        let (offset, _) = offset(clock);
        Self { trusted: AtomicI64::new(offset), jumped: AtomicBool::new(false), jump: Mutex::new(None) }
    }

    /// Whether `clock` can be trusted now.
    pub(crate) fn holds(&self, clock: &dyn Clock) -> bool {
        let (offset, steady) = offset(clock);
        if !apart(offset, self.trusted.load(Ordering::Relaxed)) {
            if self.jumped.load(Ordering::Relaxed) {
                self.end("the clock is back where it was");
            }
            return true;
        }
        let mut jump = self.jump.lock().unwrap_or_else(PoisonError::into_inner);
        match *jump {
            Some(seen) if apart(offset, seen.offset) => *jump = Some(Jump { offset, since: steady }),
            Some(seen) if steady.saturating_sub(seen.since) >= SETTLED => {
                self.trusted.store(offset, Ordering::Relaxed);
                drop(jump);
                self.end("the clock has run evenly for a minute");
                return true;
            }
            Some(_) => {}
            None => {
                *jump = Some(Jump { offset, since: steady });
                self.jumped.store(true, Ordering::Relaxed);
                let by_secs = offset.saturating_sub(self.trusted.load(Ordering::Relaxed)) / 1_000;
                tracing::error!(target: "assay::clock", by_secs, "the clock jumped: no token is issued until it runs evenly");
            }
        }
        false
    }

    /// Looks once, as [`Steadiness::holds`], and follows what keeps a clock straight: less than a second since the last
    /// look. Called about once a second, so that a jump is seen, and seen to end, without a request.
    pub(crate) fn follow(&self, clock: &dyn Clock) {
        if self.holds(clock) {
            let (offset, _) = offset(clock);
            if offset.abs_diff(self.trusted.load(Ordering::Relaxed)) < SLEW.unsigned_abs() {
                self.trusted.store(offset, Ordering::Relaxed);
            }
        }
    }

    fn end(&self, how: &'static str) {
        *self.jump.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if self.jumped.swap(false, Ordering::Relaxed) {
            tracing::info!(target: "assay::clock", "{how}: tokens are issued again");
        }
    }
}

fn offset(clock: &dyn Clock) -> (i64, Duration) {
    let steady = clock.steady();
    let millis = i64::try_from(steady.as_millis()).unwrap_or(i64::MAX);
    (clock.now().millis().saturating_sub(millis), steady)
}

fn apart(one: i64, other: i64) -> bool {
    one.abs_diff(other) > JUMP.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use attest_core::time::{FixedClock, UnixTime};

    use super::*;

    const START: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn set_by(clock: &FixedClock, seconds: i64) {
        clock.set(UnixTime::from_millis(clock.now().millis() + seconds * 1_000));
    }

    #[test]
    fn a_jump_over_a_minute_either_way_is_not_trusted_until_it_has_run_evenly() {
        for seconds in [61, -61, 86_400, -86_400] {
            let clock = FixedClock::new(START);
            let steadiness = Steadiness::new(&clock);
            set_by(&clock, seconds);
            assert!(!steadiness.holds(&clock), "{seconds}");
            clock.advance(Duration::from_secs(59));
            assert!(!steadiness.holds(&clock), "{seconds}");
            clock.advance(Duration::from_secs(1));
            assert!(steadiness.holds(&clock), "{seconds}");
        }
    }

    #[test]
    fn a_jump_that_is_undone_is_over_at_once_and_another_one_begins_the_wait_anew() {
        let clock = FixedClock::new(START);
        let steadiness = Steadiness::new(&clock);
        set_by(&clock, 3_600);
        assert!(!steadiness.holds(&clock));
        set_by(&clock, -3_600);
        assert!(steadiness.holds(&clock));
        clock.advance(Duration::from_secs(300));
        set_by(&clock, 3_600);
        assert!(!steadiness.holds(&clock), "the time before the jump does not count");
        clock.advance(Duration::from_secs(40));
        set_by(&clock, 3_600);
        assert!(!steadiness.holds(&clock));
        clock.advance(Duration::from_secs(40));
        assert!(!steadiness.holds(&clock));
        clock.advance(Duration::from_secs(20));
        assert!(steadiness.holds(&clock));
    }

    #[test]
    fn time_that_passes_and_small_corrections_are_no_jump() {
        let clock = FixedClock::new(START);
        let steadiness = Steadiness::new(&clock);
        clock.advance(Duration::from_secs(86_400));
        assert!(steadiness.holds(&clock));
        set_by(&clock, 59);
        assert!(steadiness.holds(&clock));
    }

    #[test]
    fn a_clock_pulled_straight_for_years_is_no_jump_and_steps_add_up() {
        let clock = FixedClock::new(START);
        let steadiness = Steadiness::new(&clock);
        for _ in 0..1_000 {
            clock.advance(Duration::from_secs(1));
            clock.set(UnixTime::from_millis(clock.now().millis() + 200));
            steadiness.follow(&clock);
        }
        assert!(steadiness.holds(&clock));
        set_by(&clock, 40);
        steadiness.follow(&clock);
        assert!(steadiness.holds(&clock));
        set_by(&clock, 40);
        assert!(!steadiness.holds(&clock), "forty seconds and forty more");
    }
}
