//! Servers for tests, started here, on ports that were free, with nothing kept afterwards: PostgreSQL and Redis as they are,
//! and the APIs of vendors as far as they check a credential.
//!
//! | file | what it gives |
//! | --- | --- |
//! | [`Redis`] | a redis-server (or valkey-server) without persistence: kill, restart, flush, pause |
//! | [`Postgres`] | a PostgreSQL server in a folder of its own: stop, start, pause, a fresh database |
//! | [`vendor`] | OpenAI, Anthropic, Google, Stripe, Twilio, S3, GitHub: each refuses what the vendor refuses |
//! | `program` | where a server program is, and the line that says that there is none |
//! | `child` | a server process and the watchdog that ends it when the test process dies |
//!
//! Where the program is not installed, `start` gives `None` after one line on stderr that the test harness does not
//! swallow; the test returns, and counts as passed. A server that is installed and will not start is a failed test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this crate is for tests alone: what goes wrong in it is a failed test"
)]

mod child;
mod postgres;
mod program;
mod redis;
pub mod vendor;

pub use postgres::Postgres;
pub use redis::Redis;
