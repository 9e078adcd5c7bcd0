//! Stores and what opens them, from outside: files, environments, servers that check what the real ones check, and a real
//! PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod http;
mod kms;
mod local;
mod postgres;
mod support;
mod vault;
