//! The conditions of one rule.
//!
//! In: the shape of `when:`. Out: [`Condition`]s, the cheapest first, with every name that they use looked up.

use std::sync::Arc;

use attest_core::evidence_kind::EvidenceKinds;

use super::RouteContext;
use crate::condition::{Condition, DeviceStates, Listed, Tiers, UserTest};
use crate::enforcement::Dealer;
use crate::lists::{Kind, List, Networks};
use crate::problem::Problem;
use crate::shape::conditions::{AgeRange, VersionRange, When};
use crate::shape::people::{CallerWord, UserRule};
use crate::shape::values::{ListName, OrList, Span};
use crate::shape::words::VerdictWord;
use crate::shape::{At, Many, NonEmpty, Tried};
use crate::verdicts::Verdicts;
use crate::version::Version;
use crate::yaml::{self, Place};

/// Values that one condition may list; more stand in a named list.
const MAX_VALUES: usize = 1_000;

/// Which rule the conditions are of.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) policy: &'a str,
    pub(super) rule: &'a str,
    pub(super) about: &'a RouteContext<'a>,
}

impl Of<'_> {
    /// All conditions but the verdict of the rule itself.
    pub(super) fn conditions(self, when: &When, problems: &mut Vec<Problem>) -> Vec<Condition> {
        let mut found = Vec::new();
        found.extend(when.method.as_ref().map(|many| {
            let many = bounded(many, "method", problems);
            Condition::Method(many.iter().map(|at| at.value.0.clone()).collect())
        }));
        found.extend(when.host.as_ref().map(|many| {
            let many = bounded(many, "host", problems);
            Condition::Host(many.iter().map(|at| at.value.clone()).collect())
        }));
        found.extend(when.caller.as_ref().map(|many| self.caller(many, problems)));
        found.extend(when.path.as_ref().map(|many| {
            let (globs, lists) = self.split(many, Kind::Paths, problems);
            let lists = pick(&lists, |list| if let List::Paths(paths) = list { Some(paths) } else { None });
            Condition::Path { globs: globs.into_iter().map(|glob| glob.0.clone()).collect(), lists }
        }));
        found.extend(when.route.as_ref().map(|many| Condition::Route(names(many, "route", problems))));
        found.extend(
            when.tier.as_ref().map(|many| Condition::Tier(Tiers::of(many.value.0.iter().map(|at| at.value.0)))),
        );
        found.extend(when.evidence.as_ref().map(|many| {
            let kinds = many.value.0.iter().flat_map(|at| at.value.0.iter());
            Condition::Evidence(kinds.fold(EvidenceKinds::EMPTY, EvidenceKinds::with))
        }));
        found.extend(
            when.device_state
                .as_ref()
                .map(|many| Condition::DeviceState(DeviceStates::of(many.value.0.iter().map(|at| at.value.0)))),
        );
        found.extend(
            when.annotation
                .as_ref()
                .map(|many| Condition::Annotation(many.value.0.iter().fold(0, |bits, at| bits | at.value.0))),
        );
        found.extend(when.app.as_ref().map(|many| Condition::App(names(many, "app", problems))));
        found.extend(when.app_version.as_ref().map(|range| app_version(range, problems)));
        found.extend(when.device_age.as_ref().map(|range| device_age(range, problems)));
        if let Some(max) = when.expired_for.as_ref().and_then(|at| at.value.max.0.as_ref()) {
            found.push(Condition::ExpiredFor { max: max.value.0 });
        }
        found.extend(when.user.as_ref().and_then(|user| self.user(user, problems)));
        found.extend(when.device.as_ref().map(|many| self.device(many, problems)));
        found.extend(when.network.as_ref().map(|many| {
            let (written, lists) = self.split(many, Kind::Networks, problems);
            let lists = pick(&lists, |list| if let List::Networks(networks) = list { Some(networks) } else { None });
            let own = Networks::new(written.iter().map(|network| network.0));
            Condition::Network { written: written.into_iter().map(|network| network.0).collect(), own, lists }
        }));
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
            inner.extend(self.conditions(not, problems));
            found.push(Condition::Not(inner.into()));
        }
        // The dearest: it takes a hash.
        found.extend(when.percentage.as_ref().map(|percent| Condition::Percentage {
            percent: percent.value.0,
            dealer: Box::new(Dealer::of_rule(self.policy, self.rule)),
        }));
        found
    }

    fn caller(self, many: &At<Many<CallerWord>>, problems: &mut Vec<Problem>) -> Condition {
        let words = bounded(many, "caller", problems);
        if self.about.callers.is_empty() {
            problems.push(
                Problem::error(
                    many.place,
                    "no_caller",
                    format!("route `{}` lets no caller prove itself", self.about.route),
                )
                .with_hint("name them on the route: callers: [ … ]"),
            );
        } else {
            for at in words {
                if let CallerWord::Named(name) = &at.value
                    && !self.about.callers.iter().any(|known| **known == **name)
                {
                    problems.push(unknown("caller", name, self.about.callers, at.place));
                }
            }
        }
        if words.iter().any(|at| at.value == CallerWord::Any) {
            return Condition::Caller(None);
        }
        let named = words.iter().filter_map(|at| match &at.value {
            CallerWord::Named(name) => Some(name.clone()),
            CallerWord::Any => None,
        });
        Condition::Caller(Some(named.collect()))
    }

    fn user(self, user: &At<NonEmpty<UserRule>>, problems: &mut Vec<Problem>) -> Option<Condition> {
        let NonEmpty(UserRule { present, issuer, subject, claims }) = &user.value;
        if !self.about.user {
            problems.push(
                Problem::error(
                    user.place,
                    "no_user",
                    format!("route `{}` verifies no user\'s token", self.about.route),
                )
                .with_hint("name who issues them on the route: user: { issuer: … }"),
            );
        }
        let asks_who = issuer.is_some() || subject.is_some() || claims.is_some();
        let present = match present {
            Some(At { value: false, place }) if asks_who => {
                problems.push(
                    Problem::error(*place, "no_user", "nothing can be asked of a user who is not there")
                        .with_hint("remove `present: false`, or all that stands beside it"),
                );
                return None;
            }
            Some(At { value, .. }) => *value,
            // When all of its fields were unreadable, that has been told.
            None if !asks_who => return None,
            None => true,
        };
        let texts = |many: &Option<At<Many<String>>>, what: &str, problems: &mut Vec<Problem>| {
            many.as_ref().map(|many| names(many, what, problems)).unwrap_or_default()
        };
        Some(Condition::User(UserTest {
            present,
            issuers: texts(issuer, "issuer", problems),
            subjects: texts(subject, "subject", problems),
            claims: claims
                .iter()
                .flat_map(|claims| &claims.value.0)
                .map(|claim| (claim.value.0.as_str().into(), claim.value.1.clone().into()))
                .collect(),
        }))
    }

    fn device(self, many: &At<Many<ListName>>, problems: &mut Vec<Problem>) -> Condition {
        if !self.about.device_ids {
            problems.push(
                Problem::warning(
                    many.place,
                    "no_device",
                    format!("no token that route `{}` takes names a device", self.about.route),
                )
                .with_hint("the condition is never true: remove it, or let the issuer put `did` into its tokens"),
            );
        }
        let lists: Vec<_> =
            bounded(many, "device", problems).iter().filter_map(|at| self.list(at, Kind::Devices, problems)).collect();
        Condition::Device(pick(&lists, |list| if let List::Devices(devices) = list { Some(devices) } else { None }))
    }

    /// The values that stand in the condition itself, and the lists.
    fn split<'s, T>(
        self,
        many: &'s At<Many<OrList<T>>>,
        kind: Kind,
        problems: &mut Vec<Problem>,
    ) -> (Vec<&'s T>, Vec<(Box<str>, List)>) {
        let (mut values, mut lists) = (Vec::new(), Vec::new());
        for at in bounded(many, kind.as_str(), problems) {
            match &at.value {
                OrList::Value(value) => values.push(value),
                OrList::List(name) => {
                    lists.extend(self.list(&At { value: name.clone(), place: at.place }, kind, problems));
                }
            }
        }
        (values, lists)
    }

    fn list(self, name: &At<ListName>, kind: Kind, problems: &mut Vec<Problem>) -> Option<(Box<str>, List)> {
        let ListName(text) = &name.value;
        let Some(list) = self.about.lists.get(text) else {
            let known: Vec<String> = self
                .about
                .lists
                .iter()
                .filter(|(_, list)| list.kind() == kind)
                .map(|(name, _)| name.to_owned())
                .collect();
            problems.push(unknown("list", text, &known, name.place));
            return None;
        };
        if list.kind() != kind {
            problems.push(
                Problem::error(
                    name.place,
                    "wrong_list",
                    format!("list `{text}` holds {}, not {}", list.kind().as_str(), kind.as_str()),
                )
                .with_hint(format!("name a list of {} here", kind.as_str())),
            );
            return None;
        }
        Some((text.as_str().into(), list.clone()))
    }
}

