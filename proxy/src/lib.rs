//! The Relying Party: a gateway that checks an attestation token on every request, decides by
//! policy, admits by capacity, and adds the API key that the app must never hold.
//!
//! # The life of a request
//!
//! | stage | file | what comes out |
//! | --- | --- | --- |
//! | 1 listener | [`listener`], [`connection`] | a readable head, raw bytes judged |
//! | 2 extract | `stages/extract.rs` | one canonical target, the route, the token's text |
//! | 3 verify | `stages/verify.rs` | `Verified`: one verdict, with its proof |
//! | 4 decide | `stages/decide.rs` | `Permit`, or a refusal |
//! | 5 admit | `stages/admit.rs` | [`stages::admit::Admitted`]: permit and seat |
//! | 6 route | `stages/route.rs` | an address that was checked before it is dialled |
//! | 7 inject | `stages/inject.rs` | the upstream's own copy of the head, key included |
//! | 8 exchange | Pingora | |
//! | 9 respond | `stages/respond.rs` | the answer, scrubbed; or a refusal from `refusal.rs` |
//! | 10 log | `telemetry/` | one line, a few counters, and the seat is free |
//!
//! `gateway.rs` ties stages to Pingora's hooks and decides nothing. What changes while running is
//! one [`generation`]: built whole, swapped at once, kept when a new one is bad.
//!
//! A stage that is skipped does not compile: `Verified` is demanded by decide, `Permit` by admit,
//! `Admitted` by inject, and none of them has a public constructor.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod connection;
pub mod listener;
pub mod stages;

mod admin;
mod admission;
mod context;
mod decision_id;
mod feeds;
mod gateway;
mod generation;
mod guard;
mod internal;
mod keys;
mod last_good;
mod limits;
mod observed;
mod probe;
mod recorder;
mod refusal;
mod reload;
mod route;
mod routes;
mod runtime;
mod service_listeners;
mod start;
mod telemetry;
mod token_cache;
mod upstream;
mod whole_file;

pub use admin::MoreMetrics;
pub use feeds::{FetchKeySets, FetchRevocations, Fetched};
pub use generation::{GenerationError, LocalService};
pub use last_good::{Kept, LastGood, Resumed, instead};
pub use reload::{FromLastGood, LastReload, LoadError, LoadSettings, Taken};
pub use service_listeners::ServiceListeners;
pub use start::{Dependencies, GatewayHandle, StartError, start};
