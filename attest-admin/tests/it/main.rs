//! The admin API over real HTTP, on a real database: refusals first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod access;
mod audit;
mod authorisation;
mod builds;
mod client;
mod described;
mod devices;
mod keys;
mod orders;
mod strictness;
mod world;