fn pick<T>(lists: &[(Box<str>, List)], of: impl Fn(&List) -> Option<&Arc<T>>) -> Box<[Listed<T>]> {
    let listed =
        |(name, list): &(Box<str>, List)| of(list).map(|list| Listed { name: name.clone(), list: Arc::clone(list) });
    lists.iter().filter_map(listed).collect()
}

fn unknown(what: &str, name: &str, known: &[String], place: Place) -> Problem {
    let words: Vec<&str> = known.iter().map(String::as_str).collect();
    let hint = match (yaml::nearest(name, &words), words.len()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, 0) => format!("the configuration has none: name it under `{what}s`"),
        (None, 1..=20) => format!("there are: {}", yaml::listed(&words)),
        (None, _) => format!("the configuration names them under `{what}s`"),
    };
    Problem::error(place, "unknown_name", format!("there is no {what} `{name}`")).with_hint(hint)
}

/// The verdicts that the words stand for.
pub(super) fn union(words: &Many<VerdictWord>) -> Verdicts {
    words.0.iter().fold(Verdicts::NONE, |all, word| all.with(word.value.0))
}

fn names(many: &At<Many<String>>, what: &str, problems: &mut Vec<Problem>) -> Box<[Box<str>]> {
    bounded(many, what, problems).iter().map(|at| at.value.as_str().into()).collect()
}

