//! The loader from outside: real files in a folder, what comes out, and what is refused where and with which remedy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod capacity;
mod ceilings;
mod files;
mod folder;
mod good;
mod hostile;
mod kept;
mod key_places;
mod keys;
mod lists;
mod meaning;
mod operations;
mod order;
mod parties;
mod planned;
mod presets;
mod refusals;
mod schema;
mod shared;
