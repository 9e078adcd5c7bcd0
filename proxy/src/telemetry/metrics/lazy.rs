//! Counters that are found on first use and kept: a later use is one atomic addition.

use std::sync::OnceLock;

use attest_core::verdict::Verdict;
use http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// A counter that is found on first use and kept: a later use is one atomic addition.
#[derive(Debug, Default)]
pub(crate) struct Lazy(OnceLock<Counter>);

impl Lazy {
    /// Counts one.
    pub(crate) fn count<L>(&self, family: &Family<L, Counter>, labels: impl FnOnce() -> L)
    where
        L: Clone + std::hash::Hash + Eq,
    {
        self.count_by(1, family, labels);
    }

    /// Counts several.
    pub(crate) fn count_by<L>(&self, n: u64, family: &Family<L, Counter>, labels: impl FnOnce() -> L)
    where
        L: Clone + std::hash::Hash + Eq,
    {
        self.0.get_or_init(|| family.get_or_create(&labels()).clone()).inc_by(n);
    }

    /// What was counted so far.
    fn so_far(&self) -> u64 {
        self.0.get().map_or(0, Counter::get)
    }
}

/// A counter for each verdict and action of one route.
#[derive(Debug)]
pub(crate) struct ByVerdict([[Lazy; 7]; Verdict::ALL.len()]);

impl Default for ByVerdict {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Default::default()))
    }
}

impl ByVerdict {
    /// The counter of `verdict` and the action with this index.
    pub(crate) fn of(&self, verdict: Verdict, action: usize) -> Option<&Lazy> {
        self.0.get(verdict as usize)?.get(action)
    }

    /// What was counted so far of each action, whatever the verdict.
    pub(crate) fn by_action(&self) -> [u64; 7] {
        std::array::from_fn(|action| self.0.iter().filter_map(|of| of.get(action)).map(Lazy::so_far).sum())
    }
}

/// A counter for each status, by whether it was our answer. Made at a route's first answer: many routes
/// of a large configuration never see one.
#[derive(Debug, Default)]
pub(crate) struct ByStatus(OnceLock<Box<[[Lazy; 2]]>>);

impl ByStatus {
    /// The counter of a status from 100 to 599.
    pub(crate) fn of(&self, status: StatusCode, ours: bool) -> Option<&Lazy> {
        let at = usize::from(status.as_u16()).checked_sub(100)?;
        let counters = self.0.get_or_init(|| (100..600).map(|_| Default::default()).collect());
        counters.get(at)?.get(usize::from(ours))
    }
}
