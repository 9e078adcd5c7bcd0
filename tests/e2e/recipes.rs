//! Recipes of an operator's own, from `assay key put --recipe-file` to APIs that check them by their own rules.

use std::ffi::OsStr;

use e2e::command::assay_fed;
use e2e::files::Files;
use e2e::house::House;
use e2e::upstream::{Recorder, ok};
use e2e::wire::{self, Answer};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use test_servers::vendor::oauth2::{self, Proof};
use test_servers::vendor::sigv4::Issued;
use test_servers::vendor::{Call, Vendor, s3, signed};

/// A gateway in front of one API, with a key of this recipe.
struct Shop {
    house: House,
    token: String,
}

impl Shop {
    /// `api`: host and port. `operations` are lines of the route's list.
    fn start(api: &str, recipe: &Value, secret: &str, operations: &[&str]) -> Self {
        let (origin, files) = (format!("http://{api}"), Files::new());
        let house = House::together(files, api, "a-key-that-nobody-asks-for-here");
        let (recipe, config) = (house.files.write("recipe.json", recipe.to_string()), house.config());
        let words: [&dyn AsRef<OsStr>; 18] = [
            &"--json",
            &"key",
            &"put",
            &"shop",
            &"--to",
            &origin,
            &"--recipe-file",
            &recipe,
            &"--path",
            &"/**",
            &"--method",
            &"GET",
            &"--method",
            &"POST",
            &"--method",
            &"PUT",
            &"-c",
            &config,
        ];
        assay_fed(&words, secret.as_bytes()).ends(0);
        let upstream = format!(
            "upstreams:\n  shop: {{ url: \"{origin}\", private_addresses: [127.0.0.0/8], danger_plaintext_loopback: true }}\n"
        );
        let operations: String = operations.iter().map(|line| format!("      - {{ {line} }}\n")).collect();
        let route = format!(
            "routes:\n  shop:\n    match: {{ path: \"/shop/**\" }}\n    rewrite: {{ strip: /shop }}\n    upstream: shop\n    \
             key: shop\n    operations:\n{operations}    ceilings: {{ device: {{ requests: 1000/1d }} }}\n    policy:\n      \
             default: block\n      rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}]\n"
        );
        house.change(|yaml| yaml.replacen("upstreams:\n", &upstream, 1).replacen("routes:\n", &route, 1));
        let token = house.token();
        Self { house, token }
    }

    fn call(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut all = vec![("Assay-Token", self.token.as_str())];
        all.extend(headers);
        wire::call(&self.house.public, method, &format!("/shop{target}"), &all, body)
    }

    /// Nothing that the gateway says has it.
    fn never_said(&self, secret: &str) {
        let said = [self.house.gateway.out().text(), self.house.gateway.err().text(), self.house.status().to_string()];
        assert!(said.iter().all(|text| !text.contains(secret)), "the secret is in what the gateway said");
    }
}

fn client_credentials(api: &Vendor, proof: Proof) -> Value {
    let mut recipe = json!({
        "kind": "oauth2_client_credentials",
        "token_endpoint": format!("{}/token", api.url()),
        "client_id": oauth2::CLIENT,
        "authentication": match proof {
            Proof::Basic => "basic",
            Proof::Body => "body",
            Proof::PrivateKeyJwt => "private_key_jwt",
        },
        "scope": oauth2::SCOPE,
        "parameters": { "resource": oauth2::RESOURCE },
        "name": "Authorization",
        "template": "Bearer {token}",
    });
    if proof == Proof::PrivateKeyJwt {
        recipe["algorithm"] = "ES256".into();
        recipe["key_id"] = "k1".into();
    }
    recipe
}

fn minted(call: &Call) -> bool {
    call.path() == "/token"
}

