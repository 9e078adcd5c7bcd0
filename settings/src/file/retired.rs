//! Keys that this version does not read, and what to do instead.
//!
//! A key that an operator may know from the design, from an older file or from another product must never be ignored:
//! who writes `ceilings:` believes in a ceiling. Each is refused with a sentence of its own.

use crate::shape::Fault;

/// Planned, and not part of this version: raw shape, key, what it would be, and what can be done today.
const PLANNED: [(&str, &str, &str, &str); 19] = [
    ("RawUpstream", "preset", "presets for well-known APIs", "write `url:` here, and the operations in each route"),
    ("RawUpstream", "proxy_protocol", "the PROXY protocol", "take the line out"),
    ("RawUpstream", "retries", "retries by configuration", "take the line out"),
    (
        "RawRoute",
        "ceilings",
        "ceilings per key, device and day",
        "set a limit at the vendor, and limits per device in the policy; then take `ceilings` out",
    ),
    (
        "RawRoute",
        "budgets",
        "budgets",
        "set a limit at the vendor, and limits per device in the policy; then take `budgets` out",
    ),
    ("RawRoute", "cors", "CORS by route", "take the line out"),
    ("RawRoute", "proof", "proof of possession", "take the line out: tokens are bearer tokens in this version"),
    (
        "RawBody",
        "one_of",
        "rules about fields of a body",
        "keep such calls out of `operations`, or let a backend of yours check them",
    ),
    (
        "RawBody",
        "cap",
        "rules about fields of a body",
        "keep such calls out of `operations`, or let a backend of yours check them",
    ),
    (
        "RawBody",
        "fixed",
        "rules about fields of a body",
        "keep such calls out of `operations`, or let a backend of yours check them",
    ),
    (
        "RawBody",
        "required",
        "rules about fields of a body",
        "keep such calls out of `operations`, or let a backend of yours check them",
    ),
    (
        "RawBody",
        "require",
        "rules about fields of a body",
        "keep such calls out of `operations`, or let a backend of yours check them",
    ),
    ("RawDocument", "callers", "callers that are not apps", "give them a route of their own"),
    ("RawDocument", "lists", "named lists of networks", "write the networks into the policy's rule"),
    ("RawUnlock", "passphrase", "unlocking by passphrase", "write file: secrets/kek.key"),
    ("RawUnlock", "vault", "unlocking by a key service", "write file: secrets/kek.key"),
    ("RawUnlock", "kms", "unlocking by a key service", "write file: secrets/kek.key"),
    ("RawUnlock", "env", "unlocking from the environment", "write file: secrets/kek.key"),
    (
        "RawPublic",
        "proxy_protocol",
        "the PROXY protocol",
        "name the proxies in `trusted_proxies`; they send X-Forwarded-For",
    ),
];

/// Written elsewhere or under another name: raw shape, key, and what to write.
const ELSEWHERE: [(&str, &str, &str); 50] = [
    ("RawDocument", "version", "write assay: 1"),
    ("RawDocument", "listener", "write listeners:"),
    ("RawDocument", "listen", "write listeners: { public: { address: … } }"),
    ("RawDocument", "tls", "it belongs to a listener: listeners: { public: { tls: … } }"),
    ("RawDocument", "apps", "it belongs to attestation: attestation: { apps: … }"),
    ("RawDocument", "token", "it belongs to attestation: attestation: { token: … }"),
    ("RawDocument", "database", "it belongs to state: state: { dir: state, database: { url_file: … } }"),
    ("RawDocument", "shared", "it belongs to state: state: { dir: state, shared: { url_file: … } }"),
    ("RawDatabase", "password", "it is part of the address, in a file: url_file: secrets/database.url"),
    ("RawDatabase", "host", "it is part of url: postgres://assay@db.internal/assay?sslmode=require"),
    ("RawDatabase", "sslmode", "it is part of url: postgres://assay@db.internal/assay?sslmode=require"),
    ("RawShared", "password", "it is part of the address, in a file: url_file: secrets/redis.url"),
    ("RawShared", "host", "it is part of url: rediss://redis.internal"),
    ("RawShared", "tls", "it is part of url: rediss://redis.internal"),
    ("RawAppPlatform", "signer", "write signers: [\"sha256:…\"]"),
    ("RawRoute", "allow_dev", "it belongs to token: token: { allow_dev: true }"),
    (
        "RawServeAdmin",
        "token_file",
        "its tokens are kept as hashes in the database; the first one is made with a command on the service's machine",
    ),
    ("RawDocument", "policy", "it belongs to each route: routes: { shop: { policy: … } }"),
    ("RawDocument", "policies", "a policy belongs to each route: routes: { shop: { policy: policies/shop.yaml } }"),
    ("RawDocument", "keystore", "write keys: { store: …, unlock: { file: … } }"),
    ("RawDocument", "state_dir", "write state: { dir: … }"),
    ("RawDocument", "logging", "write log:"),
    ("RawDocument", "traces", "it belongs to log: log: { traces: { otlp: … } }"),
    ("RawLog", "otlp", "it belongs to traces: traces: { otlp: … }"),
    ("RawTraces", "endpoint", "write otlp:"),
    ("RawTraces", "url", "write otlp:"),
    ("RawPublic", "port", "it is part of address: 0.0.0.0:8443"),
    ("RawPublic", "bind", "write address: 0.0.0.0:8443"),
    ("RawTls", "cert", "write certificate:"),
    ("RawTls", "chain", "write certificate: the chain, leaf first"),
    ("RawTls", "private_key", "write key:"),
    ("RawAdmin", "token", "secrets stand in files: token_file: secrets/admin.token"),
    ("RawServe", "gateway_token", "secrets stand in files: gateway_token_file: secrets/gateway.token"),
    ("RawRemote", "gateway_token", "secrets stand in files: gateway_token_file: secrets/gateway.token"),
    ("RawRemote", "feed_key", "it stands in a file: feed_key_file: feed.pub"),
    ("RawIssuerKeys", "secret", "secrets stand in files: secret_file: secrets/issuer.secret"),
    ("RawIssuerKeys", "alg", "write algorithm:"),
    ("RawToken", "ttl", "write lifetime:"),
    ("RawUpstream", "host", "it is part of url: https://shop.internal:8443"),
    ("RawUpstream", "port", "it is part of url: https://shop.internal:8443"),
    ("RawUpstream", "timeout", "write timeouts: { connect: 2s, read: 60s }"),
    ("RawTimeouts", "first_byte", "write read: one timer holds for the head of a response and for each piece after it"),
    ("RawUpstream", "tls_verify", "certificates are always verified; for a private authority write ca_file:"),
    ("RawUpstream", "insecure", "certificates are always verified; for a private authority write ca_file:"),
    ("RawUpstream", "key", "a key belongs to a route: routes: { chat: { key: … } }"),
    ("RawRoute", "host", "it belongs to match: match: { host: …, path: … }"),
    ("RawRoute", "path", "it belongs to match: match: { host: …, path: … }"),
    ("RawRoute", "strip", "it belongs to rewrite: rewrite: { strip: … }"),
    ("RawRoute", "accept_expired", "write our_faults: { service_down: { accept_expired: 30m } }"),
    ("RawOurFaults", "accept_expired", "write service_down: { accept_expired: 30m }"),
];

