//! What loads and is probably not meant.
//!
//! In: compiled rules without errors. Out: warnings and notes.

mod doubtful;
mod ending;
mod fairness;
mod reach;
mod shares;
mod wildcards;

use crate::class::Action;
use crate::compile::RouteContext;
use crate::enforcement::Shares;
use crate::problem::Problem;
use crate::rule::Rule;
use crate::shape::At;
use crate::yaml::Place;

/// What is looked at.
pub(crate) struct Policy<'a> {
    pub(crate) default: &'a At<Action>,
    pub(crate) rules: &'a [Rule],
    pub(crate) shares: &'a Shares,
    /// Where `enforcement` stands.
    pub(crate) enforcement: Option<Place>,
    /// Whether it names verdicts, each with its share.
    pub(crate) has_shares: bool,
}

/// All lints.
pub(crate) fn lint(policy: &Policy<'_>, about: &RouteContext<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut work = Work(MOST_WORK);
    reach::unreachable(policy, &mut work, &mut found);
    fairness::unfair(policy, &mut work, &mut found);
    shares::shares(policy, about, &mut work, &mut found);
    ending::ending(policy, about, &mut found);
    doubtful::doubtful(policy, about, &mut found);
    wildcards::wide(policy, about, &mut found);
    if work.0 == 0 {
        found.push(
            Problem::note(policy.default.place, "lint_stopped", "the rules are too many to compare each with each")
                .with_hint("they load and decide all the same; name networks, devices and paths in lists"),
        );
    }
    found
}

/// Comparisons that are left: so that no file keeps the loader busy for long.
struct Work(usize);

/// Comparisons of conditions, about.
const MOST_WORK: usize = 5_000_000;

impl Work {
    /// Whether `outer` covers the conditions of `inner`; no, once there is no work left.
    fn covers(&mut self, outer: &Rule, inner: &Rule) -> bool {
        let cost: usize = outer
            .conditions
            .iter()
            .flat_map(|outer| inner.conditions.iter().map(|inner| outer.cost_of_covering(inner)))
            .fold(1, usize::saturating_add);
        self.0 = self.0.saturating_sub(cost);
        self.0 > 0 && outer.covers_conditions_of(&inner.conditions)
    }
}

#[cfg(test)]
mod tests;
