//! Against a real server, started for the test; where none is installed each test says so in one line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod answers;
mod bench;
mod budgets;
mod challenges;
mod epochs;
mod limits;
mod reach;
