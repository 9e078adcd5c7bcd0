//! Routes are tried most specific first, wherever they stand in the file.

use crate::folder::Folder;

fn names(routes: &[(&str, &str, &str)]) -> Vec<String> {
    let mut text = "assay: 1\nlisteners: { public: { address: \"127.0.0.1:0\" } }\nstate: { dir: state }\n\
        issuers: { idp: { profile: jwt, max_lifetime: 1h, keys: { secret_file: secrets/approov.secret, encoding: base64, algorithm: HS256 } } }\n\
        upstreams: { api: { url: https://api.example.com } }\nroutes:\n"
        .to_owned();
    for (name, host, path) in routes {
        let host = if host.is_empty() { String::new() } else { format!("host: \"{host}\", ") };
        text += &format!("  {name}: {{ match: {{ {host}path: \"{path}\" }}, upstream: api, token: {{ issuer: idp }}, policy: policies/old.yaml }}\n");
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
