//! `assay panic`: orders to all gateways, for a while.
//!
//! In: what is to hold, where, for how long and why. Out: an order that gateways follow within seconds, and forget by
//! themselves; in the audit log, with who gave it.

use crate::args::{Extend, OrderArg, OrderEnd, OrderList, Panic};
use crate::output::{End, Output, Stop, note};
use crate::verifier::{Verifier, stop};
use crate::words::{columns, lasting, moment, more};
use attest_admin::Expected;
use attest_admin::types::{NewOrder, Order, OrderKind, OrderQuery, PageQuery, Reason};
use attest_core::time::{Clock, SystemClock, UnixTime};

/// Runs one of the `panic` commands.
pub(crate) async fn run(command: &Panic, output: Output) -> Result<End, Stop> {
    match command {
        Panic::Lockdown(args) => give(args, OrderKind::Lockdown, None, output).await,
        Panic::Monitor(args) => give(args, OrderKind::Monitor, None, output).await,
        Panic::ExtendTokens(Extend { by, order }) => {
            give(order, OrderKind::ExtendTokens, Some(by.seconds()), output).await
        }
        Panic::List(args) => list(args, output).await,
        Panic::End(args) => end(args, output).await,
    }
}

/// The longest that an order can hold.
const LONGEST_SECS: u64 = 7 * 86_400;

async fn give(args: &OrderArg, kind: OrderKind, extend_by_secs: Option<u64>, output: Output) -> Result<End, Stop> {
    if args.span.seconds() > LONGEST_SECS {
        return Err(Stop::usage("--for: an order lasts 7 days at most").hint("what is to stay belongs into the policy"));
    }
    let new = NewOrder {
        kind,
        routes: args.routes.clone(),
        all_routes: args.all,
        lasts_secs: args.span.seconds(),
        extend_by_secs,
        reason: args.reason.clone(),
    };
    let verifier = Verifier::open(&args.admin)?;
    let (given, _) = verifier.give_order(&new).await.map_err(stop)?;
    if !given.routes_nowhere.is_empty() {
        note(&nowhere(&verifier, &given.routes_nowhere, given.order.number).await);
    }
    let now = SystemClock.now();
    output.answer(&given, || {
        let order = &given.order;
        format!(
            "order {}: {} on {}, at gateways within seconds; it ends {}, or with: assay panic end {} --reason …",
            order.number,
            what(order),
            routes(order),
            moment(order.until, now),
            order.number
        )
    });
    Ok(End::Yes)
}

/// A slip in a route's name closes nothing: said with the names that there are, and how it is taken back.
async fn nowhere(verifier: &Verifier, routes: &[String], number: u64) -> String {
    // Whoever can't be asked leaves the warning shorter, not away.
    let gateways = verifier.gateways(&PageQuery { limit: None, after: None }).await.map(|page| page.items);
    let known: std::collections::BTreeSet<String> =
        gateways.into_iter().flatten().flat_map(|gateway| gateway.routes).collect();
    let known = match known.len() {
        0 => String::new(),
        _ => format!("; they have {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    };
    format!(
        "warning: no gateway that told of itself has a route {}{known}. A slip? assay panic end {number} --reason slip",
        routes.join(", ")
    )
}

async fn list(args: &OrderList, output: Output) -> Result<End, Stop> {
    let query =
        OrderQuery { over: args.over.then_some(true), limit: Some(args.page.limit), after: args.page.after.clone() };
    let page = Verifier::open(&args.admin)?.orders(&query).await.map_err(stop)?;
    let now = SystemClock.now();
    output.answer(&page, || {
        if page.items.is_empty() {
            return "no order: every route is as its policy says".to_owned();
        }
        let row = |order: &Order| {
            [
                order.number.to_string(),
                what(order),
                routes(order),
                ending(order, now),
                order.by.clone(),
                order.reason.clone(),
            ]
        };
        let rows: Vec<_> = page.items.iter().map(row).collect();
        format!("{}{}", columns(["ORDER", "WHAT", "ROUTES", "ENDS", "BY", "REASON"], &rows), more(page.next.as_deref()))
    });
    Ok(End::Yes)
}

async fn end(args: &OrderEnd, output: Output) -> Result<End, Stop> {
    let verifier = Verifier::open(&args.admin)?;
    let number = args.number.to_string();
    let (_, version) = verifier.order(&number).await.map_err(stop)?;
    let why = Reason { reason: args.reason.clone() };
    let (order, _) = verifier.end_order(&number, &why, Expected::Exactly(version)).await.map_err(stop)?;
    output.answer(&order, || {
        format!("order {}: over; {} follows its policy within seconds", order.number, routes(&order))
    });
    Ok(End::Yes)
}

fn what(order: &Order) -> String {
    match order.kind {
        OrderKind::Lockdown => "lockdown".to_owned(),
        OrderKind::Monitor => "monitor".to_owned(),
        OrderKind::ExtendTokens => format!("tokens live {} longer", lasting(order.extend_by_secs.unwrap_or(0))),
    }
}

fn routes(order: &Order) -> String {
    if order.all_routes { "all routes".to_owned() } else { order.routes.join(", ") }
}

fn ending(order: &Order, now: UnixTime) -> String {
    match (order.ended, order.ended_by.as_deref()) {
        (Some(at), by) => format!("ended {} by {}", moment(at, now), by.unwrap_or("-")),
        (None, _) => moment(order.until, now),
    }
}
