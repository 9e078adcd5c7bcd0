//! Policies that let nothing or everything through say so in words of their own.
//!
//! In: compiled rules. Out: an error where the word is missing, or stands where it is not so.
//!
//! Rules that end are looked at as if they had: whether a file loads must not depend on the day, or a restart would find that yesterday's
//! file no longer does.

use crate::class::Action;
use crate::condition::Condition;
use crate::problem::{self, Problem};
use crate::rule::Rule;
use crate::shape::At;
use crate::shape::policy::PolicyShape;
use crate::verdicts::Verdicts;
use crate::yaml::Place;

/// Checks both words.
pub(super) fn check(
    shape: &PolicyShape,
    default: &At<Action>,
    policy: Place,
    rules: &[Rule],
    problems: &mut Vec<Problem>,
) {
    // What a rule does that could not be read is not known.
    if problem::any_error(problems) {
        return;
    }
    let nothing = lets_nothing_through(default.value, rules);
    let ends = rules.iter().any(|rule| rule.monitored.is_none() && rule.loosens());
    match (&shape.block_everything, nothing) {
        (Some(At { value: true, .. }), true) | (None, false) => {}
        (Some(At { value: false, place }), false) | (Some(At { place, .. }), false) => problems.push(
            Problem::error(*place, "no_effect", "`block_everything` stands in a policy that lets something through")
                .with_hint("remove it"),
        ),
        (_, true) => problems.push(
            Problem::error(
                policy,
                "blocks_everything",
                if ends { "every rule that lets something through has an end: past it the policy refuses everything" } else { "the policy refuses everything: no rule that decides lets anything through" },
            )
            .with_hint("add a rule: { name: genuine, when: { verdict: attested }, then: allow }; to mean it, add `block_everything: true`"),
        ),
    }
    match (&shape.danger_allow_everything, lets_everything_through(default.value, rules)) {
        (Some(At { value: true, .. }), true) | (None, false) => {}
        (Some(At { place, .. }), false) => problems.push(
            Problem::error(
                *place,
                "no_effect",
                "`danger_allow_everything` stands in a policy that does not let everything through",
            )
            .with_hint("remove it"),
        ),
        (_, true) => problems.push(
            Problem::error(
                policy,
                "allows_everything",
                "the policy checks nothing: every request is allowed, forged tokens too",
            )
            .with_hint(
                "name verdict: attested in the rule that allows; to mean it, add `danger_allow_everything: true`",
            ),
        ),
    }
}

fn lets_nothing_through(default: Action, rules: &[Rule]) -> bool {
    default == Action::Block
        && !rules.iter().any(|rule| rule.monitored.is_none() && rule.until.is_none() && rule.loosens())
}

/// Whether no request is refused, put behind others or limited.
fn lets_everything_through(default: Action, rules: &[Rule]) -> bool {
    let free = |rule: &Rule| rule.action == Action::Allow && rule.limits.is_empty();
    let mut open = Verdicts::NONE;
    for rule in rules.iter().filter(|rule| rule.monitored.is_none()) {
        if !free(rule) {
            return false;
        }
        if rule.until.is_none() && rule.conditions.iter().all(is_always_met) {
            open = open.with(rule.verdicts);
        }
        if open == Verdicts::ANY {
            return true;
        }
    }
    default == Action::Allow
}

/// Whether it leaves nobody out.
fn is_always_met(condition: &Condition) -> bool {
    match condition {
        Condition::Path { globs, .. } => globs.iter().any(|glob| glob.as_str() == "/**"),
        Condition::Percentage { percent, .. } => *percent == 100,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
