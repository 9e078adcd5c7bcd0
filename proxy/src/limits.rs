//! Request limits: so many a window, for each device, address, app or route.
//!
//! In come the limits of a permit; out goes that all have room, or the first that has none. Counted by the machines
//! together where the configuration names a shared state, else, and while that is away, by this process alone.

use std::time::Duration;

mod breaker;
mod local;
mod shared;
mod subject;

pub(crate) use local::Limits;
pub(crate) use shared::{SharedLimits, keep_probing};
pub(crate) use subject::Subject;

/// `requests` in each `window`, all of which may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rate {
    requests: u32,
    /// Nanoseconds.
    window: u64,
    /// Nanoseconds that one request uses up.
    cost: u64,
}

impl Rate {
    /// `requests` and `window` of zero are raised to one request and one nanosecond: a limit that
    /// came out as zero must not divide by it.
    pub(crate) fn new(requests: u32, window: Duration) -> Self {
        let requests = requests.max(1);
        let window = nanos(window).max(1);
        Self { requests, window, cost: (window / u64::from(requests)).max(1) }
    }

    /// Requests in a window.
    pub(crate) fn requests(self) -> u32 {
        self.requests
    }

    /// The window in whole seconds, rounded up: the unit of the RateLimit headers.
    pub(crate) fn window_secs(self) -> u64 {
        self.window.div_ceil(1_000_000_000)
    }
}

/// What one request found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// It counts; so many more fit right now.
    Within {
        /// Requests that would still pass at this instant.
        remaining: u32,
    },
    /// It does not count, and would after this long.
    Exceeded {
        /// Until the next request fits.
        retry_after: Duration,
    },
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
