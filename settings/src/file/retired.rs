//! Keys that this version does not read, and what to do instead.
//!
//! A key that an operator may know from the design, from an older file or from another product must never be ignored:
//! who writes `budgets:` believes in a budget. Each is refused with a sentence of its own.

use crate::shape::Fault;

/// Planned, and not part of this version: raw shape, key, what it would be, and what can be done today.
const PLANNED: [(&str, &str, &str, &str); 6] = [
    ("RawUpstream", "proxy_protocol", "the PROXY protocol", "take the line out"),
    ("RawUpstream", "retries", "retries by configuration", "take the line out"),
    ("RawRoute", "budgets", "budgets beside the policy", COUNTED),
    ("RawRoute", "cors", "CORS by route", "take the line out"),
    ("RawRoute", "proof", "proof of possession", "take the line out: tokens are bearer tokens in this version"),
    (
        "RawPublic",
        "proxy_protocol",
        "the PROXY protocol",
        "name the proxies in `trusted_proxies`; they send X-Forwarded-For",
    ),
];

const COUNTED: &str = "write them as limits of the policy's rules, counted in whole windows: limits: [{ requests: 1000, per: device, window: 1d, count: fixed }]; tokens and bytes are always counted so";

/// Written elsewhere or under another name: raw shape, key, and what to write.
const ELSEWHERE: [(&str, &str, &str); 159] = [
    ("RawOperation", "method", "it is part of call: POST /v1/embeddings"),
    ("RawOperation", "path", "it is part of call: POST /v1/embeddings"),
    ("RawOperation", "rewrite", "write to: /v1/embeddings"),
    ("RawOperation", "limit", "it belongs to body: body: { limit: 64KiB }"),
    ("RawOperation", "model", "it is a field of the body: body: { limit: 64KiB, one_of: { /model: [gpt-4o-mini] } }"),
    ("RawOperation", "max_tokens", "it is a field of the body: body: { limit: 64KiB, cap: { /max_tokens: 1024 } }"),
    ("RawQuery", "any", "write query: any; or allow: any, with forbid or fixed beside it"),
    ("RawQuery", "required", "fix it, with fixed: { NAME: VALUE }, or let the API refuse what it needs"),
    ("RawBody", "max_size", "write limit: 64KiB"),
    ("RawBody", "max_bytes", "write limit: 64KiB"),
    ("RawBody", "require", "write required:"),
    ("RawBody", "max", "write cap:"),
    ("RawBody", "min", "a number has a cap and no floor; for a few values write one_of:"),
    ("RawBody", "allow", "write only:, for the members of the body; one_of:, for the values of one field"),
    ("RawBody", "when", "it belongs to conditional: conditional: [{ when: { … }, fixed: { … } }]"),
    ("RawBody", "enum", "write one_of:"),
    ("RawBody", "content_type", "write type: json, form or any"),
    ("RawCondition", "if", "write when:"),
    ("RawCondition", "then", "write fixed:"),
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
    (
        "RawUnlock",
        "passphrase",
        "a passphrase stands in a file, one line: write passphrase_file: secrets/kek.passphrase",
    ),
    ("RawUnlock", "kms", "write aws_kms: { key_id: alias/assay, region: eu-central-1 }"),
    ("RawUnlock", "environment", "write env: and the variable's name"),
    ("RawUnlock", "transit", "write vault: { url: https://…, key: assay, token_file: … }"),
    ("RawVault", "token", "a token stands in a file: write token_file: secrets/vault.token"),
    ("RawVault", "address", "write url: https://vault.internal:8200"),
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
    ("RawDocument", "partners", "write callers: { partner: { bearer: { sha256: [HASH] } } }"),
    (
        "RawDocument",
        "webhooks",
        "write callers: { stripe: { webhook: { scheme: stripe, secret_file: secrets/stripe.secret } } }",
    ),
    ("RawDocument", "users", "a user's token belongs to a route: routes: { shop: { user: { issuer: … } } }"),
    ("RawDocument", "networks", "write lists: { offices: { networks: lists/offices.txt } }"),
    ("RawDocument", "record", "it belongs to log: log: { record: { file: … } }"),
    ("RawDocument", "limits", "limits belong to the rules of a policy"),
    ("RawList", "file", "say what it holds: networks: lists/offices.txt; or devices:, or paths:"),
    ("RawList", "entries", "say what they are: networks: [ … ]; or devices:, or paths:"),
    ("RawList", "addresses", "write networks: an address is one too"),
    ("RawList", "ips", "write networks: an address is one too"),
    ("RawList", "cidrs", "write networks:"),
    ("RawCaller", "token", "write bearer: { sha256: [HASH] }, with the token's SHA-256 and never the token"),
    ("RawCaller", "secret", "write bearer: { sha256: [HASH] }, with the secret's SHA-256 and never the secret"),
    (
        "RawCaller",
        "api_key",
        "write bearer: { sha256: [HASH], from: [X-Api-Key] }, with the key's SHA-256 and never the key",
    ),
    ("RawCaller", "sha256", "it belongs to bearer, or to client_certificate: bearer: { sha256: [HASH] }"),
    ("RawCaller", "certificate", "write client_certificate:"),
    ("RawCaller", "mtls", "write client_certificate:"),
    ("RawCaller", "hmac", "write webhook: { scheme: hmac, secret_file: …, header: … }"),
    ("RawCaller", "stripe", "write webhook: { scheme: stripe, secret_file: … }"),
    ("RawCaller", "github", "write webhook: { scheme: github, secret_file: … }"),
    ("RawCaller", "network", "an address proves nobody; rules can ask for it beside: when: { caller: …, network: … }"),
    (
        "RawBearer",
        "secret",
        "only its hash stands here: sha256: [HASH], with what `printf %s \"$SECRET\" | sha256sum` prints",
    ),
    (
        "RawBearer",
        "token",
        "only its hash stands here: sha256: [HASH], with what `printf %s \"$SECRET\" | sha256sum` prints",
    ),
    ("RawBearer", "secret_file", "only the hash is needed here: sha256_file: secrets/partner.sha256"),
    ("RawBearer", "token_file", "only the hash is needed here: sha256_file: secrets/partner.sha256"),
    ("RawBearer", "header", "write from: [Partner-Key]"),
    ("RawBearer", "hash", "write sha256: [HASH]"),
    ("RawClientCertificate", "fingerprint", "write sha256: [FINGERPRINT]"),
    ("RawClientCertificate", "san", "write subject_alt_name: [\"dns:partner.example.com\"]"),
    ("RawClientCertificate", "subject", "names stand in subject_alt_name: [\"dns:partner.example.com\"]"),
    ("RawClientCertificate", "common_name", "names stand in subject_alt_name: [\"dns:partner.example.com\"]"),
    (
        "RawClientCertificate",
        "ca_file",
        "it belongs to the listener: listeners: { public: { tls: { client_ca_file: … } } }",
    ),
    (
        "RawCallerJwt",
        "jwks_file",
        "it belongs to an issuer: issuers: { idp: { profile: jwt, keys: { jwks_file: … } } }",
    ),
    ("RawCallerJwt", "audience", "it belongs to the issuer: issuers: { idp: { audience: … } }"),
    ("RawCallerJwt", "sub", "write subject: [\"…\"]"),
    ("RawWebhook", "secret", "secrets stand in files: secret_file: secrets/webhook.secret"),
    ("RawWebhook", "type", "write scheme:"),
    ("RawWebhook", "signature_header", "write header:"),
    ("RawWebhook", "algorithm", "take the line out: it is HMAC with SHA-256"),
    ("RawUser", "jwks_file", "it belongs to an issuer: issuers: { idp: { profile: jwt, keys: { jwks_file: … } } }"),
    ("RawUser", "audience", "it belongs to the issuer: issuers: { idp: { audience: … } }"),
    ("RawUser", "subject", "rules ask for it: when: { user: { subject: [ … ] } }"),
    ("RawUser", "claims", "rules ask for them: when: { user: { claims: { … } } }"),
    ("RawUser", "optional", "write required: true, or take the line out: a user is optional by default"),
    ("RawRoute", "caller", "write callers: [ … ]"),
    ("RawRoute", "users", "write user: { issuer: … }"),
    ("RawRoute", "shadow", "write candidate: policies/next.yaml"),
    (
        "RawRoute",
        "canary",
        "write candidate: policies/next.yaml; for a share of the traffic, `enforcement:` in the policy",
    ),
    ("RawRoute", "enforcement", "it belongs to the policy: policy: { enforcement: monitor, … }"),
    ("RawRoute", "limits", "limits belong to the rules of the policy: then: { allow: { limits: [ … ] } }"),
    ("RawRoute", "rate_limit", "limits belong to the rules of the policy: then: { allow: { limits: [ … ] } }"),
    ("RawRoute", "ratelimit", "limits belong to the rules of the policy: then: { allow: { limits: [ … ] } }"),
    ("RawRoute", "refusals", "they belong to the policy: policy: { refusals: … }"),
    ("RawRoute", "lists", "lists belong to the file as a whole; rules name them"),
    ("RawGuard", "percent", "write share: 5%"),
    ("RawGuard", "threshold", "write share: 5%"),
    ("RawGuard", "min_devices", "write devices: 100"),
    ("RawPublic", "client_ca_file", "it belongs to tls: tls: { …, client_ca_file: … }"),
    ("RawPublicTls", "cert", "write certificate:"),
    ("RawPublicTls", "chain", "write certificate: the chain, leaf first"),
    ("RawPublicTls", "private_key", "write key:"),
    ("RawPublicTls", "client_ca", "write client_ca_file:"),
    ("RawPublicTls", "ca_file", "write client_ca_file:"),
    (
        "RawPublicTls",
        "client_auth",
        "write client_ca_file: clients are then asked for a certificate, and callers say who needs one",
    ),
    (
        "RawTls",
        "client_ca_file",
        "only the public listener asks for client certificates: listeners: { public: { tls: … } }",
    ),
    ("RawUpstream", "adaptive", "write concurrency: { adaptive: { … } }"),
    ("RawUpstream", "max_connections", "write concurrency:"),
    ("RawUpstream", "max_concurrency", "write concurrency:"),
    ("RawUpstream", "priority", "classes come from the rules of policies: then: { allow: { class: critical } }"),
    ("RawConcurrency", "min", "it belongs to adaptive: concurrency: { adaptive: { min: … } }"),
    ("RawConcurrency", "max", "it belongs to adaptive: concurrency: { adaptive: { max: … } }"),
    ("RawConcurrency", "start", "it belongs to adaptive: concurrency: { adaptive: { start: … } }"),
    ("RawConcurrency", "limit", "write the number itself: concurrency: 100"),
    ("RawConcurrency", "fixed", "write the number itself: concurrency: 100"),
    ("RawAdaptive", "initial", "write start:"),
    ("RawQueue", "timeout", "write deadline:"),
    ("RawQueue", "spare", "write spare_wait: and spare_length:"),
    ("RawQueue", "size", "write length:"),
    ("RawLog", "sample", "it belongs to traces, or it is share: in record"),
    ("RawLog", "records", "write record:"),
    ("RawRecord", "sample", "write share:"),
    ("RawRecord", "path", "write file:"),
    ("RawRecord", "max_bytes", "write max_size: 100MiB"),
    ("RawTraces", "share", "write sample:"),
];

