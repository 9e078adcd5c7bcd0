//! The audit log of keys: who changed one, and which request had one. Lines of JSON in files of this machine.
//!
//! One chain for each writer (the key commands, each gateway). Every line carries the hash of the line before it and a MAC under
//! a key that the key store holds, so that nobody without it changes, drops or moves a line unseen; where a
//! chain ends is told by checkpoints in the log stream, so that whoever keeps that stream sees an end that was cut off.
//!
//! | step | file | proven after it |
//! | --- | --- | --- |
//! | a key is had | [`key`] | lines and checkpoints each under a key of their own |
//! | something happened | [`event`] | it has no field that a secret fits in |
//! | it becomes a line | `line` | number, hash of the line before, MAC over every byte in front of it |
//! | the line is written | [`chain`] | one writer at a time; whole and, where asked for, on disk, or refused |
//! | the end is told | [`checkpoint`] | a MAC of its own |
//! | all of it is read again | [`verify()`] | nothing was changed, dropped, moved, or cut before a checkpoint |
//!
//! Files: `NAME.NUMBER.ndjson`, named by the number of their first line, at most [`chain::Limits::segments`] of a writer. The oldest
//! goes when there are more; an entry says so before it does.
//!
//! What this can't show: what somebody wrote who can open the key store, and what was cut off after the last
//! checkpoint that was kept elsewhere.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod chain;
pub mod checkpoint;
mod end;
pub mod event;
pub mod key;
mod line;
mod segment;
pub mod verify;

pub use chain::{AuditError, Chain, Limits, ends};
pub use checkpoint::{ChainEnd, Checkpoint};
pub use event::{Change, Event, KeyChange, KeyUse};
pub use key::AuditKey;
pub use segment::WriterName;
pub use verify::{Fault, Problem, Report, WriterReport, verify};
