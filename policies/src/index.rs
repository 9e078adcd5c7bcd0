//! Which rules could match at all: so that a decision does not look at the others.
//!
//! In: the compiled rules. Out: for a verdict, a method and a request, a few short lists of candidates. Proven: every rule
//! that matches is in one of the lists; the lists are in the order of the file.
//!
//! Rules are split by verdict and method first. Within such a part, each rule is filed under one key of its own: an exact
//! path, the fixed beginning of a path, an exact host, a route or an app, whichever it shares with the fewest others. Rules without
//! such a key are looked at for every request of their part.

use std::collections::HashMap;

use http::Method;

use crate::condition::Condition;
use crate::facts::{RequestFacts, Subject};
use crate::rule::Rule;
use crate::shape::values::HostPattern;
use attest_core::verdict::Verdict;

/// Candidate rules by verdict, method and key.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// Methods that some rule names; all others share the last column.
    methods: Box<[Method]>,
    /// For each verdict, for each method and the rest: a place in `parts`.
    part_of: Box<[usize]>,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, Default)]
struct Part {
    always: Vec<u32>,
    paths: Lists,
    /// Keys have at most [`MAX_SEGMENTS`] segments.
    beginnings: Lists,
    deepest: usize,
    hosts: Lists,
    routes: Lists,
    apps: Lists,
}

/// Rules by a key of the request.
#[derive(Clone, Debug, Default)]
struct Lists {
    by_key: HashMap<Box<str>, Vec<u32>>,
    /// Bytes of the longest key: what is longer is not hashed, however long a client makes it.
    longest: usize,
}

impl Lists {
    fn of(&self, key: &str) -> &[u32] {
        if key.len() > self.longest {
            return &[];
        }
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, key: Box<str>, id: u32) {
        self.longest = self.longest.max(key.len());
        let list = self.by_key.entry(key).or_default();
        // Two paths of one rule may have the same beginning.
        if list.last() != Some(&id) {
            list.push(id);
        }
    }
}

/// How many segments of a path's beginning are looked up; deeper rules are filed under their first ones.
const MAX_SEGMENTS: usize = 8;

/// Parts with so few rules are scanned: that is cheaper than a single lookup.
const FEW: usize = 4;

/// The lists of one request: always, path, host, route, app and one for each segment.
const MAX_LISTS: usize = 5 + MAX_SEGMENTS;

impl Index {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut methods: Vec<Method> = Vec::new();
        for named in rules.iter().filter_map(methods_of) {
            for method in named {
                if !methods.contains(method) {
                    methods.push(method.clone());
                }
            }
        }
        let mut known: HashMap<Vec<u32>, usize> = HashMap::new();
        let mut parts = Vec::new();
        let mut part_of = Vec::new();
        for verdict in Verdict::ALL {
            for column in methods.iter().map(Some).chain([None]) {
                let ids: Vec<u32> = (0_u32..)
                    .zip(rules)
                    .filter(|(_, rule)| rule.verdicts.has(verdict))
                    .filter(|(_, rule)| match (methods_of(rule), column) {
                        (None, _) => true,
                        (Some(named), Some(method)) => named.contains(method),
                        (Some(_), None) => false,
                    })
                    .map(|(id, _)| id)
                    .collect();
                // Most verdicts share their rules with others: a policy has few different parts.
                let part = *known.entry(ids).or_insert_with_key(|ids| {
                    parts.push(Part::new(ids, rules));
                    parts.len() - 1
                });
                part_of.push(part);
            }
        }
        Self { methods: methods.into(), part_of: part_of.into(), parts: parts.into() }
    }

    /// The rules that could match, in the order of the file, each once. Allocates nothing.
    pub(crate) fn candidates<'i>(&'i self, who: &Subject<'_>, what: &RequestFacts<'_>) -> Candidates<'i> {
        let columns = self.methods.len() + 1;
        let method = what.target.method();
        let column = self.methods.iter().position(|known| known == method).unwrap_or(columns - 1);
        let part = self.part_of.get(who.verdict as usize * columns + column).and_then(|part| self.parts.get(*part));
        let mut found = Candidates { lists: [&[]; MAX_LISTS], used: 0 };
        if let Some(part) = part {
            part.collect(who, what, &mut found);
        }
        found
    }
}

