//! Bounds refused, bounds compared.

use super::*;
use crate::api_key::KeyName;

fn text() -> BoundsText {
    BoundsText {
        schemes: vec!["https".into()],
        hosts: vec!["api.openai.com".into()],
        methods: vec!["POST".into(), "GET".into()],
        paths: vec!["/v1/chat/completions".into(), "/v1/files/**".into()],
        recipe: RecipeText::Header { name: "Authorization".into(), template: "Bearer {key}".into() },
        trust: "public".into(),
    }
}

fn refused(change: impl FnOnce(&mut BoundsText)) -> String {
    let mut text = text();
    change(&mut text);
    Bounds::parse(&text).unwrap_err().to_string()
}

fn request<'a>(host: &'a str, method: &'a Method, path: &'a str) -> OutgoingRequest<'a> {
    OutgoingRequest { scheme: Scheme::Https, host, port: 443, method, path, trust: Trust::PublicRoots }
}

#[test]
fn refuses_an_empty_list_because_absent_is_never_unlimited() {
    assert!(refused(|text| text.schemes.clear()).starts_with("schemes: 0 given"));
    assert!(refused(|text| text.hosts.clear()).starts_with("hosts: 0 given"));
    assert!(refused(|text| text.methods.clear()).starts_with("methods: 0 given"));
    assert!(refused(|text| text.paths.clear()).starts_with("paths: 0 given"));
}

#[test]
fn refuses_plaintext_beyond_loopback() {
    let far = refused(|text| {
        text.schemes = vec!["http".into()];
        text.hosts = vec!["127.0.0.1:80".into(), "api.example.com:80".into()];
    });
    assert_eq!(
        far,
        "schemes: http is for loopback hosts only, and api.example.com is none: the key would travel in the clear"
    );
    for near in ["127.0.0.1:80", "127.8.9.1:80", "[::1]:80", "localhost:80"] {
        let mut text = text();
        text.schemes = vec!["http".into()];
        text.hosts = vec![near.into()];
        Bounds::parse(&text).unwrap();
    }
}

#[test]
fn refuses_what_is_not_one_exact_host() {
    for bad in [
        "",
        "*.example.com",
        "a b",
        "host:0",
        "host:65536",
        "host:+80",
        "host:",
        "user@host",
        "https://host",
        "::1",
        "[::1",
        "host/x",
    ] {
        assert!(refused(|text| text.hosts = vec![bad.into()]).starts_with("hosts: "), "{bad:?}");
    }
    assert!(refused(|text| text.schemes = vec!["http".into(), "https".into()]).contains("write its port"));
}

#[test]
fn refuses_methods_that_would_never_match() {
    for bad in ["get", "", "*", "GET ", "CONNECT", "G ET"] {
        assert!(refused(|text| text.methods = vec![bad.into()]).starts_with("methods: "), "{bad:?}");
    }
}

#[test]
fn refuses_paths_with_two_readings() {
    for bad in ["", "v1", "/v1/../admin", "/v1//x", "/**/x", "/a;b"] {
        assert!(refused(|text| text.paths = vec![bad.into()]).starts_with("paths: "), "{bad:?}");
    }
}

#[test]
fn refuses_trust_that_is_switched_off_or_half_a_hash() {
    for bad in ["", "none", "off", "sha256:", "sha256:abcd", &format!("sha256:{}", "A".repeat(64))] {
        assert!(refused(|text| text.trust = bad.into()).starts_with("trust: "), "{bad:?}");
    }
}

#[test]
fn refuses_templates_without_exactly_one_place_for_the_key() {
    let with = |template: &str| {
        refused(|text| text.recipe = RecipeText::Header { name: "x-api-key".into(), template: template.into() })
    };
    assert!(with("Bearer").contains("0 places"));
    assert!(with("{key}{key}").contains("2 places"));
    assert!(with("{KEY}").contains("0 places"));
    assert!(with("Bearer {key}\r\nX-Evil: 1").contains("printable"));
    assert!(with(" {key}").contains("space"));
    assert!(with(&format!("{}{{key}}", "a".repeat(256))).contains("256 bytes"));
}

