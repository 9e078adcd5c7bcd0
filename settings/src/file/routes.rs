//! `routes:` and `our_faults:` as they are written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use super::{
    callers::RawUser,
    ceilings::RawCeilings,
    names::Name,
    network::Hosts,
    operations::RawOperations,
    requests::{Header, Paths, Place, Prefix},
    units::{Percent, Span},
};
use crate::shape::{Either, Field, Subtree};

/// Which requests go where, under which policy, and with which key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Route")]
pub(crate) struct RawRoute {
    /// Which requests are its own.
    #[serde(rename = "match")]
    pub(crate) matcher: Field<RawMatch>,
    /// How the path changes on its way upstream. Default: not at all.
    #[serde(default)]
    pub(crate) rewrite: Field<RawRewrite>,
    /// The upstream, by name.
    pub(crate) upstream: Field<Name>,
    /// The key that is injected, by its name in the store. Such a route needs `operations`. Default: none.
    #[serde(default)]
    pub(crate) key: Field<Name>,
    /// Where the token is and who issued it.
    #[serde(default)]
    pub(crate) token: Field<RawRouteToken>,
    /// All that may be called; the rest is 404. A call, or the name of one that the upstream's preset has; all: any call,
    /// with a warning. Default: everything, on routes without a key.
    #[serde(default)]
    pub(crate) operations: Field<RawOperations>,
    /// The most that the key is used here, whatever the policy says. Only with a key. Default: none.
    #[serde(default)]
    pub(crate) ceilings: Field<RawCeilings>,
    /// Callers that are no apps: names among `callers`. What each may do, rules say with `caller:`. Default: none.
    #[serde(default)]
    pub(crate) callers: Field<Vec<Field<Name>>>,
    /// The user's own JWT, verified beside the app's token. Rules ask for it with `user:`. Default: none is looked at.
    #[serde(default)]
    pub(crate) user: Field<RawUser>,
    /// Who may do what: a policy, or the path of a file with one.
    pub(crate) policy: Field<RawPolicyRef>,
    /// A policy that is asked beside `policy` and changes no answer; the differences are counted. Default: none.
    #[serde(default)]
    pub(crate) candidate: Field<RawPolicyRef>,
    /// Turns enforcement back to monitor by itself when devices are refused that were attested in the last day; disabled:
    /// never. Not on a route with a key. Default: on.
    #[serde(default)]
    pub(crate) guard: Field<Either<GuardWord, RawGuard>>,
    /// Says in answers that are let through what is left of a limit (RateLimit): it then shows which rule let a request in.
    /// 429 always says it. Default: false.
    #[serde(default)]
    pub(crate) rate_limit_headers: Field<bool>,
    /// Overrides of the file's `our_faults`.
    #[serde(default)]
    pub(crate) our_faults: Field<RawOurFaults>,
    /// Lets unattested requests have the key, if the policy lets them through. Whoever finds the URL then spends your
    /// money. Default: false.
    #[serde(default)]
    pub(crate) danger_inject_unattested: Field<bool>,
    /// Sends X-Assay-Verdict, -Device, -App and -Version upstream. Default: true, with a key false.
    #[serde(default)]
    pub(crate) identity_headers: Field<bool>,
    /// Searches response bodies for the key and masks it. Default, and only possible, with a key: true.
    #[serde(default)]
    pub(crate) guard_body: Field<bool>,
    /// Where the API answers 401 to the current version of the key, tries the next one, once for a request and once a minute
    /// for a key; only requests whose body is still at hand. Default false.
    #[serde(default)]
    pub(crate) retry_unauthorized: Field<bool>,
}

/// When enforcement gives way by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Guard")]
pub(crate) struct RawGuard {
    /// Share of devices attested in the last day that may be refused: 1% to 100%, whole. Default: 5%.
    #[serde(default)]
    pub(crate) share: Field<Percent>,
    /// Over which time: 1m to 1h. Default: 10m.
    #[serde(default)]
    pub(crate) window: Field<Span>,
    /// With fewer such devices in `window` it says nothing: 10 to 10000. Default: 100.
    #[serde(default)]
    #[schemars(range(min = 10, max = 10_000))]
    pub(crate) devices: Field<u64>,
}

/// No guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum GuardWord {
    Disabled,
}

/// Which requests are a route's own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Match")]
pub(crate) struct RawMatch {
    /// Default: every host.
    #[serde(default)]
    pub(crate) host: Field<Hosts>,
    /// Which paths, as they arrive.
    pub(crate) path: Field<Paths>,
}

