//! The workbench of the end-to-end tests: real programs, real sockets, real files, and nothing of ours called directly
//! that a user would not call.
//!
//! | file | what it gives |
//! | --- | --- |
//! | [`programs`] | where the built programs are |
//! | [`process`] | a child process: its lines, its signals, its end |
//! | [`command`] | one run of `assay` from words to exit code |
//! | [`files`] | a temporary folder with an operator's files in it |
//! | [`house`] | service, gateway and API on loopback, on ports that the system chose |
//! | [`replicas`] | two services and two gateways on one PostgreSQL and one Redis |
//! | [`jwt`] | what a token says to whoever reads it |
//! | [`wire`] | an HTTP/1.1 client that sends exactly the bytes it is given |
//! | [`vendors`] | a gateway in front of one vendor's API, by its preset |
//! | [`upstream`] | an API that writes down all it is sent |
//! | [`attester`] | an app in the test's own hands, honest or not |
//! | [`needles`] | the forms in which a secret could show |
//! | [`wait`] | waiting for a condition, with a deadline |
//!
//! Nothing here sleeps for a fixed time: everything waits for a line, an end or a condition. Whatever is started ends
//! when its owner goes out of scope.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this crate is for tests alone: what goes wrong in it is a failed test"
)]

pub mod attester;
pub mod command;
pub mod files;
pub mod house;
pub mod jwt;
pub mod needles;
pub mod process;
pub mod programs;
pub mod replicas;
pub mod upstream;
pub mod vendors;
pub mod wait;
pub mod wire;