/// Values that are planned where a map stands: raw shape, and what to write.
const VALUES: [(&str, &str); 21] = [
    ("RawOperation", "write { call: POST /v1/embeddings }"),
    ("RawQuery", "write any, or { allow: [ … ] }"),
    ("RawBody", "write { limit: 64KiB }"),
    ("RawRemote", "write { url: https://…, gateway_token_file: …, feed_key_file: … }"),
    ("RawUnlock", "write { file: secrets/kek.key }"),
    ("RawServiceUnlock", "write { file: secrets/kek.key }"),
    ("RawVault", "write { url: https://vault.internal:8200, key: assay, token_file: secrets/vault.token }"),
    ("RawAwsKms", "write { key_id: alias/assay, region: eu-central-1 }"),
    ("RawTraces", "write { otlp: http://127.0.0.1:4318 }"),
    ("RawDatabase", "write { url_file: secrets/database.url }"),
    ("RawShared", "write { url_file: secrets/redis.url }"),
    ("RawProbe", "write { address: 0.0.0.0:8081 }"),
    ("RawCaller", "write { bearer: { sha256: [HASH] } }"),
    ("RawBearer", "write { sha256: [HASH] }, with the secret's SHA-256 and never the secret"),
    ("RawWebhook", "write { scheme: stripe, secret_file: secrets/stripe.secret }"),
    ("RawClientCertificate", "write { subject_alt_name: [\"dns:partner.example.com\"] }"),
    ("RawCallerJwt", "write { issuer: …, subject: [\"…\"] }"),
    ("RawUser", "write { issuer: … }"),
    ("RawList", "write { networks: lists/offices.txt }; or devices:, or paths:"),
    ("RawRecord", "write { file: state/decisions.ndjson }"),
    ("RawAdaptive", "write { min: 4, max: 1000, start: 32 }"),
];

