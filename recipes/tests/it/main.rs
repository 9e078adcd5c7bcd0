//! Recipes from outside: from an operator's text to a request, as the gateway uses them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod chosen_by_nobody;
mod documents;
mod minting;
