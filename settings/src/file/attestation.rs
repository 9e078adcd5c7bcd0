//! `attestation:` and `issuers:` as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    apps::RawApp,
    listeners::RawTls,
    names::{ClaimText, FilePath, Name},
    network::{Address, Host, Url},
    requests::Prefix,
    units::Span,
};
use crate::shape::{Field, Table};

/// Our own tokens. Exactly one of `serve` and `remote`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Attestation")]
pub(crate) struct RawAttestation {
    /// The service is run from this file.
    #[serde(default)]
    pub(crate) serve: Field<RawServe>,
    /// The service runs elsewhere.
    #[serde(default)]
    pub(crate) remote: Field<RawRemote>,
    /// What tokens say and how long they live.
    pub(crate) token: Field<RawToken>,
    /// The apps that can be attested. Their builds are data: `assay app register`.
    #[serde(default)]
    pub(crate) apps: Field<Table<RawApp>>,
}

/// The attestation service, run from this file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Serve")]
pub(crate) struct RawServe {
    /// Host under which the public listener answers the API. Default: every host.
    #[serde(default)]
    pub(crate) host: Field<Host>,
    /// Path prefix of the API. Default: /assay/v1.
    #[serde(default)]
    pub(crate) path: Field<Prefix>,
    /// A listener of its own. Default: none, the API is reached through the public listener.
    #[serde(default)]
    pub(crate) address: Field<Address>,
    /// TLS of that listener. Not on loopback it is needed.
    #[serde(default)]
    pub(crate) tls: Field<RawTls>,
    /// File with the bearer token by which gateways elsewhere fetch key sets. Default: there are none.
    #[serde(default)]
    pub(crate) gateway_token_file: Field<FilePath>,
    /// What opens the service's own secrets. Default: the file of `keys.unlock`.
    #[serde(default)]
    pub(crate) unlock: Field<RawServiceUnlock>,
    /// Answers leave at a multiple of this after arrival, so that they tell nothing by their time: 1ms to 1s. Default: 25ms.
    #[serde(default)]
    pub(crate) quantum: Field<Span>,
    /// How long a challenge can be used: 5s to 10m. Default: 60s.
    #[serde(default)]
    pub(crate) challenge_life: Field<Span>,
    /// What clients may cost.
    #[serde(default)]
    pub(crate) limits: Field<RawServeLimits>,
    /// The admin API, under /admin/v1, for `assay --remote`. Default: none; commands on this machine need none.
    #[serde(default)]
    pub(crate) admin: Field<RawServeAdmin>,
}

/// The admin API of the service. Its tokens: `assay admin token`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServeAdmin")]
pub(crate) struct RawServeAdmin {
    /// Address and port. Not on loopback it needs tls.
    pub(crate) address: Field<Address>,
    /// TLS of that listener.
    #[serde(default)]
    pub(crate) tls: Field<RawTls>,
}

/// What clients of the service may cost. There is no "unlimited".
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServeLimits")]
pub(crate) struct RawServeLimits {
    /// Challenges and attestations of one address (IPv6: /64) in a minute: 1 to 1000000. Default: 120.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) per_address_per_minute: Field<u64>,
    /// Attestations appraised at once: 1 to 10000. Default: 64.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) concurrency: Field<u64>,
    /// Challenges open at once: 100 to 10000000. Default: 100000.
    #[serde(default)]
    #[schemars(range(min = 100, max = 10_000_000))]
    pub(crate) open_challenges: Field<u64>,
}

/// The attestation service, elsewhere.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Remote")]
pub(crate) struct RawRemote {
    /// Base of its API: `https://attest.example.com/assay/v1`. Plain http on loopback only.
    pub(crate) url: Field<Url>,
    /// File with the bearer token that the service knows as its gateway token.
    pub(crate) gateway_token_file: Field<FilePath>,
    /// The service's feed.pub, copied from its state folder: pins who signs key sets.
    pub(crate) feed_key_file: Field<FilePath>,
    /// Time between fetches of key sets: 1s to 1h. Default: 10s.
    #[serde(default)]
    pub(crate) refresh: Field<Span>,
    /// Time between fetches of revocations: 500ms to 1m. Default: 2s.
    #[serde(default)]
    pub(crate) revocations_every: Field<Span>,
    /// Roots of its certificate, as PEM. Default: the public ones.
    #[serde(default)]
    pub(crate) ca_file: Field<FilePath>,
}

