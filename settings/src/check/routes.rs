//! `routes:` checked: what a route names exists, and what would open a key or do nothing is refused.

mod parties;
mod token;

use std::collections::BTreeMap;

use attest_core::time::UnixTime;
use policies::{
    Lists, RouteContext,
    yaml::{Place, listed, nearest},
};

use super::{Check, faults::Scope, operations::Placed, operations::Vocabulary};
use crate::{
    file::{
        names::Name,
        network::Hosts,
        requests::{Paths, Prefix},
        routes::{RawMatch, RawRewrite, RawRoute},
    },
    model::{
        CredentialSource, HostPattern, IssuerRef, IssuerSettings, OurFaults, Rewrite, RouteMatcher, RouteSettings,
        SharedStateDown, TokenSource, UpstreamSettings,
    },
    shape::{Fault, Field},
};

/// What a route may refer to.
pub(crate) struct Known<'a> {
    /// Names of the upstreams in the file, also of those with problems.
    pub(crate) upstreams: Vec<&'a str>,
    /// The upstreams without problems, by name.
    pub(crate) good_upstreams: &'a BTreeMap<String, UpstreamSettings>,
    /// Names of the issuers in the file, and what is known of each.
    pub(crate) issuers: &'a [(&'a str, Option<&'a IssuerSettings>)],
    /// Names of the callers in the file, with the places where each shows its secret.
    pub(crate) callers: Vec<(&'a str, Vec<CredentialSource>)>,
    /// For each policy file, the callers of all routes that use it: its rules may name any of them.
    pub(crate) sharing: BTreeMap<&'a str, Vec<String>>,
    /// The named lists.
    pub(crate) lists: &'a Lists,
    /// Whether `attestation:` is there.
    pub(crate) own_tokens: bool,
    /// Whether our own tokens name devices.
    pub(crate) own_devices: bool,
    /// Whether `keys:` is there.
    pub(crate) keys: bool,
    /// Whether `state.shared:` is there.
    pub(crate) shared_state: bool,
    /// Whether some peer may name the client's address.
    pub(crate) trusts_proxies: bool,
    /// The time, for warnings about rules that end soon.
    pub(crate) now: Option<UnixTime>,
    /// The file's own `our_faults`.
    pub(crate) our_faults: OurFaults,
}

