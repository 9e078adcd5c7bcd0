//! What goes over the wire, for the service and its clients alike: one type an answer, one a request.
//!
//! Times are Unix seconds (UTC). Requests refuse members that they don't know; answers may gain members, and clients of
//! this crate ignore what they don't know.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

mod audit;
mod builds;
mod devices;
mod gateways;
mod key_sets;
mod orders;
mod revocations;
mod status;
mod tokens;

pub use self::{
    audit::{AuditEntry, AuditProblem, AuditReport, AuditVerify, AuditWriter, ChainEnd, Checkpoint, MAX_CHECKPOINTS},
    builds::{
        App, Build, BuildOutcome, BuildQuery, BuildState, NewBuild, Package, Registered, Retire, Retired, SetBuild,
    },
    devices::{Device, DeviceQuery, DeviceState, Enrol, Mark, Reason},
    gateways::Gateway,
    key_sets::{KeySet, KeyState, Rotate, RotateWhen, Rotation, SigningKey},
    orders::{GivenOrder, NewOrder, Order, OrderKind, OrderQuery},
    revocations::{Lift, NewRevocation, Revocation, RevocationKind},
    status::Status,
    tokens::{AdminToken, CreatedToken, NewTestToken, NewToken, Role, TestToken},
};

/// The most that one page holds.
pub const MAX_LIMIT: u16 = 500;
/// What a page holds when nobody says.
pub const DEFAULT_LIMIT: u16 = 100;

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Entries on the page: 1 to 500, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 64)]
    pub after: Option<String>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The entries, in the list's own order.
    pub items: Vec<T>,
    /// Where the next page begins: its `after`. Absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
