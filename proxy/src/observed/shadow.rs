//! A candidate policy, asked beside the one in effect, without a say.
//!
//! In comes a decision that has been made; out go counts of where the candidate would have decided otherwise: by rule and
//! action of both, and of how many devices. No answer changes, no permit comes of it. Counts begin anew with another candidate, or
//! with another policy that it is compared with.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

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
    differences: RwLock<HashMap<Between, Arc<Difference>>>,
}

/// What differed: rule and action in effect, rule and action of the candidate.
type Between = (Box<str>, Action, Box<str>, Action);

struct Difference {
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
                differences: RwLock::default(),
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
        let between = (why.rule(), why.action(), judged.rule, judged.action);
        let difference = self.difference(between, route, counted);
        difference.requests.inc();
        difference.devices.insert(sender);
    }

    fn difference(
        &self,
        (rule, action, theirs, would): (&str, Action, &str, Action),
        route: &Route,
        counted: &Family<DifferenceLabels, Counter>,
    ) -> Arc<Difference> {
        let key: Between = (rule.into(), action, theirs.into(), would);
        if let Some(known) = self.differences.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let mut differences = self.differences.write().unwrap_or_else(PoisonError::into_inner);
        let full = differences.len() >= MOST && !differences.contains_key(&key);
        let key = if full { (OTHER.into(), action, OTHER.into(), would) } else { key };
        let new = || {
            let labels = DifferenceLabels {
                route: route.name.clone(),
                rule: (*key.0).into(),
                action: action.as_str(),
                candidate_rule: (*key.2).into(),
                candidate_action: would.as_str(),
            };
            Arc::new(Difference { requests: counted.get_or_create(&labels).clone(), devices: Distinct::default() })
        };
        let new = differences.get(&key).cloned().unwrap_or_else(new);
        differences.entry(key).or_insert(new).clone()
    }

    /// For status: the candidate and its differences, the most frequent first.
    pub(crate) fn told(&self) -> Value {
        let differences = self.differences.read().unwrap_or_else(PoisonError::into_inner);
        let mut told: Vec<(u64, Value)> = differences
            .iter()
            .map(|((rule, action, theirs, would), difference)| {
                let requests = difference.requests.get();
                let told = json!({
                    "rule": rule, "action": action.as_str(),
                    "candidate_rule": theirs, "candidate_action": would.as_str(),
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