impl Check<'_, '_> {
    pub(crate) fn route(&self, name: &str, raw: &RawRoute, owner: Place, known: &Known<'_>) -> Option<RouteSettings> {
        let matcher = self.need(&raw.matcher, owner, "match", "{ host: api.example.com, path: \"/**\" }");
        let matcher = matcher.and_then(|(raw, at)| self.matcher(raw, at));
        let rewrite = raw.rewrite.good().and_then(|(raw, at)| self.rewrite(raw, at, matcher.as_ref()));
        let upstream = self.need(&raw.upstream, owner, "upstream", "the name of one of `upstreams`").map(
            |(Name(upstream), at)| {
                self.exists("upstream", upstream, &known.upstreams, at);
                upstream.clone()
            },
        );
        let key = raw.key.good().map(|(Name(key), at)| {
            if !known.keys {
                let fault = Fault::new(format!("the key `{key}` is in no store: `keys` is missing"));
                self.refuse(
                    at,
                    "no_keystore",
                    fault.hint("write keys: { store: secrets/keys.sealed, unlock: { file: secrets/kek.key } }"),
                );
            }
            key.clone()
        });
        let injects = !raw.key.is_absent();
        let token = self.route_token(&raw.token, owner, known, injects);
        let operations = self.operations(raw, injects, named_by(raw, known));
        let ceilings = self.ceilings(&raw.ceilings, injects, &operations);
        // With a rewrite that is wrong itself, where requests go is not known.
        if let (Some(matcher), true) = (&matcher, raw.rewrite.is_absent() || rewrite.is_some()) {
            self.refuse_unreachable(&operations, &outgoing(matcher.path.literal_prefix(), rewrite.as_ref()));
        }
        let own_tokens = !matches!(&token, Some(TokenSource { issuer: IssuerRef::Named(_), .. }));
        let scope = Scope { injects, own_tokens, shared_state: known.shared_state };
        let (our_faults, accept_expired_may_unseal) = self.route_faults(raw.our_faults.good(), known.our_faults, scope);
        if let (false, SharedStateDown::CountLocally, Some(at)) =
            (ceilings.is_empty(), our_faults.shared_state_down, raw.our_faults.at.filter(|_| known.shared_state))
        {
            let fault =
                Fault::new("while the shared state is away, each gateway lets the whole of every ceiling through");
            self.warn(
                at,
                "ceiling_counted_locally",
                fault.hint("write shared_state_down: refuse, or take the line out"),
            );
        }
        let danger_inject_unattested = self.flag(&raw.danger_inject_unattested, false);
        if let (true, false, Some(at)) = (danger_inject_unattested, injects, raw.danger_inject_unattested.at) {
            let fault = Fault::new("`danger_inject_unattested` does nothing on a route without a key");
            self.refuse(at, "does_nothing", fault.hint("take the line out"));
        }
        let guard_body = self.flag(&raw.guard_body, injects);
        match (guard_body, injects, raw.guard_body.at) {
            (true, false, Some(at)) => {
                let fault = Fault::new("`guard_body` searches responses for the key, and this route has none");
                self.refuse(at, "does_nothing", fault.hint("take the line out"));
            }
            (false, true, Some(at)) => {
                let fault = Fault::new("an upstream that echoes the key in a body now hands it to the client");
                self.warn(at, "unguarded_body", fault.hint("take the line out, unless you know that it never does"));
            }
            _ => {}
        }
        let retry_unauthorized = self.flag(&raw.retry_unauthorized, false);
        if let (true, Some(at)) = (retry_unauthorized, raw.retry_unauthorized.at) {
            if injects {
                let fault =
                    Fault::new("an API that refuses requests for reasons of its own is sent some of them twice");
                self.warn(
                    at,
                    "sent_twice",
                    fault.hint("take the line out once the key is rotated by `assay key rotate`"),
                );
            } else {
                let fault = Fault::new("`retry_unauthorized` does nothing on a route without a key");
                self.refuse(at, "does_nothing", fault.hint("take the line out"));
            }
        }
        let callers = self.route_callers(&raw.callers, token.as_ref(), known);
        let user = raw.user.good().map(|(user, at)| self.route_user(user, at, token.as_ref(), known));
        // Another issuer's tokens may name them.
        let device_ids = !own_tokens || known.own_devices;
        let about = RouteContext {
            injects,
            danger_inject_unattested,
            trusts_proxies: known.trusts_proxies,
            now: known.now,
            path: matcher.as_ref().map(|matcher| &matcher.path),
            lists: known.lists,
            callers: self.callers_of(&raw.policy, &callers, known),
            user: !raw.user.is_absent(),
            device_ids,
            ..RouteContext::new(name)
        };
        let policy = self.need(&raw.policy, owner, "policy", "policies/shop.yaml").and_then(|(policy, _)| {
            let node = self.notes.subtrees.borrow().get(policy.0.0).copied()?;
            self.policy(node, &about)
        });
        let candidate =
            self.candidate(raw, &RouteContext { callers: self.callers_of(&raw.candidate, &callers, known), ..about });
        let rate_limit_headers = self.rate_limit_headers(&raw.rate_limit_headers, policy.as_deref());
        let guard = self.guard(&raw.guard, injects, device_ids);
        Some(RouteSettings {
            name: name.to_owned(),
            rewrite,
            upstream: upstream?,
            key,
            token: token?,
            operations: operations.into_iter().map(|(operation, _)| operation).collect(),
            ceilings,
            user: match user {
                Some(user) => Some(user?),
                None => None,
            },
            policy: policy?,
            candidate,
            guard,
            rate_limit_headers,
            our_faults,
            danger_inject_unattested,
            identity_headers: self.flag(&raw.identity_headers, !injects),
            guard_body,
            retry_unauthorized,
            accept_expired_may_unseal,
            matcher: matcher?,
            callers,
        })
    }

