//! `listeners:` as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    names::FilePath,
    network::{Address, Network},
    units::{Size, Span},
};
use crate::shape::Field;

/// Where this process listens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Listeners")]
pub(crate) struct RawListeners {
    /// Clients: the routes, and the attestation API where it is served beside them.
    #[serde(default)]
    pub(crate) public: Field<RawPublic>,
    /// /livez and /readyz only: for kubelets and load balancers. May be open to a cluster.
    #[serde(default)]
    pub(crate) probe: Field<RawProbe>,
    /// Metrics, status, reload.
    #[serde(default)]
    pub(crate) admin: Field<RawAdmin>,
}

/// The listener that clients reach.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PublicListener")]
pub(crate) struct RawPublic {
    /// Address and port.
    pub(crate) address: Field<Address>,
    /// Certificate and private key. Absent: plaintext, for a listener behind something that speaks TLS.
    #[serde(default)]
    pub(crate) tls: Field<RawPublicTls>,
    /// Networks whose X-Forwarded-For is believed. Default: nobody's.
    #[serde(default)]
    pub(crate) trusted_proxies: Field<Vec<Field<Network>>>,
    /// Takes HTTP/2 with prior knowledge on a plaintext listener. Default: false.
    #[serde(default)]
    pub(crate) h2c: Field<bool>,
    /// What one connection may cost.
    #[serde(default)]
    pub(crate) limits: Field<RawConnectionLimits>,
}

/// Certificate and private key, as PEM. Reread when they change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tls")]
pub(crate) struct RawTls {
    /// The certificate chain, leaf first.
    pub(crate) certificate: Field<FilePath>,
    /// The private key; not readable by others.
    pub(crate) key: Field<FilePath>,
}

/// Certificate and private key of the listener that clients reach, as PEM. Reread when they change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PublicTls")]
pub(crate) struct RawPublicTls {
    /// The certificate chain, leaf first.
    pub(crate) certificate: Field<FilePath>,
    /// The private key; not readable by others.
    pub(crate) key: Field<FilePath>,
    /// Roots of client certificates, as PEM: clients are asked for a certificate and need none; one that does not chain to
    /// these ends the handshake. For callers with `client_certificate`. Default: none is asked for.
    #[serde(default)]
    pub(crate) client_ca_file: Field<FilePath>,
}

/// What one connection may cost. There is no "unlimited".
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConnectionLimits")]
pub(crate) struct RawConnectionLimits {
    /// Open connections, all clients together: 1 to 1000000. Default: 20000.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) connections: Field<u64>,
    /// A request head: 1KiB to 256KiB. Default: 32KiB.
    #[serde(default)]
    pub(crate) head: Field<Size>,
    /// Time for a whole request head: 100ms to 5m. Default: 10s.
    #[serde(default)]
    pub(crate) head_timeout: Field<Span>,
    /// Rest between two requests of a connection: 1s to 1h. Default: 60s.
    #[serde(default)]
    pub(crate) idle_timeout: Field<Span>,
    /// Between two pieces of a request body: 1s to 1h. Default: 60s.
    #[serde(default)]
    pub(crate) body_timeout: Field<Span>,
    /// For the client to take a piece of a response: 1s to 1h; on spare capacity a sixth of it. Default: 60s.
    #[serde(default)]
    pub(crate) write_timeout: Field<Span>,
    /// For open requests at shutdown: 1s to 1h. Default: 30s.
    #[serde(default)]
    pub(crate) drain: Field<Span>,
}

/// /livez and /readyz only.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProbeListener")]
pub(crate) struct RawProbe {
    /// Address and port.
    pub(crate) address: Field<Address>,
}

/// Metrics, status, reload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AdminListener")]
pub(crate) struct RawAdmin {
    /// Address and port. Not on loopback it needs token_file.
    pub(crate) address: Field<Address>,
    /// File with the bearer token that every request has to carry: 32 to 512 characters, not readable by others.
    #[serde(default)]
    pub(crate) token_file: Field<FilePath>,
}