/// At most [`MAX_VALUES`]: each of them is compared with each request that gets this far.
fn bounded<'m, T>(many: &'m At<Many<T>>, what: &str, problems: &mut Vec<Problem>) -> &'m [At<T>] {
    let values = &many.value.0;
    if values.len() > MAX_VALUES {
        problems.push(
            Problem::error(
                many.place,
                "too_many_values",
                format!("`{what}` lists {} values, more than {MAX_VALUES}", values.len()),
            )
            .with_hint("put them into a named list, for networks, devices and paths: { list: NAME }"),
        );
        return &[];
    }
    values
}

fn app_version(range: &At<NonEmpty<VersionRange>>, problems: &mut Vec<Problem>) -> Condition {
    let At { value: NonEmpty(range), place } = range;
    let bound = |tried: &Option<Tried<Version>>| tried.as_ref().and_then(|tried| tried.0.as_ref()).map(|at| at.value);
    let (min, below) = (bound(&range.min), bound(&range.below));
    if let (Some(min), Some(below)) = (min, below)
        && min >= below
    {
        problems.push(
            Problem::error(*place, "empty_range", format!("no version is from {min} on and before {below}"))
                .with_hint("`min` is the first that matches, `below` the first that no longer does"),
        );
    }
    Condition::AppVersion { min, below }
}

fn device_age(range: &At<NonEmpty<AgeRange>>, problems: &mut Vec<Problem>) -> Condition {
    let At { value: NonEmpty(range), place } = range;
    let mut bound = |tried: &Option<Tried<Span>>| {
        let at = tried.as_ref().and_then(|tried| tried.0.as_ref())?;
        if at.value.0.as_secs() % 3_600 != 0 || at.value.0.subsec_nanos() != 0 {
            problems.push(
                Problem::error(at.place, "bad_duration", "the age of a device is known in whole hours")
                    .with_hint("write, for example, 24h or 7d"),
            );
        }
        Some(at.value.0)
    };
    let (min, below) = (bound(&range.min), bound(&range.below));
    if let (Some(min), Some(below)) = (min, below)
        && min >= below
    {
        problems.push(
            Problem::error(*place, "empty_range", "no age is in this range")
                .with_hint("`min` is the first that matches, `below` the first that no longer does"),
        );
    }
    Condition::DeviceAge { min, below }
}

#[cfg(test)]
mod tests;