/// Words that are planned, or natural to try: raw type, word, what is wrong with it, and what to write.
const WORDS: [(&str, &str, &str, &str); 21] = [
    ("AllWord", "any", "there is no such word here", "write all, or list what may be called"),
    ("AnyWord", "all", "there is no such word here", "write any"),
    ("AnyWord", "none", "there is no such word here", "take the line out: on a route with a key that is the default"),
    ("NoneWord", "any", "a body has a limit", "write { limit: 64KiB }"),
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
    ("GuardWord", "off", "`off` is read as `false` by some tools", "write disabled"),
    ("GuardWord", "false", "`false` says less than a word", "write disabled"),
    ("GuardWord", "none", "`none` is not a guard", "write disabled"),
    ("GuardWord", "true", "it is on by default", "take the line out"),
    ("GuardWord", "on", "it is on by default", "take the line out"),
    ("SchemeWord", "sha256", "every scheme here signs with SHA-256", "write hmac, and say in which header"),
    ("SchemeWord", "generic", "there is no scheme of this name", "write hmac, and say in which header"),
];

const APPRAISED: &str = "evidence of the platforms is planned; this version appraises `measurement` only";

/// Keys, and shapes, in whose place operators write secrets: what stands there is not shown.
const SECRETS: [&str; 9] =
    ["secret", "token", "gateway_token", "password", "passphrase", "api_key", "RawBearer", "RawWebhook", "RawCaller"];

