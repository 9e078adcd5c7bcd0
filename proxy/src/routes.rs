//! Which route a host and path belong to, without walking over all of them.
//!
//! In come the routes of the configuration, most specific first; out goes the first that matches. The
//! table is indexed by host and then by the first segment of the path, so that a thousand routes cost
//! a request what ten do.

use std::collections::HashMap;
use std::sync::Arc;

use settings::HostPattern;

use crate::route::Route;

/// All routes, indexed.
#[derive(Default)]
pub(crate) struct RouteTable {
    exact: HashMap<String, Paths>,
    /// `.example.com` and what is served below it.
    suffix: HashMap<String, Paths>,
    any: Paths,
}

/// The routes of one host pattern. Numbers are the configuration's order: lower is more specific.
#[derive(Default)]
struct Paths {
    by_first_segment: HashMap<String, Vec<(usize, Arc<Route>)>>,
    /// Patterns that begin with a wildcard.
    wild: Vec<(usize, Arc<Route>)>,
}

impl RouteTable {
    /// The table of `routes`, which come most specific first.
    pub(crate) fn new(routes: &[Arc<Route>]) -> Self {
        let mut table = Self::default();
        for (order, route) in routes.iter().enumerate() {
            let paths = match &route.settings.matcher.host {
                HostPattern::Exact(host) => table.exact.entry(host.clone()).or_default(),
                HostPattern::Suffix(suffix) => table.suffix.entry(suffix.clone()).or_default(),
                HostPattern::Any => &mut table.any,
            };
            paths.add(order, route.clone());
        }
        table
    }

    /// The route of a canonical host and path.
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<&Arc<Route>> {
        if let Some(route) = self.exact.get(host).and_then(|paths| paths.find(path)) {
            return Some(route);
        }
        if !self.suffix.is_empty() {
            // The longest suffix first; a host has a bounded number of dots.
            for (dot, _) in host.match_indices('.').filter(|(dot, _)| *dot > 0) {
                let suffix = host.get(dot..).unwrap_or_default();
                if let Some(route) = self.suffix.get(suffix).and_then(|paths| paths.find(path)) {
                    return Some(route);
                }
            }
        }
        self.any.find(path)
    }
}

impl Paths {
    fn add(&mut self, order: usize, route: Arc<Route>) {
        let list = match first_segment(route.settings.matcher.path.literal_prefix()) {
            Some(segment) => self.by_first_segment.entry(segment.to_owned()).or_default(),
            None => &mut self.wild,
        };
        list.push((order, route));
    }

    fn find(&self, path: &str) -> Option<&Arc<Route>> {
        let first = |list: &'_ [(usize, Arc<Route>)]| {
            list.iter().position(|(_, route)| route.settings.matcher.path.matches(path))
        };
        let named = first_segment(path).and_then(|segment| self.by_first_segment.get(segment));
        let named = named.and_then(|list| first(list).and_then(|at| list.get(at)));
        let wild = first(&self.wild).and_then(|at| self.wild.get(at));
        match (named, wild) {
            (Some((a, route)), Some((b, _))) if a < b => Some(route),
            (_, Some((_, route))) | (Some((_, route)), None) => Some(route),
            (None, None) => None,
        }
    }
}

/// `v1` of `/v1/items`; nothing where the path ends there or is empty.
fn first_segment(path: &str) -> Option<&str> {
    let rest = path.strip_prefix('/')?;
    let segment = rest.split('/').next()?;
    (!segment.is_empty()).then_some(segment)
}
