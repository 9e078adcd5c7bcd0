//! In: limits, and whom each counts. Out: that all have room, or the first that has none. What is proven: the machines
//! count together, on the server's clock, in one step; a request that is refused counts under no limit.
//!
//! Rates are GCRA: a window has no edge to burst across, and a cell is two numbers. Budgets are whole windows in UTC, of
//! which a cell holds what is spent, reservations included: one that is never settled stands. The rules are those of the
//! `metering` crate, which counts where machines don't share.

use std::time::Duration;

use metering::{Budget, Count, Rate};

use crate::state::{Away, SharedState};

/// Limits of one request at most.
pub const MAX_LIMITS: usize = 16;
/// Names in the database up to which every new subject has a cell of its own; beyond, newcomers under one limit share
/// one. A cell and its name take about 150 bytes.
pub const MOST_KEYS: u32 = 1 << 20;

/// What one request counts under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// One request of a rate.
    Rate(Rate),
    /// So many units of a budget, at least one.
    Budget(Budget, u64),
}

/// What is left under one limit after the request.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    /// Units that would still pass at this instant.
    pub remaining: u64,
    /// Until all of it is there again: a rate that nobody uses, a budget in its next window.
    pub whole_in: Duration,
    /// Of a budget: what has to be settled.
    pub held: Option<Held>,
}

/// What one request reserved in one budget. Where it is never settled, it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    pub(crate) cell: Vec<u8>,
    pub(crate) budget: Budget,
    pub(crate) number: u64,
    pub(crate) reserved: u64,
}

/// What one request found under several limits.
#[derive(Debug, PartialEq, Eq)]
pub enum Counted {
    /// It counts under each.
    Within {
        /// One for each limit, in their order.
        left: Vec<Left>,
    },
    /// It counts under none.
    Exceeded {
        /// The first limit without room.
        index: usize,
        /// Units left there: fewer than it needs.
        remaining: u64,
        /// Until that limit has some.
        retry_after: Duration,
    },
}

impl SharedState {
    /// Counts one request of `subject` (any bytes: they go over the wire as a digest) under one rate.
    ///
    /// # Errors
    /// [`Away`]; the request may have been counted then.
    pub async fn limit(&self, subject: &[u8], rate: Rate) -> Result<Count, Away> {
        Ok(match self.limits(&[(subject, Limit::Rate(rate))]).await? {
            Counted::Within { left } => {
                let left = left.first().ok_or(Away)?;
                Count::Within { remaining: left.remaining, whole_in: left.whole_in }
            }
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
            return Ok(Counted::Within { left: Vec::new() });
        }
        if limits.len() > MAX_LIMITS {
            return Err(Away);
        }
        let inner = self.inner();
        let own = limits.iter().map(|(subject, limit)| inner.names.limit(limit.kind(), subject));
        let newcomers = limits.iter().map(|(_, limit)| inner.names.newcomers(limit.kind(), &limit.identity()));
        let cells: Vec<_> = own.chain(newcomers).collect();
        let mut count = inner.scripts.limits.prepare_invoke();
        for cell in &cells {
            count.key(cell.as_slice());
        }
        count.arg(most);
        for (_, limit) in limits {
            let [first, second, third] = limit.numbers();
            count.arg(limit.kind()).arg(first).arg(second).arg(third);
        }
        let answer: Vec<u64> = inner.run(&count).await?;
        read(&answer, limits, &cells).ok_or(Away)
    }
}

impl Limit {
    fn kind(&self) -> &'static str {
        match self {
            Self::Rate(_) => "rate",
            Self::Budget(..) => "budget",
        }
    }

    /// As the script wants them.
    fn numbers(&self) -> [String; 3] {
        match self {
            Self::Rate(rate) => [micros(rate.cost()), micros(rate.tolerance().min(LONGEST)), "0".to_owned()],
            Self::Budget(budget, reserve) => {
                let reserve = (*reserve).clamp(1, Budget::MOST);
                [budget.amount().to_string(), budget.window().as_millis().to_string(), reserve.to_string()]
            }
        }
    }

    /// What two limits have to have in common for their newcomers to share a cell.
    fn identity(&self) -> Vec<u8> {
        let [first, second] = match self {
            Self::Rate(rate) => [rate.cost().as_nanos(), rate.tolerance().as_nanos()],
            Self::Budget(budget, _) => [u128::from(budget.amount()), budget.window().as_nanos()],
        };
        [first.to_be_bytes(), second.to_be_bytes()].concat()
    }
}

impl Held {
    /// What was reserved.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.reserved
    }
}

/// A decimal number of microseconds, the unit of the server's clock.
fn micros(duration: Duration) -> String {
    format!("{}.{:03}", duration.as_micros(), duration.subsec_nanos() % 1000)
}

