//! Routes are tried most specific first, wherever they stand in the file.

use crate::folder::Folder;

const HEAD: &str = r#"
assay: 1
listeners: { public: { address: "127.0.0.1:0" } }
state: { dir: state }
issuers: { idp: { profile: jwt, max_lifetime: 1h, keys: { secret_file: secrets/approov.secret, encoding: base64, algorithm: HS256 } } }
upstreams: { api: { url: https://api.example.com } }
routes:
"#;

fn names(routes: &[(&str, &str, &str)]) -> Vec<String> {
    let mut text = HEAD.to_owned();
    for (name, host, path) in routes {
        let host = if host.is_empty() { String::new() } else { format!("host: \"{host}\", ") };
        text += &format!(
            "  {name}: {{ match: {{ {host}path: \"{path}\" }}, upstream: api, token: {{ issuer: idp }}, policy: policies/old.yaml }}\n"
        );
    }
    let loaded = Folder::new().load(text).unwrap_or_else(|report| panic!("{report}"));
    loaded.settings.routes.into_iter().map(|route| route.name).collect()
}

#[test]
fn the_order_of_the_file_plays_no_part() {
    let routes = [
        ("any", "", "/**"),
        ("below", "*.example.com", "/**"),
        ("deeper", "*.eu.example.com", "/**"),
        ("host", "api.example.com", "/**"),
        ("item", "api.example.com", "/v1/items/*"),
        ("items", "api.example.com", "/v1/items/**"),
        ("one", "api.example.com", "/v1/items/one"),
    ];
    let expected = ["one", "item", "items", "host", "deeper", "below", "any"];
    assert_eq!(names(&routes), expected);
    let mut backwards = routes;
    backwards.reverse();
    assert_eq!(names(&backwards), expected);
}

#[test]
fn a_thousand_routes_with_their_policies_load() {
    let routes: String = (0..1_000)
        .map(|n| format!(
            "  route-{n}:\n    match: {{ host: host-{n}.example.com, path: \"/v1/**\" }}\n    upstream: api\n    token: {{ issuer: idp }}\n    \
             policy: {{ default: block, rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}, {{ name: catalogue, when: {{ verdict: missing, path: \"/v1/catalogue/**\" }}, then: deprioritize }}] }}\n"
        ))
        .collect();
    let text = format!("{HEAD}{routes}");
    assert!(text.len() > 300_000);
    let loaded = Folder::new().load(text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.settings.routes.len(), 1_000);
}
