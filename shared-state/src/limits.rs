//! In: limits, and whom each counts. Out: that all have room, or the first that has none. What is proven: the machines
//! count together, on the server's clock, in one step; a request that is refused counts under no limit.
//!
//! GCRA, the generic cell rate algorithm: a window has no edge to burst across, and a cell is two numbers.

use std::{num::NonZeroU32, time::Duration};

use crate::state::{Away, SharedState};

/// Limits of one request at most.
pub const MAX_LIMITS: usize = 16;
/// Names in the database up to which every new subject has a cell of its own; beyond, newcomers under one rate share
/// one. A cell and its name take about 150 bytes.
pub const MOST_KEYS: u32 = 1 << 20;

/// `requests` in each `window`, all of which may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Requests in a window.
    pub requests: NonZeroU32,
    /// The window: a millisecond to a year; what lies outside counts as the nearest.
    pub window: Duration,
}

/// What one request found under one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
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

/// What one request found under several limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It counts under each; so many more fit right now under each, in their order.
    Within {
        /// One for each limit.
        remaining: Vec<u32>,
    },
    /// It counts under none.
    Exceeded {
        /// The first limit without room.
        index: usize,
        /// Until that limit has some.
        retry_after: Duration,
    },
}

impl SharedState {
    /// Counts one request of `subject` (any bytes: they go over the wire as a digest) under one limit.
    ///
    /// # Errors
    /// [`Away`]; the request may have been counted then.
    pub async fn limit(&self, subject: &[u8], limit: Limit) -> Result<Count, Away> {
        Ok(match self.limits(&[(subject, limit)]).await? {
            Counted::Within { remaining } => Count::Within { remaining: remaining.first().copied().unwrap_or(0) },
            Counted::Exceeded { retry_after, .. } => Count::Exceeded { retry_after },
        })
    }

    /// Counts one request under several limits, at most [`MAX_LIMITS`], in one round trip: under all, or under none.
    ///
    /// # Errors
    /// [`Away`]; the request may have been counted then. Also for more limits than that: none was counted.
    pub async fn limits(&self, limits: &[(&[u8], Limit)]) -> Result<Counted, Away> {
        self.limits_within(limits, MOST_KEYS).await
    }

    pub(crate) async fn limits_within(&self, limits: &[(&[u8], Limit)], most: u32) -> Result<Counted, Away> {
        if limits.is_empty() {
            return Ok(Counted::Within { remaining: Vec::new() });
        }
        if limits.len() > MAX_LIMITS {
            return Err(Away);
        }
        let inner = self.inner();
        let mut count = inner.scripts.limits.prepare_invoke();
        for (subject, _) in limits {
            count.key(inner.names.limit(subject));
        }
        for (_, limit) in limits {
            count.key(inner.names.overflow(&limit.rate()));
        }
        count.arg(most);
        for (_, limit) in limits {
            let (cost, window) = limit.nanos();
            count.arg(micros(cost)).arg(micros(window));
        }
        let answer: Vec<u64> = inner.run(&count).await?;
        read(&answer, limits.len()).ok_or(Away)
    }
}

impl Limit {
    /// What one request uses up, and the window.
    fn nanos(&self) -> (u64, u64) {
        let window = self.window.clamp(SHORTEST, LONGEST);
        let window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        ((window / u64::from(self.requests.get())).max(1), window)
    }

    fn rate(&self) -> [u8; 16] {
        let (cost, window) = self.nanos();
        let mut rate = [0; 16];
        let (first, second) = rate.split_at_mut(8);
        first.copy_from_slice(&cost.to_be_bytes());
        second.copy_from_slice(&window.to_be_bytes());
        rate
    }
}

/// Nanoseconds as a decimal number of microseconds, the unit of the server's clock.
fn micros(nanos: u64) -> String {
    format!("{}.{:03}", nanos / 1000, nanos % 1000)
}

fn read(answer: &[u64], limits: usize) -> Option<Counted> {
    match answer {
        [1, remaining @ ..] if remaining.len() == limits => {
            let remaining = remaining.iter().map(|left| u32::try_from(*left).unwrap_or(u32::MAX)).collect();
            Some(Counted::Within { remaining })
        }
        [0, index, micros] => {
            let index = usize::try_from(*index).ok().filter(|index| *index < limits)?;
            Some(Counted::Exceeded { index, retry_after: Duration::from_micros(*micros) })
        }
        _ => None,
    }
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_makes_no_sense_is_no_answer() {
        for bad in [&[][..], &[1], &[1, 2, 3], &[0, 1, 5], &[0, 0], &[2, 0, 0]] {
            assert_eq!(read(bad, 1), None, "{bad:?}");
        }
        assert_eq!(read(&[1, 7], 1), Some(Counted::Within { remaining: vec![7] }));
        let retry_after = Duration::from_micros(9);
        assert_eq!(read(&[0, 0, 9], 1), Some(Counted::Exceeded { index: 0, retry_after }));
    }

    #[test]
    fn no_limit_is_zero_and_no_window_is_none() {
        let all = Limit { requests: NonZeroU32::MAX, window: Duration::ZERO };
        assert_eq!(all.nanos(), (1, 1_000_000));
        assert_eq!(micros(333_333_333), "333333.333");
        assert_eq!(micros(7), "0.007");
    }

    #[tokio::test]
    async fn newcomers_share_a_cell_by_rate_once_there_are_too_many_names() {
        let Some(redis) = test_servers::Redis::start() else { return };
        let url = settings::ServerUrl::redis(&redis.url()).unwrap();
        let timeout = Duration::from_secs(5);
        let settings = settings::SharedSettings { url, ca_file: None, timeout, prefix: "test".to_owned() };
        let state = SharedState::connect(&settings).await.unwrap();
        let hour = |requests| Limit { requests: NonZeroU32::new(requests).unwrap(), window: Duration::from_secs(3600) };
        // Room for the epoch and one cell.
        let count = async |subject: &str, limit| state.limits_within(&[(subject.as_bytes(), limit)], 2).await.unwrap();
        let within = |left| Counted::Within { remaining: vec![left] };
        assert_eq!(count("first", hour(2)).await, within(1));
        assert_eq!(count("second", hour(2)).await, within(1));
        assert_eq!(count("third", hour(2)).await, within(0), "strangers share one cell");
        assert!(matches!(count("fourth", hour(2)).await, Counted::Exceeded { .. }));
        assert_eq!(count("fourth", hour(5)).await, within(4), "another rate has a cell of its own");
        assert_eq!(count("first", hour(2)).await, within(0), "who was there keeps its cell");
        assert_eq!(redis.command(&["DBSIZE"]), ":4");
    }
}
