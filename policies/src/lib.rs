//! Result policies: YAML to compiled rules to decisions.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`problem`] | what is wrong with a file, where, and the remedy |
//! | [`yaml`] | text to a tree that knows its places, within budgets |

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod problem;
pub mod yaml;

pub use problem::{Problem, Severity};
