//! Time for the token cache. Goes out: time since a fixed moment, going on while the device sleeps.
//! The wall clock is not asked: a user who sets it wrong must neither lose the token nor refresh it in a loop.

use std::time::Duration;

/// A clock that only goes forward. One instance per client; an app's tests can hand in their own.
pub trait Elapsed: Send + Sync {
    /// Time since some moment that stays the same for the life of the process, suspended time included.
    fn elapsed(&self) -> Duration;
}

/// The system's: `CLOCK_BOOTTIME` where there is one.
#[derive(Debug, Clone, Copy, Default)]
pub struct SinceBoot;

impl Elapsed for SinceBoot {
    fn elapsed(&self) -> Duration {
        let time = rustix::time::clock_gettime(CLOCK);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

/// `CLOCK_MONOTONIC` stands still while a phone sleeps: a token would look fresh for hours (clock_gettime(2)).
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
