//! In: what an operator orders of gateways in an emergency. Out: orders that every gateway hears of within seconds. What is
//! proven: each ends, at most a week ahead; says why and by whom, in the audit log of the same transaction; and there
//! are never more than a gateway takes.

use std::time::Duration;

use attest_core::{
    feed::{MAX_EXTENSION, MAX_ORDER_LASTS, MAX_ORDER_ROUTES, MAX_ORDERS, Order, OrderKind, is_route_name},
    orders::LATE,
    time::UnixTime,
};
use serde_json::json;

use crate::{
    actor::{Actor, Role},
    check,
    error::StoreError,
    page::{Listing, Page, Revision},
    sql::{Row, Tx, values},
    store::{Change, Part, Store, count_up},
};

/// An order to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// What it does.
    pub kind: OrderKind,
    /// The routes that it is about; empty: all of them.
    pub routes: Vec<String>,
    /// How long it lasts, at most [`MAX_ORDER_LASTS`]; whole seconds count.
    pub lasts: Duration,
    /// Why, 1 to 200 printable characters.
    pub reason: String,
    /// For [`OrderKind::ExtendTokens`] alone, and needed there: how much longer tokens live, at most [`MAX_EXTENSION`].
    pub extend_by: Option<Duration>,
}

/// An order as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// What gateways are told.
    pub order: Order,
    /// When it was ended before its time.
    pub ended: Option<UnixTime>,
    /// By whom.
    pub ended_by: Option<String>,
    /// Changes when it is ended.
    pub revision: Revision,
}

/// How long an order that is over stays in listings. The audit log keeps it longer.
const KEEP_ENDED: Duration = Duration::from_secs(30 * 24 * 3600);
const WEEK_DAYS: u32 = 7;
const COLUMNS: &str = "number, kind, routes, since, until, reason, made_by, extend_by, ended, ended_by, revision";

impl Store {
    /// Gives an order, at gateways within seconds. What tightens takes an operator; what loosens, an administrator.
    ///
    /// # Errors
    /// `NotAText`, `NotAnEnd`; `Refused` for routes or an extension out of bounds; `TooMany`; `Forbidden`.
    pub fn give_order(&self, actor: &Actor, new: &NewOrder) -> Result<OrderRow, StoreError> {
        check::reason(&new.reason)?;
        if new.lasts < Duration::from_secs(1) || new.lasts > MAX_ORDER_LASTS {
            return Err(StoreError::NotAnEnd { field: "until", max_days: WEEK_DAYS });
        }
        check_shape(new)?;
        self.change(actor, (needs(new.kind), None), |change| {
            let now = change.now;
            let live = change.tx.row(
                "SELECT count(*) FROM orders WHERE ended IS NULL AND until > $1",
                values![now.minus(LATE)],
            )?;
            if usize::try_from(live.map_or(Ok(0), |row| row.int(0))?).unwrap_or(usize::MAX) >= MAX_ORDERS {
                return Err(StoreError::TooMany { what: "orders in force: end one first", max: MAX_ORDERS });
            }
            let number = count_up(change.tx, "order_number", 1)?;
            let order = order(change, new, number)?;
            let detail = json!({
                "routes": routes_told(&order), "until": order.until, "reason": order.reason, "extend_by": order.extend_by,
            });
            change.audit(&format!("order.{}", order.kind), &target(order.id), &detail)?;
            change.tx.execute(
                "INSERT INTO orders (number, kind, routes, since, until, reason, made_by, extend_by)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                values![
                    number,
                    order.kind.as_str(),
                    json!(order.routes).to_string(),
                    UnixTime::from_secs(order.since),
                    order.ends(),
                    order.reason.as_str(),
                    order.by.as_str(),
                    new.extend_by.map(|by| i64::try_from(by.as_secs()).unwrap_or(i64::MAX)),
                ],
            )?;
            change.touch(Part::Revocations)?;
            found(change.tx, order.id)
        })
    }

    /// Ends an order before its time: its routes are as their policies say again.
    ///
    /// # Errors
    /// `NotAText`; `NotFound` for one that is over; `Conflict`; `Forbidden`.
    pub fn end_order(
        &self,
        actor: &Actor,
        id: u64,
        reason: &str,
        expect: Option<Revision>,
    ) -> Result<OrderRow, StoreError> {
        check::reason(reason)?;
        self.change(actor, (Role::Operator, None), |change| {
            let row = found(change.tx, id)?;
            row.revision.check(expect)?;
            if !row.holds(change.now) {
                return Err(StoreError::NotFound { what: "order in force" });
            }
            let detail =
                json!({ "reason": reason, "kind": row.order.kind.as_str(), "routes": routes_told(&row.order) });
            change.audit("order.end", &target(id), &detail)?;
            change.tx.execute(
                "UPDATE orders SET ended = $2, ended_by = $3, revision = revision + 1 WHERE number = $1",
                values![number_of(id)?, change.now, change.actor.name.as_str()],
            )?;
            change.touch(Part::Revocations)?;
            found(change.tx, id)
        })
    }

    /// One order, over or not.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn order(&self, id: u64) -> Result<OrderRow, StoreError> {
        self.read(|tx| found(tx, id))
    }

    /// Orders, the newest first: those in force, or also those that are over; a page goes on after an order's number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn orders(&self, over_too: bool, page: Page) -> Result<Listing<OrderRow>, StoreError> {
        // Every order ended after the beginning of time.
        let after = if over_too { UnixTime::from_millis(i64::MIN) } else { self.0.clock.now().minus(LATE) };
        let rows = self.read(|tx| {
            tx.rows(
                &format!(
                    "SELECT {COLUMNS} FROM orders WHERE number < $1 AND until > $2 AND (ended IS NULL OR $3 = 1)
                     ORDER BY number DESC LIMIT $4"
                ),
                values![page.after.unwrap_or(i64::MAX), after, i64::from(over_too), page.fetch()],
            )
        })?;
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Listing::cut(rows, page, |row| i64::try_from(row.order.id).unwrap_or(i64::MAX)))
    }
}

