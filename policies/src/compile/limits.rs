//! The limits of one rule.
//!
//! In: the shapes. Out: [`Limit`]s. Proven: whom they count is known wherever the rule applies; no number is zero; a budget's
//! windows begin at the same moments on every machine.

use std::time::Duration;

use super::RouteContext;
use crate::limit::{Count, Limit, Per, Unit};
use crate::problem::Problem;
use crate::rule::Rule;
use crate::shape::then::{LimitShape, Then};
use crate::shape::{At, Tried};
use crate::verdicts::Verdicts;

const SHORTEST_WINDOW: Duration = Duration::from_secs(1);
const LONGEST_WINDOW: Duration = Duration::from_secs(31 * DAY);
const DAY: u64 = 24 * 3_600;

/// What one request takes of a budget of bytes, until it is known how many it uses.
const RESERVED_BYTES: u64 = 64 * 1024;

/// The limits that `then` puts on what `rule` lets through.
pub(super) fn limits_of(then: &Then, rule: &Rule, about: &RouteContext<'_>, problems: &mut Vec<Problem>) -> Vec<Limit> {
    let mut limits = Vec::new();
    for (number, limit) in (1..).zip(&then.limits) {
        let amount = amount_of(limit, then, problems);
        let (Some(per), Some(window)) = (&limit.per.0, &limit.window.0) else { continue };
        check_per(per, rule, about, problems);
        let Some((unit, amount)) = amount else { continue };
        let count = count_of(limit, unit, problems);
        check_window(window.place, window.value.0, count, problems);
        let amount_now = amount.get();
        let burst = limit.burst.as_ref().filter(|burst| {
            let wrong = if count == Count::Fixed {
                Some(("no_effect", "a budget has no burst: all of it may be used at once"))
            } else if u64::from(burst.value.0.get()) > amount_now {
                Some(("wrong_number", "a burst can\'t be more than the limit itself"))
            } else {
                None
            };
            if let Some((code, message)) = wrong {
                problems.push(
                    Problem::error(burst.place, code, message).with_hint("leave `burst` out, or make it smaller"),
                );
            }
            wrong.is_none()
        });
        let Some(reserve) = reserve_of(limit, unit, amount_now, per.place, problems) else { continue };
        let name = match &limit.name {
            Some(name) => name.value.as_str().into(),
            None => format!("{}.{number}", rule.name).into(),
        };
        limits.push(Limit {
            name,
            amount,
            unit,
            per: per.value,
            window: window.value.0,
            burst: burst.map(|burst| burst.value.0),
            count,
            reserve,
        });
    }
    limits
}

/// What is counted, and how much of it.
fn amount_of(limit: &LimitShape, then: &Then, problems: &mut Vec<Problem>) -> Option<(Unit, std::num::NonZeroU64)> {
    let requests = limit.requests.as_ref().map(|tried| tried.0.as_ref().map(|at| (Unit::Requests, at.value.0.into())));
    let bytes = limit.bytes.as_ref().map(|tried| tried.0.as_ref().map(|at| (Unit::Bytes, at.value.0)));
    let tokens = limit.tokens.as_ref().map(|tried| tried.0.as_ref().map(|at| (Unit::Tokens, at.value.0)));
    match (requests, bytes, tokens) {
        // Nothing, where one was there and unreadable: that has been told.
        (Some(one), None, None) | (None, Some(one), None) | (None, None, Some(one)) => one,
        _ => {
            problems.push(
                Problem::error(
                    limit.per.0.as_ref().map_or(then.place, |per| per.place),
                    "missing_field",
                    "a limit counts one of `requests`, `bytes` and `tokens`",
                )
                .with_hint(
                    "write how many: { requests: 60, per: address, window: 1m }; for two of them write two limits",
                ),
            );
            None
        }
    }
}

