//! The crate from outside: real sockets, real TLS, resolvers that change their mind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod client;
mod dial;
mod minted;
mod names;
mod server;
