//! The two files that an operator would have written.

use super::{LEEWAY_SECONDS, TOKEN_SECONDS};

/// The service's configuration.
pub(super) fn service_yaml(port: u16) -> String {
    format!(
        r#"assay: 1
state: {{ dir: service-state }}
attestation:
  serve:
    address: 127.0.0.1:{port}
    gateway_token_file: gateway.token
    unlock: {{ file: service-unlock.key }}
  token:
    issuer: https://attest.demo
    audience: api.demo
    lifetime: {TOKEN_SECONDS}s
  apps:
    shop:
      linux:
        require: [measurement]
        # Whoever holds the app's file can compute its measurement: tamper evidence, not proof. Scene 11 plays that.
        danger_affirm_measurement_alone: true
"#
    )
}

/// The gateway's configuration.
pub(in crate::demo) fn gateway_yaml(api: &str, service_url: &str) -> String {
    format!(
        r#"assay: 1
listeners:
  public: {{ address: 127.0.0.1:0 }}
  admin: {{ address: 127.0.0.1:0 }}
state: {{ dir: gateway-state }}
attestation:
  remote:
    url: {service_url}
    gateway_token_file: gateway.token
    feed_key_file: service-state/feed.pub
    refresh: 1s
  token: {{ issuer: https://attest.demo, audience: api.demo, lifetime: {TOKEN_SECONDS}s, leeway: {LEEWAY_SECONDS}s }}
issuers:
  approov:
    profile: approov
    keys: {{ secret_file: approov.secret, encoding: base64, algorithm: HS256 }}
    max_lifetime: 36500d                     # the published examples run to 2119
keys:
  store: keys.sealed
  unlock: {{ file: keys-unlock.key }}
upstreams:
  paid:
    url: http://{api}
    private_addresses: [127.0.0.0/8]
    danger_plaintext_loopback: true
  own:
    url: http://{api}
    private_addresses: [127.0.0.0/8]
    danger_plaintext_loopback: true
    concurrency: 16
routes:
  paid:
    match: {{ path: "/paid/**" }}
    rewrite: {{ strip: /paid }}
    upstream: paid
    key: paid-api
    operations:
      - {{ call: "GET /v1/paid" }}
      - {{ call: "GET /v1/echo" }}
      - {{ call: "GET /v1/stream", query: {{ allow: [n, ms] }} }}
    ceilings: {{ key: {{ requests: 100000/1d }} }}
    our_faults: {{ service_down: {{ accept_expired: 10m }} }}
    policy:
      default: block
      rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}]
  strong:
    match: {{ path: "/strong/**" }}
    rewrite: {{ strip: /strong }}
    upstream: paid
    key: paid-api
    operations: [{{ call: "GET /v1/paid" }}]
    ceilings: {{ key: {{ requests: 100000/1d }} }}
    policy:
      default: block
      rules: [{{ name: vouched-for, when: {{ verdict: attested, tier: affirming, evidence: platform }}, then: allow }}]
  catalogue:
    match: {{ path: "/catalogue/**" }}
    rewrite: {{ strip: /catalogue }}
    upstream: own
    policy:
      default: block
      rules:
        - {{ name: genuine, when: {{ verdict: attested }}, then: allow }}
        - {{ name: for-anyone, when: {{ verdict: [missing, expired, failed, revoked, invalid], method: [GET, HEAD] }}, then: deprioritize }}
  monitored:
    match: {{ path: "/monitored/**" }}
    rewrite: {{ strip: /monitored }}
    upstream: own
    policy:
      default: block
      enforcement: monitor
      rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}]
  approov:
    match: {{ path: "/approov/**" }}
    rewrite: {{ strip: /approov }}
    upstream: own
    token: {{ issuer: approov }}
    policy:
      default: block
      rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}]
"#
    )
}
