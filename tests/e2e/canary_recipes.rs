//! The canary for every way in which a credential gets into a request: whatever was made from the key on the way (a token
//! minted elsewhere, a signed JWT, a signature, a basic value) is as little seen again as the key.
//!
//! The API sends back, in a header and in a stream, every form of whatever credential it was given.

use std::ffi::OsStr;
use std::io::Write;
use std::sync::{Arc, OnceLock};

use e2e::command::assay_fed;
use e2e::files::Files;
use e2e::house::{House, Plan};
use e2e::needles::{self, Needle, found};
use e2e::upstream::{Recorder, Seen, ok};
use e2e::wire::{self, Answer};
use serde_json::{Value, json};

const MINTED: &str = "ya29.minted/Token+0123456789~abcdef=";

/// A way, the secret sealed for it, and how the API finds what it was given.
struct Way {
    name: &'static str,
    recipe: Value,
    secret: String,
    /// The part of the secret that nobody may see.
    hidden: String,
    given: fn(&Seen) -> Option<String>,
}

/// What the API knows: the last part of a path, the secret if it is shared with it, and where its credential is.
type Known = Vec<(&'static str, Option<String>, fn(&Seen) -> Option<String>)>;

/// What stands between two texts, anywhere in the request.
fn between(request: &Seen, before: &str, after: &[char]) -> Option<String> {
    let whole = format!("{}{}", request.head, String::from_utf8_lossy(&request.body));
    let (_, rest) = whole.split_once(before)?;
    Some(rest.split(after).next().unwrap_or_default().to_owned()).filter(|found| !found.is_empty())
}

fn ways(api: &str) -> Vec<Way> {
    let plain = |name: &str| format!("canary-{name}-0123456789abcdef");
    let way = |name: &'static str, recipe: Value, given: fn(&Seen) -> Option<String>| Way {
        name,
        recipe,
        secret: plain(name),
        hidden: plain(name),
        given,
    };
    let token_endpoint = format!("http://{api}/token");
    let bearer: fn(&Seen) -> Option<String> = |request| between(request, "Bearer ", &['\r']);
    let private = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let in_pem = private.lines().nth(1).unwrap().to_owned();
    let aws = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYCANARYKEY";
    vec![
        way("query", json!({ "kind": "query", "name": "key", "template": "{key}" }), |request| {
            between(request, "key=", &['&', ' '])
        }),
        way("segment", json!({ "kind": "path_segment", "at": 1, "template": "bot{key}" }), |request| {
            between(request, "/bot", &['/'])
        }),
        way("basic", json!({ "kind": "basic", "user": "AC0123456789", "password": "{key}" }), |request| {
            between(request, "Basic ", &['\r'])
        }),
        way("cookie", json!({ "kind": "cookie", "name": "session", "template": "{key}" }), |request| {
            between(request, "session=", &['\r', ';'])
        }),
        way("json", json!({ "kind": "json_field", "pointer": "/auth/key", "template": "{key}" }), |request| {
            between(request, "\"key\":\"", &['"'])
        }),
        way("form", json!({ "kind": "form_field", "name": "api_key", "template": "{key}" }), |request| {
            between(request, "api_key=", &['&', ' '])
        }),
        way(
            "oauth2",
            json!({ "kind": "oauth2_client_credentials", "token_endpoint": token_endpoint, "client_id": "gateway",
                "authentication": "basic", "name": "authorization", "template": "Bearer {token}" }),
            bearer,
        ),
        Way {
            name: "assertion",
            recipe: json!({ "kind": "jwt_bearer", "issuer": "gateway", "audience": "the-api", "algorithm": "ES256",
                "lifetime_secs": 600, "name": "authorization", "template": "Bearer {token}" }),
            secret: private.clone(),
            hidden: in_pem.clone(),
            given: bearer,
        },
        Way {
            name: "granted",
            recipe: json!({ "kind": "jwt_bearer", "token_endpoint": token_endpoint, "issuer": "gateway",
                "algorithm": "ES256", "lifetime_secs": 600, "name": "authorization", "template": "Bearer {token}" }),
            secret: private,
            hidden: in_pem,
            given: bearer,
        },
        way(
            "hmac",
            json!({ "kind": "hmac", "algorithm": "sha256", "encoding": "hex", "message": "{timestamp}.{method}.{path}.{body}",
                "timestamp": "unix", "name": "x-signature", "template": "t={timestamp},v1={signature}" }),
            |request| between(request, "v1=", &['\r']),
        ),
        Way {
            name: "sigv4",
            recipe: json!({ "kind": "aws_sigv4", "region": "eu-central-1", "service": "bedrock", "place": "header",
                "large_body": "refuse" }),
            secret: format!("AKIAIOSFODNN7EXAMPLE:{aws}:session//canary+token0123456789=="),
            hidden: aws.to_owned(),
            given: |request| between(request, "Signature=", &['\r']),
        },
        Way {
            name: "presigned",
            recipe: json!({ "kind": "aws_sigv4", "region": "eu-central-1", "service": "s3",
                "place": { "query": { "expires_secs": 60 } }, "large_body": "unsigned" }),
            secret: format!("AKIAIOSFODNN7EXAMPLE:{aws}"),
            hidden: aws.to_owned(),
            given: |request| between(request, "X-Amz-Signature=", &[' ', '&']),
        },
    ]
}

/// All forms but the one that no encoder makes.
fn forms(name: &str, secret: &str) -> Vec<Needle> {
    let mut forms = needles::of_secret(name, secret);
    forms.retain(|needle| !needle.form.ends_with("reversed"));
    forms
}

