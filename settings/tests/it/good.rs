//! What comes out of a good configuration.

use std::{net::SocketAddr, time::Duration};

use settings::{
    AccessLog, Algorithm, AttestationSource, CannotVerify, Concealment, Concurrency, HostPattern, IssuerProfile,
    IssuerRef, LogLevel, Overrides, Scheme, Source,
};

use crate::folder::{Folder, GOOD, with};

#[test]
fn every_section_arrives_as_it_is_written() {
    let folder = Folder::new();
    let loaded = folder.load(GOOD).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.warnings, []);
    let settings = loaded.settings;
    let public = settings.listeners.public.as_ref().unwrap();
    assert_eq!(public.address, "127.0.0.1:8443".parse().unwrap());
    assert_eq!(public.tls.as_ref().unwrap().key, folder.path("tls/key.pem"));
    assert_eq!(public.trusted_proxies, ["10.1.0.0/16".parse().unwrap()]);
    assert_eq!((public.limits.connections, public.limits.head_bytes), (1000, 16 * 1024));
    assert_eq!((public.limits.head_timeout, public.limits.drain), (Duration::from_secs(5), Duration::from_secs(30)));
    assert_eq!(settings.listeners.probe, Some("0.0.0.0:8081".parse().unwrap()));
    assert_eq!(settings.state.dir, folder.path("state"));

    let attestation = settings.attestation.as_ref().unwrap();
    let AttestationSource::Serve(serve) = &attestation.source else { panic!() };
    assert_eq!((serve.host.as_deref(), serve.path.as_str()), (Some("api.example.com"), "/assay/v1"));
    assert_eq!(serve.unlock, folder.path("secrets/kek.key"), "that of `keys`, where it has none of its own");
    assert_eq!(attestation.token.lifetime, Duration::from_secs(300));
    assert_eq!((attestation.token.algorithm, attestation.token.concealment), (Algorithm::HS256, Concealment::Decoy));
    assert_eq!(attestation.apps.len(), 1);

    let moving = &settings.issuers["moving"];
    assert_eq!(
        (moving.profile, moving.max_lifetime, moving.leeway),
        (IssuerProfile::Approov, Duration::from_secs(3600), Duration::from_secs(30))
    );
    assert_eq!(moving.key_set.keys().len(), 1);

    let shop = &settings.upstreams["shop"];
    assert_eq!((shop.scheme, shop.host.as_str(), shop.port), (Scheme::Https, "10.0.4.7", 8443));
    assert_eq!((shop.concurrency, shop.reserve, shop.queue.length), (Concurrency::Fixed(100), 6, 400));
    assert_eq!((settings.log.access, settings.log.level), (AccessLog::Stderr, LogLevel::Warn));
}

#[test]
fn routes_have_the_defaults_of_what_they_are() {
    let folder = Folder::new();
    let settings = folder.load(GOOD).unwrap_or_else(|report| panic!("{report}")).settings;
    let (shop, old, chat) =
        (settings.route("shop-api").unwrap(), settings.route("old-shop").unwrap(), settings.route("chat").unwrap());

    assert_eq!(shop.matcher.host, HostPattern::Exact("api.example.com".into()));
    assert!(shop.identity_headers && !shop.guard_body && shop.operations.is_empty());
    assert_eq!(shop.token.from, [Source::Header(http::HeaderName::from_static("assay-token"))]);
    assert_eq!(
        (shop.our_faults.cannot_verify, shop.our_faults.accept_expired),
        (CannotVerify::Deprioritize, Some(Duration::from_secs(1800)))
    );

    assert_eq!(old.token.issuer, IssuerRef::Named("moving".into()));
    assert_eq!(old.token.from, [Source::Header(http::HeaderName::from_static("approov-token"))]);
    assert!(old.token.optional_bearer_prefix && !shop.token.optional_bearer_prefix);
    assert_eq!(old.our_faults.accept_expired, None, "only our own tokens live longer");

    assert!(!chat.identity_headers && chat.guard_body);
    assert_eq!(
        chat.our_faults.cannot_verify,
        CannotVerify::Refuse,
        "the file's `deprioritize` opens no route with a key"
    );
    assert_eq!(chat.our_faults.accept_expired, None, "the file's `accept_expired` opens no route with a key");
    assert!(!chat.accept_expired_may_unseal);
    assert_eq!(chat.our_faults.keys_stale, Duration::from_secs(12 * 3600));
    assert_eq!(chat.operations[0].body().limit(), Some(256 * 1024));
    assert_eq!(chat.token.from.len(), 2);
    assert_eq!(settings.upstream_of(chat).unwrap().host, "api.openai.com");
}

