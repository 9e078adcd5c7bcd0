//! The house as a whole, against an upstream of fixed capacity and in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod overload;
mod properties;
mod world;
