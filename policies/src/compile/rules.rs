//! The rules of a policy, one by one.
//!
//! In: the shapes. Out: compiled [`Rule`]s without the disabled ones, and which of them are monitored.

use std::collections::HashMap;

use attest_core::verdict::Verdict;

use super::conditions::{self, union};
use super::limits::limits_of;
use super::{RouteContext, Sources};
use crate::class::{Action, Class};
use crate::condition::Condition;
use crate::limit::Per;
use crate::problem::Problem;
use crate::result_policy::{CANNOT_VERIFY, DEFAULT};
use crate::rule::Rule;
use crate::shape::At;
use crate::shape::conditions::When;
use crate::shape::policy::{PolicyShape, RuleShape};
use crate::shape::then::Then;
use crate::shape::words::Mode;
use crate::verdicts::Verdicts;
use crate::yaml::Place;

/// Compiles all rules, those that are disabled too: what is wrong with one should show before it is needed.
pub(super) fn compile(
    shape: &PolicyShape,
    policy: &str,
    about: &RouteContext<'_>,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> (Vec<Rule>, Vec<u32>) {
    let mut rules = Vec::new();
    let mut monitored = Vec::new();
    let mut names = HashMap::new();
    let mut limit_names = HashMap::new();
    let written = shape.rules.iter().filter_map(|rules| rules.0.as_ref()).flat_map(|rules| &rules.value.0);
    for (number, At { value: written, place }) in written.enumerate() {
        let written = &written.0;
        if number == MAX_RULES {
            problems.push(
                Problem::error(*place, "too_many_rules", format!("the policy goes on after {MAX_RULES} rules"))
                    .with_hint("name networks, devices and paths in lists: one rule then stands for many"),
            );
            break;
        }
        if let Some(name) = &written.name.0 {
            check_name(name, "rule", problems);
            refuse_twice(&mut names, name, "rule", sources, problems);
        }
        let mode = written.mode.as_ref().map(|mode| mode.value).unwrap_or_default();
        let Some(mut rule) = compile_rule(written, *place, policy, about, problems) else { continue };
        for limit in written.then.0.iter().flat_map(|then| &then.value.limits) {
            if let Some(name) = &limit.name {
                check_name(name, "limit", problems);
                refuse_twice(&mut limit_names, name, "limit", sources, problems);
            }
        }
        if mode == Mode::Enforce {
            refuse_giving_the_key(&rule, about, problems);
        }
        match mode {
            Mode::Disabled => continue,
            Mode::Enforce => {}
            Mode::Monitor => {
                rule.monitored = u8::try_from(monitored.len()).ok();
                monitored.extend(u32::try_from(rules.len()));
            }
        }
        rules.push(rule);
    }
    (rules, monitored)
}

/// Names are labels of metrics and stand in log lines.
pub(super) fn check_name(name: &At<String>, what: &str, problems: &mut Vec<Problem>) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.value.len() > MAX_NAME || !name.value.bytes().all(plain) {
        problems.push(
            Problem::error(name.place, "bad_name", format!("`{}` can't be the name of a {what}", name.value))
                .with_hint(format!("1 to {MAX_NAME} letters, digits, `-`, `_` and `.`")),
        );
    }
    if what == "rule" && [DEFAULT, CANNOT_VERIFY].contains(&name.value.as_str()) {
        problems.push(
            Problem::error(
                name.place,
                "bad_name",
                format!("`{}` is what the log calls a decision that no rule made", name.value),
            )
            .with_hint("give the rule another name"),
        );
    }
}

fn refuse_twice(
    names: &mut HashMap<String, Place>,
    name: &At<String>,
    what: &str,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) {
    match names.get(&name.value) {
        Some(first) => {
            let file =
                if first.source == name.place.source { String::new() } else { format!(" of {}", sources.name(*first)) };
            problems.push(
                Problem::error(name.place, "duplicate_name", format!("a second {what} is called `{}`", name.value))
                    .with_hint(format!(
                        "the first is on line {}{file}; log, metrics and counts go by names",
                        first.line
                    )),
            );
        }
        None => {
            names.insert(name.value.clone(), name.place);
        }
    }
}

