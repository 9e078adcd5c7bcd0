//! The machine's clock, moved on by tests that can't wait.

use std::sync::Mutex;
use std::time::Duration;

use attest_core::time::{Clock, SystemClock, UnixTime};

/// Runs as the machine's does, so much ahead of it.
#[derive(Debug, Default)]
pub(crate) struct MovedClock(Mutex<Duration>);

impl MovedClock {
    /// Lets so much time have passed.
    pub(crate) fn advance(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }

    fn ahead(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

impl Clock for MovedClock {
    fn now(&self) -> UnixTime {
        SystemClock.now().plus(self.ahead())
    }

    fn steady(&self) -> Duration {
        SystemClock.steady() + self.ahead()
    }
}
