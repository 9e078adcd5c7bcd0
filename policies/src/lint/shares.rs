//! Shares and percentages that do nothing, or not what they seem to.

use super::{Policy, Work};
use crate::compile::{NOWHERE, RouteContext};
use crate::condition::Condition;
use crate::problem::Problem;
use crate::rule::Rule;
use crate::verdicts::Verdicts;

pub(super) fn shares(policy: &Policy<'_>, about: &RouteContext<'_>, work: &mut Work, found: &mut Vec<Problem>) {
    let place = policy.enforcement.unwrap_or(NOWHERE);
    if about.injects && policy.shares.spares_any() {
        let message = format!(
            "`enforcement` changes nothing on route `{}`: it adds a key, and nobody gets a key by monitoring",
            about.route
        );
        found.push(
            Problem::warning(place, "no_effect", message)
                .with_hint("remove it here; to try a rule out, give that rule `mode: monitor`"),
        );
    } else if policy.has_shares {
        let mut percents = Verdicts::ANY.iter().map(|verdict| policy.shares.percent(verdict));
        let word = match percents.next() {
            Some(0) if percents.all(|percent| percent == 0) => Some("monitor"),
            Some(100) if percents.all(|percent| percent == 100) => Some("enforce"),
            _ => None,
        };
        if let Some(word) = word {
            found.push(
                Problem::note(
                    place,
                    "shares_all_alike",
                    format!("these shares say no more than `enforcement: {word}`"),
                )
                .with_hint(format!("write enforcement: {word}")),
            );
        }
    }
    percentages(policy, work, found);
}

/// Rules for a part of the senders, where another rule seems to be for the rest.
fn percentages(policy: &Policy<'_>, work: &mut Work, found: &mut Vec<Problem>) {
    let dealt: Vec<(&Rule, u8)> = policy.rules.iter().filter_map(|rule| Some((rule, percent_of(rule)?))).collect();
    for (number, (rule, percent)) in dealt.iter().enumerate() {
        if *percent == 100 {
            found.push(
                Problem::warning(
                    rule.place,
                    "no_effect",
                    format!("`percentage: 100` of rule `{}` leaves nobody out", rule.name),
                )
                .with_hint("remove the condition"),
            );
            continue;
        }
        let rest = dealt.iter().take(number).find(|(other, share)| {
            *share + *percent == 100 && other.verdicts == rule.verdicts && work.alike_but_for_percentage(other, rule)
        });
        if let Some((other, share)) = rest {
            let message = format!(
                "rules `{}` and `{}` are for {share} and {percent} percent, and not for everybody together: each deals its own",
                other.name, rule.name
            );
            found.push(
                Problem::warning(rule.place, "percentages_do_not_add", message)
                    .with_hint("leave `percentage` out of the later one: it gets whoever is left"),
            );
        }
    }
}

fn percent_of(rule: &Rule) -> Option<u8> {
    rule.conditions.iter().find_map(|condition| match condition {
        Condition::Percentage { percent, .. } => Some(*percent),
        _ => None,
    })
}

impl Work {
    /// Whether both are about the same requests, percentages left aside; no, once there is no work left.
    fn alike_but_for_percentage(&mut self, one: &Rule, other: &Rule) -> bool {
        let rest = |rule: &Rule| -> Vec<Condition> {
            rule.conditions.iter().filter(|one| !matches!(one, Condition::Percentage { .. })).cloned().collect()
        };
        let (one, other) = (rest(one), rest(other));
        self.0 = self.0.saturating_sub(1 + one.len() * other.len());
        self.0 > 0 && one == other
    }
}
