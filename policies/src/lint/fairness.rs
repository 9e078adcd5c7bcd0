//! Tokens that are known to be bad, and how they fare beside none.

use std::cmp::Ordering;

use attest_core::verdict::Verdict;

use super::{Policy, Work};
use crate::class::{Action, Class};
use crate::condition::Condition;
use crate::problem::Problem;
use crate::rule::Rule;
use crate::verdicts::Verdicts;

/// Bad tokens that fare worse than none (whoever has one leaves it out) or better.
pub(super) fn unfair(policy: &Policy<'_>, work: &mut Work, found: &mut Vec<Problem>) {
    let missing = Verdicts::one(Verdict::Missing);
    let known_bad = Verdicts::INVALID.with(Verdicts::one(Verdict::Failed)).with(Verdicts::one(Verdict::Revoked));
    // Claims are those of good tokens; and no caller is proven by leaving a token out.
    let elsewhere = |condition: &Condition| condition.is_claim() || matches!(condition, Condition::Caller(_));
    for rule in policy.rules.iter().filter(|rule| rule.monitored.is_none() && !rule.conditions.iter().any(elsewhere)) {
        let fates = fates(policy, rule, known_bad.with(missing), work);
        let of_missing = fates.iter().find(|fate| fate.verdicts.has(Verdict::Missing));
        let Some(of_missing) = of_missing else { continue };
        let (mut worse, mut better) = (Verdicts::NONE, Verdicts::NONE);
        for fate in fates.iter().filter(|fate| fate.by_this || of_missing.by_this) {
            let bad = fate.verdicts.both(known_bad);
            match fate.rank.cmp(&of_missing.rank) {
                Ordering::Less => worse = worse.with(bad),
                Ordering::Equal => {}
                Ordering::Greater => better = better.with(bad),
            }
        }
        if !worse.is_empty() {
            found.push(
                Problem::warning(
                    rule.place,
                    "worse_than_missing",
                    format!(
                        "where rule `{}` applies, {} {} worse than `missing`",
                        rule.name,
                        worse.listed(),
                        fare(worse)
                    ),
                )
                .with_hint(
                    "an attacker just leaves the token out; let the same rule name them all, or stop `missing` too",
                ),
            );
        }
        if !better.is_empty() {
            found.push(
                Problem::warning(
                    rule.place,
                    "better_than_missing",
                    format!(
                        "where rule `{}` applies, {} {} better than `missing`",
                        rule.name,
                        better.listed(),
                        fare(better)
                    ),
                )
                .with_hint("a token that is known to be bad should not help"),
            );
        }
    }
}

/// What happens to some verdicts where a rule applies.
struct Fate {
    verdicts: Verdicts,
    /// What happens, and how urgent it is: the greater the better.
    rank: (u8, Class),
    /// Whether it is the rule itself that decides.
    by_this: bool,
}

/// The fates of `verdicts` for the requests that `rule` is about.
fn fates(policy: &Policy<'_>, rule: &Rule, verdicts: Verdicts, work: &mut Work) -> Vec<Fate> {
    let mut left = verdicts;
    let mut fates = Vec::new();
    for other in policy.rules.iter().filter(|other| other.monitored.is_none()) {
        let decided = left.both(other.verdicts);
        if !decided.is_empty() && work.covers(other, rule) {
            fates.push(Fate {
                verdicts: decided,
                rank: rank(other.action, other.class),
                by_this: std::ptr::eq(other, rule),
            });
            left = left.without(decided);
        }
    }
    fates.push(Fate { verdicts: left, rank: rank(policy.default.value, None), by_this: false });
    fates
}

fn fare(verdicts: Verdicts) -> &'static str {
    if verdicts.listed().contains(" and ") { "fare" } else { "fares" }
}

/// How well who is not attested fares.
fn rank(action: Action, class: Option<Class>) -> (u8, Class) {
    (action.rank(), class.unwrap_or(Class::by_default(action, false)))
}
