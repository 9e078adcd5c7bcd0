//! What loads and is probably not meant, and only shows when the whole file is seen.

use std::collections::BTreeMap;

use attest_core::target::PathGlob;
use policies::{Count, Limit, Per, Problem, Severity, yaml::Place};

use super::rows;
use crate::{
    check::Check,
    file::{RawDocument, routes::RawRoute},
    model::{CallerProof, CallerSettings, HostPattern, RouteMatcher, RouteSettings},
    shape::Fault,
};

impl Check<'_, '_> {
    /// All lints of a file without errors. Among errors they would be noise: a name is unused because it is misspelled
    /// elsewhere.
    pub(super) fn warn_of_meaning<'c>(
        &self,
        raw: &RawDocument,
        routes: &[RouteSettings],
        callers: impl Iterator<Item = &'c CallerSettings> + Clone,
    ) {
        self.warn_of_unused(raw, callers.clone());
        self.warn_of_unused_lists(raw, routes);
        self.warn_of_hidden_paths(raw, routes);
        self.warn_of_wide_patterns(raw, routes);
        self.warn_of_counts_that_differ(raw, routes);
        self.warn_of_ceilings_that_differ(raw, routes);
        self.warn_of_keys_without_end(raw, routes);
        self.warn_of_unread_grpc(raw, routes);
        let no_certificates = !callers.clone().any(|caller| matches!(caller.proof, CallerProof::ClientCertificate(_)));
        let tls =
            raw.listeners.value.as_ref().and_then(|listeners| listeners.public.value.as_ref()?.tls.value.as_ref());
        if let (true, Some(at)) = (no_certificates, tls.and_then(|tls| tls.client_ca_file.at)) {
            let fault = Fault::new("clients are asked for certificates, and no caller is known by one");
            self.warn(at, "unused", fault.hint("add callers: { … : { client_certificate: … } }, or take the line out"));
        }
    }

    /// Messages of gRPC may be compressed one by one, and are passed on as they are.
    fn warn_of_unread_grpc(&self, raw: &RawDocument, routes: &[RouteSettings]) {
        for row in rows(&raw.routes) {
            let guarded = routes.iter().find(|route| route.name == row.name && route.key.is_some() && route.guard_body);
            let speaks_http2 = |name: &str| {
                let upstream = rows(&raw.upstreams).find(|row| row.name == name).and_then(|row| row.value.as_ref());
                upstream.is_some_and(|upstream| upstream.http2.value == Some(true))
            };
            if guarded.is_some_and(|route| speaks_http2(&route.upstream)) {
                let fault = Fault::new("bodies of gRPC are not searched for the key; heads and trailers are");
                self.warn(
                    row.at,
                    "grpc_not_searched",
                    fault.hint("without gRPC there: take `http2` out of the upstream"),
                );
            }
        }
    }

    fn warn_of_unused<'c>(&self, raw: &RawDocument, callers: impl Iterator<Item = &'c CallerSettings> + Clone) {
        let used = |of: &dyn Fn(&RawRoute) -> bool| rows(&raw.routes).filter_map(|row| row.value.as_ref()).any(of);
        for row in rows(&raw.upstreams) {
            if !used(&|route| route.upstream.value.as_ref().is_some_and(|name| name.0 == row.name)) {
                self.warn(row.at, "unused", Fault::new(format!("no route leads to upstream `{}`", row.name)));
            }
        }
        for row in rows(&raw.issuers) {
            let by_caller =
                callers.clone().any(|caller| matches!(&caller.proof, CallerProof::Jwt(jwt) if jwt.issuer == row.name));
            let by_route = |route: &RawRoute| {
                let token = route.token.value.as_ref().and_then(|token| token.issuer.value.as_ref());
                let user = route.user.value.as_ref().and_then(|user| user.issuer.value.as_ref());
                token.into_iter().chain(user).any(|name| name.0 == row.name)
            };
            if !by_caller && !used(&by_route) {
                self.warn(row.at, "unused", Fault::new(format!("no route takes tokens of issuer `{}`", row.name)));
            }
        }
        for row in rows(&raw.callers) {
            let named = |route: &RawRoute| {
                let names = route.callers.value.iter().flatten().filter_map(|name| name.value.as_ref());
                names.into_iter().any(|name| name.0 == row.name)
            };
            if !used(&named) {
                let fault = Fault::new(format!("no route knows caller `{}`", row.name));
                self.warn(
                    row.at,
                    "unused",
                    fault.hint(format!("add callers: [{}] to a route, or take it out", row.name)),
                );
            }
        }
    }

    fn warn_of_unused_lists(&self, raw: &RawDocument, routes: &[RouteSettings]) {
        for row in rows(&raw.lists) {
            let policies = routes.iter().flat_map(|route| [Some(&route.policy), route.candidate.as_ref()]).flatten();
            if !policies.into_iter().any(|policy| policy.uses_list(&row.name)) {
                self.warn(row.at, "unused", Fault::new(format!("no rule in use looks into list `{}`", row.name)));
            }
        }
    }

    /// A path that looks like the most specific one, under a host that is not: hosts are compared first.
    fn warn_of_hidden_paths(&self, raw: &RawDocument, routes: &[RouteSettings]) {
        for (index, route) in routes.iter().enumerate() {
            // Only what stands before it in the order can take something from it.
            let hides = |other: &&RouteSettings| hides(&other.matcher, &route.matcher);
            let Some(other) = routes.iter().take(index).find(hides) else { continue };
            let fault = Fault::new(format!(
                "for {}, `{}` goes to route `{}`: its host is more specific, and hosts are compared before paths",
                spelled(&other.matcher.host),
                route.matcher.path,
                other.name
            ));
            let hint = format!(
                "add a route with host {} and this path, if they are to come here",
                spelled(&other.matcher.host)
            );
            self.warn(match_of(raw, &route.name), "partly_hidden", fault.hint(hint));
        }
    }

    fn warn_of_wide_patterns(&self, raw: &RawDocument, routes: &[RouteSettings]) {
        for route in routes {
            if let Some(beginning) = wide_end(&route.matcher.path) {
                let path = &route.matcher.path;
                let fault = Fault::new(format!(
                    "`{path}` is every segment that begins so, `{beginning}0` and `{beginning}beta` too, and nothing below"
                ));
                let hint = format!("for `{beginning}` and all below it write \"{beginning}/**\"");
                self.warn(match_of(raw, &route.name), "wide_pattern", fault.hint(hint));
            }
            if let HostPattern::Suffix(suffix) = &route.matcher.host {
                let bare = suffix.trim_start_matches('.');
                if !routes.iter().any(|other| other.matcher.host.matches(bare)) {
                    let message =
                        format!("\"*.{bare}\" is every name below `{bare}`, and not `{bare}` itself: it gets 404");
                    let mut note =
                        Problem::warning(match_of(raw, &route.name), "bare_host", message).in_file(&self.notes.file);
                    note.severity = Severity::Note;
                    self.notes.push(note);
                }
            }
        }
    }

    /// `per: all` counts by the limit's name over all routes: two limits that mean something else would spend from one count.
    fn warn_of_counts_that_differ(&self, raw: &RawDocument, routes: &[RouteSettings]) {
        let mut first: BTreeMap<&str, (&str, &Limit)> = BTreeMap::new();
        for row in rows(&raw.routes) {
            let Some(route) = routes.iter().find(|route| route.name == row.name) else { continue };
            for limit in route.policy.limits().filter(|limit| limit.per == Per::All) {
                let (other, before) = *first.entry(&limit.name).or_insert((&route.name, limit));
                // Two kinds have two counts.
                let together = (limit.unit, limit.count) == (before.unit, before.count);
                let alike = (limit.amount, limit.window, limit.burst) == (before.amount, before.window, before.burst);
                if !together || alike {
                    continue;
                }
                let fault = Fault::new(format!(
                    "limit `{}` counts `per: all` together with that of route `{other}`, and allows another amount or window",
                    limit.name
                ));
                self.warn(row.at, "shared_count", fault.hint("give one of them another `name`, or write `per: route`"));
            }
        }
    }

    /// A key has one count for each unit and window, and each route its own amount: the smaller one then closes its route alone.
    fn warn_of_ceilings_that_differ(&self, raw: &RawDocument, routes: &[RouteSettings]) {
        let mut first: BTreeMap<_, (&str, &Limit)> = BTreeMap::new();
        for row in rows(&raw.routes) {
            let Some(route) = routes.iter().find(|route| route.name == row.name) else { continue };
            let Some(key) = &route.key else { continue };
            for limit in route.ceilings.iter().filter(|limit| limit.per == Per::Key) {
                let count = (key, limit.unit.as_str(), limit.window);
                let (other, before) = *first.entry(count).or_insert((&route.name, limit));
                if limit.amount != before.amount {
                    let fault = Fault::new(format!(
                        "the ceiling of {} for key `{key}` is {} here and {} on route `{other}`, and both count together",
                        limit.unit.as_str(),
                        limit.amount,
                        before.amount
                    ));
                    self.warn(
                        row.at,
                        "shared_count",
                        fault.hint("write the same amount on both, unless one is to stop earlier"),
                    );
                }
            }
        }
    }

    /// A route with a key that nothing bounds: whoever holds a good device spends as much as the vendor sells.
    fn warn_of_keys_without_end(&self, raw: &RawDocument, routes: &[RouteSettings]) {
        for row in rows(&raw.routes) {
            let Some(route) = routes.iter().find(|route| route.name == row.name) else { continue };
            let Some(key) = &route.key else { continue };
            let budget = route.policy.limits().any(|limit| limit.count == Count::Fixed);
            if route.ceilings.is_empty() && !budget {
                let fault = Fault::new(format!(
                    "nothing bounds what is spent with the key `{key}` here: no ceiling and no budget"
                ));
                let hint =
                    "add ceilings: { device: { requests: 60/1h }, key: { requests: 10000/1d } }, or tokens or bytes";
                self.warn(row.at, "key_without_ceiling", fault.hint(hint));
            }
        }
    }
}

