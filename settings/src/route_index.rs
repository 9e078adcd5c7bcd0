//! Which route a host and path belong to, without walking over all of them.
//!
//! In: the patterns of all routes, most specific first. Out: the place of the first that matches. A thousand routes cost a
//! request what ten do: under its host a route is filed by its whole path, or by the fixed beginning of it; only patterns
//! that begin with a wildcard are tried one after the other. Allocates nothing when asked.

use std::collections::HashMap;

use attest_core::target::PathGlob;

use crate::model::{HostPattern, RouteMatcher};

/// Where each route's pattern is found. Numbers are places in the list that it was made of.
#[derive(Clone, Debug, Default)]
pub struct RouteIndex {
    exact: HashMap<Box<str>, Paths>,
    /// `.example.com` and what is served below it.
    suffix: HashMap<Box<str>, Paths>,
    any: Paths,
}

/// The patterns of one host. Lists are in order, most specific first.
#[derive(Clone, Debug, Default)]
struct Paths {
    whole: HashMap<Box<str>, usize>,
    beginning: HashMap<Box<str>, Vec<(usize, PathGlob)>>,
    /// Segments of the longest beginning, and bytes of the longest key: what is longer is not looked up, however long a
    /// client makes it.
    deepest: usize,
    longest: usize,
    /// Patterns without a fixed beginning.
    wild: Vec<(usize, PathGlob)>,
}

/// Deeper beginnings are filed under their first segments.
const MOST_SEGMENTS: usize = 8;

impl RouteIndex {
    /// The index of `matchers`, which come most specific first.
    pub fn new<'a>(matchers: impl IntoIterator<Item = &'a RouteMatcher>) -> Self {
        let mut index = Self::default();
        for (place, matcher) in matchers.into_iter().enumerate() {
            let paths = match &matcher.host {
                HostPattern::Exact(host) => index.exact.entry(host.as_str().into()).or_default(),
                HostPattern::Suffix(suffix) => index.suffix.entry(suffix.as_str().into()).or_default(),
                HostPattern::Any => &mut index.any,
            };
            paths.add(place, &matcher.path);
        }
        index
    }

    /// The place of the route of a canonical host (lower case, no port, no trailing dot) and path.
    ///
    /// An exact host is asked before a suffix, a longer suffix before a shorter one, and any host last; the first of them
    /// that has the path wins.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<usize> {
        if let Some(place) = self.exact.get(host).and_then(|paths| paths.find(path)) {
            return Some(place);
        }
        if !self.suffix.is_empty() {
            // The longest suffix first; a host has a bounded number of dots.
            for (dot, _) in host.match_indices('.').filter(|(dot, _)| *dot > 0) {
                let suffix = host.get(dot..).unwrap_or_default();
                if let Some(place) = self.suffix.get(suffix).and_then(|paths| paths.find(path)) {
                    return Some(place);
                }
            }
        }
        self.any.find(path)
    }
}

impl Paths {
    fn add(&mut self, place: usize, glob: &PathGlob) {
        if glob.is_literal() {
            self.longest = self.longest.max(glob.as_str().len());
            // Of two alike, which a configuration refuses, the first is the more specific one.
            self.whole.entry(glob.as_str().into()).or_insert(place);
            return;
        }
        match beginning(glob) {
            "" => self.wild.push((place, glob.clone())),
            key => {
                self.deepest = self.deepest.max(key.matches('/').count());
                self.longest = self.longest.max(key.len());
                self.beginning.entry(key.into()).or_default().push((place, glob.clone()));
            }
        }
    }

    fn find(&self, path: &str) -> Option<usize> {
        let whole = if path.len() <= self.longest { self.whole.get(path).copied() } else { None };
        let ends = path.bytes().enumerate().skip(1).filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
        let begun = ends
            .chain([path.len()])
            .take(self.deepest)
            .take_while(|end| *end <= self.longest)
            .filter_map(|end| self.beginning.get(path.get(..end)?))
            .filter_map(|list| first(list, path))
            .min();
        [whole, begun, first(&self.wild, path)].into_iter().flatten().min()
    }
}

