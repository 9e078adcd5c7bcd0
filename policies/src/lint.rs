//! What loads and is probably not meant.
//!
//! In: compiled rules without errors. Out: warnings and notes.

use std::cmp::Ordering;

use attest_core::verdict::Verdict;

use crate::class::Action;
use crate::compile::{NOWHERE, RouteContext};
use crate::condition::Condition;
use crate::enforcement::Shares;
use crate::problem::Problem;
use crate::rule::Rule;
use crate::shape::At;
use crate::shape::conditions::HeaderTest;
use crate::verdicts::Verdicts;
use crate::yaml::Place;

/// What is looked at.
pub(crate) struct Policy<'a> {
    pub(crate) default: &'a At<Action>,
    pub(crate) rules: &'a [Rule],
    pub(crate) shares: &'a Shares,
    /// Where `enforcement` stands.
    pub(crate) enforcement: Option<Place>,
}

/// All lints.
pub(crate) fn lint(policy: &Policy<'_>, about: &RouteContext<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    unreachable(policy, &mut found);
    unfair(policy, &mut found);
    ending(policy, about, &mut found);
    forgeable(policy, about, &mut found);
    if about.injects && policy.shares.spares_any() {
        found.push(
            Problem::warning(
                policy.enforcement.unwrap_or(NOWHERE),
                "no_effect",
                format!(
                    "`enforcement` changes nothing on route `{}`: it adds a key, and nobody gets a key by monitoring",
                    about.route
                ),
            )
            .with_hint("remove it here; to try a rule out, give that rule `mode: monitor`"),
        );
    }
    found
}

/// Rules that others, above, always decide before them.
fn unreachable(policy: &Policy<'_>, found: &mut Vec<Problem>) {
    for (place, rule) in policy.rules.iter().enumerate() {
        if rule.verdicts.is_empty() {
            found.push(
                Problem::warning(rule.place, "unreachable_rule", format!("rule `{}` can never match: it looks at a claim, and its verdicts leave none to believe", rule.name))
                    .with_hint("conditions on tier, evidence, app, app_version and expired_for need a verdict with a genuine signature, such as attested, expired or failed"),
            );
            continue;
        }
        let above = policy.rules.iter().take(place);
        let mut left = rule.verdicts;
        let mut by = Vec::new();
        for earlier in above.filter(|earlier| earlier.monitored.is_none() && earlier.until.is_none()) {
            if !left.both(earlier.verdicts).is_empty() && earlier.covers_conditions_of(&rule.conditions) {
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

/// Bad tokens that fare worse than none (whoever has one leaves it out) or better.
fn unfair(policy: &Policy<'_>, found: &mut Vec<Problem>) {
    let missing = Verdicts::one(Verdict::Missing);
    let known_bad = Verdicts::INVALID.with(Verdicts::one(Verdict::Failed)).with(Verdicts::one(Verdict::Revoked));
    for rule in
        policy.rules.iter().filter(|rule| rule.monitored.is_none() && !rule.conditions.iter().any(Condition::is_claim))
    {
        let fates = fates(policy, rule, known_bad.with(missing));
        let of_missing = fates.iter().find(|fate| fate.verdicts.has(Verdict::Missing));
        let Some(of_missing) = of_missing else { continue };
        let (mut worse, mut better) = (Verdicts::NONE, Verdicts::NONE);
        for fate in fates.iter().filter(|fate| fate.by_this || of_missing.by_this) {
            let bad = fate.verdicts.both(known_bad);
            match fate.action.rank().cmp(&of_missing.action.rank()) {
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
    action: Action,
    /// Whether it is the rule itself that decides.
    by_this: bool,
}

/// The fates of `verdicts` for the requests that `rule` is about.
fn fates(policy: &Policy<'_>, rule: &Rule, verdicts: Verdicts) -> Vec<Fate> {
    let mut left = verdicts;
    let mut fates = Vec::new();
    for other in policy.rules.iter().filter(|other| other.monitored.is_none()) {
        let decided = left.both(other.verdicts);
        if !decided.is_empty() && other.covers_conditions_of(&rule.conditions) {
            fates.push(Fate { verdicts: decided, action: other.action, by_this: std::ptr::eq(other, rule) });
            left = left.without(decided);
        }
    }
    fates.push(Fate { verdicts: left, action: policy.default.value, by_this: false });
    fates
}

fn fare(verdicts: Verdicts) -> &'static str {
    if verdicts.listed().contains(" and ") { "fare" } else { "fares" }
}

/// Rules whose end is near or past.
fn ending(policy: &Policy<'_>, about: &RouteContext<'_>, found: &mut Vec<Problem>) {
    let Some(now) = about.now else { return };
    for rule in policy.rules {
        let Some(until) = rule.until else { continue };
        let left = until.secs() - now.secs();
        let hint = "the requests that it let through go on to the next rules and the default; move the date, or remove the rule";
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

/// Rules that trust what a client writes itself.
fn forgeable(policy: &Policy<'_>, about: &RouteContext<'_>, found: &mut Vec<Problem>) {
    for rule in policy.rules {
        let forged = rule.conditions.iter().find_map(|condition| match condition {
            Condition::Header { name, test } if *test != HeaderTest::Present(false) => Some(name),
            _ => None,
        });
        if let Some(name) = forged
            && rule.loosens()
            && !rule.verdicts.both(Verdicts::UNPROVEN).is_empty()
        {
            found.push(
                Problem::warning(
                    rule.place,
                    "forgeable",
                    format!("rule `{}` lets through who sends the header {name}, and anybody can", rule.name),
                )
                .with_hint("a header may tighten a rule, it proves nothing; add a limit `per: address` at least"),
            );
        }
        let looks_at_network = |condition: &Condition| match condition {
            Condition::Network(_) => true,
            Condition::Not(inner) => inner.iter().any(|condition| matches!(condition, Condition::Network(_))),
            _ => false,
        };
        if !about.trusts_proxies && rule.conditions.iter().any(looks_at_network) {
            found.push(
                Problem::note(rule.place, "network_of_peer", format!("rule `{}` compares the address of the connection: `trusted_proxies` is empty", rule.name))
                    .with_hint("behind a load balancer that is the balancer's own address; name it under listeners.public.trusted_proxies"),
            );
        }
    }
}

const DAY: i64 = 86_400;
const SOON: i64 = 14 * DAY;
