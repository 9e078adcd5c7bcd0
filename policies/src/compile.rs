//! A policy as it was read -> rules ready to decide.
//!
//! In: a [`RawPolicy`] and what is known about its route. Out: a [`ResultPolicy`] with warnings, or all the errors at once. Proven: every
//! rule names its verdicts; nothing lets through without saying so; on a route that adds a key, what is not attested gets nowhere without
//! `danger_inject_unattested` and a shared limit.

mod conditions;
mod includes;
mod limits;
mod rules;
mod words;

use includes::Sources;
use std::sync::Arc;

use attest_core::target::PathGlob;
use attest_core::time::UnixTime;
use attest_core::token::danger::DangerInjectUnattested;

use crate::class::Action;
use crate::enforcement::Shares;
use crate::index::Index;
use crate::lint;
use crate::lists::Lists;
use crate::problem::{self, Problem};
use crate::raw::RawPolicy;
use crate::refusals::Refusals;
use crate::result_policy::{Compiled, MAX_MONITORED, ResultPolicy};
use crate::shape::policy::{Enforcement, PolicyShape};
use crate::shape::{At, Read, Tried};
use crate::yaml::{self, Place};

/// What is known about the route that a policy is compiled for.
#[derive(Clone, Copy)]
pub struct RouteContext<'a> {
    /// Its name; the policy's name too, where the policy has none.
    pub route: &'a str,
    /// Whether it adds a key.
    pub injects: bool,
    /// Whether the operator wrote `danger_inject_unattested: true` on it.
    pub danger_inject_unattested: bool,
    /// Whether `trusted_proxies` names anybody: else the client's address is that of the connection.
    pub trusts_proxies: bool,
    /// The time, for telling what ends soon; absent: nothing is told.
    pub now: Option<UnixTime>,
    /// The pattern of the paths that the route takes; absent: not known.
    pub path: Option<&'a PathGlob>,
    /// The named lists that conditions may refer to.
    pub lists: &'a Lists,
    /// Names of the callers that the route, or a route that shares the policy, lets prove themselves.
    pub callers: &'a [String],
    /// Whether the route verifies a user's token.
    pub user: bool,
    /// Whether the tokens that the route takes name devices.
    pub device_ids: bool,
    /// What `include:` and `body_file:` are read from.
    pub files: &'a dyn Includes,
}

/// Where the files come from that a policy names.
pub trait Includes {
    /// The file's name, as problems show it, and its text. Paths are relative to the policy's file, in included files too.
    ///
    /// # Errors
    /// Why it can't be read, without a full stop.
    fn read(&self, path: &str) -> Result<(String, String), String>;
}

/// No file can be read: for policies that stand alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoIncludes;

impl Includes for NoIncludes {
    fn read(&self, path: &str) -> Result<(String, String), String> {
        Err(format!("`{path}` can't be read here"))
    }
}

static NO_LISTS: Lists = Lists::new();

impl<'a> RouteContext<'a> {
    /// A route of this name that adds no key, trusts no proxy, takes neither callers nor users, and has neither lists nor files.
    #[must_use]
    pub const fn new(route: &'a str) -> Self {
        Self {
            route,
            injects: false,
            danger_inject_unattested: false,
            trusts_proxies: false,
            now: None,
            path: None,
            lists: &NO_LISTS,
            callers: &[],
            user: false,
            device_ids: true,
            files: &NoIncludes,
        }
    }
}

/// Reads a policy file. Only that it is YAML is checked here; the rest, and all of it at once, by [`compile`].
///
/// # Errors
/// Too long, not YAML, outside the budgets, or a key twice in one map.
pub fn parse_file(name: &str, text: &str) -> Result<RawPolicy, Vec<Problem>> {
    yaml::parse(name, text).map(RawPolicy)
}

/// Compiles a policy for one route. `file` is the name of the file that it stands in.
///
/// Gives warnings and notes with it, in the order of the file.
///
/// # Errors
/// All that keeps it from loading, in the order of the file, and the warnings between.
pub fn compile(
    raw: RawPolicy,
    file: &str,
    about: &RouteContext<'_>,
) -> Result<(ResultPolicy, Vec<Problem>), Vec<Problem>> {
    let mut problems = Vec::new();
    let mut sources = Sources::new(file);
    let place = raw.place();
    let policy = includes::expand(raw.0, about, &mut sources, &mut problems);
    let compiled = PolicyShape::read(&policy, "policy", &mut problems)
        .and_then(|shape| assemble(&shape, place, about, &sources, &mut problems));
    for problem in problems.iter_mut().filter(|problem| problem.file.is_empty()) {
        sources.of(problem.source).clone_into(&mut problem.file);
    }
    problem::sort(&mut problems);
    match compiled {
        Some(compiled) if !problem::any_error(&problems) => Ok((ResultPolicy(Arc::new(compiled)), problems)),
        _ => Err(problems),
    }
}

