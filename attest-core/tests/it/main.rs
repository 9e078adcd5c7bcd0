//! Attest-core against what others published, against an independent implementation, and as a whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod allocations;
mod approov;
mod concealment;
mod cookbook;
mod forms;
mod golden;
mod interop;
mod lifetime;
mod recovery;
mod rfc7515;
mod vectors;
mod walk;
mod wycheproof_jws;
mod wycheproof_primitives;