impl Part {
    fn new(ids: &[u32], rules: &[Rule]) -> Self {
        let mut part = Self::default();
        if ids.len() <= FEW {
            part.always = ids.to_vec();
            return part;
        }
        let rule_of = |id: &u32| usize::try_from(*id).ok().and_then(|id| rules.get(id));
        let mut shared: HashMap<Key, usize> = HashMap::new();
        for key in ids.iter().filter_map(rule_of).flat_map(keys_of).flatten() {
            *shared.entry(key).or_default() += 1;
        }
        for id in ids {
            let Some(rule) = rule_of(id) else { continue };
            let crowd = |keys: &Vec<Key>| keys.iter().map(|key| shared.get(key).copied().unwrap_or(0)).sum::<usize>();
            match keys_of(rule).into_iter().min_by_key(crowd) {
                Some(keys) => keys.into_iter().for_each(|key| part.file(key, *id)),
                None => part.always.push(*id),
            }
        }
        part
    }

    fn file(&mut self, key: Key, id: u32) {
        match key {
            Key::Path(path) => self.paths.add(path, id),
            Key::Beginning(path) => {
                self.deepest = self.deepest.max(path.matches('/').count());
                self.beginnings.add(path, id);
            }
            Key::Host(host) => self.hosts.add(host, id),
            Key::Route(route) => self.routes.add(route, id),
            Key::App(app) => self.apps.add(app, id),
        }
    }

    fn collect<'i>(&'i self, who: &Subject<'_>, what: &RequestFacts<'_>, found: &mut Candidates<'i>) {
        found.push(&self.always);
        found.push(self.paths.of(what.target.path()));
        found.push(self.hosts.of(what.target.host()));
        found.push(self.routes.of(what.route));
        if who.genuine
            && let Some(app) = who.app
        {
            found.push(self.apps.of(app));
        }
        let path = what.target.path();
        let ends = path.bytes().enumerate().skip(1).filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
        for end in ends.chain([path.len()]).take(self.deepest) {
            if let Some(beginning) = path.get(..end) {
                found.push(self.beginnings.of(beginning));
            }
        }
    }
}

/// Something that a request has or has not, and that a rule can be filed under.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Path(Box<str>),
    Beginning(Box<str>),
    Host(Box<str>),
    Route(Box<str>),
    App(Box<str>),
}

/// Each way to file a rule: the keys that it would stand under. It must stand under all of them.
fn keys_of(rule: &Rule) -> Vec<Vec<Key>> {
    let mut ways = Vec::new();
    for condition in &rule.conditions {
        let keys: Option<Vec<Key>> = match condition {
            Condition::Path(globs) => globs
                .iter()
                .map(|glob| {
                    if glob.is_literal() {
                        return Some(Key::Path(glob.as_str().into()));
                    }
                    let fixed = glob.literal_prefix();
                    let cut = fixed.match_indices('/').nth(MAX_SEGMENTS).map_or(fixed.len(), |(at, _)| at);
                    fixed.get(..cut).filter(|fixed| !fixed.is_empty()).map(|fixed| Key::Beginning(fixed.into()))
                })
                .collect(),
            Condition::Host(hosts) => hosts
                .iter()
                .map(|host| match host {
                    HostPattern::Exact(host) => Some(Key::Host(host.clone())),
                    HostPattern::Below(_) => None,
                })
                .collect(),
            Condition::Route(routes) => Some(routes.iter().cloned().map(Key::Route).collect()),
            Condition::App(apps) => Some(apps.iter().cloned().map(Key::App).collect()),
            _ => None,
        };
        ways.extend(keys);
    }
    ways
}

fn methods_of(rule: &Rule) -> Option<&[Method]> {
    rule.conditions.iter().find_map(|condition| match condition {
        Condition::Method(methods) => Some(&**methods),
        _ => None,
    })
}

/// A few sorted lists, read as one.
pub(crate) struct Candidates<'i> {
    lists: [&'i [u32]; MAX_LISTS],
    used: usize,
}

impl<'i> Candidates<'i> {
    fn push(&mut self, list: &'i [u32]) {
        if list.is_empty() {
            return;
        }
        debug_assert!(self.used < MAX_LISTS, "there is room for one list of each kind");
        if let Some(slot) = self.lists.get_mut(self.used) {
            *slot = list;
            self.used += 1;
        }
    }
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let lists = self.lists.get_mut(..self.used)?;
        let least = lists.iter().filter_map(|list| list.first().copied()).min()?;
        for list in lists {
            // A rule with several paths may stand in several lists.
            while let [first, rest @ ..] = list
                && *first == least
            {
                *list = rest;
            }
        }
        Some(least)
    }
}
