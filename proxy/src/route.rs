//! One route, with everything that a request on it needs found beforehand.
//!
//! In come a route of the configuration, its upstream and, where it names one, its key; out goes a value
//! that the stages only read. Proven at this point: the key's own bounds allow what the configuration
//! wants to do with it. Pointing a key elsewhere does not get past here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::uri::PathAndQuery;
use keystore::KeyHandle;
use settings::{IssuerSettings, Operation, RouteSettings, Source};

use crate::key_sets::OwnKeySets;
use crate::telemetry::metrics::{ByStatus, ByVerdict, Lazy};
use crate::token_cache::KeySetId;
use crate::upstream::Upstream;

/// A route, ready to serve.
pub(crate) struct Route {
    /// As the configuration has it.
    pub settings: RouteSettings,
    /// The name, for labels.
    pub name: Arc<str>,
    /// Number of the configuration that it belongs to.
    pub generation: u64,
    /// Where its requests go.
    pub upstream: Arc<Upstream>,
    /// Whose tokens it takes.
    pub issuer: Issuer,
    /// What it injects.
    pub key: Option<RouteKey>,
    /// What a client may not send upstream.
    pub stripped: Stripped,
    /// Handles into the metrics.
    pub meters: Meters,
}

/// The key of a route.
pub(crate) struct RouteKey {
    /// Opens it, against a right.
    pub handle: KeyHandle,
    /// Its name, for labels.
    pub name: Arc<str>,
    /// Its fingerprint, for the log.
    pub fingerprint: String,
}

/// Whose tokens a route takes, and with what they are checked.
pub(crate) enum Issuer {
    /// Our own, from the feed.
    Own {
        /// The feed.
        key_sets: Arc<OwnKeySets>,
        /// `iss` that tokens must carry.
        issuer: String,
        /// `aud` that tokens must carry.
        audience: String,
        /// Tolerance for clocks that differ.
        leeway: Duration,
    },
    /// Somebody else's, from the configuration.
    Named {
        /// As the configuration has it.
        settings: Arc<IssuerSettings>,
        /// Identity of its keys in the token cache.
        id: KeySetId,
    },
}

impl Issuer {
    /// The word in the log.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Own { .. } => "own",
            Self::Named { settings, .. } => &settings.name,
        }
    }
}

/// Counters of one route, found on first use.
#[derive(Default)]
pub(crate) struct Meters {
    pub requests: ByVerdict,
    pub answers: ByStatus,
    /// By rule: allow, deprioritize, block, would have blocked, monitored.
    pub rules: HashMap<Box<str>, [Lazy; 5]>,
    pub scrubbed: Lazy,
    pub accepted_expired: Lazy,
    pub key_uses: Lazy,
}

impl Meters {
    /// Counters for the rules of this policy.
    pub(crate) fn of(policy: &policies::ResultPolicy) -> Self {
        let rules = policy.rule_names().chain(["default", "cannot_verify"]);
        Self { rules: rules.map(|rule| (rule.into(), Default::default())).collect(), ..Self::default() }
    }
}

/// Header names that do not go upstream, compared with `_` read as `-`: servers that speak CGI fold them.
#[derive(Debug, Default)]
pub(crate) struct Stripped {
    /// The names of each length; the last place is for all longer ones. Most headers are told apart by their
    /// length alone.
    by_length: Vec<Vec<Box<str>>>,
}

impl Stripped {
    /// The set of these names.
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut by_length = vec![Vec::new(); LENGTHS];
        for name in names {
            let name = folded(name);
            if let Some(same) = by_length.get_mut(length_place(&name))
                && !same.contains(&name)
            {
                same.push(name);
            }
        }
        Self { by_length }
    }

    /// Whether a header of this name is taken out.
    pub(crate) fn contains(&self, name: &str) -> bool {
        // Ours alone, on every route.
        if is_ours(name) {
            return true;
        }
        self.by_length.get(length_place(name)).is_some_and(|same| same.iter().any(|stripped| eq_folded(stripped, name)))
    }
}

/// Lengths told apart.
const LENGTHS: usize = 64;

fn length_place(name: &str) -> usize {
    name.len().min(LENGTHS - 1)
}

fn folded(name: &str) -> Box<str> {
    name.to_ascii_lowercase().replace('_', "-").into()
}

/// Equal, with `_` in `name` read as `-`. Header names in hand are lower case already.
fn eq_folded(folded: &str, name: &str) -> bool {
    folded.len() == name.len() && folded.bytes().zip(name.bytes()).all(|(a, b)| a == b || (a == b'-' && b == b'_'))
}

/// `x-assay-…`, in any spelling: what we tell upstreams about a request, and clients may not.
fn is_ours(name: &str) -> bool {
    match name.as_bytes() {
        [b'x', dash, b'a', b's', b's', b'a', b'y', ..] => matches!(dash, b'-' | b'_'),
        _ => false,
    }
}

/// Headers by which a client asks for another method, path or host than those that policy saw: frameworks
/// take them for what a proxy before them rewrote.
const OVERRIDES: [&str; 15] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-method",
    "x-forwarded-method",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-forwarded-uri",
    "x-forwarded-prefix",
    "x-http-path-override",
    "x-envoy-original-path",
    "x-original-host",
    "x-host",
    "x-forwarded-server",
];

/// What shows the attestation service who forwards, and for whom: nobody else's to say.
const INTERNAL: [&str; 2] = ["assay-internal", "assay-client-address"];

/// Who says where a request came from: on their way to our own upstreams we write them, third parties
/// have no business with them.
const FORWARDING: [&str; 20] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-ssl",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-url-scheme",
    "front-end-https",
    "x-real-ip",
    "true-client-ip",
    "client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-remote-addr",
    "x-remote-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-envoy-external-address",
];

