//! A candidate policy, asked beside the one in effect, without a say.
//!
//! In comes a decision that has been made; out go counts of where the candidate would have decided otherwise: by rule and
//! action of both, and of how many devices. No answer changes, no permit comes of it. Counts begin anew with another candidate, or
//! with another policy that it is compared with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use policies::{Action, Decision, RequestFacts, ResultPolicy};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde_json::{Value, json};

use super::distinct::Distinct;
use crate::route::Route;
use crate::telemetry::metrics::DifferenceLabels;

/// Differences that are told apart on one route; further ones are counted together.
const MOST: usize = 64;
/// What those are called.
const OTHER: &str = "other";

/// A candidate and what it would have changed.
pub(crate) struct Shadow {
    candidate: Arc<ResultPolicy>,
    /// Of the candidate, and of the policy in effect.
    digests: ([u8; 32], [u8; 32]),
    asked: AtomicU64,
    /// Read by each request that differs; a new kind of difference takes its place whole.
    differences: ArcSwap<Vec<Arc<Difference>>>,
}

/// What differed.
struct Difference {
    /// Rule and action in effect.
    now: (Box<str>, Action),
    /// Rule and action of the candidate.
    then: (Box<str>, Action),
    requests: Counter,
    devices: Distinct,
}

impl Shadow {
    /// Of `candidate`, beside the policy with this digest; the counts of `old` where nothing changed.
    pub(crate) fn of(candidate: &Arc<ResultPolicy>, policy: &[u8; 32], old: Option<&Arc<Self>>) -> Arc<Self> {
        let digests = (candidate.digest(), *policy);
        match old.filter(|old| old.digests == digests) {
            Some(old) => old.clone(),
            None => Arc::new(Self {
                candidate: candidate.clone(),
                digests,
                asked: AtomicU64::new(0),
                differences: ArcSwap::default(),
            }),
        }
    }

    /// Asks the candidate about a request that was decided. `sender`: keyed hash of its device, else of its network.
    pub(crate) fn ask(
        &self,
        decision: &Decision,
        facts: &RequestFacts<'_>,
        sender: u64,
        route: &Route,
        counted: &Family<DifferenceLabels, Counter>,
    ) {
        self.asked.fetch_add(1, Relaxed);
        let why = decision.why();
        let judged = self.candidate.judge(decision.verified(), facts);
        let class = match decision {
            Decision::Permit(permit) => Some(permit.class()),
            Decision::Refuse(_) => None,
        };
        let same_class = judged.action == Action::Block || class == Some(judged.class);
        if judged.action == why.action() && same_class {
            return;
        }
        let difference = self.difference((why.rule(), why.action()), (judged.rule, judged.action), route, counted);
        difference.requests.inc();
        difference.devices.insert(sender);
    }

    fn difference(
        &self,
        now: (&str, Action),
        then: (&str, Action),
        route: &Route,
        counted: &Family<DifferenceLabels, Counter>,
    ) -> Arc<Difference> {
        // A few dozen at most: going through them allocates nothing.
        let find = |all: &[Arc<Difference>], now: (&str, Action), then: (&str, Action)| {
            let is = |kept: &(Box<str>, Action), asked: (&str, Action)| kept.1 == asked.1 && *kept.0 == *asked.0;
            all.iter().find(|one| is(&one.now, now) && is(&one.then, then)).cloned()
        };
        let known = self.differences.load();
        if let Some(found) = find(&known, now, then) {
            return found;
        }
        let (now, then) = if known.len() < MOST { (now, then) } else { ((OTHER, now.1), (OTHER, then.1)) };
        let labels = DifferenceLabels {
            route: route.name.clone(),
            rule: now.0.into(),
            action: now.1.as_str(),
            candidate_rule: then.0.into(),
            candidate_action: then.1.as_str(),
        };
        let requests = counted.get_or_create(&labels).clone();
        let (now_kept, then_kept) = ((now.0.into(), now.1), (then.0.into(), then.1));
        let new = Arc::new(Difference { now: now_kept, then: then_kept, requests, devices: Distinct::default() });
        self.differences.rcu(|all| match find(all, now, then) {
            // Another thread was first.
            Some(_) => all.clone(),
            None => Arc::new(all.iter().cloned().chain([new.clone()]).collect()),
        });
        find(&self.differences.load(), now, then).unwrap_or(new)
    }

    /// For status: the candidate and its differences, the most frequent first.
    pub(crate) fn told(&self) -> Value {
        let differences = self.differences.load();
        let mut told: Vec<(u64, Value)> = differences
            .iter()
            .map(|difference| {
                let requests = difference.requests.get();
                let told = json!({
                    "rule": difference.now.0, "action": difference.now.1.as_str(),
                    "candidate_rule": difference.then.0, "candidate_action": difference.then.1.as_str(),
                    "requests": requests, "devices": difference.devices.estimate(),
                });
                (requests, told)
            })
            .collect();
        told.sort_by_key(|(requests, _)| std::cmp::Reverse(*requests));
        json!({
            "policy": self.candidate.name(),
            "asked": self.asked.load(Relaxed),
            "differences": told.into_iter().map(|(_, told)| told).collect::<Vec<_>>(),
        })
    }
}
