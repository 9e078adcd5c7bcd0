//! What operators order of gateways for a while.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What an order does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// Only attested requests go on, and callers that a rule names.
    Lockdown,
    /// Refusals take no effect, except where a key would be opened.
    Monitor,
    /// Tokens that the service signed live longer.
    ExtendTokens,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// Its number.
    pub number: u64,
    /// What it does.
    pub kind: OrderKind,
    /// The routes that it is about; empty where it is about all.
    pub routes: Vec<String>,
    /// Whether it is about all routes.
    pub all_routes: bool,
    /// When it was given.
    pub since: i64,
    /// When it ends by itself.
    pub until: i64,
    /// Why.
    pub reason: String,
    /// Who gave it.
    pub by: String,
    /// How much longer tokens live by it, in seconds.
    pub extend_by_secs: Option<u64>,
    /// When it was ended before its time.
    pub ended: Option<i64>,
    /// Who ended it.
    pub ended_by: Option<String>,
    /// Whether it holds now.
    pub in_force: bool,
}

/// An order to give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// What it does. `monitor` and `extend_tokens` need the role `admin`.
    pub kind: OrderKind,
    /// The routes that it is about, by name: 1 to 32, or none and `all_routes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    pub routes: Vec<String>,
    /// Whether it is about all routes of all gateways, which has to be said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_routes: bool,
    /// How long it lasts, in seconds: at most 7 days.
    #[schema(minimum = 1, maximum = 604_800)]
    pub lasts_secs: u64,
    /// For `extend_tokens` alone, and needed there: how much longer tokens live, in seconds, at most 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 86_400)]
    pub extend_by_secs: Option<u64>,
    /// Why, for those who read it later.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
}

/// An order that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GivenOrder {
    /// The order.
    pub order: Order,
    /// Those of its routes that no gateway has, by what gateways told last: a slip of the pen, or a gateway that was never
    /// heard of. The order holds all the same.
    pub routes_nowhere: Vec<String>,
}

/// Which orders of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrderQuery {
    /// Those that are over, too, when true: of the last 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<bool>,
    /// Entries on the page: 1 to 500, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}
