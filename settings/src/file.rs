//! The file as it is written: raw shapes, in its order.
//!
//! Private to this crate. Each derives `Deserialize`, which reads it, and `JsonSchema`, which describes it to editors;
//! the doc comments here are the descriptions that an operator sees there. What a value *means* (does the upstream
//! exist, is the file private) is decided in [`crate::check`].

pub(crate) mod apps;
pub(crate) mod attestation;
pub(crate) mod callers;
pub(crate) mod ceilings;
pub(crate) mod keys;
pub(crate) mod listeners;
pub(crate) mod lists;
pub(crate) mod names;
pub(crate) mod network;
pub(crate) mod operations;
pub(crate) mod requests;
pub(crate) mod retired;
pub(crate) mod routes;
pub(crate) mod state;
pub(crate) mod text;
pub(crate) mod units;
pub(crate) mod upstreams;

use schemars::JsonSchema;
use serde::Deserialize;

use self::{
    attestation::{RawAttestation, RawIssuer},
    callers::RawCaller,
    keys::RawKeys,
    listeners::RawListeners,
    lists::RawList,
    names::{FilePath, Name},
    network::Url,
    routes::{RawOurFaults, RawRoute},
    state::RawState,
    units::{Percent, Size},
    upstreams::RawUpstream,
};
use crate::shape::{Field, Table};

/// The configuration of an Assay gateway, attestation service, or both. Relative paths are relative to this file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "assay.yaml")]
pub(crate) struct RawDocument {
    /// Format of this file: 1.
    #[schemars(range(min = 1, max = 1))]
    pub(crate) assay: Field<u64>,
    /// Where this process listens. Needed where there are routes.
    #[serde(default)]
    pub(crate) listeners: Field<RawListeners>,
    /// The one folder that is written to, and what several machines share.
    pub(crate) state: Field<RawState>,
    /// Our own tokens: who issues them, and for which apps.
    #[serde(default)]
    pub(crate) attestation: Field<RawAttestation>,
    /// Other issuers whose tokens some routes accept.
    #[serde(default)]
    pub(crate) issuers: Field<Table<RawIssuer>>,
    /// Who may call and is no app: partners, machines, webhooks. Each proves who it is.
    #[serde(default)]
    pub(crate) callers: Field<Table<RawCaller>>,
    /// Networks, devices and paths that policies refer to by name.
    #[serde(default)]
    pub(crate) lists: Field<Table<RawList>>,
    /// The sealed store of third-party keys. Needed as soon as a route names a key.
    #[serde(default)]
    pub(crate) keys: Field<RawKeys>,
    /// What happens when the fault is ours and not the client's. Routes may override a row.
    #[serde(default)]
    pub(crate) our_faults: Field<RawOurFaults>,
    /// The APIs behind the gateway.
    #[serde(default)]
    pub(crate) upstreams: Field<Table<RawUpstream>>,
    /// Which requests go where. Most specific host, then most specific path wins; order is irrelevant; no match: 404.
    #[serde(default)]
    pub(crate) routes: Field<Table<RawRoute>>,
    /// What is told, and where.
    #[serde(default)]
    pub(crate) log: Field<RawLog>,
    /// Lets the system write core dumps of this process, and its user look into its memory. Both show every secret in use:
    /// keys, tokens, signing keys. Default: false.
    #[serde(default)]
    pub(crate) danger_core_dumps: Field<bool>,
}

/// What is told, and where. Never a token, key, body or query value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Log")]
pub(crate) struct RawLog {
    /// Where the access log goes, one JSON line a request. Default: stdout.
    #[serde(default)]
    pub(crate) access: Field<AccessWord>,
    /// The least severe message that is shown. Default: info.
    #[serde(default)]
    pub(crate) level: Field<LevelWord>,
    /// Sends traces of some requests to an OpenTelemetry collector. Without it there are none.
    #[serde(default)]
    pub(crate) traces: Field<RawTraces>,
    /// Writes redacted records of some decisions, for `assay policy test --replay`. Without it there are none.
    #[serde(default)]
    pub(crate) record: Field<RawRecord>,
}

/// Redacted records of some decisions: never a token, a query, a header's value or a whole address.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Record")]
pub(crate) struct RawRecord {
    /// The file that records are added to, one JSON line each. Its folder has to be there, or be that of `state`.
    pub(crate) file: Field<FilePath>,
    /// Share of decisions that are recorded. Default: 1%.
    #[serde(default)]
    pub(crate) share: Field<Percent>,
    /// At this size the file is renamed, in place of an older one, and a new one begins: 1MiB to 10GiB. Default: 100MiB.
    #[serde(default)]
    pub(crate) max_size: Field<Size>,
}

/// Traces of some requests, for an OpenTelemetry collector. A change of it takes effect at a restart.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Traces")]
pub(crate) struct RawTraces {
    /// The collector's base URL, OTLP over HTTP; /v1/traces is added. https, or http on loopback.
    pub(crate) otlp: Field<Url>,
    /// Share of requests that are traced. Default: 1%.
    #[serde(default)]
    pub(crate) sample: Field<Percent>,
    /// What this gateway is called in traces. Default: assay-gateway.
    #[serde(default)]
    pub(crate) service_name: Field<Name>,
}

/// A place for the access log.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum AccessWord {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere.
    Disabled,
}

/// A severity.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum LevelWord {
    /// Only what needs a person.
    Error,
    /// And what may soon.
    Warn,
    /// And what changed.
    Info,
}
