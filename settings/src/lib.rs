//! The one configuration file, from text to checked values.
//!
//! In: the path of an `assay.yaml`, and what the command line overrides. Out: [`Settings`], in which every name
//! resolves, every unit is a type, every policy is compiled and every file that was named has been read; or a [`Report`]
//! with *all* the problems at once, each with its place and its remedy. The gateway, the service and every command use
//! this one loader.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`model`] | what comes out: the checked shapes, in the order of the file |

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod model;

pub use model::*;
