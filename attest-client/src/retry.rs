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
    /// How long a failed fetch is told to further callers without asking again; it doubles, with jitter, while fetches go
    /// on failing, to half a minute.
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

    /// How long a fetch that failed is told again without asking, after `failures` of them in a row: [`Retry::hold`], then
    /// somewhere in the upper half of twice that, four times, and so on to half a minute; what the service asked for
    /// (spread) where that is longer; a minute in all.
    pub(crate) fn hold(hold: Duration, failures: u32, asked: Option<Duration>, random: &dyn Random) -> Duration {
        let doubled = hold.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let own = if failures > 1 { jittered(doubled.min(LONGEST_BACKOFF), random).max(hold) } else { hold };
        own.max(asked.map_or(Duration::ZERO, |asked| spread(asked.min(LONGEST_HOLD), random))).min(LONGEST_HOLD)
    }

    /// A short pause before the same request is sent once more.
    pub(crate) fn resend_pause(&self, random: &dyn Random) -> Duration {
        jittered(self.first_pause.min(self.longest_pause), random)
    }
}

/// `pause` and up to a quarter more: a time that was asked for is never cut short.
pub(crate) fn spread(pause: Duration, random: &dyn Random) -> Duration {
    let [part] = random::array::<1>(random).unwrap_or([u8::MAX]);
    pause + (pause / 4).saturating_mul(u32::from(part)) / u32::from(u8::MAX)
}

/// Somewhere in the upper half of `pause`; all of it where there is no randomness.
fn jittered(pause: Duration, random: &dyn Random) -> Duration {
    let [part] = random::array::<1>(random).unwrap_or([u8::MAX]);
    pause / 2 + (pause / 2).saturating_mul(u32::from(part)) / u32::from(u8::MAX)
}

/// An app without a network asks at least this often, while somebody wants a token.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// However long the service asks for, an app asks again after this.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

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
    fn failures_in_a_row_are_held_for_longer_and_never_for_more_than_a_minute() {
        let hold = |failures, asked: Option<u64>| {
            let random = SeededRandom::new(u64::from(failures));
            Retry::hold(Duration::from_secs(1), failures, asked.map(Duration::from_secs), &random)
        };
        assert_eq!(hold(1, None), Duration::from_secs(1));
        for (failures, least, most) in [(2, 1, 2), (4, 4, 8), (6, 15, 30), (40, 15, 30), (u32::MAX, 15, 30)] {
            let held = hold(failures, None);
            assert!((Duration::from_secs(least)..=Duration::from_secs(most)).contains(&held), "{failures}: {held:?}");
        }
        assert!((Duration::from_secs(20)..=Duration::from_secs(25)).contains(&hold(1, Some(20))));
        assert_eq!(hold(1, Some(u64::MAX)), Duration::from_secs(60));
    }

    #[test]
    fn what_was_asked_for_is_spread_and_never_cut_short() {
        for seed in 0..50 {
            let spread = spread(Duration::from_secs(8), &SeededRandom::new(seed));
            assert!((Duration::from_secs(8)..=Duration::from_secs(10)).contains(&spread));
        }
    }

    #[test]
    fn silly_bounds_are_moved_to_the_nearer_end() {
        assert_eq!(Retry { rounds: 0, ..Retry::default() }.rounds(), 1);
        assert_eq!(Retry { rounds: u32::MAX, ..Retry::default() }.rounds(), 10);
    }
}
