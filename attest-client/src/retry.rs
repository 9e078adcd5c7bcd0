//! How often and how soon to try again. Comes in: the round and what went wrong in the last. Goes out: a pause, or
//! none. Proven between: the number of rounds and the time they take together are bounded, and apps that failed at the
//! same moment do not come back at the same moment.

use std::time::Duration;

use attest_core::random::{self, Random};

use crate::status::FetchError;

/// The bounds of one fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Rounds (challenge and attest) in one fetch: 1 to 10; what is outside counts as the nearer end.
    pub rounds: u32,
    /// The pause after the first round that failed; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause. A service that asks for more is not waited for: the fetch fails with what it said.
    pub longest_pause: Duration,
    /// All rounds and pauses together.
    pub within: Duration,
    /// How long a failed fetch is told to further callers without asking again.
    pub hold: Duration,
}

impl Default for Retry {
    /// Four rounds within 20 seconds, pauses from a quarter of a second to four seconds; failures held for a second.
    fn default() -> Self {
        Self {
            rounds: 4,
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(4),
            within: Duration::from_secs(20),
            hold: Duration::from_secs(1),
        }
    }
}

impl Retry {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.clamp(1, 10)
    }

    /// The pause before round number `round` (the first is 0) after `error`; `None` when another round is of no use.
    pub(crate) fn pause(&self, round: u32, error: &FetchError, random: &dyn Random) -> Option<Duration> {
        let asked = error.retry_after().unwrap_or_default();
        let useful = error.status().is_passing() && round < self.rounds() && asked <= self.longest_pause;
        let doubled = self.first_pause.saturating_mul(1_u32.checked_shl(round.saturating_sub(1)).unwrap_or(u32::MAX));
        useful.then(|| asked + jittered(doubled.min(self.longest_pause), random))
    }

    /// A short pause before the same request is sent once more.
    pub(crate) fn resend_pause(&self, random: &dyn Random) -> Duration {
        jittered(self.first_pause.min(self.longest_pause), random)
    }
}

/// Somewhere in the upper half of `pause`; all of it where there is no randomness.
fn jittered(pause: Duration, random: &dyn Random) -> Duration {
    let [part] = random::array::<1>(random).unwrap_or([u8::MAX]);
    pause / 2 + (pause / 2).saturating_mul(u32::from(part)) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use attest_core::random::SeededRandom;

    use super::*;

    fn pause(round: u32, error: &FetchError) -> Option<Duration> {
        Retry::default().pause(round, error, &SeededRandom::new(1))
    }

    #[test]
    fn does_not_try_again_what_will_not_pass_by_itself() {
        assert_eq!(pause(1, &FetchError::Certificate), None);
        assert_eq!(pause(1, &FetchError::Rejected), None);
        assert_eq!(pause(1, &FetchError::Protocol { status: 400, what: "" }), None);
    }

    #[test]
    fn ends_with_the_last_round_and_with_a_service_that_asks_for_long() {
        assert!(pause(3, &FetchError::Lost).is_some());
        assert_eq!(pause(4, &FetchError::Lost), None);
        assert_eq!(pause(1, &FetchError::Unavailable { retry_after: Some(Duration::from_secs(5)) }), None);
    }

    #[test]
    fn pauses_double_stay_in_their_upper_half_and_include_what_was_asked() {
        for (round, full) in [(1, 250), (2, 500), (3, 1_000)] {
            let took = pause(round, &FetchError::Lost).unwrap();
            assert!((Duration::from_millis(full / 2)..=Duration::from_millis(full)).contains(&took), "{took:?}");
        }
        let asked = pause(1, &FetchError::Limited { retry_after: Some(Duration::from_secs(2)) }).unwrap();
        assert!(asked >= Duration::from_secs(2));
    }

    #[test]
    fn silly_bounds_are_moved_to_the_nearer_end() {
        assert_eq!(Retry { rounds: 0, ..Retry::default() }.rounds(), 1);
        assert_eq!(Retry { rounds: u32::MAX, ..Retry::default() }.rounds(), 10);
    }
}
