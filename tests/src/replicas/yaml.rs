//! The configuration files of [`super::Replicas`].
//!
//! In: where things are. Out: text as an operator would write it. Time-outs are longer than the defaults, since tests run
//! beside one another; what is measured (how soon a ban arrives) is as it is by default.

use super::Replica;

const STATE: &str = "shared: { url_file: secrets/redis.url, timeout: 500ms }";
const TOKEN: &str = "token: { issuer: https://attest.example, audience: api.example, lifetime: 5m, leeway: 1s }";

/// One of the services; its state folder has its name.
pub(super) fn service(name: &str, address: &str) -> String {
    format!(
        "assay: 1
listeners:
  probe: {{ address: 127.0.0.1:0 }}
  admin: {{ address: 127.0.0.1:0 }}
state:
  dir: {name}
  database: {{ url_file: secrets/database.url, connect_timeout: 1s, statement_timeout: 1s }}
  {STATE}
attestation:
  serve:
    address: {address}
    gateway_token_file: secrets/gateway.token
    unlock: {{ file: secrets/service-unlock.key }}
    limits: {{ per_address_per_minute: 1000000, concurrency: 1000 }}
    admin: {{ address: 127.0.0.1:0 }}
  {TOKEN}
  apps: {{ shop: {{ linux: {{ require: [measurement], danger_affirm_measurement_alone: true }} }} }}
"
    )
}

/// One of the gateways, which asks `service`; its state folder has its name.
///
/// Routes: `own` without a limit and `free` for anyone; `counted`, `strict` and `paid` with ten requests a minute, which do while the shared
/// state is away what their settings say, `paid` (it injects a key) what is the default for it.
pub(super) fn gateway(name: &str, of: &str, service: &Replica, api: &str, refresh: &str) -> String {
    let url = service.at.url();
    let limited = "policy:
      default: block
      rules: [{ name: genuine, when: { verdict: attested }, then: { allow: { limits: [{ requests: 10, per: address, window: 1m }] } } }]";
    format!(
        "assay: 1
listeners:
  public: {{ address: 127.0.0.1:0, trusted_proxies: [127.0.0.0/8] }}
  probe: {{ address: 127.0.0.1:0 }}
  admin: {{ address: 127.0.0.1:0 }}
state:
  dir: {name}
  {STATE}
attestation:
  remote: {{ url: \"{url}\", gateway_token_file: secrets/gateway.token, feed_key_file: {of}/feed.pub, refresh: {refresh} }}
  {TOKEN}
keys:
  store: keys.sealed
  unlock: {{ file: secrets/keys-unlock.key }}
upstreams:
  api: {{ url: \"http://{api}\", private_addresses: [127.0.0.0/8], danger_plaintext_loopback: true }}
routes:
  own:
    match: {{ path: \"/own/**\" }}
    upstream: api
    policy:
      default: block
      rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}]
  free:
    match: {{ path: \"/free/**\" }}
    upstream: api
    policy:
      default: block
      rules:
        - {{ name: genuine, when: {{ verdict: attested }}, then: allow }}
        - {{ name: for-anyone, when: {{ verdict: any }}, then: deprioritize }}
  counted:
    match: {{ path: \"/counted/**\" }}
    upstream: api
    {limited}
  strict:
    match: {{ path: \"/strict/**\" }}
    upstream: api
    our_faults: {{ shared_state_down: refuse }}
    {limited}
  paid:
    match: {{ path: \"/v1/**\" }}
    upstream: api
    key: vendor
    operations: [{{ call: \"GET /v1/**\" }}]
    {limited}
log: {{ access: stdout, level: info }}
"
    )
}
