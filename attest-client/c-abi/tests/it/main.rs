//! The C ABI from outside: held against its header, called wrongly, and used by programs in C and Java that get tokens
//! which verify.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]
#![allow(unsafe_code, reason = "the tests are the C side: their pointers are alive, or NULL on purpose")]

mod callbacks;
mod fetching;
mod header;
mod java;
mod misuse;
mod native;
mod verifier;
mod wrappers;
