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
mod attester;
mod challenges;
mod crash;
mod gateway;
mod operator;
mod oracle;
mod restart;
mod tokens;
mod world;