/// Whoever is counted must be known in every request that the rule is about.
fn check_per(per: &At<Per>, rule: &Rule, about: &RouteContext<'_>, problems: &mut Vec<Problem>) {
    let unproven = rule.verdicts.both(Verdicts::UNPROVEN);
    let wrong = match per.value {
        Per::Device | Per::App | Per::Token if !unproven.is_empty() => Some((
            "no_device",
            format!("no {} is known for {}", per.value, unproven.listed()),
            "write `per: address` (IPv6: each /64), or give such requests a rule of their own",
        )),
        Per::Caller if !rule.asks_for_caller() => Some((
            "no_caller",
            "the rule lets through also who has proven to be no caller".to_owned(),
            "add `caller: any` to its `when`, or write `per: address`",
        )),
        Per::User if !rule.asks_for_user() => Some((
            "no_user",
            "the rule lets through also who has proven to be no user".to_owned(),
            "add `user: { present: true }` to its `when`, or write `per: device`",
        )),
        Per::Key if !about.injects => Some((
            "no_key",
            format!("route `{}` adds no key", about.route),
            "write `per: route`, or `per: all` for all routes together",
        )),
        _ => None,
    };
    if let Some((code, message, hint)) = wrong {
        problems.push(Problem::error(per.place, code, message).with_hint(hint));
    }
}

fn count_of(limit: &LimitShape, unit: Unit, problems: &mut Vec<Problem>) -> Count {
    match (&limit.count, unit) {
        (Some(At { value: Count::Sliding, place }), Unit::Bytes | Unit::Tokens) => {
            problems.push(
                Problem::error(
                    *place,
                    "wrong_count",
                    format!("{} are a budget: they can\'t be counted sliding", unit.as_str()),
                )
                .with_hint("leave `count` out: whole windows in UTC, right to the unit"),
            );
            Count::Fixed
        }
        (Some(count), _) => count.value,
        (None, Unit::Requests) => Count::Sliding,
        (None, Unit::Bytes | Unit::Tokens) => Count::Fixed,
    }
}

fn check_window(place: crate::yaml::Place, window: Duration, count: Count, problems: &mut Vec<Problem>) {
    let whole =
        window.subsec_nanos() == 0 && (DAY.is_multiple_of(window.as_secs()) || window.as_secs().is_multiple_of(DAY));
    if !(SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&window) {
        problems.push(
            Problem::error(place, "wrong_window", "a window lasts from 1s to 31d")
                .with_hint("write, for example, window: 1m"),
        );
    } else if count == Count::Fixed && !whole {
        problems.push(
            Problem::error(place, "wrong_window", "the window of a budget must be a part of a day, or whole days")
                .with_hint(
                    "write, for example, 1m, 15m, 1h, 6h, 1d or 7d: windows begin at the same moments every day",
                ),
        );
    }
}

fn reserve_of(
    limit: &LimitShape,
    unit: Unit,
    amount: u64,
    place: crate::yaml::Place,
    problems: &mut Vec<Problem>,
) -> Option<u64> {
    let written = match &limit.reserve {
        // It was there and unreadable: that has been told.
        Some(Tried(None)) => return None,
        Some(Tried(Some(at))) => Some(at),
        None => None,
    };
    let (reserve, place) = match (written, unit) {
        (None, Unit::Requests) => return Some(1),
        (Some(at), Unit::Requests) => {
            problems.push(
                Problem::error(at.place, "no_effect", "a request is one request: there is nothing to reserve")
                    .with_hint("remove `reserve`"),
            );
            return Some(1);
        }
        (None, Unit::Bytes) => (RESERVED_BYTES.min(amount), place),
        (None, Unit::Tokens) => {
            problems.push(
                Problem::error(place, "missing_field", "a limit of tokens has no `reserve`").with_hint(
                    "write how many one request takes until its answer tells: reserve: 2000. Requests that come at once then can\'t overdraw the budget",
                ),
            );
            return None;
        }
        (Some(at), _) => (at.value.0.get(), at.place),
    };
    if reserve > amount {
        problems.push(
            Problem::error(place, "wrong_number", "one request would reserve more than there is: none would ever pass")
                .with_hint(format!("at most {amount}")),
        );
    }
    Some(reserve)
}

#[cfg(test)]
mod tests;
