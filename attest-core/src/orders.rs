//! Orders of operators, ready to be asked on every request.
//!
//! In: the [`Order`]s of a revocation document. Out: what holds on a route at a moment. Asking allocates nothing, and
//! costs nothing where there are no orders.
//!
//! Of several orders about one route, lockdown beats monitor, and the longest extension counts. An extension holds beside
//! either: it changes which tokens are good, not what happens to requests without one. Where clocks disagree, what
//! tightens ends [`LATE`] after its end, and what loosens at its end: neither holds for ever, wherever the orders came from.

use std::time::Duration;

use crate::feed::{Order, OrderKind};
use crate::time::UnixTime;

/// How much later than its end a lockdown still holds: clocks may be apart by so much.
pub const LATE: Duration = Duration::from_secs(30);

/// All orders that a gateway knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders(Box<[Order]>);

/// How requests of a route are judged by order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteMode<'a> {
    /// As its policy says.
    Normal,
    /// Only attested requests go on, and callers that a rule names.
    Lockdown(&'a Order),
    /// Refusals take no effect, except where a key would be opened.
    Monitor(&'a Order),
}

impl<'a> RouteMode<'a> {
    /// The order that makes it so.
    #[must_use]
    pub const fn order(self) -> Option<&'a Order> {
        match self {
            Self::Normal => None,
            Self::Lockdown(order) | Self::Monitor(order) => Some(order),
        }
    }
}

impl Orders {
    /// These orders, in the order of their numbers.
    #[must_use]
    pub fn new(orders: Vec<Order>) -> Self {
        Self(orders.into())
    }

    /// Whether there are none, ended ones included.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, ended ones included.
    #[must_use]
    pub fn all(&self) -> &[Order] {
        &self.0
    }

    /// Those that hold at `now`, on some route.
    pub fn in_force(&self, now: UnixTime) -> impl Iterator<Item = &Order> {
        self.0.iter().filter(move |order| holds(order, now))
    }

    /// How requests of this route are judged at `now`; of several orders of a kind, the one given first is named.
    #[must_use]
    pub fn mode(&self, route: &str, now: UnixTime) -> RouteMode<'_> {
        let first = |kind| self.about(kind, route, now).next();
        match first(OrderKind::Lockdown) {
            Some(order) => RouteMode::Lockdown(order),
            None => first(OrderKind::Monitor).map_or(RouteMode::Normal, RouteMode::Monitor),
        }
    }

    /// How much longer than their `exp` tokens of our service live on this route at `now`. Zero: not at all.
    #[must_use]
    pub fn extend(&self, route: &str, now: UnixTime) -> Duration {
        let longest = self.about(OrderKind::ExtendTokens, route, now).filter_map(|order| order.extend_by).max();
        Duration::from_secs(longest.unwrap_or(0))
    }

    fn about(&self, kind: OrderKind, route: &str, now: UnixTime) -> impl Iterator<Item = &Order> {
        self.0.iter().filter(move |order| order.kind == kind && holds(order, now) && order.is_about(route))
    }
}

fn holds(order: &Order, now: UnixTime) -> bool {
    match order.kind {
        OrderKind::Lockdown => now < order.ends().plus(LATE),
        OrderKind::Monitor | OrderKind::ExtendTokens => now < order.ends(),
    }
}

#[cfg(test)]
mod tests;
