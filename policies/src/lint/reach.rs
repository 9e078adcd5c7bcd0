//! Rules that are never reached.

use super::{Policy, Work};
use crate::condition::Condition;
use crate::problem::Problem;
use crate::verdicts::Verdicts;

/// Rules that others, above, always decide before them.
pub(super) fn unreachable(policy: &Policy<'_>, work: &mut Work, found: &mut Vec<Problem>) {
    for (place, rule) in policy.rules.iter().enumerate() {
        if rule.verdicts.is_empty() {
            found.push(
                Problem::warning(rule.place, "unreachable_rule", format!("rule `{}` can never match: it looks at a claim, and its verdicts leave none to believe", rule.name))
                    .with_hint("conditions on what a token says need a verdict with a genuine signature, such as attested, expired or failed"),
            );
            continue;
        }
        if let Some(why) = rule.conditions.iter().find_map(never_met) {
            found.push(
                Problem::warning(
                    rule.place,
                    "unreachable_rule",
                    format!("rule `{}` can never match: {why}", rule.name),
                )
                .with_hint("remove the rule, or the condition"),
            );
            continue;
        }
        let above = policy.rules.iter().take(place);
        let mut left = rule.verdicts;
        let mut by = Vec::new();
        for earlier in above.filter(|earlier| earlier.monitored.is_none() && earlier.until.is_none()) {
            if !left.both(earlier.verdicts).is_empty() && work.covers(earlier, rule) {
                left = left.without(earlier.verdicts);
                by.push(&*earlier.name);
            }
        }
        if left.is_empty() {
            found.push(
                Problem::warning(rule.place, "unreachable_rule", format!("rule `{}` is never reached", rule.name))
                    .with_hint(format!(
                        "all its requests are decided above, by {}; move it up or remove it",
                        crate::yaml::listed(&by)
                    )),
            );
        }
    }
}

/// Why no request meets the condition, if that can be told.
fn never_met(condition: &Condition) -> Option<String> {
    let empty = |names: Vec<&str>| format!("list {} is empty", crate::yaml::listed(&names));
    match condition {
        Condition::Path { globs, lists } if globs.is_empty() && lists.iter().all(|one| one.list.len() == 0) => {
            Some(empty(lists.iter().map(|one| &*one.name).collect()))
        }
        Condition::Network { own, lists, .. } if own.is_empty() && lists.iter().all(|one| one.list.is_empty()) => {
            Some(empty(lists.iter().map(|one| &*one.name).collect()))
        }
        Condition::Device(lists) if lists.iter().all(|one| one.list.len() == 0) => {
            Some(empty(lists.iter().map(|one| &*one.name).collect()))
        }
        Condition::Percentage { percent: 0, .. } => Some("it is for 0 percent of senders".to_owned()),
        Condition::Not(inner) => match &**inner {
            [Condition::Verdict(verdicts)] if *verdicts == Verdicts::ANY => {
                Some("`not` excludes every verdict".to_owned())
            }
            [Condition::Path { globs, .. }] if globs.iter().any(|glob| glob.as_str() == "/**") => {
                Some("`not` excludes every path".to_owned())
            }
            _ => None,
        },
        _ => None,
    }
}