/// On guarded routes: pieces of a response could each hold less of a key than can be recognised, and a
/// compressed one can't be read.
const GUARDED: [&str; 4] = ["range", "if-range", "accept-encoding", "sec-websocket-extensions"];

/// Which trace a request is in, and what its sender tells whoever is below: no business of third parties.
const TRACING: [&str; 3] = ["traceparent", "tracestate", "baggage"];

impl Stripped {
    /// What this route takes out of a client's head.
    pub(crate) fn of(route: &RouteSettings) -> Self {
        let mut names: Vec<String> = Vec::new();
        names.extend(OVERRIDES.map(str::to_owned));
        names.extend(INTERNAL.map(str::to_owned));
        names.extend(FORWARDING.map(str::to_owned));
        if !route.token.forward {
            names.extend(route.token.from.iter().filter_map(|source| match source {
                Source::Header(name) => Some(name.as_str().to_owned()),
                Source::Bearer => Some("authorization".to_owned()),
                Source::Query(_) => None,
            }));
        }
        if route.key.is_some() {
            names.extend(TRACING.map(str::to_owned));
        }
        if route.guard_body {
            names.extend(GUARDED.map(str::to_owned));
        }
        Self::new(names.iter().map(String::as_str))
    }
}

impl Route {
    /// The path and query that go upstream, and whether this route offers them. `None`: it does not.
    pub(crate) fn upstream_target(
        &self,
        method: &http::Method,
        target: &PathAndQuery,
    ) -> Option<(PathAndQuery, Option<u64>)> {
        let rewritten = self.rewritten(target)?;
        if self.settings.operations.is_empty() {
            return Some((rewritten, None));
        }
        let offers = |operation: &&Operation| operation.method == *method && operation.path.matches(rewritten.path());
        let operation = self.settings.operations.iter().find(offers)?;
        let most = operation.max_body;
        Some((rewritten, most))
    }

    /// The target after `rewrite` and without the token's own query parameters.
    fn rewritten(&self, target: &PathAndQuery) -> Option<PathAndQuery> {
        let in_query = !self.settings.token.forward
            && target.query().is_some()
            && self.settings.token.from.iter().any(|source| matches!(source, Source::Query(_)));
        if self.settings.rewrite.is_none() && !in_query {
            return Some(target.clone());
        }
        let mut text = String::with_capacity(target.as_str().len() + 32);
        match &self.settings.rewrite {
            Some(rewrite) => {
                let rest = target.path().strip_prefix(rewrite.strip.as_str())?;
                if !(rest.is_empty() || rest.starts_with('/')) {
                    return None;
                }
                text.push_str(&rewrite.add);
                text.push_str(rest);
                if text.is_empty() {
                    text.push('/');
                }
            }
            None => text.push_str(target.path()),
        }
        if let Some(query) = target.query() {
            let mut separator = '?';
            for pair in query.split('&') {
                if in_query && self.is_token_parameter(pair) {
                    continue;
                }
                text.push(separator);
                text.push_str(pair);
                separator = '&';
            }
        }
        PathAndQuery::try_from(text).ok()
    }

    fn is_token_parameter(&self, pair: &str) -> bool {
        let name = pair.split('=').next().unwrap_or_default();
        self.settings.token.from.iter().any(|source| match source {
            Source::Query(parameter) => same_parameter(parameter, name),
            Source::Header(_) | Source::Bearer => false,
        })
    }
}

/// Equal after decoding: `%6bey` is `key` to the upstream, so it is to us.
pub(crate) fn same_parameter(parameter: &str, sent: &str) -> bool {
    if !sent.contains(['%', '+']) {
        return parameter == sent;
    }
    let mut decoded = Vec::with_capacity(sent.len());
    let mut bytes = sent.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
                let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                    return false;
                };
                u8::try_from(high * 16 + low).unwrap_or(0)
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    decoded == parameter.as_bytes()
}

/// A header name of ours, for what goes upstream.
pub(crate) mod names {
    use super::HeaderName;

    pub(crate) const X_ASSAY_VERDICT: HeaderName = HeaderName::from_static("x-assay-verdict");
    pub(crate) const X_ASSAY_DEVICE: HeaderName = HeaderName::from_static("x-assay-device");
    pub(crate) const X_ASSAY_APP: HeaderName = HeaderName::from_static("x-assay-app");
    pub(crate) const X_ASSAY_VERSION: HeaderName = HeaderName::from_static("x-assay-version");
    pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
    pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
    pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
    pub(crate) const ASSAY_INTERNAL: HeaderName = HeaderName::from_static("assay-internal");
    pub(crate) const ASSAY_CLIENT_ADDRESS: HeaderName = HeaderName::from_static("assay-client-address");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out_in_every_spelling_that_a_lenient_server_folds() {
        let stripped = Stripped::new(["Assay-Token", "x-forwarded-for"]);
        for name in ["assay-token", "assay_token", "x_forwarded-for", "x-assay-anything", "x_assay_verdict"] {
            assert!(stripped.contains(name), "{name}");
        }
        for name in ["assay-tokens", "x-forwarded", "assay", "accept", "x-assa", &"a".repeat(100)] {
            assert!(!stripped.contains(name), "{name}");
        }
        let long = "b".repeat(80);
        assert!(Stripped::new([long.as_str()]).contains(&long));
    }

    #[test]
    fn parameters_are_compared_after_decoding() {
        assert!(same_parameter("key", "key") && same_parameter("key", "%6bey") && same_parameter("a b", "a+b"));
        for other in ["Key", "keys", "%6be", "ke%7", "ke%zz"] {
            assert!(!same_parameter("key", other), "{other}");
        }
    }
}
