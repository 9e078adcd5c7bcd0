//! `routes:` which requests go where, under which policy, and with which key.

use std::{sync::Arc, time::Duration};

use attest_core::target::PathGlob;
use http::HeaderName;
use operations::Operation;
use policies::{Limit, ResultPolicy};

use super::{OurFaults, UserSource};

/// One route, compiled.
#[derive(Clone, Debug)]
pub struct RouteSettings {
    /// Its name in the file; what log and metrics call it.
    pub name: String,
    /// Which requests are its own.
    pub matcher: RouteMatcher,
    /// How the path changes on its way upstream; absent: not at all.
    pub rewrite: Option<Rewrite>,
    /// A name in [`Settings::upstreams`](super::Settings::upstreams).
    pub upstream: String,
    /// The key of the keystore that is injected; absent: none.
    pub key: Option<String>,
    /// Where the token is and who issued it.
    pub token: TokenSource,
    /// All that may be called, *after* `rewrite`; the rest is 404. Empty: everything (never with a key).
    pub operations: Vec<Operation>,
    /// What every request with the key counts under, beside the limits of its rule: [`Per::Device`](policies::Per::Device)
    /// or [`Per::Key`](policies::Per::Key), [`Count::Fixed`](policies::Count::Fixed), at most six. Their counts are their own:
    /// a limit of a policy never draws on them. Empty: none; always so without a key.
    pub ceilings: Vec<Limit>,
    /// Callers that are no apps, each a name in [`Settings::callers`](super::Settings::callers), all different. Default
    /// none: nobody else is known here.
    pub callers: Vec<String>,
    /// The user's own JWT; absent: none is looked at.
    pub user: Option<UserSource>,
    /// Who may do what.
    pub policy: Arc<ResultPolicy>,
    /// A policy that is asked beside `policy` and answers nobody; what it would do is counted.
    pub candidate: Option<Arc<ResultPolicy>>,
    /// When enforcement gives way by itself; absent: never. Default on, with [`GuardSettings::default`]; absent on a route
    /// with a key, which nothing ever loosens.
    pub guard: Option<GuardSettings>,
    /// Whether answers that are let through say what is left of a limit (`RateLimit`). Default false: they would tell which
    /// rule let a request in. A 429 always says it.
    pub rate_limit_headers: bool,
    /// The fail-safe matrix, with this route's overrides.
    pub our_faults: OurFaults,
    /// Lets unattested requests have the key, if the policy lets them through. Only with a key.
    pub danger_inject_unattested: bool,
    /// `X-Assay-Verdict`, `-Device`, `-App`, `-Version` to the upstream. Default: true without a key, false with one.
    pub identity_headers: bool,
    /// Whether response bodies are searched for the key. Default: true with a key, false without.
    pub guard_body: bool,
    /// `retry_unauthorized:` where the API refuses the current version of the key, the next one is tried.
    pub retry_unauthorized: bool,
    /// Whether a token accepted by `accept_expired` may still have the key: the route named `accept_expired` itself.
    pub accept_expired_may_unseal: bool,
}

/// `guard:` enforcement goes back to monitor by itself when devices are refused that were attested in the last day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardSettings {
    /// Percent of those devices that may be refused: 1 to 100. Default 5.
    pub share: u8,
    /// Over which time: 1 min to 1 h. Default 10 min.
    pub window: Duration,
    /// Fewer devices than this in `window` say nothing: 10 to 10 000. Default 100.
    pub devices: u32,
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self { share: 5, window: Duration::from_secs(600), devices: 100 }
    }
}

/// `match:` exact hosts win over `*.suffix`, that over any; then the longer literal path wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMatcher {
    /// Which hosts.
    pub host: HostPattern,
    /// Which canonical paths.
    pub path: PathGlob,
}

/// Hosts, compared in lower case without port and trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// `*.example.com`: any name *below*; held as `.example.com`.
    Suffix(String),
    /// No `host` was given.
    Any,
}

impl HostPattern {
    /// Whether `host` (lower case, no port, no trailing dot) is covered.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Self::Any => true,
        }
    }
}

/// `rewrite:` first strip, then add. Both start with `/` and end without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Prefix taken off; whole segments. May be empty.
    pub strip: String,
    /// Prefix put on. May be empty.
    pub add: String,
}

/// `token:` where the token is and who issued it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource {
    /// Places, at most one of which a request may fill. Never empty.
    pub from: Vec<Source>,
    /// Whether a token in a header may be preceded by `Bearer ` (the Approov profile).
    pub optional_bearer_prefix: bool,
    /// Whose tokens.
    pub issuer: IssuerRef,
    /// Headers whose values, in this order, the token must be bound to (`pay`). Empty: no binding.
    pub bind: Vec<HeaderName>,
    /// Lets tokens without `pay` through although `bind` is set.
    pub danger_pay_optional: bool,
    /// Takes tokens that name a key (`cnf`, `ipk`) without a proof that the sender has it. Default false.
    pub bearer_ok: bool,
    /// Whether the token is forwarded upstream. Default false.
    pub forward: bool,
    /// Takes tokens with the annotation `dev` (enrolled devices, `assay token issue`). Default false.
    pub allow_dev: bool,
}

/// One place where a token may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The whole value of this header.
    Header(HeaderName),
    /// `Authorization: Bearer …`.
    Bearer,
    /// This query parameter.
    Query(String),
}

/// Whose tokens a route accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerRef {
    /// Our own, from `attestation:`.
    Own,
    /// A name in [`Settings::issuers`](super::Settings::issuers).
    Named(String),
}