/// Whether what stands at this key, or instead of this shape, may be a secret.
pub(crate) fn holds_a_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_one_sentence_and_each_shape_one_value() {
        let keys =
            PLANNED.iter().map(|(of, key, ..)| (*of, *key)).chain(ELSEWHERE.iter().map(|(of, key, _)| (*of, *key)));
        let mut seen = std::collections::BTreeSet::new();
        keys.for_each(|key| assert!(seen.insert(key), "{key:?} stands twice"));
        let mut seen = std::collections::BTreeSet::new();
        VALUES.iter().for_each(|(of, _)| assert!(seen.insert(of), "{of} stands twice"));
    }

    #[test]
    fn no_field_that_exists_is_refused_by_name() {
        let schema = crate::schema();
        for (of, key) in
            PLANNED.iter().map(|(of, key, ..)| (of, key)).chain(ELSEWHERE.iter().map(|(of, key, _)| (of, key)))
        {
            let shape = match of.trim_start_matches("Raw") {
                "Document" => &schema,
                "Public" => &schema["definitions"]["PublicListener"],
                "Admin" => &schema["definitions"]["AdminListener"],
                "Bearer" => &schema["definitions"]["CallerBearer"],
                "ClientCertificate" => &schema["definitions"]["CallerCertificate"],
                "Webhook" => &schema["definitions"]["CallerWebhook"],
                "User" => &schema["definitions"]["RouteUser"],
                name => &schema["definitions"][name],
            };
            let fields = shape["properties"].as_object().unwrap_or_else(|| panic!("{of} is no shape"));
            assert!(!fields.contains_key(*key), "{of} has {key}");
        }
    }
}
