//! Patterns that match more, or less, than they look.

use attest_core::target::PathGlob;

use super::Policy;
use crate::class::Action;
use crate::compile::RouteContext;
use crate::condition::Condition;
use crate::problem::Problem;
use crate::rule::Rule;
use crate::shape::values::HostPattern;

pub(super) fn wide(policy: &Policy<'_>, about: &RouteContext<'_>, found: &mut Vec<Problem>) {
    for rule in policy.rules {
        for condition in &rule.conditions {
            look_at(condition, rule, about, found);
        }
    }
}

fn look_at(condition: &Condition, rule: &Rule, about: &RouteContext<'_>, found: &mut Vec<Problem>) {
    match condition {
        Condition::Path { globs, .. } => {
            for glob in globs {
                path(glob, rule, about, found);
            }
        }
        Condition::Host(hosts) if rule.action == Action::Block => {
            for host in hosts {
                let HostPattern::Below(below) = host else { continue };
                let bare = below.trim_start_matches('.');
                if !hosts.iter().any(|other| other.matches(bare)) {
                    found.push(
                        Problem::warning(
                            rule.place,
                            "bare_host",
                            format!("rule `{}` blocks every name below {bare}, and not {bare} itself", rule.name),
                        )
                        .with_hint(format!("write host: [{bare}, \"*.{bare}\"]")),
                    );
                }
            }
        }
        Condition::Not(inner) => inner.iter().for_each(|condition| look_at(condition, rule, about, found)),
        _ => {}
    }
}

fn path(glob: &PathGlob, rule: &Rule, about: &RouteContext<'_>, found: &mut Vec<Problem>) {
    let text = glob.as_str();
    let last = text.rsplit('/').next().unwrap_or_default();
    if let Some(stem) = last.strip_suffix('*')
        && !stem.contains('*')
        && stem.ends_with(|last: char| last.is_ascii_alphanumeric())
    {
        let base = text.trim_end_matches('*');
        found.push(
            Problem::warning(
                rule.place,
                "wide_wildcard",
                format!(
                    "`{text}` of rule `{}` matches {base}0 and {base}-internal too, and nothing below {base}/",
                    rule.name
                ),
            )
            .with_hint(format!("for {base} and all below it write \"{base}/**\"")),
        );
    }
    if let Some(route) = about.path
        && glob != route
        && route.is_within(glob)
    {
        found.push(
            Problem::note(
                rule.place,
                "wide_wildcard",
                format!(
                    "`{text}` of rule `{}` is wider than route `{}`, which takes `{route}`",
                    rule.name, about.route
                ),
            )
            .with_hint("leave `path` out for the whole route, or name the part that is meant"),
        );
    }
}
