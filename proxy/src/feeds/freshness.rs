//! How old a document is.
//!
//! In: the date in a document and the moment of its arrival. Out: its age, on a clock that only goes forward. A document
//! counts from its own date, so a copy that somebody plays again never becomes younger.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use attest_core::time::{Clock, UnixTime};

/// Clocks may differ by so much before a document's date is held against it.
const LENIENCE: Duration = Duration::from_secs(60);
/// Stands for a moment that has not come.
const NEVER: i64 = i64::MIN;

/// When the document in use was last right.
#[derive(Debug)]
pub(crate) struct Freshness {
    /// Milliseconds of steady time; before the first document [`NEVER`].
    confirmed: AtomicI64,
}

impl Freshness {
    /// Nothing was ever confirmed.
    pub(crate) const fn never() -> Self {
        Self { confirmed: AtomicI64::new(NEVER) }
    }

    /// A document with this date has arrived.
    pub(crate) fn confirm(&self, issued: UnixTime, clock: &dyn Clock) {
        let old = clock.now().since(issued).unwrap_or_default().saturating_sub(LENIENCE);
        let right_at = millis(clock.steady()).saturating_sub(millis(old));
        // A copy that was played again takes nothing back that was confirmed later.
        self.confirmed.fetch_max(right_at, Ordering::AcqRel);
    }

    /// Goes on where another left off.
    pub(crate) fn adopt(&self, other: &Self) {
        self.confirmed.fetch_max(other.confirmed.load(Ordering::Acquire), Ordering::AcqRel);
    }

    /// Time since then, at this moment of steady time.
    pub(crate) fn age(&self, steady: Duration) -> Option<Duration> {
        match self.confirmed.load(Ordering::Acquire) {
            NEVER => None,
            confirmed => {
                let age = millis(steady).saturating_sub(confirmed);
                Some(Duration::from_millis(u64::try_from(age).unwrap_or(0)))
            }
        }
    }
}

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
