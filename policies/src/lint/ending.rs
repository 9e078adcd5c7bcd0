//! Rules that end, have ended, or should.

use super::Policy;
use crate::compile::RouteContext;
use crate::problem::Problem;

const DAY: i64 = 86_400;
const SOON: i64 = 14 * DAY;

/// Rules whose end is near or past.
pub(super) fn ending(policy: &Policy<'_>, about: &RouteContext<'_>, found: &mut Vec<Problem>) {
    for rule in policy.rules.iter().filter(|rule| rule.monitored.is_some() && rule.until.is_none()) {
        found.push(
            Problem::note(
                rule.place,
                "monitored_without_end",
                format!("rule `{}` is monitored, and nothing says until when: it changes no answer", rule.name),
            )
            .with_hint("write until when you look at what it counted, for example until: 2027-03-01T00:00:00Z; then enforce or remove it"),
        );
    }
    let Some(now) = about.now else { return };
    for rule in policy.rules {
        let Some(until) = rule.until else { continue };
        let left = until.secs() - now.secs();
        let hint = if rule.monitored.is_some() {
            "it is only counted until then; enforce it, move the date, or remove the rule"
        } else {
            "the requests that it let through go on to the next rules and the default; move the date, or remove the rule"
        };
        if left <= 0 {
            found.push(
                Problem::warning(rule.place, "rule_ended", format!("rule `{}` has ended and is absent", rule.name))
                    .with_hint(hint),
            );
        } else if left < SOON {
            let days = left / DAY;
            let when = if days == 0 { "within a day".to_owned() } else { format!("in {days} days") };
            found.push(
                Problem::warning(rule.place, "rule_ends_soon", format!("rule `{}` ends {when}", rule.name))
                    .with_hint(hint),
            );
        }
    }
}
