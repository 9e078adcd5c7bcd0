//! What operators do to the Verifier: builds, devices, keys, revocations, tokens, audit.
//!
//! In: a request over HTTP, or a call from the command line on the same machine. Out: a typed answer, or a [`Problem`].
//! What is proven: the caller's role and apps reach what is done; what the store changes it has audited before.
//!
//! | | file | what is proven after it |
//! | --- | --- | --- |
//! | 1 | `api`, `attempts` | a token of ours that is good now, from an address within its attempts |
//! | 2 | `call`, `strict`, `etag` | a whole request, bounded, with one meaning; which state an edit means to change |
//! | 3 | `desk` | the caller's role and apps reach it: [`Viewer`], [`Operator`], [`Administrator`] |
//! | 4 | `desk/*` | the operation, on the store |
//!
//! [`types`] is what goes over the wire, [`client`] the other end of it, [`openapi()`] its description. The command line
//! uses [`Desk`] directly where it opens the state itself, and [`Client`] where it does not.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod api;
mod attempts;
mod call;
pub mod client;
mod description;
mod desk;
mod etag;
mod problem;
pub mod strict;
pub mod types;

pub use self::{
    api::{AdminParts, PREFIX, openapi, router},
    attempts::{ATTEMPTS, WINDOW},
    client::{Client, ClientError},
    desk::{Administrator, Desk, Known, Operator, Viewer},
    etag::{Expected, Version},
    problem::{Code, Problem},
};
