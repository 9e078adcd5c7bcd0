//! Counts against limits. Pure: no sockets, no clock; time is an argument.
//!
//! In: a limit, whom it counts, and when. Out: room for one more, or how long to wait. Two kinds:
//!
//! | kind | file | counts | its window |
//! | --- | --- | --- | --- |
//! | a rate | [`rate`], [`rates`] | requests | slides (GCRA): there is no edge to burst across |
//! | a budget | [`budget`], [`ledger`] | requests, bytes or tokens | whole windows in UTC, right to the unit |
//!
//! A rate is taken when a request comes. A budget is *reserved* then and *settled* when it is known what the request used;
//! what is never settled stands as it was reserved. [`usage`] reads what an API says it used out of its answer, while
//! the answer goes by. [`file`](mod@file) keeps budgets over a restart.
//!
//! **Bounds.** Every map is keyed by what clients choose, so every map has a last place: [`rates::MOST`] and
//! [`ledger::MOST`] cells. Nothing live is evicted. While a map is full, newcomers to one limit share one cell: a flood
//! of made-up subjects limits strangers together and frees nobody.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod budget;
pub mod file;
pub mod ledger;
pub mod rate;
pub mod rates;
pub mod usage;

pub use budget::{Budget, Subject};
pub use ledger::{Exhausted, Held, Ledger};
pub use rate::{Count, Rate};
pub use rates::Rates;
pub use usage::{Format, Reported, UsageReader};