    fn exists(&self, what: &str, name: &str, names: &[&str], at: Place) {
        if names.contains(&name) {
            return;
        }
        let fault = Fault::new(format!("there is no {what} `{name}`"));
        self.refuse(
            at,
            "unknown_name",
            match nearest(name, names) {
                Some(near) => fault.hint(format!("did you mean `{near}`?")),
                None if names.is_empty() => fault.hint(format!("add it under `{what}s`")),
                None => fault.hint(format!("there are {}; or add it under `{what}s`", listed(names))),
            },
        );
    }

    fn matcher(&self, raw: &RawMatch, owner: Place) -> Option<RouteMatcher> {
        let path = self.need(&raw.path, owner, "path", "\"/**\"");
        if raw.host.value.is_none() && !raw.host.is_absent() {
            return None;
        }
        let host = raw.host.value.as_ref().map_or(HostPattern::Any, |Hosts(host)| host.clone());
        let (Paths(path), _) = path?;
        Some(RouteMatcher { host, path: path.clone() })
    }

    fn rewrite(&self, raw: &RawRewrite, owner: Place, matcher: Option<&RouteMatcher>) -> Option<Rewrite> {
        if raw.strip.is_absent() && raw.add.is_absent() {
            self.refuse(
                owner,
                "does_nothing",
                Fault::new("`rewrite` without `strip` and `add` does nothing")
                    .hint("take it out, or write strip: /openai"),
            );
            return None;
        }
        if let (Some((Prefix(strip), at)), Some(matcher)) = (raw.strip.good(), matcher) {
            // Every path that the route takes must begin with the prefix, or it would go upstream unstripped.
            let literal = matcher.path.literal_prefix();
            let covered =
                literal.strip_prefix(strip.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if !covered {
                let fault = Fault::new(format!("not every path of `{}` begins with `{strip}`", matcher.path.as_str()));
                self.refuse(at, "strip_outside_match", fault.hint(format!("write match: {{ path: \"{strip}/**\" }}")));
                return None;
            }
        }
        let text = |field: &Field<Prefix>| field.value.as_ref().map_or_else(String::new, |prefix| prefix.0.clone());
        Some(Rewrite { strip: text(&raw.strip), add: text(&raw.add) })
    }

    /// An operation that no request of this route can become: most often `rewrite` was forgotten. `prefix`: what all paths of the
    /// route begin with when they go upstream.
    fn refuse_unreachable(&self, operations: &[Placed], prefix: &str) {
        for (operation, at) in operations {
            if !one_begins_with_other(operation.path().literal_prefix(), prefix) {
                let fault = Fault::new(format!(
                    "no request of this route goes to `{}`: all go below `{prefix}`",
                    operation.path().as_str()
                ));
                self.refuse(
                    *at,
                    "unreachable_operation",
                    fault.hint("write the path as the upstream sees it, after `rewrite`; or add rewrite: { strip: … }"),
                );
            }
        }
    }
}

/// What an operation by its name alone may be one of.
fn named_by<'a>(raw: &RawRoute, known: &Known<'a>) -> Vocabulary<'a> {
    let upstream = raw.upstream.good().and_then(|(Name(name), _)| known.good_upstreams.get(name));
    match upstream.map(|upstream| &upstream.preset) {
        Some(Some(preset)) => Vocabulary::Preset(preset),
        Some(None) => Vocabulary::Empty,
        None => Vocabulary::Unknown,
    }
}

/// What the fixed beginning of a route's paths becomes on its way upstream.
fn outgoing(prefix: &str, rewrite: Option<&Rewrite>) -> String {
    match rewrite {
        Some(rewrite) => format!("{}{}", rewrite.add, prefix.strip_prefix(rewrite.strip.as_str()).unwrap_or(prefix)),
        None => prefix.to_owned(),
    }
}

/// Whether one path lies at or below the other, by whole segments.
fn one_begins_with_other(one: &str, other: &str) -> bool {
    let below = |long: &str, short: &str| {
        long.strip_prefix(short.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(one, other) || below(other, one)
}
