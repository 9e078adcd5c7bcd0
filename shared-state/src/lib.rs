//! Short-lived state that several machines share, on Redis or Valkey.
//!
//! In: what the service and the gateways ask of each other's memory (was this challenge used, who makes this answer, is
//! there room under this limit). Out: one answer for all of them, or [`Away`] within a bounded time. What is proven: each
//! question is one script on the server, so two machines never both hear "first"; and nothing that the server forgot is
//! ever taken for unused, because it was asked under an *epoch* that ends with what it remembers.
//!
//! | file | what it does |
//! | --- | --- |
//! | [`SharedState`] | the calls, each bounded in time and number |
//! | `link`, `stream` | one connection that heals itself; TLS |
//! | `epoch` | when a server may have forgotten: restart, flush, failover, a clock that was moved |
//! | `spend` | challenges, each used once |
//! | `answers` | the answer to a request that another machine took |
//! | `limits` | rates and budgets counted by all machines together |
//! | `settle` | what a request used of its budgets, charged once |
//!
//! **Epochs.** `{prefix}:epoch` holds a random id and the identity of the server that it was made on (its run id and
//! replication id), and when it was last looked at. Every new connection, and every second one that stays, compares: another
//! server, none, or a clock that leapt begins a new epoch. What was promised under an older epoch is refused, in the same step
//! that would have taken it.
//!
//! **What it holds.** All names share the hash tag `{prefix}`, so that a cluster keeps them on one node.
//!
//! | name | what | bound |
//! | --- | --- | --- |
//! | `epoch` | one hash | 1 |
//! | `spent:…` | used challenges of an epoch by their end | the caller's capacity; about 120 bytes each |
//! | `net:…` | the same by network, for its share | as many again |
//! | `answer:…` | claims and sealed answers | those of spent challenges, 64 KiB each at most, for the caller's time |
//! | `limit:…` | one cell a subject, 16 or 24 bytes and its name | [`MOST_KEYS`] names in the database; beyond it newcomers share a cell |
//! | `newcomers:…` | that cell | one for each limit |
//! | `settled:…` | settlements of the last minute, empty | as many as requests with a budget in a minute; about 100 bytes each |
//!
//! Nothing live is evicted: a server whose `maxmemory-policy` may do so is refused.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod answers;
mod epoch;
mod limits;
mod link;
mod names;
mod settle;
mod spend;
mod state;
mod stream;

pub use answers::{Claim, MAX_ANSWER_BYTES, Stored};
pub use limits::{Counted, Held, Left, Limit, MAX_LIMITS, MOST_KEYS};
pub use metering::{Count, Rate};
pub use settle::{SETTLEMENT_MEMORY, Settlement};
pub use spend::Spend;
pub use state::{Away, ConnectError, SharedState};
