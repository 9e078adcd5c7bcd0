//! The SDK behind a C ABI. Comes in: pointers, lengths, NUL-terminated UTF-8, C functions. Goes out: handles, codes, text.
//! Proven between: what can be checked of them is checked before it is used; nothing unwinds to the caller; what is
//! handed out has one owner.
//!
//! `include/assay.h` is the contract, word for word; tests hold the two together.
//!
//! | module | C side |
//! | --- | --- |
//! | [`about`] | versions and names |
//! | [`builder`] | `assay_builder_*`, `assay_client_new` |
//! | [`client`] | fetching, reacting, forgetting |
//! | [`outcome`] | `assay_outcome_*` |
//! | [`device_key`] | keys in hardware, renewal, signatures |
//! | [`evidence`] | platform Evidence, asked for now and answered later |
//!
//! Inside: `guard` stops panics, `input` reads what C hands in, `callback` calls C functions, `code` names faults.
//!
//! This crate is where the house allows `unsafe`: each block says why it holds, or which sentence of the header it
//! leans on.
#![allow(unsafe_code, reason = "a C ABI is made of raw pointers; every block carries its proof")]
#![deny(unsafe_op_in_unsafe_fn)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod about;
pub mod builder;
mod callback;
pub mod client;
pub mod code;
pub mod device_key;
pub mod evidence;
mod guard;
mod input;
pub mod outcome;

/// Counts incompatible changes of `include/assay.h`.
pub const ABI_VERSION: u32 = 1;
