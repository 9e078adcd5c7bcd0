//! The SDK from outside: what it sends, when it asks again, what it keeps, and what it measures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod blocking;
mod fake;
mod fetching;
mod findings;
mod images;
mod measuring;
mod programs;
mod renewal;
mod request;
mod stamping;
mod tls;

/// Read by tests that rely on this program's image as it was built; written by the one that patches it.
static IMAGE: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());
