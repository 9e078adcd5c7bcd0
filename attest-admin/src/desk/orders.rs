//! Orders: what gateways are to do otherwise for a while.

use std::time::Duration;

use attest_core::{
    feed::{MAX_EXTENSION, MAX_ORDER_LASTS, MAX_ORDER_ROUTES, is_route_name},
    time::UnixTime,
};
use attest_store::{OrderRow, Revision};

use super::{Operator, Viewer, page, told};
use crate::{
    etag::{Expected, Version},
    problem::Problem,
    types::{self, GivenOrder, NewOrder, Order, OrderKind, OrderQuery},
};

impl Viewer<'_> {
    /// The orders, the newest first.
    ///
    /// # Errors
    /// [`Problem`]; `forbidden` for a token that is limited to apps, as in each of the following: routes belong to no app.
    pub fn orders(&self, query: &OrderQuery) -> Result<types::Page<Order>, Problem> {
        let desk = self.0;
        desk.unlimited()?;
        let page = page(query.limit, query.after.as_deref())?;
        let listing = desk.store.orders(query.over.unwrap_or(false), page)?;
        Ok(told(listing, |row| order(&row, desk.now).0))
    }

    /// One order.
    ///
    /// # Errors
    /// [`Problem`].
    pub fn order(&self, number: &str) -> Result<(Order, Version), Problem> {
        let desk = self.0;
        desk.unlimited()?;
        Ok(order(&desk.store.order(parse(number)?)?, desk.now))
    }
}

impl Operator<'_> {
    /// Gives an order.
    ///
    /// # Errors
    /// [`Problem`]; `forbidden` for what loosens, by anybody but an administrator; `conflict` where too many are in force.
    pub fn give_order(&self, new: &NewOrder) -> Result<(GivenOrder, Version), Problem> {
        let desk = self.0;
        desk.unlimited()?;
        let row = desk.store.give_order(&desk.actor, &checked(new)?)?;
        let routes_nowhere = desk.store.routes_nowhere(&row.order.routes)?;
        let (order, version) = order(&row, desk.now);
        Ok((GivenOrder { order, routes_nowhere }, version))
    }

    /// Ends an order before its time.
    ///
    /// # Errors
    /// [`Problem`]; `not_found` for one that is over; `precondition_failed` where it has changed.
    pub fn end_order(
        &self,
        number: &str,
        why: &types::Reason,
        expected: Expected,
    ) -> Result<(Order, Version), Problem> {
        let desk = self.0;
        desk.unlimited()?;
        let number = parse(number)?;
        expected.check(Some(Version(desk.store.order(number)?.revision.0)))?;
        let revision = match expected {
            Expected::Exactly(Version(revision)) => Some(Revision(revision)),
            Expected::Present | Expected::Absent => None,
        };
        Ok(order(&desk.store.end_order(&desk.actor, number, &why.reason, revision)?, desk.now))
    }
}

/// The order to give, with the member at fault named where it can't be one.
fn checked(new: &NewOrder) -> Result<attest_store::NewOrder, Problem> {
    if new.routes.is_empty() != new.all_routes {
        return Err(Problem::invalid("routes", "either routes by name, or all_routes: true"));
    }
    if new.routes.len() > MAX_ORDER_ROUTES || !new.routes.iter().all(|route| is_route_name(route)) {
        return Err(Problem::invalid("routes", "1 to 32 names, each 1 to 64 of the characters a-z 0-9 . _ -"));
    }
    let lasts = Duration::from_secs(new.lasts_secs);
    if lasts.is_zero() || lasts > MAX_ORDER_LASTS {
        return Err(Problem::invalid("lasts_secs", "an order lasts 1 second to 7 days"));
    }
    let extend_by = new.extend_by_secs.map(Duration::from_secs);
    let extends = new.kind == OrderKind::ExtendTokens;
    if extends != extend_by.is_some_and(|by| !by.is_zero() && by <= MAX_EXTENSION) || !extends && extend_by.is_some() {
        let what = "1 second to 24 hours, for extend_tokens and nothing else";
        return Err(Problem::invalid("extend_by_secs", what));
    }
    let kind = match new.kind {
        OrderKind::Lockdown => attest_core::feed::OrderKind::Lockdown,
        OrderKind::Monitor => attest_core::feed::OrderKind::Monitor,
        OrderKind::ExtendTokens => attest_core::feed::OrderKind::ExtendTokens,
    };
    Ok(attest_store::NewOrder { kind, routes: new.routes.clone(), lasts, reason: new.reason.clone(), extend_by })
}

fn parse(number: &str) -> Result<u64, Problem> {
    let parsed: Option<u64> = number.parse().ok().filter(|parsed: &u64| *parsed > 0 && parsed.to_string() == number);
    parsed.ok_or_else(|| Problem::invalid("number", "the number of an order"))
}

/// An order as it is told.
fn order(row: &OrderRow, now: UnixTime) -> (Order, Version) {
    use attest_core::feed::OrderKind as Stored;
    let given = &row.order;
    let told = Order {
        number: given.id,
        kind: match given.kind {
            Stored::Lockdown => OrderKind::Lockdown,
            Stored::Monitor => OrderKind::Monitor,
            Stored::ExtendTokens => OrderKind::ExtendTokens,
        },
        routes: given.routes.clone(),
        all_routes: given.routes.is_empty(),
        since: given.since,
        until: given.until,
        reason: given.reason.clone(),
        by: given.by.clone(),
        extend_by_secs: given.extend_by,
        ended: row.ended.map(UnixTime::secs),
        ended_by: row.ended_by.clone(),
        in_force: row.holds(now),
    };
    (told, Version(row.revision.0))
}
