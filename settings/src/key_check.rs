//! Routes held against the bounds that each key carries.
//!
//! In: a checked configuration and the opened keystore. Out: a problem for every use that a key's own bounds forbid, at the place
//! in the configuration that asks for it. Configuration can narrow what a key may be used for, never widen it.

use keystore::{
    Keystore, UseDescription,
    bounds::{Bound, Operation},
};
use policies::{Problem, yaml::Place};

use crate::{
    Settings,
    file::routes::RawRoute,
    model::{RoutePlaces, RouteSettings, UpstreamSettings},
    shape::Either,
};

impl Settings {
    /// Every route whose key is not in `store`, or whose upstream or operations lie outside the key's bounds.
    ///
    /// Each problem names the key and the bound, and stands at the route's `key`, or at the operation that is outside.
    #[must_use]
    pub fn check_keys(&self, store: &Keystore) -> Vec<Problem> {
        let mut problems = Vec::new();
        for route in &self.routes {
            let (Some(key), Some(upstream)) = (&route.key, self.upstream_of(route)) else { continue };
            let places = self.places.get(&route.name).cloned().unwrap_or_default();
            let at = |place, code, message: String| {
                Problem::error(place, code, message).in_file(&self.path.display().to_string())
            };
            match store.key(key) {
                None => problems.push(
                    at(places.key, "unknown_key", format!("the key `{key}` is not in the store"))
                        .with_hint(format!("assay key put {key}; `assay key list` shows what is there")),
                ),
                Some(handle) => {
                    for (place, violation) in outside(route, upstream, &places, |wanted| handle.check_config(wanted)) {
                        problems.push(at(place, "key_out_of_bounds", violation).with_hint(
                            "a key goes only where it was sealed for: change the route back, or put the key again with other bounds",
                        ));
                    }
                }
            }
        }
        problems
    }
}

/// What of a route lies outside: its origin once, else each operation that does.
fn outside(
    route: &RouteSettings,
    upstream: &UpstreamSettings,
    places: &RoutePlaces,
    check: impl Fn(&UseDescription<'_>) -> Result<(), keystore::bounds::BoundViolation>,
) -> Vec<(Place, String)> {
    let mut found = Vec::new();
    for (index, operation) in route.operations.iter().enumerate() {
        let one = [Operation { method: operation.method(), path: operation.sent_path() }];
        let wanted = UseDescription {
            scheme: upstream.scheme,
            host: &upstream.host,
            port: upstream.port,
            trust: upstream.trust,
            operations: &one,
        };
        if let Err(violation) = check(&wanted) {
            if matches!(violation.bound(), Bound::Origin | Bound::Trust) {
                return vec![(places.key, violation.to_string())];
            }
            found.push((places.operations.get(index).copied().unwrap_or(places.key), violation.to_string()));
        }
    }
    found
}

impl RoutePlaces {
    pub(crate) fn of(raw: &RawRoute) -> Self {
        let operations = match &raw.operations.value {
            Some(Either::Structured(operations)) => operations.as_slice(),
            Some(Either::Plain(_)) | None => &[],
        };
        Self {
            key: raw.key.at.unwrap_or_default(),
            operations: operations.iter().filter_map(|operation| operation.at).collect(),
        }
    }
}
