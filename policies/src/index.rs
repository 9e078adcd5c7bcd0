//! Which rules could match at all: so that a decision does not look at the others.
//!
//! In: the compiled rules. Out: for a verdict, a method and a request, a few short lists of candidates. Proven: every rule
//! that matches is in one of the lists; the lists are in the order of the file.
//!
//! Rules are split by verdict and method first. Within such a part, each rule is filed under one key of its own: an exact
//! path, the fixed beginning of a path, an exact host, a route, an app, a caller, networks or a named list, whichever it shares
//! with the fewest others. Rules without such a key are looked at for every request of their part.

mod networks;

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;

use crate::condition::Condition;
use crate::facts::{RequestFacts, Subject};
use crate::lists::{Devices, Networks, Paths};
use crate::rule::Rule;
use crate::shape::values::HostPattern;
use attest_core::verdict::Verdict;
use networks::NetworkIndex;

/// Candidate rules by verdict, method and key.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// Methods that rules name, at most [`MAX_METHODS`]; all others share the last column.
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
    callers: Lists,
    networks: NetworkIndex,
    /// At most [`MAX_LISTED`].
    listed: Vec<(Listing, Vec<u32>)>,
}

/// A named list that rules are filed under.
#[derive(Clone, Debug)]
enum Listing {
    Networks(Arc<Networks>),
    Paths(Arc<Paths>),
    Devices(Arc<Devices>),
}

impl Listing {
    fn holds(&self, who: &Subject<'_>, what: &RequestFacts<'_>) -> bool {
        match self {
            Self::Networks(list) => list.contains(what.address),
            Self::Paths(list) => list.contains(what.target.path()),
            Self::Devices(list) => who.genuine && who.device.is_some_and(|device| list.contains(device)),
        }
    }

    /// Where the list lies in memory: what tells two lists apart.
    fn id(&self) -> usize {
        match self {
            Self::Networks(list) => Arc::as_ptr(list).addr(),
            Self::Paths(list) => Arc::as_ptr(list).addr(),
            Self::Devices(list) => Arc::as_ptr(list).addr(),
        }
    }
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

/// Named lists that a part looks a request up in; rules on more of them are looked at for every request.
const MAX_LISTED: usize = 8;

/// Methods with a column of their own.
const MAX_METHODS: usize = 32;

/// The lists of one request: always, path, host, route, app, caller, network, one for each segment and each named list.
const MAX_LISTS: usize = 7 + MAX_SEGMENTS + MAX_LISTED;

impl Index {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut methods: Vec<Method> = Vec::new();
        for named in rules.iter().filter_map(methods_of) {
            for method in named {
                if methods.len() < MAX_METHODS && !methods.contains(method) {
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
                        (Some(named), None) => named.iter().any(|method| !methods.contains(method)),
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
        let all: Vec<Key> = ids.iter().filter_map(rule_of).flat_map(keys_of).flatten().collect();
        let mut shared: HashMap<KeyId<'_>, usize> = HashMap::new();
        for key in &all {
            *shared.entry(key.id()).or_default() += 1;
        }
        for id in ids {
            let Some(rule) = rule_of(id) else { continue };
            let crowd =
                |keys: &Vec<Key>| keys.iter().map(|key| shared.get(&key.id()).copied().unwrap_or(0)).sum::<usize>();
            match keys_of(rule).into_iter().min_by_key(crowd) {
                Some(keys) if part.has_room_for(&keys) => keys.into_iter().for_each(|key| part.file(key, *id)),
                _ => part.always.push(*id),
            }
        }
        let crowded = part.networks.build();
        part.always.extend(crowded);
        part.always.sort_unstable();
        part.always.dedup();
        part
    }

    fn has_room_for(&self, keys: &[Key]) -> bool {
        let known = |key: &Listing| self.listed.iter().any(|(listing, _)| listing.id() == key.id());
        let new = keys.iter().filter(|key| matches!(key, Key::Listed(listing) if !known(listing))).count();
        self.listed.len() + new <= MAX_LISTED
    }

    fn file(&mut self, key: Key, id: u32) {
        match key {
            Key::Caller(caller) => self.callers.add(caller, id),
            Key::Range(first, last) => self.networks.add(first, last, id),
            Key::Listed(listing) => match self.listed.iter_mut().find(|(known, _)| known.id() == listing.id()) {
                Some((_, ids)) if ids.last() == Some(&id) => {}
                Some((_, ids)) => ids.push(id),
                None => self.listed.push((listing, vec![id])),
            },
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
        if let Some(caller) = what.caller {
            found.push(self.callers.of(caller));
        }
        found.push(self.networks.of(what.address));
        for (listing, ids) in &self.listed {
            if listing.holds(who, what) {
                found.push(ids);
            }
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
enum Key {
    Path(Box<str>),
    Beginning(Box<str>),
    Host(Box<str>),
    Route(Box<str>),
    App(Box<str>),
    Caller(Box<str>),
    /// An address between these two, both included, as [`crate::lists::number_of`] counts them.
    Range(u128, u128),
    Listed(Listing),
}

/// What makes two keys the same.
#[derive(PartialEq, Eq, Hash)]
enum KeyId<'k> {
    Text(u8, &'k str),
    Range(u128, u128),
    Listed(usize),
}

impl Key {
    fn id(&self) -> KeyId<'_> {
        match self {
            Self::Path(text) => KeyId::Text(0, text),
            Self::Beginning(text) => KeyId::Text(1, text),
            Self::Host(text) => KeyId::Text(2, text),
            Self::Route(text) => KeyId::Text(3, text),
            Self::App(text) => KeyId::Text(4, text),
            Self::Caller(text) => KeyId::Text(5, text),
            Self::Range(first, last) => KeyId::Range(*first, *last),
            Self::Listed(listing) => KeyId::Listed(listing.id()),
        }
    }
}

/// Each way to file a rule: the keys that it would stand under. It must stand under all of them.
fn keys_of(rule: &Rule) -> Vec<Vec<Key>> {
    let mut ways = Vec::new();
    for condition in &rule.conditions {
        let keys: Option<Vec<Key>> = match condition {
            Condition::Path { globs, lists } => globs
                .iter()
                .map(|glob| {
                    if glob.is_literal() {
                        return Some(Key::Path(glob.as_str().into()));
                    }
                    let fixed = glob.literal_prefix();
                    let cut = fixed.match_indices('/').nth(MAX_SEGMENTS).map_or(fixed.len(), |(at, _)| at);
                    fixed.get(..cut).filter(|fixed| !fixed.is_empty()).map(|fixed| Key::Beginning(fixed.into()))
                })
                .chain(lists.iter().map(|listed| Some(Key::Listed(Listing::Paths(Arc::clone(&listed.list))))))
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
            Condition::Caller(Some(callers)) => Some(callers.iter().cloned().map(Key::Caller).collect()),
            Condition::Device(lists) => {
                Some(lists.iter().map(|listed| Key::Listed(Listing::Devices(Arc::clone(&listed.list)))).collect())
            }
            Condition::Network { own, lists, .. } => Some(
                own.ranges()
                    .map(|(first, last)| Key::Range(first, last))
                    .chain(lists.iter().map(|listed| Key::Listed(Listing::Networks(Arc::clone(&listed.list)))))
                    .collect(),
            ),
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
