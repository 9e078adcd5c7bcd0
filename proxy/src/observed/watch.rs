//! What is watched on one route beside its requests: the guard, the candidate, and how its decisions are written down.
//!
//! Built with a generation, from what the running one has: what belongs to a policy that did not change goes on counting.

use std::sync::Arc;

use attest_core::feed::Order;
use attest_core::time::UnixTime;
use policies::recording::Recorder;
use policies::{Cause, Mode};
use settings::RouteSettings;

use super::shadow::Shadow;
use crate::feeds::OwnFeeds;
use crate::guard::RouteGuard;
use crate::telemetry::metrics::RouteLabels;

/// One for each route of a generation.
pub(crate) struct RouteWatch {
    /// Opens a policy that refuses those it let through before.
    pub guard: Arc<RouteGuard>,
    /// The policy that is only tried.
    pub shadow: Option<Arc<Shadow>>,
    /// Writes decisions down.
    pub records: Recorder,
    /// Labels of this route.
    pub labels: RouteLabels,
    /// Where operators' orders come from.
    orders: Option<Arc<OwnFeeds>>,
    salt: u64,
}

/// The mode of a route, and the order that put it there; or, in the mode `normal`, the one by which tokens live longer on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InMode {
    /// What the policy is told.
    pub mode: Mode,
    /// The order's number; the guard has none.
    pub order: Option<u64>,
}

impl RouteWatch {
    /// For a route of a new generation. `running`: the same route as it runs now.
    pub(crate) fn new(
        settings: &RouteSettings,
        guard: Arc<RouteGuard>,
        running: Option<&Self>,
        orders: Option<Arc<OwnFeeds>>,
    ) -> Self {
        let labels = RouteLabels { route: settings.name.as_str().into() };
        let old = running.and_then(|running| running.shadow.as_ref());
        let shadow = settings.candidate.as_ref().map(|candidate| Shadow::of(candidate, guard.digest(), old));
        Self { guard, shadow, records: Recorder::new(&settings.policy), labels, orders, salt: salt(&settings.name) }
    }

    /// In what mode the route is now. An order goes before the guard: a person has looked.
    pub(crate) fn mode(&self, now: UnixTime) -> InMode {
        let mut longer = None;
        if let Some(orders) = self.orders.as_ref().map(|feeds| feeds.revocations.orders())
            && !orders.is_empty()
        {
            use attest_core::feed::OrderKind::ExtendTokens;
            use attest_core::orders::RouteMode;
            let order = |mode, order: &Order| InMode { mode, order: Some(order.id) };
            match orders.mode(&self.labels.route, now) {
                RouteMode::Normal => {
                    let about = |order: &&Order| order.kind == ExtendTokens && order.is_about(&self.labels.route);
                    let longest = orders.in_force(now).filter(about).max_by_key(|order| order.extend_by);
                    longer = longest.map(|order| order.id);
                }
                RouteMode::Lockdown(by) => return order(Mode::Lockdown, by),
                RouteMode::Monitor(by) => return order(Mode::Monitor(Cause::Panic), by),
            }
        }
        match self.guard.is_tripped() {
            true => InMode { mode: Mode::Monitor(Cause::Guard), order: None },
            false => InMode { mode: Mode::Normal, order: longer },
        }
    }

    /// A device's hash, made another one on each route.
    pub(crate) fn on_this_route(&self, device: u64) -> u64 {
        // The finisher of MurmurHash3: every bit of the input reaches every bit of the output.
        let mut mixed = device ^ self.salt;
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        mixed ^ (mixed >> 33)
    }
}

/// FNV-1a of the name: the same in every process, as what it marks is kept.
fn salt(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
