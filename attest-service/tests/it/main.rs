//! The service over real sockets, seen from an app, a gateway and an operator.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod abuse;
mod admin;
mod ages;
mod attester;
mod challenges;
mod clock;
mod crash;
mod evidence;
mod gateway;
mod operator;
mod oracle;
mod orders;
mod reload;
mod replicas;
mod restart;
mod shared;
mod statistics;
mod tokens;
mod world;
