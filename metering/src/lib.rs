//! Counts against limits: rates, budgets that are reserved and settled, and the usage that an API reports.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]
