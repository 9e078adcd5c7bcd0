//! In: when a request arrived, and the time now. Out: when its answer may leave. What is proven: an answer leaves only
//! at a multiple of the quantum after its request arrived, so that how long the appraisal took shows at most as a whole
//! step, and steps are counted (design section 3; a malformed Evidence ends in microseconds, a chain of
//! certificates takes a millisecond).

use std::time::Duration;

use tokio::time::Instant;

/// The step at which answers leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantum(Duration);

/// When an answer leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Departure {
    /// The moment, a whole number of quanta (at least one) after the arrival.
    pub(crate) at: Instant,
    /// The work took longer than one quantum: the step can be seen, and is counted.
    pub(crate) overrun: bool,
}

impl Quantum {
    /// A quantum of `step`; a step under one millisecond counts as one, the timer's own grain.
    pub(crate) fn new(step: Duration) -> Self {
        Self(step.max(Duration::from_millis(1)))
    }

    /// When the answer to a request that arrived at `arrival`, and is ready `now`, leaves.
    pub(crate) fn departure(self, arrival: Instant, now: Instant) -> Departure {
        let step = self.0.as_nanos();
        let steps = now.saturating_duration_since(arrival).as_nanos() / step + 1;
        let wait = Duration::from_nanos(u64::try_from(step.saturating_mul(steps)).unwrap_or(u64::MAX));
        Departure { at: arrival + wait, overrun: steps > 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(25);

    #[test]
    fn answers_leave_at_the_next_multiple_after_arrival() {
        let arrival = Instant::now();
        let quantum = Quantum::new(STEP);
        for (worked_ms, leaves_ms, overrun) in
            [(0, 25, false), (1, 25, false), (24, 25, false), (25, 50, true), (60, 75, true)]
        {
            let departure = quantum.departure(arrival, arrival + Duration::from_millis(worked_ms));
            assert_eq!(
                departure,
                Departure { at: arrival + Duration::from_millis(leaves_ms), overrun },
                "{worked_ms} ms"
            );
        }
    }

    #[test]
    fn a_step_of_nothing_is_still_a_step() {
        let arrival = Instant::now();
        assert_eq!(Quantum::new(Duration::ZERO).departure(arrival, arrival).at, arrival + Duration::from_millis(1));
    }
}