/// What result tokens say and how long they live.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Token")]
pub(crate) struct RawToken {
    /// Name of the key set. Default: default.
    #[serde(default)]
    pub(crate) key_set: Field<Name>,
    /// `iss` of every token.
    pub(crate) issuer: Field<ClaimText>,
    /// `aud` of every token: the API they are for.
    pub(crate) audience: Field<ClaimText>,
    /// Life of a token, whole seconds: 1s to 1h. Default: 5m.
    #[serde(default)]
    pub(crate) lifetime: Field<Span>,
    /// Tolerance for clocks that differ, 1s to 5m. Default: 30s.
    #[serde(default)]
    pub(crate) leeway: Field<Span>,
    /// How tokens are signed. Default: HS256.
    #[serde(default)]
    pub(crate) algorithm: Field<AlgorithmWord>,
    /// How the token of a failed app differs. decoy (HMAC only): it is signed with another key, which only gateways can
    /// tell. sealed (not HMAC): it says so in a claim that only gateways can open, and no JWT library takes it. open (not
    /// HMAC): a failed app gets none, and any JWT library can check the others. Default: decoy.
    #[serde(default)]
    pub(crate) concealment: Field<ConcealmentWord>,
    /// Optional claims.
    #[serde(default)]
    pub(crate) claims: Field<RawClaims>,
}

/// How the token of a failed app differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum ConcealmentWord {
    Decoy,
    Sealed,
    Open,
}

/// Optional claims. None depends on whether the app passed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Claims")]
pub(crate) struct RawClaims {
    /// `app`. Default: true.
    #[serde(default)]
    pub(crate) app: Field<bool>,
    /// `ver`. Default: true.
    #[serde(default)]
    pub(crate) ver: Field<bool>,
    /// `ip`, the address that asked. Default: false.
    #[serde(default)]
    pub(crate) ip: Field<bool>,
    /// `did`, the device's id in this key set; what limits per device and bans go by. Default: true.
    #[serde(default)]
    pub(crate) did: Field<bool>,
    /// `cnf`, the thumbprint of the device key: tokens then need a proof of possession. Default: false.
    #[serde(default)]
    pub(crate) cnf: Field<bool>,
    /// `ipk`, the device key itself, as Approov names it: tokens then need a proof of possession. Default: false.
    #[serde(default)]
    pub(crate) ipk: Field<bool>,
}

/// Another issuer whose tokens some routes accept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Issuer")]
pub(crate) struct RawIssuer {
    /// Whose rules its tokens follow. approov: header Approov-Token, bindings concatenated. jwt: a plain JWT with exp.
    pub(crate) profile: Field<ProfileWord>,
    /// The keys that its tokens are verified with.
    pub(crate) keys: Field<RawIssuerKeys>,
    /// `iss` that its tokens have to carry. Default: not asked.
    #[serde(default)]
    pub(crate) issuer: Field<ClaimText>,
    /// `aud` that its tokens have to carry. Default: not asked.
    #[serde(default)]
    pub(crate) audience: Field<ClaimText>,
    /// A token that lives longer than this from now is malformed: 1s to 54900d (150 years: published examples of some issuers never end).
    pub(crate) max_lifetime: Field<Span>,
    /// Tolerance for clocks that differ: 1s to 5m. Default: 30s.
    #[serde(default)]
    pub(crate) leeway: Field<Span>,
}

/// Whose rules a token follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum ProfileWord {
    Approov,
    Jwt,
}

/// The keys of an issuer. Exactly one of `secret_file`, `jwks_file` and `pem_file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IssuerKeys")]
pub(crate) struct RawIssuerKeys {
    /// A shared secret; not readable by others.
    #[serde(default)]
    pub(crate) secret_file: Field<FilePath>,
    /// How the bytes of `secret_file` are written.
    #[serde(default)]
    pub(crate) encoding: Field<EncodingWord>,
    /// A JWK set (RFC 7517).
    #[serde(default)]
    pub(crate) jwks_file: Field<FilePath>,
    /// One public key as PEM.
    #[serde(default)]
    pub(crate) pem_file: Field<FilePath>,
    /// The one algorithm of `secret_file` or `pem_file`.
    #[serde(default)]
    pub(crate) algorithm: Field<AlgorithmWord>,
}

/// How the bytes of a secret file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum EncodingWord {
    Base64,
    Base64url,
    Raw,
}

/// A signature algorithm of RFC 7518 or RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) enum AlgorithmWord {
    HS256,
    HS384,
    HS512,
    ES256,
    ES384,
    RS256,
    PS256,
    EdDSA,
}

/// The key-encryption key of the service's own secrets. Back it up elsewhere: without it a new state folder means new
/// signing keys and new device ids.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServiceUnlock")]
pub(crate) struct RawServiceUnlock {
    /// File with 32 bytes, raw or as base64; not readable by others.
    pub(crate) file: Field<FilePath>,
}
