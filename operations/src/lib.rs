//! What of an API a route lets through: an API made smaller.
//!
//! In come the pieces of a request as it is about to be sent: method, path, query, names of headers, a whole body. Out
//! comes what goes upstream of them, or a [`Refusal`] that names the rule. Proven between: the call is one that the operator
//! wrote down; no parameter, header or field beside those that he allowed is in it; what he fixed or capped is so, in the one
//! reading that the upstream has too, because what goes out was written here and not copied.
//!
//! | module | holds |
//! | --- | --- |
//! | [`operation`] | one [`Operation`]: a call with its rules |
//! | [`query`], [`headers`], [`body`] | the rules for each part |
//! | [`json`] | a strict reader and writer of JSON: no member twice, numbers as they were written |
//! | [`pointer`](mod@pointer) | which field a rule is about |
//! | [`mistake`] | what is wrong with rules, told to who wrote them |
//! | [`refusal`] | why a request was not let through, told to the operator |
//!
//! Nothing here reads a clock, a socket or a file.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod body;
pub mod headers;
pub mod json;
pub mod mistake;
pub mod operation;
pub mod pointer;
pub mod query;
pub mod refusal;

mod folded;

pub use body::{Body, BodyText, BodyType, Condition};
pub use headers::Headers;
pub use json::Json;
pub use mistake::{Mistake, Rule, Why};
pub use operation::Operation;
pub use query::{Parameters, Query, QueryText};
pub use refusal::{Refusal, Side};