/// The first pattern of an ordered list that matches.
fn first(list: &[(usize, PathGlob)], path: &str) -> Option<usize> {
    list.iter().find(|(_, glob)| glob.matches(path)).map(|(place, _)| *place)
}

/// What every path of the pattern begins with, in whole segments and not too many.
fn beginning(glob: &PathGlob) -> &str {
    let fixed = glob.literal_prefix();
    let cut = fixed.match_indices('/').nth(MOST_SEGMENTS).map_or(fixed.len(), |(at, _)| at);
    fixed.get(..cut).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matcher(host: &HostPattern, path: &str) -> RouteMatcher {
        RouteMatcher { host: host.clone(), path: PathGlob::parse(path).unwrap() }
    }

    /// The rule that the index has to keep: the first host pattern that has the path, and there the first pattern.
    fn by_walking(matchers: &[RouteMatcher], host: &str, path: &str) -> Option<usize> {
        matchers.iter().position(|matcher| matcher.host.matches(host) && matcher.path.matches(path))
    }

    #[test]
    fn nothing_is_found_where_nothing_matches() {
        assert_eq!(RouteIndex::new([]).find("a", "/"), None);
        let index = RouteIndex::new(&[matcher(&HostPattern::Exact("a".into()), "/v1/**")]);
        assert_eq!((index.find("b", "/v1/x"), index.find("a", "/v2"), index.find("a", "/v1x")), (None, None, None));
        assert_eq!((index.find("a", "/v1"), index.find("a", "/v1/x/y")), (Some(0), Some(0)));
    }

    #[test]
    fn a_thousand_routes_below_one_segment_are_told_apart() {
        let paths: Vec<String> = (0..1000).map(|n| format!("/v1/part{n}/**")).collect();
        let matchers: Vec<_> = paths.iter().map(|path| matcher(&HostPattern::Any, path)).collect();
        let index = RouteIndex::new(&matchers);
        assert_eq!(index.find("h", "/v1/part731/x"), Some(731));
        assert!(index.any.beginning.values().all(|list| list.len() == 1));
    }

    fn segment() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("a".to_owned()),
            Just("b".to_owned()),
            Just("ab".to_owned()),
            Just("*".to_owned()),
            Just("a*".to_owned())
        ]
    }

    fn pattern() -> impl Strategy<Value = String> {
        (prop::collection::vec(segment(), 1..11), any::<bool>())
            .prop_map(|(segments, rest)| format!("/{}{}", segments.join("/"), if rest { "/**" } else { "" }))
    }

    fn hosts() -> impl Strategy<Value = HostPattern> {
        prop_oneof![
            Just(HostPattern::Exact("x.y.z".into())),
            Just(HostPattern::Suffix(".y.z".into())),
            Just(HostPattern::Suffix(".z".into())),
            Just(HostPattern::Any)
        ]
    }

    proptest! {
        #[test]
        fn it_finds_what_walking_finds(
            routes in prop::collection::vec((hosts(), pattern()), 0..40),
            host in prop_oneof![Just("x.y.z"), Just("w.z"), Just("z"), Just("x.q")],
            path in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("ab"), Just("c")], 1..11),
        ) {
            let path = format!("/{}", path.join("/"));
            let mut matchers: Vec<_> = routes.iter().map(|(host, path)| matcher(host, path)).collect();
            // As the loader sorts them: hosts first.
            matchers.sort_by_key(|matcher| match &matcher.host {
                HostPattern::Exact(_) => 0,
                HostPattern::Suffix(suffix) => 100 - suffix.len(),
                HostPattern::Any => 1000,
            });
            let index = RouteIndex::new(&matchers);
            prop_assert_eq!(index.find(host, &path), by_walking(&matchers, host, &path));
        }
    }
}