fn compile_rule(
    written: &RuleShape,
    place: Place,
    policy: &str,
    about: &RouteContext<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Rule> {
    let when = written.when.0.as_ref();
    let then = written.then.0.as_ref();
    let name = written.name.0.as_ref().map_or("", |name| name.value.as_str());
    let of = conditions::Of { policy, rule: name, about };
    let conditions = when.map(|when| of.conditions(&when.value, problems)).unwrap_or_default();
    let verdicts = when.and_then(|when| verdicts_of(when, &conditions, problems));
    if let Some(then) = then {
        check_until(written, then, problems);
        check_class(&then.value, problems);
    }
    let then = &then?.value;
    let mut rule = Rule {
        name: name.into(),
        place: written.name.0.as_ref().map_or(place, |name| name.place),
        verdicts: verdicts?,
        conditions: conditions.into(),
        action: then.action,
        class: then.class.as_ref().map(|class| class.value),
        limits: Box::default(),
        monitored: None,
        until: written.until.as_ref().map(|until| until.value.0),
    };
    rule.limits = limits_of(then, &rule, about, problems).into();
    Some(rule)
}

/// The verdicts that it is about; those that prove nothing are left out where a condition looks at a claim.
fn verdicts_of(when: &At<When>, conditions: &[Condition], problems: &mut Vec<Problem>) -> Option<Verdicts> {
    let Some(named) = &when.value.verdict else {
        problems.push(
            Problem::error(when.place, "missing_field", "this `when` names no verdict").with_hint(
                "add verdict: attested, missing, invalid, failed, … or `any`: a rule that forgets it would open the route to everybody",
            ),
        );
        return None;
    };
    let all = union(&named.0.as_ref()?.value);
    if conditions.iter().any(Condition::is_claim) { Some(all.without(Verdicts::UNPROVEN)) } else { Some(all) }
}

fn check_until(written: &RuleShape, then: &At<Then>, problems: &mut Vec<Problem>) {
    let decides = written.mode.as_ref().is_none_or(|mode| mode.value == Mode::Enforce);
    if let (Some(until), Action::Block, true) = (&written.until, then.value.action, decides) {
        problems.push(
            Problem::error(
                until.place,
                "until_on_block",
                "`until` can't stand on a rule that blocks: the end would open what it closes",
            )
            .with_hint(
                "remove `until`; to open something for a while, write a rule that allows it until then, above this one",
            ),
        );
    }
}

fn check_class(then: &Then, problems: &mut Vec<Problem>) {
    if let (Action::Deprioritize, Some(At { value: class @ (Class::Attested | Class::Critical), place })) =
        (then.action, &then.class)
    {
        problems.push(
            Problem::error(*place, "wrong_class", format!("`deprioritize` can't give class `{class}`"))
                .with_hint(format!("write then: {{ allow: {{ class: {class} }} }}, or class partial or unattested")),
        );
    }
}

/// On a route that adds a key, what is not attested gets it only where the route asks for that danger and the rule bounds it.
fn refuse_giving_the_key(rule: &Rule, about: &RouteContext<'_>, problems: &mut Vec<Problem>) {
    let unattested = rule.verdicts.without(Verdicts::one(Verdict::Attested));
    if !about.injects || !rule.loosens() || unattested.is_empty() {
        return;
    }
    let place: Place = rule.place;
    if !about.danger_inject_unattested {
        problems.push(
            Problem::error(
                place,
                "gives_key",
                format!("rule `{}` would give the key of route `{}` to requests that are {}", rule.name, about.route, unattested.listed()),
            )
            .with_hint("let it name only verdict: attested; to mean it, write danger_inject_unattested: true on the route and a limit `per: route` in the rule"),
        );
    } else if !rule.limits.iter().any(|limit| limit.per.is_shared() || limit.per == Per::Caller) {
        problems.push(
            Problem::error(
                place,
                "gives_key_without_limit",
                format!(
                    "rule `{}` gives the key to unattested requests without a bound for all of them together",
                    rule.name
                ),
            )
            .with_hint("add a limit for all together: limits: [{ requests: 100, per: route, window: 1h }]"),
        );
    }
}

const MAX_NAME: usize = 64;

/// Rules of a policy, those of included files with them.
const MAX_RULES: usize = 10_000;
