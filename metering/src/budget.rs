//! What a budget is: so many units in each whole window in UTC.
//!
//! In: an amount, a window, and a time. Out: which window that is, and when it ends. Windows begin at multiples of their
//! length since 1970-01-01T00:00:00Z, so that all machines have the same ones.

use std::num::NonZeroU64;
use std::time::Duration;

use attest_core::time::UnixTime;

/// Whom a limit counts, as a digest: it says nothing of a device or an address, and has one length.
pub type Subject = [u8; 16];

/// So many units in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    amount: u64,
    /// Milliseconds.
    window: u64,
}

impl Budget {
    /// The largest amount: what a server that counts in floating point holds exactly.
    pub const MOST: u64 = 1 << 53;

    /// `amount` units, at most [`Budget::MOST`], in each `window` of at least a second.
    #[must_use]
    pub fn new(amount: NonZeroU64, window: Duration) -> Self {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        Self { amount: amount.get().min(Self::MOST), window: window.clamp(1_000, MOST_WINDOW) }
    }

    /// Units in a window.
    #[must_use]
    pub fn amount(self) -> u64 {
        self.amount
    }

    /// The window.
    #[must_use]
    pub fn window(self) -> Duration {
        Duration::from_millis(self.window)
    }

    /// The number of the window that `now` is in.
    pub(crate) fn number(self, now: UnixTime) -> u64 {
        millis(now) / self.window
    }

    /// Until the window with this number is over.
    pub(crate) fn ends_in(self, number: u64, now: UnixTime) -> Duration {
        let end = number.saturating_add(1).saturating_mul(self.window);
        Duration::from_millis(end.saturating_sub(millis(now)))
    }
}

/// A year and a day.
const MOST_WINDOW: u64 = 366 * 86_400_000;

/// Milliseconds since 1970; what lies before counts as its first moment.
pub(crate) fn millis(now: UnixTime) -> u64 {
    u64::try_from(now.millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_whole_days_and_hours_in_utc() {
        let day = Budget::new(NonZeroU64::MIN, Duration::from_secs(86_400));
        // 2026-11-22T23:59:59Z and the second after.
        let (late, next) = (UnixTime::from_secs(1_795_391_999), UnixTime::from_secs(1_795_392_000));
        assert_eq!(day.number(next), day.number(late) + 1);
        assert_eq!(day.ends_in(day.number(late), late), Duration::from_secs(1));
        assert_eq!(day.ends_in(day.number(next), next), Duration::from_secs(86_400));
    }

    #[test]
    fn no_window_is_zero_and_no_amount_beyond_exact_counting() {
        let odd = Budget::new(NonZeroU64::MAX, Duration::ZERO);
        assert_eq!((odd.amount(), odd.window()), (Budget::MOST, Duration::from_secs(1)));
        assert_eq!(odd.number(UnixTime::from_secs(-5)), 0);
    }
}
