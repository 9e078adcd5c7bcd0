//! End to end: app, service, gateway and API as processes, driven as a user, an operator or an attacker drives them.
//!
//! Needs the programs: `cargo build -p cli -p sample-app -p sample-api`, or `make test`, which builds them first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "an integration test: what goes wrong in it is a failed test"
)]

mod canary;
mod canary_recipes;
mod canary_replicas;
mod contract;
mod demo;
mod examples;
mod faults;
mod first_hour;
mod keys;
mod policies;
mod presets;
mod recipes;
mod replicas;
mod vendor_sdks;
mod verifier;
mod wire;