/// Values that are planned where a map stands: raw shape, and what to write.
const VALUES: [(&str, &str); 6] = [
    ("RawRemote", "write { url: https://…, gateway_token_file: …, feed_key_file: … }"),
    ("RawUnlock", "write { file: secrets/kek.key }"),
    ("RawTraces", "write { otlp: http://127.0.0.1:4318 }"),
    ("RawDatabase", "write { url_file: secrets/database.url }"),
    ("RawShared", "write { url_file: secrets/redis.url }"),
    ("RawProbe", "write { address: 0.0.0.0:8081 }"),
];

/// Words that are planned, or natural to try: raw type, word, what is wrong with it, and what to write.
const WORDS: [(&str, &str, &str, &str); 10] = [
    ("EvidenceWord", "apple-app-attest", APPRAISED, "write measurement, for linux and android"),
    ("EvidenceWord", "apple-assertion", APPRAISED, "write measurement, for linux and android"),
    ("EvidenceWord", "play-integrity", APPRAISED, "write measurement, for linux and android"),
    ("EvidenceWord", "android-key", APPRAISED, "write measurement, for linux and android"),
    (
        "AlgorithmWord",
        "none",
        "tokens without a signature are never accepted",
        "write the algorithm that the issuer signs with",
    ),
    ("LevelWord", "debug", "more than `info` is compiled out: it would show injected keys", "write info"),
    ("LevelWord", "trace", "more than `info` is compiled out: it would show injected keys", "write info"),
    ("AccessWord", "off", "`off` is read as `false` by some tools", "write disabled"),
    ("AccessWord", "none", "`none` is not a place", "write disabled"),
    ("AccessWord", "false", "`false` is not a place", "write disabled"),
];

const APPRAISED: &str = "evidence of the platforms is planned; this version appraises `measurement` only";

/// The sentence for `word` where the raw type `of` stands, if it has one.
pub(crate) fn word(of: &str, word: &str) -> Option<Fault> {
    WORDS
        .iter()
        .find(|(name, known, ..)| *name == of && *known == word)
        .map(|(.., message, instead)| Fault::new(*message).hint(*instead))
}

/// The sentence for `key` in the raw shape `shape`, if it has one.
pub(crate) fn field(shape: &str, key: &str) -> Option<Fault> {
    // Derived code calls a shape by its Rust name.
    if let Some((.., what, instead)) = PLANNED.iter().find(|(of, name, ..)| *of == shape && *name == key) {
        return Some(
            Fault::new(format!("`{key}` is not part of this version, and is not read: {what}")).hint(*instead),
        );
    }
    ELSEWHERE
        .iter()
        .find(|(of, name, _)| *of == shape && *name == key)
        .map(|(.., instead)| Fault::new(format!("there is no field `{key}` here")).hint(*instead))
}

/// What to write where a map is expected and something else was found.
pub(crate) fn value(shape: &str) -> Option<&'static str> {
    VALUES.iter().find(|(of, _)| *of == shape).map(|(_, instead)| *instead)
}
