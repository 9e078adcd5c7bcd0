//! The rules of a policy, one by one.
//!
//! In: the shapes. Out: compiled [`Rule`]s without the disabled ones, and which of them are monitored.

use std::collections::HashMap;
use std::time::Duration;

use attest_core::evidence_kind::EvidenceKinds;
use attest_core::verdict::Verdict;

use super::RouteContext;
use crate::class::{Action, Class};
use crate::condition::{Condition, Tiers};
use crate::limit::{Count, Limit, Per, Unit};
use crate::problem::Problem;
use crate::result_policy::{CANNOT_VERIFY, DEFAULT};
use crate::rule::Rule;
use crate::shape::conditions::When;
use crate::shape::policy::{PolicyShape, RuleShape};
use crate::shape::then::Then;
use crate::shape::words::Mode;
use crate::shape::{At, Many, NonEmpty, Tried};
use crate::verdicts::Verdicts;
use crate::version::Version;
use crate::yaml::Place;

/// Compiles all rules, those that are disabled too: what is wrong with one should show before it is needed.
pub(super) fn compile(
    shape: &PolicyShape,
    about: &RouteContext<'_>,
    problems: &mut Vec<Problem>,
) -> (Vec<Rule>, Vec<u32>) {
    let mut rules = Vec::new();
    let mut monitored = Vec::new();
    let mut names = HashMap::new();
    let mut limit_names = HashMap::new();
    let written = shape.rules.iter().filter_map(|rules| rules.0.as_ref()).flat_map(|rules| &rules.value.0);
    for At { value: written, place } in written {
        if let Some(name) = &written.name.0 {
            check_name(name, "rule", problems);
            refuse_twice(&mut names, name, "rule", problems);
        }
        let mode = written.mode.as_ref().map(|mode| mode.value).unwrap_or_default();
        let Some(mut rule) = compile_rule(written, *place, problems) else { continue };
        for limit in written.then.0.iter().flat_map(|then| &then.value.limits) {
            if let Some(name) = &limit.name {
                check_name(name, "limit", problems);
                refuse_twice(&mut limit_names, name, "limit", problems);
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

fn refuse_twice(names: &mut HashMap<String, usize>, name: &At<String>, what: &str, problems: &mut Vec<Problem>) {
    match names.get(&name.value) {
        Some(line) => problems.push(
            Problem::error(name.place, "duplicate_name", format!("a second {what} is called `{}`", name.value))
                .with_hint(format!("the first is on line {line}; log, metrics and counts go by names")),
        ),
        None => {
            names.insert(name.value.clone(), name.place.line);
        }
    }
}

fn compile_rule(written: &RuleShape, place: Place, problems: &mut Vec<Problem>) -> Option<Rule> {
    let when = written.when.0.as_ref();
    let then = written.then.0.as_ref();
    let conditions = when.map(|when| conditions_of(&when.value, problems)).unwrap_or_default();
    let verdicts = when.and_then(|when| verdicts_of(when, &conditions, problems));
    if let Some(then) = then {
        check_until(written, then, problems);
        check_class(&then.value, problems);
    }
    let name = written.name.0.as_ref().map_or("", |name| name.value.as_str());
    let limits = match (then, verdicts) {
        (Some(then), Some(verdicts)) => limits_of(&then.value, name, verdicts, problems),
        _ => Vec::new(),
    };
    let then = &then?.value;
    Some(Rule {
        name: name.into(),
        place: written.name.0.as_ref().map_or(place, |name| name.place),
        verdicts: verdicts?,
        conditions: conditions.into(),
        action: then.action,
        class: then.class.as_ref().map(|class| class.value),
        limits: limits.into(),
        monitored: None,
        until: written.until.as_ref().map(|until| until.value.0),
    })
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

fn union(words: &Many<crate::shape::words::VerdictWord>) -> Verdicts {
    words.0.iter().fold(Verdicts::NONE, |all, word| all.with(word.value.0))
}

/// All conditions but the verdict of the rule itself, the cheapest first.
fn conditions_of(when: &When, problems: &mut Vec<Problem>) -> Vec<Condition> {
    let mut found = Vec::new();
    found.extend(
        when.method.as_ref().map(|many| Condition::Method(many.value.0.iter().map(|at| at.value.0.clone()).collect())),
    );
    found.extend(
        when.host.as_ref().map(|many| Condition::Host(many.value.0.iter().map(|at| at.value.clone()).collect())),
    );
    found.extend(
        when.path.as_ref().map(|many| Condition::Path(many.value.0.iter().map(|at| at.value.0.clone()).collect())),
    );
    found.extend(when.route.as_ref().map(|many| Condition::Route(names(&many.value))));
    found.extend(when.tier.as_ref().map(|many| Condition::Tier(Tiers::of(many.value.0.iter().map(|at| at.value.0)))));
    found.extend(when.evidence.as_ref().map(|many| {
        let kinds = many.value.0.iter().flat_map(|at| at.value.0.iter());
        Condition::Evidence(kinds.fold(EvidenceKinds::EMPTY, EvidenceKinds::with))
    }));
    found.extend(when.app.as_ref().map(|many| Condition::App(names(&many.value))));
    if let Some(At { value: NonEmpty(range), place }) = &when.app_version {
        let bound =
            |tried: &Option<Tried<Version>>| tried.as_ref().and_then(|tried| tried.0.as_ref()).map(|at| at.value);
        let (min, below) = (bound(&range.min), bound(&range.below));
        match (min, below) {
            (Some(min), Some(below)) if min >= below => problems.push(
                Problem::error(*place, "empty_range", format!("no version is from {min} on and before {below}"))
                    .with_hint("`min` is the first that matches, `below` the first that no longer does"),
            ),
            _ => {}
        }
        found.push(Condition::AppVersion { min, below });
    }
    if let Some(max) = when.expired_for.as_ref().and_then(|at| at.value.max.0.as_ref()) {
        found.push(Condition::ExpiredFor { max: max.value.0 });
    }
    found.extend(
        when.network.as_ref().map(|many| Condition::Network(many.value.0.iter().map(|at| at.value.0).collect())),
    );
    for test in when.header.iter().flat_map(|headers| &headers.value.0) {
        let (name, test) = test.value.clone();
        found.push(Condition::Header { name, test });
    }
    if let Some(NonEmpty(not)) = &when.not {
        let mut inner: Vec<Condition> = not
            .verdict
            .iter()
            .filter_map(|many| many.0.as_ref())
            .map(|many| Condition::Verdict(union(&many.value)))
            .collect();
        inner.extend(conditions_of(not, problems));
        found.push(Condition::Not(inner.into()));
    }
    found
}

fn names(many: &Many<String>) -> Box<[Box<str>]> {
    many.0.iter().map(|at| at.value.as_str().into()).collect()
}

fn check_until(written: &RuleShape, then: &At<Then>, problems: &mut Vec<Problem>) {
    if let (Some(until), Action::Block) = (&written.until, then.value.action) {
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

fn limits_of(then: &Then, rule: &str, verdicts: Verdicts, problems: &mut Vec<Problem>) -> Vec<Limit> {
    let mut limits = Vec::new();
    for (number, limit) in (1..).zip(&then.limits) {
        let (Some(requests), Some(per), Some(window)) = (&limit.requests.0, &limit.per.0, &limit.window.0) else {
            continue;
        };
        let unproven = verdicts.both(Verdicts::UNPROVEN);
        if matches!(per.value, Per::Device | Per::App | Per::Token) && !unproven.is_empty() {
            problems.push(
                Problem::error(per.place, "no_device", format!("no {} is known for {}", per.value, unproven.listed()))
                    .with_hint("write `per: address` (IPv6: each /64), or give such requests a rule of their own"),
            );
        }
        if !(SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&window.value.0) {
            problems.push(
                Problem::error(window.place, "wrong_window", "a window lasts from 1s to 31d")
                    .with_hint("write, for example, window: 1m"),
            );
        }
        let name = match &limit.name {
            Some(name) => name.value.as_str().into(),
            None => format!("{rule}.{number}").into(),
        };
        limits.push(Limit {
            name,
            amount: requests.value.0.into(),
            unit: Unit::Requests,
            per: per.value,
            window: window.value.0,
            burst: None,
            count: Count::Sliding,
            reserve: 1,
        });
    }
    limits
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
    } else if !rule.limits.iter().any(|limit| limit.per.is_shared()) {
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
const SHORTEST_WINDOW: Duration = Duration::from_secs(1);
const LONGEST_WINDOW: Duration = Duration::from_secs(31 * 24 * 3_600);
