//! Well-known APIs, as lists of operations.
//!
//! In: the name of a preset, and values for its parameters. Out: where its API is, how its credential gets into a request
//! ([`Configured::recipe`]), and what of it may be called, by name ([`Configured::operation`]). Data alone: each file below
//! `vendors/` is one API, written from its vendor's published reference, and has a page in `docs/presets/`.
//!
//! A preset is not a host. The key of an account opens everything that the account can do; an operation is what an app
//! needs of it, with what costs extra, reaches other users or chooses an account left out.
//!
//! | module | holds |
//! | --- | --- |
//! | [`preset`] | [`Preset`], [`Configured`]: looked up, values filled in |
//! | [`operation`] | [`OperationText`]: one operation with its rules, which an operator may narrow |
//! | `table` | the shapes that the data is written in |
//! | `vendors` | the data |
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "in tests, what goes wrong is a failed test"
    )
)]

pub mod operation;
pub mod preset;

mod table;
mod vendors;

pub use operation::OperationText;
pub use preset::{BadValue, Configured, Parameter, Preset, all, named};
