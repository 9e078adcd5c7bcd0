//! Which route a request takes.
//!
//! In come the routes of the configuration, most specific first; out goes the first that matches a canonical host and
//! path. The looking up is `settings`' own, so that a command tells the route that the gateway takes.

use std::sync::Arc;

use settings::RouteIndex;

use crate::route::Route;

/// All routes, indexed.
#[derive(Default)]
pub(crate) struct RouteTable {
    index: RouteIndex,
    routes: Vec<Arc<Route>>,
}

impl RouteTable {
    /// The table of `routes`, which come most specific first.
    pub(crate) fn new(routes: &[Arc<Route>]) -> Self {
        Self { index: RouteIndex::new(routes.iter().map(|route| &route.settings.matcher)), routes: routes.to_vec() }
    }

    /// The route of a canonical host and path.
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<&Arc<Route>> {
        self.routes.get(self.index.find(host, path)?)
    }
}