#[test]
fn a_client_proves_itself_in_each_way_of_the_rfcs_and_the_api_sees_tokens_alone() {
    for proof in [Proof::Basic, Proof::Body, Proof::PrivateKeyJwt] {
        let (api, secret) = oauth2::start(proof, 3_600);
        let operations = ["call: GET /v1/orders", "call: POST /v1/export, body: { limit: 64KiB }"];
        let shop = Shop::start(api.address(), &client_credentials(&api, proof), &secret, &operations);
        let mine = [("Authorization", "Bearer mine-0123456789abcdef")];
        for _ in 0..5 {
            let answer = shop.call("GET", "/v1/orders", &mine, b"");
            assert_eq!((answer.status, answer.json()["orders"][0]["id"].as_i64()), (200, Some(7)), "{proof:?}");
        }
        let answer = shop.call("POST", "/v1/export", &[("Content-Type", "application/json")], b"{}");
        assert_eq!((answer.status, answer.text().matches("data: ").count()), (200, 5), "{proof:?}: {}", answer.text());
        assert_eq!(shop.call("DELETE", "/v1/orders", &[], b"").status, 404, "no operation, no key");
        let calls = api.calls();
        assert_eq!(calls.iter().filter(|call| minted(call)).count(), 1, "{proof:?}: one token for all");
        let secret_line = secret.lines().nth(1).unwrap_or(&secret);
        for call in calls.iter().filter(|call| !minted(call)) {
            assert!(!call.contains(secret_line) && !call.contains("mine-") && !call.contains(&shop.token));
            shop.never_said(call.bearer().unwrap());
        }
        shop.never_said(secret_line);
    }
}