impl OrderRow {
    /// Whether some gateway may still act on it at `now`.
    #[must_use]
    pub fn holds(&self, now: UnixTime) -> bool {
        self.ended.is_none() && now < self.order.ends().plus(LATE)
    }
}

/// The least role that may give it. What shuts out can be undone and harms nobody's key; what lets in is for the few.
const fn needs(kind: OrderKind) -> Role {
    match kind {
        OrderKind::Lockdown => Role::Operator,
        OrderKind::Monitor | OrderKind::ExtendTokens => Role::Admin,
    }
}

fn check_shape(new: &NewOrder) -> Result<(), StoreError> {
    let refused = |why| Err(StoreError::Refused { why });
    if new.routes.len() > MAX_ORDER_ROUTES {
        return refused("an order names at most 32 routes, or all of them");
    }
    if !new.routes.iter().all(|route| is_route_name(route)) {
        return refused("a route's name has 1 to 64 of the characters a-z 0-9 . _ -");
    }
    match (new.kind, new.extend_by) {
        (OrderKind::ExtendTokens, Some(by)) if by >= Duration::from_secs(1) && by <= MAX_EXTENSION => Ok(()),
        (OrderKind::ExtendTokens, _) => refused("extending tokens takes by how much: 1 second to 24 hours"),
        (OrderKind::Lockdown | OrderKind::Monitor, None) => Ok(()),
        (OrderKind::Lockdown | OrderKind::Monitor, Some(_)) => refused("only extend-tokens extends tokens"),
    }
}

fn order(change: &Change<'_>, new: &NewOrder, number: i64) -> Result<Order, StoreError> {
    let mut routes = new.routes.clone();
    routes.sort();
    routes.dedup();
    let since = change.now.secs();
    let order = Order {
        id: u64::try_from(number).map_err(|_| StoreError::Damaged { what: "the number of orders" })?,
        kind: new.kind,
        routes,
        since,
        until: since.saturating_add(i64::try_from(new.lasts.as_secs()).unwrap_or(i64::MAX)),
        reason: new.reason.clone(),
        by: change.actor.name.clone(),
        extend_by: new.extend_by.map(|by| by.as_secs()),
    };
    // One order that gateways can't read would cost them every revocation.
    if order.is_sound() { Ok(order) } else { Err(StoreError::Refused { why: "no gateway would take such an order" }) }
}

fn routes_told(order: &Order) -> serde_json::Value {
    if order.routes.is_empty() { json!("all") } else { json!(order.routes) }
}

fn target(id: u64) -> String {
    format!("order {id}")
}

fn number_of(id: u64) -> Result<i64, StoreError> {
    i64::try_from(id).map_err(|_| StoreError::NotFound { what: "order" })
}

fn found(tx: &Tx<'_>, id: u64) -> Result<OrderRow, StoreError> {
    let row = tx.row(&format!("SELECT {COLUMNS} FROM orders WHERE number = $1"), values![number_of(id)?])?;
    parse(&row.ok_or(StoreError::NotFound { what: "order" })?)
}

/// The orders that hold at `now`, by rising number, for gateways. By a clock that was set back there may be more than they
/// take, who would then take no revocation either: those that end first are left out.
pub(crate) fn load(tx: &Tx<'_>, now: UnixTime) -> Result<Vec<Order>, StoreError> {
    let rows = tx.rows(
        &format!(
            "SELECT {COLUMNS} FROM orders WHERE ended IS NULL AND until > $1 ORDER BY until DESC, number DESC LIMIT $2"
        ),
        values![now.minus(LATE), i64::try_from(MAX_ORDERS).unwrap_or(i64::MAX)],
    )?;
    let mut orders = rows.iter().map(|row| Ok(parse(row)?.order)).collect::<Result<Vec<_>, StoreError>>()?;
    orders.sort_by_key(|order| order.id);
    Ok(orders)
}

/// Forgets orders that were over long ago.
pub(crate) fn prune(tx: &Tx<'_>, now: UnixTime) -> Result<(), StoreError> {
    tx.execute("DELETE FROM orders WHERE until < $1", values![now.minus(KEEP_ENDED)]).map(drop)
}

fn parse(row: &Row) -> Result<OrderRow, StoreError> {
    let damaged = |what| StoreError::Damaged { what };
    Ok(OrderRow {
        order: Order {
            id: row.u64(0)?,
            kind: row.text(1)?.parse().map_err(|_| damaged("an order's kind"))?,
            routes: serde_json::from_str(&row.text(2)?).map_err(|_| damaged("an order's routes"))?,
            since: row.time(3)?.secs(),
            until: row.time(4)?.secs(),
            reason: row.text(5)?,
            by: row.text(6)?,
            extend_by: row.opt_int(7)?.map(u64::try_from).transpose().map_err(|_| damaged("an order's extension"))?,
        },
        ended: row.opt_time(8)?,
        ended_by: row.opt_text(9)?,
        revision: Revision(row.int(10)?),
    })
}
