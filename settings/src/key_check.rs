//! Routes held against the bounds that each key carries.
//!
//! In: a checked configuration and the opened keystore. Out: a problem for every use that a key's own bounds forbid, at the place
//! in the configuration that asks for it. Configuration can narrow what a key may be used for, never widen it.

use attest_core::target::Scheme;
use keystore::{
    Keystore, UseDescription,
    bounds::{BoundViolation, Operation},
};
use policies::{Problem, yaml::Place};
use recipes::{Needs, Recipe};

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
                        .with_hint(format!("{}; `assay key list` shows what is there", put(key, upstream))),
                ),
                Some(handle) => {
                    for (place, violation) in outside(route, upstream, &places, |wanted| handle.check_config(wanted)) {
                        problems.push(at(place, "key_out_of_bounds", violation).with_hint(
                            "a key goes only where it was sealed for: change the route back; or put the key again with other bounds, and rotate",
                        ));
                    }
                    if handle.recipe().needs() == Needs::ClientCertificate && upstream.scheme != Scheme::Https {
                        let message =
                            format!("the key `{key}` is a client certificate, and `{}` has no TLS", upstream.name);
                        problems.push(at(places.key, "key_needs_tls", message).with_hint("write https:// in its url"));
                    }
                    let meant = upstream.preset.as_ref().and_then(|preset| Recipe::parse(&preset.recipe()).ok());
                    if let Some(meant) = meant.filter(|meant| meant.describe() != handle.recipe().describe()) {
                        let bound = handle.recipe().describe();
                        let message =
                            format!("the key `{key}` is bound to {bound}, and the preset writes {}", meant.describe());
                        let warning = Problem::warning(places.key, "key_recipe_differs", message);
                        problems.push(warning.in_file(&self.path.display().to_string()).with_hint(
                            "the key goes out as it was sealed: put it again with --preset, if the API refuses it",
                        ));
                    }
                    for (place, violation) in
                        outside(route, upstream, &places, |wanted| handle.check_next_config(wanted))
                    {
                        let message = format!("after a rotation this would be refused: {violation}");
                        let warning = Problem::warning(place, "next_key_out_of_bounds", message);
                        problems.push(
                            warning
                                .in_file(&self.path.display().to_string())
                                .with_hint("put the next version again, with bounds that allow what this route does"),
                        );
                    }
                }
            }
        }
        problems
    }
}

/// The command that puts a key for this upstream.
fn put(key: &str, upstream: &UpstreamSettings) -> String {
    let scheme = upstream.scheme.as_str();
    let host = if upstream.host.contains(':') { format!("[{}]", upstream.host) } else { upstream.host.clone() };
    let to = match upstream.scheme.default_port() == upstream.port {
        true => format!("{scheme}://{host}"),
        false => format!("{scheme}://{host}:{}", upstream.port),
    };
    let Some(preset) = &upstream.preset else {
        return format!("assay key put {key} --to {to} --path '/…' < key.txt");
    };
    let told: String = preset.told().map(|(name, value)| format!(" --set {name}={value}")).collect();
    let to = if to == preset.origin() { String::new() } else { format!(" --to {to}") };
    format!("assay key put {key} --preset {}{told}{to} < key.txt", preset.preset().name())
}

/// What of a route lies outside: its origin once, else each operation that does.
fn outside(
    route: &RouteSettings,
    upstream: &UpstreamSettings,
    places: &RoutePlaces,
    check: impl Fn(&UseDescription<'_>) -> Result<(), BoundViolation>,
) -> Vec<(Place, String)> {
    let wanted = UseDescription {
        scheme: upstream.scheme,
        host: &upstream.host,
        port: upstream.port,
        trust: upstream.trust,
        operations: &[],
    };
    if let Err(violation) = check(&wanted) {
        return vec![(places.key, violation.to_string())];
    }
    if places.operations.is_empty() {
        // `all` stands for what the key itself allows: it asks for nothing beyond that.
        return Vec::new();
    }
    let outside = route.operations.iter().enumerate().filter_map(|(index, operation)| {
        let one = [Operation { method: operation.method(), path: operation.sent_path() }];
        let violation = check(&UseDescription { operations: &one, ..wanted }).err()?;
        Some((places.operations.get(index).copied().unwrap_or(places.key), violation.to_string()))
    });
    outside.collect()
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