#[test]
fn a_token_ends_and_another_is_asked_for_before_a_client_sees_a_401() {
    let (api, secret) = oauth2::start(Proof::Body, 2);
    let shop = Shop::start(api.address(), &client_credentials(&api, Proof::Body), &secret, &["call: GET /v1/orders"]);
    e2e::wait::until("the third token", || {
        let answer = shop.call("GET", "/v1/orders", &[], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        (api.calls().iter().filter(|call| minted(call)).count() >= 3).then_some(())
    });
}

#[test]
fn an_endpoint_that_refuses_the_client_is_our_fault_and_not_the_app_s() {
    let (api, _) = oauth2::start(Proof::Basic, 3_600);
    let wrong = "s3cret:of-somebody-else";
    let shop = Shop::start(api.address(), &client_credentials(&api, Proof::Basic), wrong, &["call: GET /v1/orders"]);
    let answer = shop.call("GET", "/v1/orders", &[], b"");
    assert_eq!((answer.status, answer.code()), (503, "unavailable".to_owned()));
    assert!(api.calls().iter().all(minted), "nothing went to the API without a token");
    shop.never_said(wrong);
}

#[test]
fn a_signed_request_passes_an_api_that_checks_every_part_of_it() {
    let secret = "hmac-secret-0123456789abcdef";
    let api = signed::start(secret);
    let recipe = json!({
        "kind": "hmac", "algorithm": "sha256", "encoding": "hex", "message": signed::MESSAGE, "timestamp": "unix",
        "name": "X-Signature", "template": "t={timestamp},v1={signature}",
    });
    let operations = [
        "call: POST /v1/orders, query: any, headers: [X-Account], body: { limit: 64KiB }",
        "call: GET /v1/feed, query: any, headers: [X-Account]",
    ];
    let shop = Shop::start(api.address(), &recipe, secret, &operations);
    for number in ["1", "2", "3"] {
        let headers = [("Content-Type", "text/plain"), ("X-Account", number), ("X-Signature", "t=1,v1=00")];
        let answer = shop.call("POST", "/v1/orders?dry=a%20b&x=%2B", &headers, &vec![b'a'; 40_000]);
        assert_eq!((answer.status, answer.json()["received"].as_u64()), (201, Some(40_000)), "{}", answer.text());
        shop.never_said(api.last().header("x-signature").unwrap().rsplit('=').next().unwrap());
    }
    let answer = shop.call("GET", "/v1/feed", &[("X-Account", "4")], b"");
    assert_eq!((answer.status, answer.text().matches("data: ").count()), (200, 5), "{}", answer.text());
    // What is signed has to be there: it is the client's request that lacks it.
    assert_eq!(shop.call("GET", "/v1/feed", &[], b"").status, 400);
    assert_eq!(api.calls().len(), 4);
    shop.never_said(secret);
}

#[test]
fn a_signature_in_the_query_passes_s3_and_a_client_s_own_never_does() {
    let issued = Issued {
        id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        session: Some("session//token+0123456789==".to_owned()),
    };
    let api = s3::start(issued.clone(), "eu-central-1");
    let recipe = json!({
        "kind": "aws_sigv4", "region": "eu-central-1", "service": "s3", "place": { "query": { "expires_secs": 60 } },
        "large_body": "unsigned",
    });
    let secret = format!("{}:{}:{}", issued.id, issued.secret, issued.session.as_deref().unwrap());
    let operations = ["call: PUT /bucket/**, body: { limit: 1MiB }", "call: GET /bucket/**, query: any"];
    let shop = Shop::start(api.address(), &recipe, &secret, &operations);
    let body = vec![b'x'; 200_000];
    assert_eq!(shop.call("PUT", "/bucket/a+b%20c", &[("Content-Type", "text/plain")], &body).status, 200);
    let own = "/bucket/a+b%20c?X-Amz-Signature=00&x-amz-credential=mine&response-content-type=text%2Fplain";
    let answer = shop.call("GET", own, &[("Authorization", "AWS4-HMAC-SHA256 Credential=mine")], b"");
    assert_eq!((answer.status, answer.body.len()), (200, body.len()));
    assert!(!api.last().contains("mine"));
    shop.never_said(&issued.secret);
}

#[test]
fn a_jwt_of_the_gateway_s_own_is_what_the_api_verifies_and_no_client_s() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let known = DecodingKey::from_ec_pem(pair.public_key_pem().as_bytes()).unwrap();
    let mut asked = Validation::new(Algorithm::ES256);
    asked.set_issuer(&["57246542-96fe-1a63-e053-0824d011072a"]);
    asked.set_audience(&["appstoreconnect-v1"]);
    asked.set_required_spec_claims(&["exp", "iss", "aud"]);
    let api = Recorder::answering(move |request| {
        let taken = match request.values("authorization")[..] {
            [one] => one.strip_prefix("Bearer ").is_some_and(|jwt| {
                let named =
                    jsonwebtoken::decode_header(jwt).is_ok_and(|head| head.kid.as_deref() == Some("2X9R4HXF34"));
                let read = jsonwebtoken::decode::<Value>(jwt, &known, &asked);
                let life = read.ok().and_then(|read| Some(read.claims["exp"].as_i64()? - read.claims["iat"].as_i64()?));
                // As an app store's API has it: known by its id, and good for minutes.
                named && life.is_some_and(|life| life <= 600)
            }),
            _ => false,
        };
        if taken {
            // A careless one: it says what it was sent.
            ok("text/plain", &request.head)
        } else {
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec()
        }
    });
    let recipe = json!({
        "kind": "jwt_bearer", "issuer": "57246542-96fe-1a63-e053-0824d011072a", "audience": "appstoreconnect-v1",
        "algorithm": "ES256", "key_id": "2X9R4HXF34", "lifetime_secs": 600, "name": "Authorization",
        "template": "Bearer {token}",
    });
    let shop = Shop::start(&api.address, &recipe, &pair.serialize_pem(), &["call: GET /v1/apps"]);
    for _ in 0..3 {
        let answer = shop.call("GET", "/v1/apps", &[("Authorization", "Bearer of.my.own")], b"");
        let sent = api.last();
        let jwt = sent.values("authorization")[0].strip_prefix("Bearer ").unwrap();
        assert_eq!(answer.status, 200, "{}", sent.head);
        assert!(!answer.text().contains(jwt) && !sent.head.contains("of.my.own"), "{}", answer.text());
        shop.never_said(jwt);
    }
    shop.never_said(pair.serialize_pem().lines().nth(1).unwrap());
}
