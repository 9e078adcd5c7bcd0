//! One route, with everything that a request on it needs found beforehand.
//!
//! In come a route of the configuration, its upstream and, where it names one, its key; out goes a value
//! that the stages only read. Proven at this point: the key's own bounds allow what the configuration
//! wants to do with it. Pointing a key elsewhere does not get past here.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use callers::caller::RouteCallers;
use callers::user::UserSource;
use http::HeaderName;
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use settings::{IssuerSettings, RouteSettings, Source};

use crate::feeds::OwnFeeds;
use crate::keys::{LiveKey, TokenPlace};
use crate::observed::RouteWatch;
use crate::refusal::Stop;
use crate::telemetry::metrics::{ByStatus, ByVerdict, Lazy};
use crate::token_cache::KeySetId;
use crate::upstream::Upstream;

mod parties;
mod stripped;

pub(crate) use parties::Parties;
pub(crate) use stripped::Stripped;

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
    /// Who else may call.
    pub callers: RouteCallers,
    /// Where it looks for users.
    pub user: Option<UserSource>,
    /// What it injects.
    pub key: Option<Arc<LiveKey>>,
    /// How token endpoints are reached that its key may need.
    pub tokens: Option<Arc<TokenPlace>>,
    /// What a client may not send upstream.
    pub stripped: Stripped,
    /// Handles into the metrics.
    pub meters: Meters,
    /// Guard, candidate and mode.
    pub watch: RouteWatch,
}

/// Whose tokens a route takes, and with what they are checked.
pub(crate) enum Issuer {
    /// Our own, from the feed.
    Own {
        /// The feeds of the service.
        feeds: Arc<OwnFeeds>,
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

    /// Whether what our service took back no longer counts as new. Other issuers take nothing back.
    pub(crate) fn revocations_stale(&self, steady: Duration) -> bool {
        match self {
            Self::Own { feeds, .. } => feeds.revocations.is_stale(steady),
            Self::Named { .. } => false,
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
    /// When the log was last told that the upstream sends the key back, Unix seconds.
    pub alerted: AtomicI64,
    pub accepted_expired: Lazy,
}

impl Meters {
    /// Counters for the rules of this policy.
    pub(crate) fn of(policy: &policies::ResultPolicy) -> Self {
        let rules = policy.rule_names().chain(["default", "cannot_verify"]);
        Self { rules: rules.map(|rule| (rule.into(), Default::default())).collect(), ..Self::default() }
    }
}

/// A request as its route sends it.
pub(crate) struct Outgoing {
    /// Path and query.
    pub target: PathAndQuery,
    /// Which of the route's operations it is.
    pub operation: Option<usize>,
}

impl Route {
    /// Whether it asks who calls, beside the app's token.
    pub(crate) fn asks_who_calls(&self) -> bool {
        !self.callers.is_empty() || self.user.is_some()
    }

    /// What a request becomes on its way upstream.
    ///
    /// # Errors
    /// This route does not offer it: no operation is this call, or the operation does not allow its query.
    pub(crate) fn outgoing(&self, method: &http::Method, target: &PathAndQuery) -> Result<Outgoing, Stop> {
        let rewritten = self.rewritten(target).ok_or(Stop::NoOperation)?;
        let operations = &self.settings.operations;
        if operations.is_empty() {
            return Ok(Outgoing { target: rewritten, operation: None });
        }
        let path = rewritten.path();
        let mut all = operations.iter().enumerate();
        let (index, operation) = all.find(|(_, one)| one.is(method, path)).ok_or(Stop::NoOperation)?;
        let without_slots = self.without_slots(rewritten.query());
        let query = without_slots.as_deref().or(rewritten.query()).filter(|query| !query.is_empty());
        let target = match operation.target(path, query) {
            Ok(None) if without_slots.is_some() => with_query(path, query)?,
            Ok(None) => rewritten,
            Ok(Some(text)) => PathAndQuery::try_from(text).map_err(|_| Stop::BadRequest("target"))?,
            Err(refusal) => return Err(Stop::NotAllowed(Box::new(refusal))),
        };
        Ok(Outgoing { target, operation: Some(index) })
    }

    /// The query without parameters that are the key's place, or another of the vendor's credentials: a client's own value is
    /// taken out there, not refused, since SDKs send one. `None`: there are none.
    fn without_slots(&self, query: Option<&str>) -> Option<String> {
        self.key.as_ref()?.in_use().handle.recipe().slots().strip_query(query?)
    }

    /// Whether the token is in this header and goes upstream with it.
    pub(crate) fn forwards_token_in(&self, name: &HeaderName) -> bool {
        let token = &self.settings.token;
        token.forward
            && token.from.iter().any(|source| match source {
                Source::Header(header) => header == name,
                Source::Bearer => name == AUTHORIZATION,
                Source::Query(_) => false,
            })
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

fn with_query(path: &str, query: Option<&str>) -> Result<PathAndQuery, Stop> {
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    PathAndQuery::try_from(target).map_err(|_| Stop::BadRequest("target"))
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
    pub(crate) const X_ASSAY_CALLER: HeaderName = HeaderName::from_static("x-assay-caller");
    pub(crate) const X_ASSAY_DEV: HeaderName = HeaderName::from_static("x-assay-dev");
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
    fn parameters_are_compared_after_decoding() {
        assert!(same_parameter("key", "key") && same_parameter("key", "%6bey") && same_parameter("a b", "a+b"));
        for other in ["Key", "keys", "%6be", "ke%7", "ke%zz"] {
            assert!(!same_parameter("key", other), "{other}");
        }
    }
}
