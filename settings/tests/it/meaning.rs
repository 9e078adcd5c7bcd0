//! What loads and is probably not meant, seen from the whole file.

use crate::folder::{Folder, GOOD, with};

fn more_routes(routes: &str) -> String {
    with("log: {", &format!("{routes}log: {{"))
}

fn route(name: &str, matcher: &str) -> String {
    format!(
        "  {name}:\n    match: {{ {matcher} }}\n    upstream: shop\n    policy: {{ default: block, rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}] }}\n"
    )
}

#[test]
fn a_closer_path_under_a_wider_host_is_told() {
    let folder = Folder::new();
    for host in ["host: \"*.example.com\", ", ""] {
        let (_, warnings) = folder.takes(more_routes(&route("health", &format!("{host}path: /healthz"))));
        assert!(warnings.contains(&"partly_hidden"), "{host}: {warnings:?}");
    }
    let loaded = folder.load(more_routes(&route("health", "path: /healthz"))).unwrap();
    let told = loaded.render(loaded.warnings.iter().find(|warning| warning.code == "partly_hidden").unwrap());
    assert!(told.contains("goes to route `shop-api`") && told.contains("match: { path: /healthz }"), "{told}");
    for other in ["host: api.example.com, path: /healthz", "host: other.example.org, path: /healthz", "path: \"/**\""] {
        let (_, warnings) = folder.takes(more_routes(&route("health", other)));
        assert!(!warnings.contains(&"partly_hidden"), "{other}: {warnings:?}");
    }
}

#[test]
fn patterns_that_are_wider_or_narrower_than_they_look_are_told() {
    let folder = Folder::new();
    let (_, warnings) = folder.takes(more_routes(&route("v1", "host: api.example.com, path: \"/v1*\"")));
    assert!(warnings.contains(&"wide_pattern"), "{warnings:?}");
    for fine in ["/img-*", "/v1/*", "/v1/**", "/*/v1"] {
        let (_, warnings) =
            folder.takes(more_routes(&route("v1", &format!("host: api.example.com, path: \"{fine}\""))));
        assert!(!warnings.contains(&"wide_pattern"), "{fine}: {warnings:?}");
    }
    let below = route("web", "host: \"*.example.org\", path: \"/**\"");
    let loaded = folder.load(more_routes(&below)).unwrap();
    let note = loaded.warnings.iter().find(|warning| warning.code == "bare_host").unwrap();
    assert_eq!(note.severity, settings::Severity::Note);
    let both = format!("{below}{}", route("bare", "host: example.org, path: \"/**\""));
    let loaded = folder.load(more_routes(&both)).unwrap();
    assert!(!loaded.warnings.iter().any(|warning| warning.code == "bare_host"));
}

#[test]
fn names_that_nobody_uses_are_told() {
    let folder = Folder::new();
    let hash = "0123456789abcdef".repeat(4);
    let text = with(
        "state: { dir: state }",
        &format!(
            "state: {{ dir: state }}\nlists: {{ bots: {{ networks: [203.0.113.0/24] }} }}\ncallers: {{ acme: {{ bearer: {{ sha256: [{hash}] }} }} }}"
        ),
    );
    let loaded = folder.load(&text).unwrap_or_else(|report| panic!("{report}"));
    let told: Vec<_> = loaded.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert!(told.iter().any(|told| told.contains("no route knows caller `acme`")), "{told:?}");
    assert!(told.iter().any(|told| told.contains("list `bots`")), "{told:?}");
    assert_eq!(told.len(), 2);
    let tls = with("key: tls/key.pem }", "key: tls/key.pem, client_ca_file: tls/cert.pem }");
    assert_eq!(folder.takes(tls).1, ["unused"], "nobody is known by a certificate");
    assert_eq!(folder.takes(GOOD).1, [""; 0]);
}

#[test]
fn errors_are_not_drowned_in_what_they_cause() {
    let folder = Folder::new();
    let report = folder.load(with("upstream: openai\n", "upstream: openai-typo\n")).err().unwrap();
    assert_eq!(report.problems.len(), 1, "no word of an unused upstream:\n{report}");
}

#[test]
fn limits_for_all_routes_that_share_a_count_are_the_same_limit() {
    let folder = Folder::new();
    let policy = |limit: &str| {
        format!(
            "{{ default: block, rules: [{{ name: genuine, when: {{ verdict: attested }}, then: {{ allow: {{ limits: [{limit}] }} }} }}] }}"
        )
    };
    let first = "then: allow }\n  old-shop:";
    let text = with(first, "then: { allow: { limits: [{ requests: 60, per: all, window: 1m }] } } }\n  old-shop:");
    let codes = |limit: &str| {
        let text = text.replace("policy: policies/old.yaml", &format!("policy: {}", policy(limit)));
        folder.takes(text).1
    };
    // Both are called `genuine.1`.
    assert_eq!(codes("{ requests: 1000, per: all, window: 1m }"), ["shared_count"]);
    assert_eq!(codes("{ requests: 60, per: all, window: 1h }"), ["shared_count"]);
    for apart in [
        "{ requests: 60, per: all, window: 1m }",
        "{ name: old, requests: 1000, per: all, window: 1m }",
        "{ requests: 1000, per: route, window: 1m }",
        "{ bytes: 1GiB, per: all, window: 1d }",
    ] {
        assert_eq!(codes(apart), [""; 0], "{apart}");
    }
}

#[test]
fn bodies_of_grpc_that_nobody_searches_are_told() {
    let folder = Folder::new();
    let plain = "openai: { url: https://api.openai.com }";
    let http2 = with(plain, "openai: { url: https://api.openai.com, http2: true }");
    assert_eq!(folder.takes(&http2).1, ["grpc_not_searched"]);
    assert_eq!(folder.takes(with(plain, "openai: { url: https://api.openai.com, http2: false }")).1, [""; 0]);
}

#[test]
fn core_dumps_that_are_let_through_are_told() {
    let folder = Folder::new();
    let (settings, warnings) = folder.takes(with("log: {", "danger_core_dumps: true\nlog: {"));
    assert_eq!((settings.danger_core_dumps, warnings), (true, vec!["core_dumps"]));
    assert!(!folder.takes(with("log: {", "danger_core_dumps: false\nlog: {")).0.danger_core_dumps);
}
