//! From the YAML tree to raw shapes, without giving up at the first mistake.
//!
//! In: the tree that [`policies::yaml`] read, in which every node knows its place. Out: the raw shapes of
//! [`crate::file`], filled, and all problems of form on the way. The shapes derive `Deserialize` and `JsonSchema`, so
//! what is accepted and what the schema says can't drift apart; [`de`] drives the derived code over the tree, and
//! [`field`] catches what is wrong where it stands, so that the rest goes on.

mod access;
mod de;
mod either;
mod fault;
mod field;
mod notes;

pub use self::notes::MAX_PROBLEMS;
pub(crate) use self::{
    de::read,
    either::Either,
    fault::Fault,
    field::{Field, Row, Subtree, Table},
    notes::Notes,
};
