//! A compiled rule.

use attest_core::time::UnixTime;

use crate::class::{Action, Class};
use crate::condition::Condition;
use crate::limit::Limit;
use crate::verdicts::Verdicts;
use crate::yaml::Place;

/// A rule that is not disabled.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: Box<str>,
    pub(crate) place: Place,
    /// Named by `when: verdict`. With a condition on a claim: only those with a genuine signature.
    pub(crate) verdicts: Verdicts,
    /// All other conditions, the cheapest first.
    pub(crate) conditions: Box<[Condition]>,
    pub(crate) action: Action,
    pub(crate) class: Option<Class>,
    pub(crate) limits: Box<[Limit]>,
    /// Its bit among the monitored rules of the policy; absent: it decides.
    pub(crate) monitored: Option<u8>,
    /// Past this moment it is absent.
    pub(crate) until: Option<UnixTime>,
}

impl Rule {
    /// Whether it is there at all at `now`.
    pub(crate) fn is_alive(&self, now: UnixTime) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether every request that meets the conditions of `inner` meets those of this rule too, the verdict left aside.
    pub(crate) fn covers_conditions_of(&self, inner: &[Condition]) -> bool {
        self.conditions.iter().all(|outer| inner.iter().any(|condition| outer.covers(condition)))
    }

    /// Whether only a proven caller meets it.
    pub(crate) fn asks_for_caller(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition, Condition::Caller(_)))
    }

    /// Whether only a proven user meets it.
    pub(crate) fn asks_for_user(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition, Condition::User(test) if test.present))
    }

    /// Whether it lets through.
    pub(crate) fn loosens(&self) -> bool {
        self.action != Action::Block
    }
}