#[test]
fn an_expired_token_may_have_a_key_where_the_route_says_so() {
    let folder = Folder::new();
    let text =
        with("    key: openai\n", "    key: openai\n    our_faults: { service_down: { accept_expired: 10m } }\n");
    let settings = folder.load(text).unwrap_or_else(|report| panic!("{report}")).settings;
    let chat = settings.route("chat").unwrap();
    assert_eq!(chat.our_faults.accept_expired, Some(Duration::from_secs(600)));
    assert!(chat.accept_expired_may_unseal);
}

#[test]
fn traces_have_an_endpoint_a_share_and_a_name() {
    let folder = Folder::new();
    let traces = |fields: &str| {
        let text = with("log: { access: stderr, level: warn }", &format!("log: {{ traces: {{ {fields} }} }}"));
        folder.load(text).unwrap_or_else(|report| panic!("{report}")).settings.log.traces.unwrap()
    };
    let plain = traces("otlp: \"http://127.0.0.1:4318\"");
    assert_eq!(plain.endpoint, "http://127.0.0.1:4318/v1/traces");
    assert_eq!((plain.sample, plain.service_name.as_str()), (10_000, "assay-gateway"));
    let all = traces("otlp: \"https://Traces.example.com/otlp/\", sample: 100%, service_name: edge-2");
    assert_eq!(all.endpoint, "https://traces.example.com/otlp/v1/traces");
    assert_eq!((all.sample, all.service_name.as_str()), (1_000_000, "edge-2"));
    assert!(folder.load(GOOD).unwrap_or_else(|report| panic!("{report}")).settings.log.traces.is_none());
}

#[test]
fn a_gateway_alone_and_a_service_alone_need_little() {
    let folder = Folder::new();
    let gateway = r#"
assay: 1
listeners: { public: { address: "127.0.0.1:0" } }
state: { dir: /var/lib/assay }
issuers:
  idp:
    profile: jwt
    keys: { secret_file: secrets/approov.secret, encoding: base64, algorithm: HS256 }
    max_lifetime: 1h
upstreams: { api: { url: "http://localhost:8080", danger_plaintext_loopback: true } }
routes:
  all: { match: { path: "/**" }, upstream: api, token: { issuer: idp }, policy: policies/old.yaml }
"#;
    let loaded = folder.load(gateway).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.settings.attestation.is_none() && loaded.settings.keys.is_none());
    assert_eq!(loaded.settings.state.dir, std::path::Path::new("/var/lib/assay"));
    assert_eq!(loaded.settings.upstreams["api"].port, 8080);
    assert_eq!(loaded.settings.routes[0].matcher.host, HostPattern::Any);

    let service = r#"
assay: 1
state: { dir: state }
attestation:
  serve: { address: "127.0.0.1:0", unlock: { file: secrets/kek.key } }
  token: { issuer: a, audience: b, algorithm: ES256, concealment: open }
  apps: { shop: { linux: { require: [measurement] } } }
"#;
    let loaded = folder.load(service).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.settings.routes.is_empty() && loaded.settings.listeners.public.is_none());
    assert_eq!(loaded.warnings, []);
    let loaded = folder.load(format!("{service}log: {{ traces: {{ otlp: \"http://127.0.0.1:4318\" }} }}\n"));
    let warned = &loaded.unwrap_or_else(|report| panic!("{report}")).warnings[0];
    assert!(warned.message.contains("only requests on routes are traced"), "{warned:?}");
}

#[test]
fn the_command_line_moves_listeners_and_dev_keeps_them_on_loopback() {
    let folder = Folder::new();
    let text = with("address: 127.0.0.1:8443", "address: 0.0.0.0:8443");
    let at = |text: &str| Some(text.parse::<SocketAddr>().unwrap());
    let dev = Overrides { dev: true, admin: at("127.0.0.1:0"), probe: at("0.0.0.0:9"), ..Overrides::default() };
    let listeners = folder.load_with(text, &dev).unwrap_or_else(|report| panic!("{report}")).settings.listeners;
    assert_eq!(Some(listeners.public.unwrap().address), at("127.0.0.1:8443"));
    assert_eq!(listeners.probe, at("127.0.0.1:9"));
    assert_eq!(Some(listeners.admin.unwrap().address), at("127.0.0.1:0"));
}

#[test]
fn warnings_say_what_is_probably_not_meant() {
    let folder = Folder::new();
    let text = with(
        "  openai: { url: https://api.openai.com }\n",
        "  openai: { url: https://api.openai.com }\n  spare: { url: https://spare.example.com }\n",
    )
    .replace("    tls: { certificate: tls/cert.pem, key: tls/key.pem }\n    trusted_proxies: [10.1.0.0/16]\n", "")
    .replace("127.0.0.1:8443", "0.0.0.0:8443");
    let loaded = folder.load(text).unwrap_or_else(|report| panic!("{report}"));
    let codes: Vec<_> = loaded.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["plaintext_listener", "unused"]);
    assert!(loaded.render(&loaded.warnings[1]).contains("spare: {"));
}