fn read(answer: &[u64], limits: &[(&[u8], Limit)], cells: &[Vec<u8>]) -> Option<Counted> {
    match answer {
        [1, left @ ..] if left.len() == 4 * limits.len() => {
            let left = left.chunks_exact(4).zip(limits).enumerate().map(|(at, (numbers, (_, limit)))| {
                let [remaining, micros, newcomer, number] = *<&[u64; 4]>::try_from(numbers).ok()?;
                let held = match limit {
                    Limit::Rate(_) => None,
                    Limit::Budget(budget, reserve) => {
                        let at = if newcomer == 0 { at } else { limits.len() + at };
                        let reserved = (*reserve).clamp(1, Budget::MOST);
                        Some(Held { cell: cells.get(at)?.clone(), budget: *budget, number, reserved })
                    }
                };
                Some(Left { remaining, whole_in: Duration::from_micros(micros), held })
            });
            Some(Counted::Within { left: left.collect::<Option<_>>()? })
        }
        [0, index, remaining, micros] => {
            let index = usize::try_from(*index).ok().filter(|index| *index < limits.len())?;
            Some(Counted::Exceeded { index, remaining: *remaining, retry_after: Duration::from_micros(*micros) })
        }
        _ => None,
    }
}

const LONGEST: Duration = Duration::from_secs(366 * 86_400);

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn rate(requests: u64, window: Duration) -> Limit {
        Limit::Rate(Rate::new(NonZeroU64::new(requests).unwrap(), window, None))
    }

    fn budget(amount: u64, reserve: u64) -> Limit {
        Limit::Budget(Budget::new(NonZeroU64::new(amount).unwrap(), Duration::from_secs(86_400)), reserve)
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_no_answer() {
        let limits = [(&b"a"[..], budget(10, 3))];
        let cells = [b"own".to_vec(), b"newcomers".to_vec()];
        for bad in [&[][..], &[1], &[1, 2, 3], &[0, 1, 5, 5], &[0, 0, 5], &[0, 0], &[2, 0, 0, 0, 0]] {
            assert_eq!(read(bad, &limits, &cells), None, "{bad:?}");
        }
        let Some(Counted::Within { left }) = read(&[1, 7, 9, 1, 20_000], &limits, &cells) else { panic!() };
        let held = left[0].held.as_ref().unwrap();
        assert_eq!((held.cell.as_slice(), held.number, held.reserved), (&b"newcomers"[..], 20_000, 3));
        let retry_after = Duration::from_micros(9);
        let exceeded = Counted::Exceeded { index: 0, remaining: 2, retry_after };
        assert_eq!(read(&[0, 0, 2, 9], &limits, &cells), Some(exceeded));
    }

    #[test]
    fn no_limit_is_zero_and_no_reservation_is_none() {
        assert_eq!(rate(u64::MAX, Duration::ZERO).numbers(), ["0.001", "0.001", "0"]);
        assert_eq!(rate(3, Duration::from_secs(1)).numbers(), ["333333.333", "1000000.000", "0"]);
        assert_eq!(budget(5, 0).numbers(), ["5", "86400000", "1"]);
    }

    #[tokio::test]
    async fn newcomers_share_a_cell_by_limit_once_there_are_too_many_names() {
        let Some(redis) = test_servers::Redis::start() else { return };
        let url = settings::ServerUrl::redis(&redis.url()).unwrap();
        let timeout = Duration::from_secs(5);
        let settings = settings::SharedSettings { url, ca_file: None, timeout, prefix: "test".to_owned() };
        let state = SharedState::connect(&settings).await.unwrap();
        let hour = |requests| rate(requests, Duration::from_secs(3600));
        // Room for the epoch and one cell.
        let count =
            async |subject: &str, limit| match state.limits_within(&[(subject.as_bytes(), limit)], 2).await.unwrap() {
                Counted::Within { left } => Some(left[0].remaining),
                Counted::Exceeded { .. } => None,
            };
        assert_eq!(count("first", hour(2)).await, Some(1));
        assert_eq!(count("second", hour(2)).await, Some(1));
        assert_eq!(count("third", hour(2)).await, Some(0), "strangers share one cell");
        assert_eq!(count("fourth", hour(2)).await, None);
        assert_eq!(count("fourth", hour(5)).await, Some(4), "another rate has a cell of its own");
        assert_eq!(count("first", hour(2)).await, Some(0), "who was there keeps its cell");
        assert_eq!(count("fifth", budget(10, 6)).await, Some(4), "and so has a budget");
        assert_eq!(count("sixth", budget(10, 6)).await, None);
        assert_eq!(redis.command(&["DBSIZE"]), ":5");
    }
}
