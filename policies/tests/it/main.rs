//! The crate as the gateway uses it: policies from text, proofs from real tokens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod allocation;
mod decide;
mod documents;
mod tokens;
