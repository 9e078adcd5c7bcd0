//! Limits: how much of what a rule lets through, for each device, address, user, caller, app, token, route or key; and
//! ceilings: how much of a key, whatever rule lets it through.
//!
//! In come the limits of a permit and the ceilings of its route; out goes that all have room, or the first that has none, and with it the right to go on
//! or a 429. The arithmetic is in `metering`; here is whom it counts, where it is counted, and what a request holds:
//!
//! | file | what it does |
//! | --- | --- |
//! | `count` | a permit against its limits: under all, or under none |
//! | `subject` | whom a limit counts |
//! | `charge` | what a request reserved of its budgets, until it is known what it used |
//! | `shared`, `breaker`, `settling` | counts of several machines, in one script on one server; while that is away, by this process alone |
//! | `kept` | budgets over a restart |
//! | `alarms` | a ceiling that is reached is told |
//! | `headers` | `RateLimit-Policy` and `RateLimit` |

use std::sync::Arc;
use std::time::Instant;

use metering::{Ledger, Rates};

mod alarms;
mod breaker;
mod charge;
mod count;
mod headers;
pub(crate) mod kept;
mod settling;
mod shared;
mod subject;

use alarms::Alarms;
pub(crate) use charge::Charge;
pub(crate) use count::count;
pub(crate) use headers::{Quota, Remaining, put_remaining};
#[cfg(test)]
pub(crate) use headers::{RATELIMIT, RATELIMIT_POLICY};
pub(crate) use shared::{SharedLimits, keep_probing};

/// What this process counts by itself. One for the life of the process: counts survive a reload, since a subject is found
/// by its limit's name.
#[derive(Debug)]
pub(crate) struct Limits {
    rates: Rates,
    ledger: Arc<Ledger>,
    alarms: Alarms,
}

impl Limits {
    /// No counts yet; rates measure time from `epoch`.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self { rates: Rates::new(epoch), ledger: Arc::new(Ledger::new()), alarms: Alarms::default() }
    }
}
