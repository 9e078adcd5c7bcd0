//! The Verifier's durable state, on SQLite or PostgreSQL.
//!
//! | | file | holds |
//! | --- | --- | --- |
//! | [`Store`] | `store.rs` | every change and every listing; each change with its audit entry in one transaction |
//! | [`Live`] | `live.rs` | the running service's view: one [`Snapshot`] in memory, swapped whole; sightings on their way in |
//! | [`Database`] | `database.rs`, `sql.rs` | which engine, behind one narrow port |
//! | builds | `apps.rs` | Reference Values |
//! | devices | `devices.rs` | what was seen of them, what an operator decided |
//! | keys | `keys.rs`, `issuer.rs`, `secrets.rs` | signing keys in all their states, what is made with them, how they are sealed |
//! | revocations | `revocations.rs` | what gateways must refuse although its token is good |
//! | orders | `orders.rs` | what gateways are to do otherwise for a while |
//! | gateways | `gateways.rs` | what they told of themselves |
//! | tokens | `tokens.rs` | who may use the admin API; hashes alone |
//! | audit | `audit.rs` | who did what: one authenticated chain per writer |
//!
//! Calls block: async callers go through `spawn_blocking`. [`Live::snapshot`] and [`Live::seen`] never wait.
//!
//! **What a crash can lose**: the sightings of the last 200 ms ([`Live::seen`]), and gateways' last reports. Never a registry
//! change, a mark, a counter of [`Store::advance_counter`], a revocation, an order, a key or an audit entry that was
//! acknowledged.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod actor;
mod apps;
mod audit;
mod check;
mod database;
mod devices;
mod error;
mod gateways;
mod issuer;
mod keys;
mod live;
mod orders;
mod page;
mod revocations;
mod secrets;
mod sql;
mod store;
mod tokens;

pub use self::{
    actor::{Actor, NotARole, Origin, Role},
    apps::{BuildFilter, BuildRow, Registered, Registration, What},
    audit::{AuditEntry, AuditReport, Checkpoint, MAX_PROBLEMS, Problem, SignedCheckpoint, WriterReport},
    database::{Database, PostgresOptions},
    devices::{AgeReader, DeviceFilter, DeviceRow, MAX_AGES, MAX_ENROLMENT_DAYS, MAX_FORCED_PASS_DAYS, Seen},
    error::{OpenError, StoreError},
    gateways::{GatewayRow, MAX_GATEWAYS},
    issuer::{Bearer, CannotSign, DevToken, Issuer, NoDevToken, Signed},
    keys::{KeyRing, KeyState, KeyView, RotateWhen, Rotation},
    live::{Live, RevocationLog, Snapshot},
    orders::{NewOrder, OrderRow},
    page::{Listing, MAX_LIMIT, Page, Revision},
    revocations::{Revocation, RevocationRow},
    secrets::{Secret, Secret32},
    store::{Opening, Store},
    tokens::{AdminToken, MAX_TOKEN_DAYS, TokenRow},
};