/// How the path changes on its way upstream: first strip, then add.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rewrite")]
pub(crate) struct RawRewrite {
    /// Prefix that is taken off. Default: none.
    #[serde(default)]
    pub(crate) strip: Field<Prefix>,
    /// Prefix that is put on. Default: none.
    #[serde(default)]
    pub(crate) add: Field<Prefix>,
}

/// Where the token is and who issued it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RouteToken")]
pub(crate) struct RawRouteToken {
    /// Places, of which a request may fill one. Default: [Assay-Token], for an approov issuer [Approov-Token].
    #[serde(default)]
    pub(crate) from: Field<Vec<Field<Place>>>,
    /// Whose tokens: own, or a name among `issuers`. Default: own.
    #[serde(default)]
    pub(crate) issuer: Field<Name>,
    /// Headers whose values tokens have to be bound to, in this order. Default: none.
    #[serde(default)]
    pub(crate) bind: Field<Vec<Field<Header>>>,
    /// Lets tokens without a binding through although `bind` names headers. Default: false.
    #[serde(default)]
    pub(crate) danger_pay_optional: Field<bool>,
    /// Takes tokens that name a key (`cnf`, or Approov's `ipk`) without a proof that the sender has it. Default: false.
    #[serde(default)]
    pub(crate) bearer_ok: Field<bool>,
    /// Forwards the token upstream. Default: false.
    #[serde(default)]
    pub(crate) forward: Field<bool>,
    /// Takes tokens of enrolled devices and of `assay token issue`, which say nothing about an app. Default: false.
    #[serde(default)]
    pub(crate) allow_dev: Field<bool>,
}

/// What happens when the fault is ours and not the client's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OurFaults")]
pub(crate) struct RawOurFaults {
    /// No usable key set. refuse: 503 with Retry-After. deprioritize: let through at the lowest class; never with a key.
    /// Default: refuse.
    #[serde(default)]
    pub(crate) cannot_verify: Field<CannotVerifyWord>,
    /// No token can be renewed.
    #[serde(default)]
    pub(crate) service_down: Field<RawServiceDown>,
    /// Key sets can't be fetched.
    #[serde(default)]
    pub(crate) key_sets: Field<RawKeySets>,
    /// Revocations can't be fetched.
    #[serde(default)]
    pub(crate) revocations: Field<RawRevocations>,
    /// The state that several machines share is away. count_locally: each gateway counts limits for itself. refuse: 503
    /// where a limit would be counted. Default: count_locally, on a route with a key refuse.
    #[serde(default)]
    pub(crate) shared_state_down: Field<SharedDownWord>,
}

/// The answer to a request that can't be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum CannotVerifyWord {
    Refuse,
    Deprioritize,
}

/// No token can be renewed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServiceDown")]
pub(crate) struct RawServiceDown {
    /// Tokens that we issued live this much longer, while none can be renewed and never beyond a revocation: 1s to 24h.
    /// Default: they don't. A route with a key has to name it itself.
    pub(crate) accept_expired: Field<Span>,
}

/// Key sets can't be fetched.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeySets")]
pub(crate) struct RawKeySets {
    /// Key sets older than this are not used any more: 1m to 30d. Default: 24h.
    pub(crate) refuse_after: Field<Span>,
}

/// Revocations can't be fetched: somebody who was banned may still hold a token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Revocations")]
pub(crate) struct RawRevocations {
    /// Revocations older than this are told in log and metrics: 10s to 1d. Default: 5m.
    #[serde(default)]
    pub(crate) alert_after: Field<Span>,
    /// Our own tokens are not taken any more when revocations are older than this: 1m to 30d. Default: 24h, on a route
    /// with a key at most 15m unless it says so itself.
    #[serde(default)]
    pub(crate) refuse_after: Field<Span>,
}

/// What happens to limits while the shared state is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum SharedDownWord {
    CountLocally,
    Refuse,
}

/// A policy where it is used, or the path of the file that has it. Which of the two is seen from the node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawPolicyRef(pub(crate) Subtree);

impl<'de> Deserialize<'de> for RawPolicyRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Subtree::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for RawPolicyRef {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PolicyRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "anyOf": [
                { "type": "string", "minLength": 1, "description": "The path of a policy file, relative to this one." },
                { "$ref": "#/definitions/ResultPolicy" },
            ],
        })
    }
}
