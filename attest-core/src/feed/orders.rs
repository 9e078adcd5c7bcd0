//! Orders of operators on their way to gateways: for a while, a route works otherwise than its policy says.
//!
//! In: what a service signs as part of a revocation document. Out: [`Order`]s of which each one ends, says why and by
//! whom, and stays within its bounds; what they amount to on a route is [`crate::orders`].

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::UnixTime;

/// Orders of one document at most: all that are in force, in every document.
pub const MAX_ORDERS: usize = 64;

/// Routes that one order names at most.
pub const MAX_ORDER_ROUTES: usize = 32;

/// The longest that an order lasts.
pub const MAX_ORDER_LASTS: Duration = Duration::from_secs(7 * 24 * 3600);

/// The longest that tokens live on by an order.
pub const MAX_EXTENSION: Duration = Duration::from_secs(24 * 3600);

/// Bytes of a route's name at most.
const MAX_ROUTE_BYTES: usize = 64;

/// Characters of a reason at most.
const MAX_REASON: usize = 200;

/// Bytes of the name of who gave it.
const MAX_BY_BYTES: usize = 256;

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Its number; never used for another order. At least 1.
    pub id: u64,
    /// What it does.
    pub kind: OrderKind,
    /// The routes that it is about, by name, at most [`MAX_ORDER_ROUTES`]; empty: all of them.
    pub routes: Vec<String>,
    /// Since when, in Unix seconds; for people: it holds from the moment that a gateway hears of it.
    pub since: i64,
    /// Until when, in Unix seconds: after `since`, and at most [`MAX_ORDER_LASTS`] after it.
    pub until: i64,
    /// Why, 1 to 200 characters on one line.
    pub reason: String,
    /// Who gave it.
    pub by: String,
    /// For [`OrderKind::ExtendTokens`] alone, and always there: how much longer tokens live, in seconds, at most
    /// [`MAX_EXTENSION`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extend_by: Option<u64>,
}

/// What an order does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// Only attested requests, and callers that a rule names, go on.
    Lockdown,
    /// Refusals take no effect, except where a key would be opened.
    Monitor,
    /// Tokens that our service signed live longer.
    ExtendTokens,
}

impl OrderKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Lockdown, Self::Monitor, Self::ExtendTokens];

    /// The word in documents, stores and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lockdown => "lockdown",
            Self::Monitor => "monitor",
            Self::ExtendTokens => "extend_tokens",
        }
    }
}

impl fmt::Display for OrderKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The word is no kind of order.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("not a kind of order: one of lockdown, monitor, extend_tokens")]
pub struct NotAnOrderKind;

impl FromStr for OrderKind {
    type Err = NotAnOrderKind;

    fn from_str(word: &str) -> Result<Self, NotAnOrderKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(NotAnOrderKind)
    }
}

impl Order {
    /// Whether it is about this route.
    #[must_use]
    pub fn is_about(&self, route: &str) -> bool {
        self.routes.is_empty() || self.routes.iter().any(|name| name == route)
    }

    /// When it ends.
    #[must_use]
    pub const fn ends(&self) -> UnixTime {
        UnixTime::from_secs(self.until)
    }

    /// Whether every part of it is within its bounds.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let lasts = self.ends().since(UnixTime::from_secs(self.since));
        let extends = match (self.kind, self.extend_by) {
            (OrderKind::ExtendTokens, Some(secs)) => secs >= 1 && secs <= MAX_EXTENSION.as_secs(),
            (OrderKind::Lockdown | OrderKind::Monitor, None) => true,
            _ => false,
        };
        self.id >= 1
            && lasts.is_some_and(|lasts| !lasts.is_zero() && lasts <= MAX_ORDER_LASTS)
            && extends
            && self.routes.len() <= MAX_ORDER_ROUTES
            && self.routes.iter().all(|route| is_route_name(route))
            && is_reason(&self.reason)
            && (1..=MAX_BY_BYTES).contains(&self.by.len())
            && !self.by.chars().any(char::is_control)
    }
}

/// Whether a route can have this name: 1 to 64 characters a-z 0-9 . _ -, beginning with a letter or
/// digit.
#[must_use]
pub fn is_route_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=MAX_ROUTE_BYTES).contains(&name.len())
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

/// Whether people can read it on one line of a log: 1 to 200 characters, none of which break a line or turn
/// its direction.
fn is_reason(reason: &str) -> bool {
    let printable =
        |c: char| !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    (1..=MAX_REASON).contains(&reason.chars().count()) && reason.chars().all(printable) && !reason.trim().is_empty()
}

/// Whether gateways take these orders together: few enough, each sound, by rising number.
pub(super) fn are_sound(orders: &[Order]) -> bool {
    let mut last = 0;
    orders.len() <= MAX_ORDERS
        && orders.iter().all(|order| {
            // A number is at least 1.
            let rises = order.id > last;
            last = order.id;
            rises && order.is_sound()
        })
}

#[cfg(test)]
mod tests;
