//! `ceilings:` checked: in come amounts in windows, out go the limits that every request with the key counts under.
//!
//! Proven: each has a window that the clock of all gateways agrees on, and one request fits into each.

use std::num::NonZeroU64;
use std::time::Duration;

use policies::{Count, Limit, Per, Unit, yaml::Place};

use super::{Check, operations::Placed};
use crate::{
    file::{
        ceilings::{CountIn, RawAmounts, RawCeilings, SizeIn},
        units::Size,
    },
    shape::{Fault, Field},
};

/// What one request takes of a ceiling of tokens, where nothing else is said.
const RESERVED_TOKENS: u64 = 2_000;
/// The same of bytes; as much as in policies.
const RESERVED_BYTES: u64 = 64 * 1024;
/// Of bytes and tokens, in a window: what a number in JSON still holds exactly.
const MOST: u64 = 1 << 53;
const DAY: u64 = 86_400;

/// The most tokens that an operation lets a client ask for; 0 where none says.
fn longest_answer(operations: &[Placed]) -> u64 {
    let caps = operations.iter().flat_map(|(operation, _)| operation.body().caps());
    let last =
        |pointer: &str| pointer.rsplit('/').next().is_some_and(|field| field.to_ascii_lowercase().contains("tokens"));
    caps.filter(|(pointer, _)| last(pointer)).map(|(_, cap)| cap).max().unwrap_or(0)
}

/// One amount, as it was written.
struct Written {
    per: Per,
    unit: Unit,
    amount: NonZeroU64,
    window: Duration,
    at: Place,
}

impl Check<'_, '_> {
    /// The ceilings of a route, `device` before `key`. None where there are none, or none that are right.
    pub(crate) fn ceilings(&self, field: &Field<RawCeilings>, injects: bool, operations: &[Placed]) -> Vec<Limit> {
        let Some((raw, at)) = field.good() else { return Vec::new() };
        if !injects {
            let fault = Fault::new("`ceilings` bound what is done with a key, and this route has none");
            self.refuse(at, "does_nothing", fault.hint("take them out; limits of other routes stand in their policy"));
            return Vec::new();
        }
        if raw.device.is_absent() && raw.key.is_absent() {
            let fault = Fault::new("`ceilings` without `device` and `key` bound nothing");
            self.refuse(at, "does_nothing", fault.hint("write key: { tokens: 2000000/1d }"));
        }
        let written: Vec<Written> = [(Per::Device, &raw.device), (Per::Key, &raw.key)]
            .into_iter()
            .flat_map(|(per, raw)| self.amounts(per, raw))
            .collect();
        let reserve = raw.reserve.good().map(|(reserve, _)| reserve);
        let tokens = reserve.and_then(|reserve| reserve.tokens.good()).map(|(tokens, at)| (*tokens, at));
        let bytes = reserve.and_then(|reserve| reserve.bytes.good()).map(|(Size(bytes), at)| (*bytes, at));
        let longest = longest_answer(operations);
        // Zero, and one that nothing takes, are refused below.
        if let Some((reserve @ 1.., at)) = tokens
            && reserve < longest
            && written.iter().any(|ceiling| ceiling.unit == Unit::Tokens)
        {
            let fault = Fault::new(format!("an answer may have {longest} tokens, and a request reserves {reserve}"));
            let hint = "write at least as many, and the prompt: requests at the same moment then overdraw nothing";
            self.warn(at, "reserve_below_cap", fault.hint(hint));
        }
        let tokens = self.reserved_of(Unit::Tokens, tokens, RESERVED_TOKENS.max(longest), &written);
        let bytes = self.reserved_of(Unit::Bytes, bytes, RESERVED_BYTES, &written);
        let limits = written.into_iter().map(|Written { per, unit, amount, window, .. }| Limit {
            name: format!("ceiling.{}.{}", per.as_str(), unit.as_str()).into(),
            amount,
            unit,
            per,
            window,
            burst: None,
            count: Count::Fixed,
            reserve: match unit {
                Unit::Requests => 1,
                Unit::Bytes => bytes,
                Unit::Tokens => tokens,
            },
        });
        limits.collect()
    }

    fn amounts(&self, per: Per, field: &Field<RawAmounts>) -> Vec<Written> {
        let Some((raw, at)) = field.good() else { return Vec::new() };
        let RawAmounts { requests, tokens, bytes } = raw;
        if requests.is_absent() && tokens.is_absent() && bytes.is_absent() {
            let fault = Fault::new(format!("the ceiling of a {per} counts nothing"));
            self.refuse(at, "does_nothing", fault.hint("write requests: 60/1h, tokens: 20000/1d or bytes: 10MiB/1d"));
        }
        let count = |field: &Field<CountIn>| field.good().map(|(CountIn(amount), at)| (*amount, at));
        let size = |field: &Field<SizeIn>| field.good().map(|(SizeIn(amount), at)| (*amount, at));
        let found = [(Unit::Requests, count(requests)), (Unit::Tokens, count(tokens)), (Unit::Bytes, size(bytes))];
        let written = found.into_iter().filter_map(|(unit, found)| {
            let ((amount, window), at) = found?;
            self.is_a_budget(unit, amount, window, at).then_some(Written { per, unit, amount, window, at })
        });
        written.collect()
    }

    fn is_a_budget(&self, unit: Unit, amount: NonZeroU64, window: Duration, at: Place) -> bool {
        let most = if unit == Unit::Requests { u64::from(u32::MAX) } else { MOST };
        if amount.get() > most {
            self.refuse(at, "wrong_number", Fault::new(format!("at most {most} {}", unit.as_str())));
            return false;
        }
        let secs = window.as_secs();
        let whole = window.subsec_nanos() == 0 && secs > 0 && (DAY.is_multiple_of(secs) || secs.is_multiple_of(DAY));
        if !whole || secs > 31 * DAY {
            let fault = Fault::new("the window of a ceiling is a part of a day, or whole days up to 31");
            let hint = "write, for example, 1m, 15m, 1h, 6h, 1d or 7d: windows begin at the same moments every day";
            self.refuse(at, "wrong_window", fault.hint(hint));
            return false;
        }
        true
    }

    /// What one request takes of the ceilings of `unit`.
    fn reserved_of(&self, unit: Unit, told: Option<(u64, Place)>, usual: u64, written: &[Written]) -> u64 {
        let smallest = written.iter().filter(|ceiling| ceiling.unit == unit).min_by_key(|ceiling| ceiling.amount);
        let Some((reserve, at)) = told else {
            return smallest.map_or(usual, |smallest| usual.min(smallest.amount.get()));
        };
        match smallest {
            None => {
                let fault = Fault::new(format!("no ceiling counts {}: there is nothing to reserve", unit.as_str()));
                self.refuse(at, "does_nothing", fault.hint("take the line out"));
            }
            Some(_) if reserve == 0 => {
                let fault = Fault::new("a request that reserves nothing would pass at any ceiling");
                self.refuse(at, "wrong_number", fault.hint("write what a request costs at most"));
            }
            Some(smallest) if reserve > smallest.amount.get() => {
                let fault = Fault::new("one request would reserve more than a ceiling has: none would ever pass");
                let line = smallest.at.line;
                self.refuse(
                    at,
                    "wrong_number",
                    fault.hint(format!("at most {}, the ceiling of line {line}", smallest.amount)),
                );
            }
            Some(_) => {}
        }
        reserve
    }
}
