//! Time as an argument: [`UnixTime`] in milliseconds, and the [`Clock`] that whoever starts a process hands down.
//!
//! Nothing else in this crate reads a clock; each check takes `now`.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z. Arithmetic saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime(i64);

impl UnixTime {
    /// A moment from whole seconds.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// A moment from milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This moment and `duration` more.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(as_millis(duration)))
    }

    /// This moment less `duration`.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(as_millis(duration)))
    }

    /// How long after `earlier` this is; `None` if it is before.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<Duration> {
        u64::try_from(self.0.checked_sub(earlier.0)?).ok().map(Duration::from_millis)
    }
}

fn as_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Where `now` comes from. One per process, handed down.
pub trait Clock: Send + Sync {
    /// The moment now.
    fn now(&self) -> UnixTime;

    /// Time that only ever goes forward, from a beginning of its own: what [`Clock::now`] is held against, to see that
    /// somebody has set the clock.
    fn steady(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> UnixTime {
        match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => UnixTime(0).plus(since),
            Err(before) => UnixTime(0).minus(before.duration()),
        }
    }

    fn steady(&self) -> Duration {
        static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGINNING.elapsed()
    }
}

/// A clock that stands still until it is moved: for tests and replays.
#[derive(Debug)]
pub struct FixedClock {
    now: AtomicI64,
    /// Milliseconds that it was moved on: steady time.
    passed: AtomicI64,
}

impl FixedClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: UnixTime) -> Self {
        Self { now: AtomicI64::new(now.0), passed: AtomicI64::new(0) }
    }

    /// Sets it to `now`, as somebody sets a clock: no time passes.
    pub fn set(&self, now: UnixTime) {
        self.now.store(now.0, Ordering::SeqCst);
    }

    /// Lets `duration` pass.
    pub fn advance(&self, duration: Duration) {
        self.passed.fetch_add(as_millis(duration), Ordering::SeqCst);
        self.now.fetch_add(as_millis(duration), Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> UnixTime {
        UnixTime(self.now.load(Ordering::SeqCst))
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.passed.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_moment_is_not_since_a_later_one() {
        let (early, late) = (UnixTime::from_secs(5), UnixTime::from_millis(5_001));
        assert_eq!(early.since(late), None);
        assert_eq!(late.since(early), Some(Duration::from_millis(1)));
        assert_eq!(UnixTime::from_millis(-1).secs(), -1);
    }

    #[test]
    fn the_ends_of_time_saturate() {
        let end = UnixTime::from_secs(i64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(UnixTime::from_millis(i64::MIN).minus(Duration::MAX).millis(), i64::MIN);
    }

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = FixedClock::new(UnixTime::from_secs(10));
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), UnixTime::from_secs(15));
        clock.set(UnixTime::from_secs(1));
        assert_eq!(clock.now().secs(), 1);
        assert_eq!(clock.steady(), Duration::from_secs(5));
    }
}
