//! Result policies: YAML to compiled rules to decisions.
//!
//! The gateway's stage `decide` lives here: a proof about the sender ([`Verified`](attest_core::token::verify::Verified)) and the
//! facts of a request go in, a [`Permit`] or a [`Refused`] comes out, and the next stage takes nothing but a [`Permit`].
//!
//! ```text
//! text --yaml--> Node --shape--> checked values --compile--> rules, index --decide--> Decision
//!        |                 |                         |
//!        '-----------------'--- problems ------------'--- lint, explain
//! ```
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`yaml`] | text to a tree that knows its places, within budgets |
//! | [`problem`] | what is wrong with a file, where, and the remedy |
//! | [`limit`] | how much of what a rule lets through |
//! | [`lists`] | networks, devices and paths, too many to stand in a rule |
//! | [`refusals`] | answers of the API's own |
//! | `shape` | the shapes of the YAML, each declared once |
//! | `compile`, `lint` | rules ready to decide; what is probably not meant |
//! | `index`, `condition`, `result_policy` | the decision |
//! | [`recording`] | decisions written down, and tried on another policy |
//! | [`cases`] | requests that are made up, and what must come of them |
//! | [`observations`], [`advise`] | a week in counters, and what enforcing now would do |
//! | [`report`] | problems as other programs read them |
//!
//! [`compile()`] is the one loader: the gateway, `assay check`, `assay policy check` and `explain` use it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod advise;
pub mod cases;
mod class;
mod compile;
mod condition;
mod decision;
mod digest;
mod enforcement;
mod explain;
mod facts;
mod index;
pub mod limit;
mod lint;
pub mod lists;
pub mod observations;
pub mod problem;
mod raw;
pub mod recording;
pub mod refusals;
pub mod report;
mod result_policy;
mod rule;
mod shape;
mod verdicts;
mod version;
pub mod yaml;

pub use class::{Action, Class};
pub use compile::{Includes, NoIncludes, RouteContext, check_text, compile, parse_file};
pub use decision::{Decision, Permit, Refused, Why};
pub use explain::{Explanation, Recorded, Step, explain, explain_sample};
pub use facts::{Cause, FailSafe, HeaderSource, Mode, RequestFacts, Subject, User};
pub use limit::{Count, Limit, Per, Unit};
pub use lists::{List, Lists};
pub use problem::{Problem, Severity};
pub use raw::{RawPolicy, schema};
pub use refusals::{Group, RefusalBody};
pub use result_policy::{Judged, ResultPolicy};
