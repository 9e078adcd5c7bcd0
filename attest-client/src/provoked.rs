//! Fetches that others provoke. Comes in: the present moment. Goes out: whether one more is allowed.
//! Proven between: whoever answers in a gateway's place, or a gateway whose clock is wrong, can't turn every request of
//! every app into a fetch.

use std::collections::VecDeque;
use std::time::Duration;

/// When fetches were provoked.
#[derive(Debug, Default)]
pub(crate) struct Provoked {
    lately: VecDeque<Duration>,
    refused: Option<Duration>,
}

impl Provoked {
    /// By a 401, or by the app itself: [`PER_MINUTE`] in any minute.
    pub(crate) fn may_fetch(&mut self, now: Duration) -> bool {
        while self.lately.front().is_some_and(|first| now.saturating_sub(*first) >= MINUTE) {
            self.lately.pop_front();
        }
        let allowed = self.lately.len() < PER_MINUTE;
        if allowed {
            self.lately.push_back(now);
        }
        allowed
    }

    /// By a 403: one a minute.
    pub(crate) fn may_fetch_after_refusal(&mut self, now: Duration) -> bool {
        let allowed = self.refused.is_none_or(|last| now.saturating_sub(last) >= MINUTE);
        if allowed {
            self.refused = Some(now);
        }
        allowed
    }
}

const PER_MINUTE: usize = 6;
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_a_minute_and_the_seventh_waits_for_the_first_to_be_a_minute_old() {
        let mut provoked = Provoked::default();
        let at = Duration::from_secs;
        assert!((0..6).all(|second| provoked.may_fetch(at(second))));
        assert!(!provoked.may_fetch(at(6)) && !provoked.may_fetch(at(59)));
        assert!(provoked.may_fetch(at(60)));
        assert!(!provoked.may_fetch(at(60)), "the second is only 59 s old");
        assert!(provoked.lately.len() <= PER_MINUTE);
    }

    #[test]
    fn after_a_refusal_one_a_minute() {
        let mut provoked = Provoked::default();
        assert!(provoked.may_fetch_after_refusal(Duration::ZERO));
        assert!(!provoked.may_fetch_after_refusal(Duration::from_secs(59)));
        assert!(provoked.may_fetch_after_refusal(Duration::from_secs(60)));
    }
}
