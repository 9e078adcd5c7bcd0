//! The whole store from outside, on each engine that is installed: the same tests on both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says what went wrong by stopping"
)]

mod ages;
mod apps;
mod audit;
mod crash;
mod devices;
mod faults;
mod gateway;
mod gateways;
mod issuer;
mod keys;
mod live;
mod marks;
mod migrations;
mod opening;
mod orders;
mod renewals;
mod revocations;
mod tls;
mod tokens;
mod world;