/// Whether `one`, which stands before `other`, takes requests whose path `other` describes more closely.
fn hides(one: &RouteMatcher, other: &RouteMatcher) -> bool {
    let host = match (&one.host, &other.host) {
        (HostPattern::Exact(host), HostPattern::Suffix(_) | HostPattern::Any) => other.host.matches(host),
        (HostPattern::Suffix(inner), HostPattern::Suffix(outer)) => inner != outer && inner.ends_with(outer.as_str()),
        (HostPattern::Suffix(_), HostPattern::Any) => true,
        _ => false,
    };
    host && one.path != other.path && other.path.is_within(&one.path)
}

/// What stands before the `*` of a last segment like `v1*`. After a mark, as in `img-*`, it is what it looks like.
fn wide_end(path: &PathGlob) -> Option<&str> {
    let beginning = path.as_str().strip_suffix('*')?;
    (!beginning.contains('*') && beginning.ends_with(|c: char| c.is_ascii_alphanumeric())).then_some(beginning)
}

fn spelled(host: &HostPattern) -> String {
    match host {
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Suffix(suffix) => format!("\"*{suffix}\""),
        HostPattern::Any => "any host".to_owned(),
    }
}

fn match_of(raw: &RawDocument, name: &str) -> Place {
    let row = rows(&raw.routes).find(|row| row.name == name);
    row.and_then(|row| row.value.as_ref()?.matcher.at.or(Some(row.at))).unwrap_or_default()
}