/// Sends back what it was given: raw in a header, in every form in a stream that cuts each form at every place.
fn careless(request: &Seen, ways: &Known) -> Vec<u8> {
    if request.line().contains("/token") {
        let answer = json!({ "access_token": MINTED, "token_type": "Bearer", "expires_in": 3600 });
        return ok("application/json", &answer.to_string());
    }
    let Some((_, hidden, given)) = ways.iter().find(|(name, ..)| request.line().contains(&format!("/v1/{name}")))
    else {
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
    };
    let Some(given) = given(request) else {
        return b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec();
    };
    let all: Vec<_> = hidden.iter().chain([&given]).flat_map(|secret| forms("it", secret)).collect();
    let text = all.iter().map(|needle| needle.bytes().to_vec()).collect::<Vec<_>>().join(&b"\n , "[..]);
    let mut out = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Echo: you sent {given}!\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for cut in [1, 3, 7, 16, 43] {
        for piece in text.chunks(cut) {
            write!(out, "{:x}\r\n", piece.len()).unwrap();
            out.extend_from_slice(piece);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

fn put(house: &House, api: &str, way: &Way) {
    let recipe = house.files.write("recipe.json", way.recipe.to_string());
    let (config, origin) = (house.config(), format!("http://{api}"));
    let path = format!("/v1/{}", way.name);
    let words: [&dyn AsRef<OsStr>; 14] = [
        &"--json",
        &"key",
        &"put",
        &way.name,
        &"--to",
        &origin,
        &"--recipe-file",
        &recipe,
        &"--path",
        &path,
        &"--method",
        &"POST",
        &"-c",
        &config,
    ];
    assay_fed(&words, way.secret.as_bytes()).ends(0);
}

fn route(name: &str) -> String {
    format!(
        "  {name}:\n    match: {{ path: \"/{name}/**\" }}\n    rewrite: {{ strip: /{name} }}\n    upstream: vendor\n    key: {name}\n    \
         operations: [{{ call: POST /v1/{name}, query: any, body: {{ limit: 1KiB }} }}]\n    \
         ceilings: {{ device: {{ requests: 1000/1d }} }}\n    policy:\n      default: block\n      \
         rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}]\n"
    )
}

fn bytes_of(answer: &Answer) -> Vec<u8> {
    [format!("{} {:?}\n", answer.status, answer.headers).as_bytes(), &answer.body].concat()
}

#[test]
fn nothing_that_was_made_from_a_key_is_seen_again() {
    let known: Arc<OnceLock<Known>> = Arc::default();
    let at_api = Arc::clone(&known);
    let api = Recorder::answering(move |request| careless(request, at_api.get().expect("the ways")));
    let ways = ways(&api.address);
    // A private key is nobody's but ours.
    let shared = |way: &Way| Some(way.hidden.clone()).filter(|_| !way.secret.contains("PRIVATE KEY"));
    let _ = known.set(ways.iter().map(|way| (way.name, shared(way), way.given)).collect());
    let house = House::build(
        Files::new(),
        &api.address,
        "a-key-that-nobody-asks-for-here",
        Plan { dev: true, ..Plan::default() },
    );
    for way in &ways {
        put(&house, &api.address, way);
    }
    std::fs::remove_file(house.files.at("recipe.json")).unwrap();
    let routes: String = ways.iter().map(|way| route(way.name)).collect();
    house.change(|yaml| yaml.replacen("routes:\n", &format!("routes:\n{routes}"), 1));
    let token = house.token();

    let mut outputs: Vec<(String, Vec<u8>)> = Vec::new();
    let mut needles: Vec<Needle> = needles::of_secret("the minted token", MINTED);
    for way in &ways {
        let (kind, body) = if way.name == "form" {
            ("application/x-www-form-urlencoded", "a=1")
        } else {
            ("application/json", "{\"auth\":{},\"a\":1}")
        };
        let headers = [("Assay-Token", token.as_str()), ("Content-Type", kind)];
        let answer =
            wire::call(&house.public, "POST", &format!("/{0}/v1/{0}?x=1", way.name), &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{}: {}", way.name, answer.text());
        let given = (way.given)(&api.last()).expect("the API got a credential");
        needles.extend(needles::of_secret(&format!("{}: the key", way.name), &way.hidden));
        needles.extend(needles::of_secret(&format!("{}: what the API got", way.name), &given));
        // The search finds what the API said, so it would find it in the answer.
        let raw = careless(&api.last(), known.get().unwrap());
        assert!(!found(&forms("it", &given), &raw).is_empty(), "{}", way.name);
        assert!(answer.body.contains(&b'*'), "{}: {}", way.name, answer.text());
        outputs.push((format!("the answer of {}", way.name), bytes_of(&answer)));
    }
    for path in ["/status", "/keys", "/metrics"] {
        outputs.push((path.to_owned(), bytes_of(&wire::get(&house.admin, path, &[]))));
    }
    let _ = house.log_line(0, |line| line["path"] == "/presigned/v1/presigned" && line["status"] == 200);
    outputs.push(("stdout".to_owned(), house.gateway.out().text().into_bytes()));
    outputs.push(("stderr".to_owned(), house.gateway.err().text().into_bytes()));
    outputs.extend(house.files.all().into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)));
    for (what, bytes) in &outputs {
        assert_eq!(found(&needles, bytes), [""; 0], "in {what}: {}", String::from_utf8_lossy(bytes));
    }
}
