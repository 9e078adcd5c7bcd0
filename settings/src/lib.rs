//! The one configuration file, from text to checked values.
//!
//! In: the path of an `assay.yaml`, and what the command line overrides. Out: [`Settings`], in which every name
//! resolves, every unit is a type, every policy is compiled and every file that was named has been read; or a [`Report`]
//! with *all* the problems at once, each with its place and its remedy. The gateway, the service and every command use
//! this one loader.
//!
//! | step | file | proven after it |
//! | --- | --- | --- |
//! | text to tree | [`policies::yaml`] | bounded, one document, no key twice |
//! | tree to raw shapes | `shape`, `file` | no unknown field, every value has its form |
//! | raw shapes to values | `check`, `files` | names resolve, numbers are in bounds, files are readable, secrets private |
//! | what comes out | [`model`] | [`Settings`] |
//! | its text, kept for a start without the files | [`Bundle`] | no bit is changed, no secret is in it |
//! | with the keystore open | `key_check` | [`Settings::check_keys`]: no route asks for more than its key may do |
//!
//! # Source
//! `docs/configuration.md` describes every field for an operator; `schema/assay.schema.json` is [`schema()`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod bundle;
mod check;
mod file;
mod files;
mod key_check;
mod load;
pub mod model;
mod order;
mod route_index;
mod schema;
mod shape;

pub use bundle::{Bundle, BundleError, MAX_TEXT_BYTES};
pub use load::{Loaded, Overrides, Report, load, load_bundle};
pub use model::*;
pub use policies::{Problem, Severity};
pub use route_index::RouteIndex;
pub use schema::{rules_schema, schema};
pub use shape::MAX_PROBLEMS;