#[test]
fn refuses_headers_that_a_key_can_not_stand_in() {
    for name in ["Host", "content-length", "Transfer-Encoding", "Connection", "x-assay-verdict", "", "a b", "TE"] {
        let refusal = refused(|text| text.recipe = RecipeText::Header { name: name.into(), template: "{key}".into() });
        assert!(refusal.starts_with("recipe: "), "{name}");
    }
}

#[test]
fn canonical_form_does_not_depend_on_order_case_or_repetition() {
    let mut other = text();
    other.hosts = vec!["API.OpenAI.com.:443".into(), "api.openai.com".into()];
    other.methods.reverse();
    other.paths.reverse();
    let (one, other) = (Bounds::parse(&text()).unwrap(), Bounds::parse(&other).unwrap());
    assert_eq!(one, other);
    assert_eq!(Bounds::parse(&one.to_text()).unwrap(), one);
    assert_eq!(one.to_text().hosts, ["api.openai.com:443"]);
}

#[test]
fn refuses_requests_outside_each_bound_and_names_it() {
    let (bounds, key) = (Bounds::parse(&text()).unwrap(), KeyName::parse("openai").unwrap());
    let good = request("api.openai.com", &Method::POST, "/v1/chat/completions");
    assert_eq!(bounds.admit(&key, &good), Ok(()));
    assert_eq!(bounds.admit(&key, &OutgoingRequest { host: "API.openai.com", path: "/v1/files/a/b", ..good }), Ok(()));

    let bound = |request: OutgoingRequest<'_>| bounds.admit(&key, &request).unwrap_err().bound();
    assert_eq!(bound(OutgoingRequest { host: "evil.example", ..good }), Bound::Origin);
    assert_eq!(bound(OutgoingRequest { host: "api.openai.com.evil.example", ..good }), Bound::Origin);
    assert_eq!(bound(OutgoingRequest { port: 8443, ..good }), Bound::Origin);
    assert_eq!(bound(OutgoingRequest { scheme: Scheme::Http, ..good }), Bound::Origin);
    assert_eq!(bound(OutgoingRequest { trust: Trust::in_private_roots(b"mine"), ..good }), Bound::Trust);
    assert_eq!(bound(OutgoingRequest { method: &Method::DELETE, ..good }), Bound::Method);
    assert_eq!(bound(OutgoingRequest { path: "/v1/models", ..good }), Bound::Path);
    assert_eq!(bound(OutgoingRequest { path: "/V1/chat/completions", ..good }), Bound::Path);
}

#[test]
fn a_configuration_that_points_elsewhere_is_refused_in_words_an_operator_can_act_on() {
    let (bounds, key) = (Bounds::parse(&text()).unwrap(), KeyName::parse("openai").unwrap());
    let (chat, wide) = (PathGlob::parse("/v1/chat/completions").unwrap(), PathGlob::parse("/v1/**").unwrap());
    let good = UseDescription {
        scheme: Scheme::Https,
        host: "api.openai.com",
        port: 443,
        trust: Trust::PublicRoots,
        operations: &[Operation { method: &Method::POST, path: &chat }],
    };
    assert_eq!(bounds.admit_use(&key, &good), Ok(()));
    let words = |wanted: UseDescription<'_>| bounds.admit_use(&key, &wanted).unwrap_err().to_string();
    assert_eq!(
        words(UseDescription { host: "evil.example", ..good }),
        "key \"openai\" is bound to https://api.openai.com:443; the upstream is https://evil.example:443"
    );
    assert_eq!(
        words(UseDescription { operations: &[Operation { method: &Method::POST, path: &wide }], ..good }),
        "key \"openai\" is bound to paths /v1/chat/completions, /v1/files/**; the operation is POST /v1/**"
    );
    assert_eq!(
        words(UseDescription { operations: &[Operation { method: &Method::PUT, path: &chat }], ..good }),
        "key \"openai\" is bound to methods GET, POST; the operation is PUT /v1/chat/completions"
    );
    let hash = "2e9f".repeat(16);
    let private = Trust::parse(&format!("sha256:{hash}")).unwrap();
    assert_eq!(
        words(UseDescription { trust: private, ..good }),
        format!("key \"openai\" is bound to root certificates public; the upstream's trust is sha256:{hash}")
    );
}
