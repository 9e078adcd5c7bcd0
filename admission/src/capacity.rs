//! How an upstream's capacity is shared, as an operator writes it.
//!
//! In: numbers of a configuration. Out: the same, with every zero made the least that works: zero is never unlimited.

use std::time::Duration;

/// All of it can change at a reload without losing a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Seats in all.
    pub limit: Limit,
    /// Seats that only the upper two classes may take; always less than the limit of the moment. Of an adaptive limit it is
    /// at least a sixteenth.
    pub reserve: u32,
    /// Where requests wait.
    pub queues: Queues,
    /// Places for answers that have given their seat back and are still being sent. The lower classes leave a quarter.
    pub streams: u32,
}

/// Seats in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// This many, always.
    Fixed(u32),
    /// As many as the upstream stands, found out from how fast it answers.
    Adaptive {
        /// Never fewer.
        min: u32,
        /// Never more.
        max: u32,
        /// Before anything is known.
        start: u32,
    },
}

/// Where requests wait for a seat. Lengths are for each class by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// The longest wait of the upper two classes.
    pub deadline: Duration,
    /// Waiting places of each of them.
    pub length: u32,
    /// The longest wait of the lower two.
    pub spare_wait: Duration,
    /// Waiting places of each of them.
    pub spare_length: u32,
}

impl Capacity {
    /// So many seats and everything else as it is when nothing is said: a sixteenth in reserve, four waiting for each seat
    /// and no longer than a second, one on spare capacity and no longer than 100 ms, four streams.
    #[must_use]
    pub fn of(limit: Limit) -> Self {
        let seats = limit.at_start();
        Self {
            limit,
            reserve: (seats / 16).max(1).min(seats - 1),
            queues: Queues {
                deadline: Duration::from_secs(1),
                length: seats.saturating_mul(4),
                spare_wait: Duration::from_millis(100),
                spare_length: seats,
            },
            streams: seats.saturating_mul(4),
        }
    }

    /// Of `limit` seats, those that the lower classes leave.
    pub(crate) fn reserve_of(&self, limit: u32) -> u32 {
        let reserve = match self.limit {
            Limit::Fixed(_) => self.reserve,
            Limit::Adaptive { .. } if self.reserve == 0 => 0,
            Limit::Adaptive { .. } => self.reserve.max(limit / 16),
        };
        reserve.min(limit.saturating_sub(1))
    }
}

impl Limit {
    /// Seats before anything is known; at least one.
    #[must_use]
    pub fn at_start(self) -> u32 {
        match self {
            Self::Fixed(seats) => seats.max(1),
            Self::Adaptive { start, .. } => start.clamp(self.bounds().0, self.bounds().1),
        }
    }

    /// Never fewer, never more; at least one.
    pub(crate) fn bounds(self) -> (u32, u32) {
        match self {
            Self::Fixed(seats) => (seats.max(1), seats.max(1)),
            Self::Adaptive { min, max, .. } => (min.max(1), max.max(min).max(1)),
        }
    }
}
