//! A policy's rules tried on a request that was written down.
//!
//! In: a policy and a [`Sample`]. Out: the outcome, or all outcomes that there could be when something that a rule looks at was not
//! written down.

use attest_core::verdict::Verdict;

use super::sample::{Asked, Sample};
use crate::class::{Action, Class};
use crate::result_policy::ResultPolicy;
use crate::rule::Rule;

/// What comes of a request, shares and orders left aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) rule: String,
    pub(super) action: Action,
    /// Of what is let through.
    pub(super) class: Option<Class>,
    /// A rule lets it through, and it has no right to the route's key.
    pub(super) withheld: bool,
}

/// All that could come of it.
#[derive(Clone, Debug)]
pub(super) struct Walked {
    pub(super) first: Outcome,
    /// What could come of it instead.
    pub(super) others: Vec<Outcome>,
    /// What was not written down.
    pub(super) gap: Option<String>,
}

/// Tries the rules from the top until one surely decides.
pub(super) fn walk(policy: &ResultPolicy, sample: &Sample) -> Walked {
    let (who, what) = (sample.subject(), sample.request());
    let settle = |found: Option<(u32, &Rule)>| {
        let judged = policy.0.settle(found, 0, &who, &what);
        let action = judged.would.unwrap_or(judged.action);
        Outcome {
            rule: policy.0.name_of(judged.rule).to_owned(),
            action,
            class: (action != Action::Block).then_some(judged.class),
            withheld: judged.key_withheld,
        }
    };
    if who.verdict == Verdict::Unverifiable {
        let judged = policy.0.judge(&who, &what, &mut || {});
        let rule = policy.0.name_of(judged.rule).to_owned();
        let first = Outcome { rule, action: judged.action, class: None, withheld: false };
        return Walked { first, others: Vec::new(), gap: None };
    }
    let mut possible: Vec<Outcome> = Vec::new();
    let mut gap = None;
    for (id, rule) in (0_u32..).zip(&policy.0.rules) {
        // A monitored rule changes nothing.
        if rule.monitored.is_some() || !rule.is_alive(what.now) || !rule.verdicts.has(who.verdict) {
            continue;
        }
        match ask_all(rule, sample) {
            Asked::No | Asked::Nothing => {}
            Asked::Yes => {
                possible.push(settle(Some((id, rule))));
                return walked(possible, gap);
            }
            Asked::Untold(why) => {
                let outcome = settle(Some((id, rule)));
                if !possible.contains(&outcome) {
                    possible.push(outcome);
                }
                gap.get_or_insert(format!("rule `{}`: {why}", rule.name));
            }
        }
    }
    possible.push(settle(None));
    walked(possible, gap)
}

fn walked(mut possible: Vec<Outcome>, gap: Option<String>) -> Walked {
    // The last one is what happens when nothing untold matches.
    let first =
        possible.pop().unwrap_or(Outcome { rule: String::new(), action: Action::Block, class: None, withheld: false });
    Walked { first, others: possible, gap }
}

/// Whether all of the rule's conditions are met.
pub(crate) fn ask_all(rule: &Rule, sample: &Sample) -> Asked {
    let mut untold = None;
    for condition in &rule.conditions {
        match sample.ask(condition) {
            Asked::Yes => {}
            // One that is surely not met settles it, whatever the others are.
            no @ (Asked::No | Asked::Nothing) => return no,
            Asked::Untold(why) => {
                untold.get_or_insert(why);
            }
        }
    }
    untold.map_or(Asked::Yes, Asked::Untold)
}