/// Everything that is wrong with a policy file, warnings and notes included; empty when it is good.
#[must_use]
pub fn check_text(name: &str, text: &str, about: &RouteContext<'_>) -> Vec<Problem> {
    match parse_file(name, text).and_then(|raw| compile(raw, name, about)) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    }
}

/// `None` only with an error among the problems.
fn assemble(
    shape: &PolicyShape,
    place: Place,
    about: &RouteContext<'_>,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> Option<Compiled> {
    let name = match &shape.policy {
        Some(name) => {
            rules::check_name(name, "policy", problems);
            name.value.as_str()
        }
        None => about.route,
    };
    check_default(shape, place, about, problems);
    let written = shape.enforcement.as_ref();
    let shares = Shares::new(written.map(|at| &at.value), name, problems);
    let (rules, monitored) = rules::compile(shape, name, about, sources, problems);
    if monitored.len() > MAX_MONITORED {
        problems.push(
            Problem::error(
                place,
                "too_many_monitored",
                format!("{} rules have mode monitor, more than the {MAX_MONITORED} that are counted", monitored.len()),
            )
            .with_hint("monitor the whole policy instead: enforcement: monitor"),
        );
    }
    let refusals = Refusals::new(shape.refusals.as_ref().map(|at| &at.value), about, problems);
    let default = shape.default.0.as_ref()?;
    words::check(shape, default, place, &rules, problems);
    if !problem::any_error(problems) {
        let policy = lint::Policy {
            default,
            rules: &rules,
            shares: &shares,
            enforcement: written.map(|at| at.place),
            has_shares: written.is_some_and(|at| matches!(at.value, Enforcement::Shares(_))),
        };
        problems.extend(lint::lint(&policy, about));
    }
    Some(Compiled {
        name: name.into(),
        default: default.value,
        shares,
        injects: about.injects,
        danger_inject_unattested: about.danger_inject_unattested.then(DangerInjectUnattested::read_from_configuration),
        index: Index::new(&rules),
        refusals,
        rules: rules.into(),
        monitored: monitored.into(),
    })
}

fn check_default(shape: &PolicyShape, policy: Place, about: &RouteContext<'_>, problems: &mut Vec<Problem>) {
    let danger = shape.danger_default_allow.as_ref();
    let Some(At { value: default, place }) = shape.default.0 else { return };
    if about.injects && default != Action::Block {
        problems.push(
            Problem::error(
                place,
                "default_gives_key",
                format!("`default: {default}` would give the key of route `{}` to whoever no rule names", about.route),
            )
            .with_hint("write `default: block`, and let rules name what may pass"),
        );
    }
    match (default, danger) {
        (Action::Allow, Some(At { value: true, .. })) => {}
        (Action::Allow, _) => problems.push(
            Problem::error(
                place,
                "default_allows",
                "`default: allow` lets through whatever no rule names, forged tokens too",
            )
            .with_hint("write `default: block` or `deprioritize`; to mean it, add `danger_default_allow: true`"),
        ),
        (Action::Block | Action::Deprioritize, Some(At { place, .. })) => problems.push(
            Problem::error(
                *place,
                "no_effect",
                format!("`danger_default_allow` does nothing beside `default: {default}`"),
            )
            .with_hint("remove it"),
        ),
        (Action::Block | Action::Deprioritize, None) => {}
    }
    let no_rules = match &shape.rules {
        None => true,
        Some(Tried(Some(rules))) => rules.value.0.is_empty() && !problem::any_error(problems),
        Some(Tried(None)) => false,
    };
    if no_rules && default != Action::Block {
        problems.push(
            Problem::error(
                policy,
                "no_rules",
                format!("a policy without rules and with `default: {default}` checks nothing"),
            )
            .with_hint("add rules, or write `default: block`"),
        );
    }
}

/// Where something stands whose place is not known: the file as a whole.
pub(crate) const NOWHERE: Place = Place { line: 0, column: 0, width: 0, bytes: None, source: 0 };

#[cfg(test)]
mod tests;
