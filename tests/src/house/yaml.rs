//! The house's two configuration files.
//!
//! In: where things are. Out: text as an operator would write it, with a route for each way of being treated.

/// How tokens are made where nothing else is said.
pub const USUAL_TOKENS: &str = "algorithm: HS256, concealment: decoy";

fn token_yaml(life: u32, made: &str) -> String {
    format!("token: {{ issuer: https://attest.example, audience: api.example, lifetime: {life}s, leeway: 1s, {made} }}")
}

/// A service of its own; `made` says how tokens are made.
#[must_use]
pub fn service_yaml(address: &str, life: u32, made: &str) -> String {
    let token = token_yaml(life, made);
    format!(
        r"assay: 1
state: {{ dir: service-state }}
attestation:
  serve:
    address: {address}
    gateway_token_file: secrets/gateway.token
    unlock: {{ file: secrets/service-unlock.key }}
    limits: {{ per_address_per_minute: 1000000 }}
    admin: {{ address: 127.0.0.1:0 }}
  {token}
  apps: {{ shop: {{ linux: {{ require: [measurement], danger_affirm_measurement_alone: true }} }} }}
"
    )
}

/// A gateway in front of `api`; with the service inside, unless it runs at `remote`.
#[must_use]
pub fn gateway_yaml(api: &str, remote: Option<&str>, life: u32, made: &str) -> String {
    let token = token_yaml(life, made);
    let attestation = match remote {
        Some(address) => format!(
            "remote: {{ url: \"http://{address}/assay/v1\", gateway_token_file: secrets/gateway.token, feed_key_file: service-state/feed.pub, refresh: 1s }}\n  {token}"
        ),
        None => format!(
            "serve: {{ path: /assay/v1, admin: {{ address: 127.0.0.1:0 }}, unlock: {{ file: secrets/service-unlock.key }}, limits: {{ per_address_per_minute: 1000000 }} }}\n  {token}\n  apps: {{ shop: {{ linux: {{ require: [measurement], danger_affirm_measurement_alone: true }} }} }}"
        ),
    };
    format!(
        r#"assay: 1
listeners:
  public: {{ address: 127.0.0.1:0, h2c: true }}
  probe: {{ address: 127.0.0.1:0 }}
  admin: {{ address: 127.0.0.1:0 }}
state: {{ dir: gateway-state }}
attestation:
  {attestation}
issuers:
  approov:
    profile: approov
    keys: {{ secret_file: secrets/approov.secret, encoding: base64, algorithm: HS256 }}
    max_lifetime: 36500d
keys:
  store: keys.sealed
  unlock: {{ file: secrets/keys-unlock.key }}
upstreams:
  vendor: {{ url: "http://{api}", private_addresses: [127.0.0.0/8], danger_plaintext_loopback: true }}
  own: {{ url: "http://{api}", private_addresses: [127.0.0.0/8], danger_plaintext_loopback: true }}
routes:
  paid:
    match: {{ path: "/paid/**" }}
    rewrite: {{ strip: /paid }}
    upstream: vendor
    key: vendor
    operations:
      - {{ call: "GET /v1/**", query: any }}
      - {{ call: "POST /v1/echo", body: {{ limit: 1KiB }} }}
    our_faults: {{ service_down: {{ accept_expired: 10m }} }}
    policy:
      default: block
      rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}]
  own:
    match: {{ path: "/own/**" }}
    upstream: own
    policy:
      default: block
      rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}]
  dev:
    match: {{ path: "/dev/**" }}
    upstream: own
    token: {{ allow_dev: true }}
    policy:
      default: block
      rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}]
  free:
    match: {{ path: "/free/**" }}
    upstream: own
    policy:
      default: block
      rules:
        - {{ name: genuine, when: {{ verdict: attested }}, then: allow }}
        - {{ name: for-anyone, when: {{ verdict: any }}, then: deprioritize }}
  bound:
    match: {{ path: "/bound/**" }}
    upstream: own
    token: {{ bind: [Authorization] }}
    policy:
      default: block
      rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}]
  approov:
    match: {{ path: "/approov/**" }}
    upstream: own
    token: {{ issuer: approov }}
    policy:
      default: block
      rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}]
log: {{ access: stdout, level: info }}
"#
    )
}
