//! Callers that are no apps, and users behind apps: each proves itself or is nobody, and nobody learns how near he came.

use std::collections::BTreeSet;

use attest_core::time::{Clock, SystemClock};
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use e2e::attester::Attester;
use e2e::files::Files;
use e2e::house::House;
use e2e::upstream::Recorder;
use e2e::wire::{Answer, call};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

const KEY: &str = "sk_live_0123456789abcdef";
const PARTNER: &str = "canary-partner-secret-0123456789abcdef";
const SIGN_IN: &str = "canary-sign-in-secret-0123456789abcdef";

// GitHub's own example: docs.github.com, "Validating webhook deliveries".
const GITHUB_SECRET: &str = "It's a Secret to Everybody";
const GITHUB_BODY: &str = "Hello, World!";
const GITHUB_SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

const ISSUER: &str = r#"
  sign-in:
    profile: jwt
    keys: { secret_file: secrets/sign-in.secret, encoding: raw, algorithm: HS256 }
    issuer: "https://login.example.com"
    audience: api.example.com
    max_lifetime: 1h"#;
const ROUTE: &str = r#"
  shop:
    match: { path: "/shop/**" }
    upstream: own
    callers: [acme, hooks]
    user: { issuer: sign-in }
    policy: shop.yaml
"#;
const POLICY: &str = r#"policy: shop
default: block
refusals:
  required: { body: '{"code":"{code}","error":{"id":"{decision}"}}', content_type: application/vnd.shop+json, headers: { X-Api-Version: "7" } }
  refused: { body: '{"code":"{code}","no":{"id":"{decision}"}}', content_type: application/vnd.shop+json, headers: { X-Api-Version: "7" } }
rules:
  - { name: partner, when: { verdict: missing, caller: acme, path: "/shop/orders/**" }, then: { allow: { limits: [{ requests: 3, per: caller, window: 1h }] } } }
  - { name: deliveries, when: { verdict: missing, caller: hooks, method: POST, path: "/shop/hook" }, then: allow }
  - { name: staff, when: { verdict: attested, user: { claims: { role: [staff, owner] } } }, then: allow }
  - { name: users, when: { verdict: attested, user: { present: true }, path: "/shop/mine/**" }, then: allow }
"#;

fn house(api: &Recorder) -> House {
    let house = House::together(Files::new(), &api.address, KEY);
    house.files.write("shop.yaml", POLICY);
    house.files.private("secrets/sign-in.secret", SIGN_IN);
    house.files.private("secrets/github.secret", GITHUB_SECRET);
    let hash = HEXLOWER.encode(digest(&SHA256, PARTNER.as_bytes()).as_ref());
    let callers = format!(
        "\ncallers:\n  acme: {{ bearer: {{ sha256: [{hash}], from: [X-Partner-Key] }} }}\n  hooks: {{ webhook: {{ scheme: github, secret_file: secrets/github.secret }} }}\n"
    );
    house.change(|text| {
        let text = text.replacen("\nissuers:", &format!("\nissuers:{ISSUER}"), 1);
        text.replacen("\nroutes:", &format!("{callers}routes:{ROUTE}"), 1)
    });
    house
}

/// The log line of the first request on the route from `mark` on.
fn logged(house: &House, mark: usize) -> Value {
    house.log_line(mark, |line| line["route"] == "shop")
}

#[test]
fn a_partner_is_known_by_his_secret_alone_and_only_where_a_rule_names_him() {
    let api = Recorder::start();
    let house = house(&api);
    let ask = |path: &str, key: &str| house.get(path, &[("X-Partner-Key", key), ("X-Assay-Caller", "hooks")]);
    let mark = house.gateway.out().mark();
    assert_eq!(ask("/shop/orders/7", PARTNER).status, 200);
    let line = logged(&house, mark);
    assert_eq!(
        (&line["caller"], &line["caller_by"], &line["rule"], &line["verdict"]),
        (&"acme".into(), &"bearer".into(), &"partner".into(), &"missing".into()),
        "{line}"
    );
    let seen = api.last();
    assert_eq!(seen.values("x-assay-caller"), ["acme"], "{}", seen.head);
    assert!(!seen.head.contains(PARTNER), "the secret stays here");

    for (why, path, key) in [
        ("wrong", "/shop/orders/7", "canary-partner-secret-0123456789abcdeg"),
        ("cut", "/shop/orders/7", &PARTNER[..PARTNER.len() - 1]),
        ("empty", "/shop/orders/7", ""),
        ("another path", "/shop/refunds/7", PARTNER),
        ("another route", "/own/x", PARTNER),
    ] {
        assert_eq!(ask(path, key).status, 401, "{why}");
    }
    // Twice is none, even if both are right.
    let twice = house.get("/shop/orders/7", &[("X-Partner-Key", PARTNER), ("X-Partner-Key", PARTNER)]);
    assert_eq!(twice.status, 401);
    // The limit is his own: two more, whatever he asked for in vain.
    let statuses: Vec<_> = (0..3).map(|_| ask("/shop/orders/7", PARTNER).status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    assert!(
        !house.gateway.out().text().contains("canary-partner")
            && !house.gateway.err().text().contains("canary-partner")
    );
}

#[test]
fn a_webhook_is_taken_with_the_published_signature_and_with_no_other() {
    let api = Recorder::start();
    let house = house(&api);
    let deliver = |path: &str, body: &str, signature: &str| {
        call(&house.public, "POST", path, &[("X-Hub-Signature-256", signature)], body.as_bytes())
    };
    let mark = house.gateway.out().mark();
    assert_eq!(deliver("/shop/hook", GITHUB_BODY, GITHUB_SIGNATURE).status, 200);
    let line = logged(&house, mark);
    assert_eq!(
        (&line["caller"], &line["caller_by"], &line["rule"]),
        (&"hooks".into(), &"webhook".into(), &"deliveries".into()),
        "{line}"
    );
    let seen = api.last();
    assert_eq!(
        (seen.body.as_slice(), seen.values("x-hub-signature-256")),
        (GITHUB_BODY.as_bytes(), vec![GITHUB_SIGNATURE]),
        "as it came"
    );

    let before = api.seen().len();
    let flipped = GITHUB_SIGNATURE.replacen("757107", "757108", 1);
    for (why, path, body, signature) in [
        ("another body", "/shop/hook", "Hello, World?", GITHUB_SIGNATURE),
        ("no body", "/shop/hook", "", GITHUB_SIGNATURE),
        ("another signature", "/shop/hook", GITHUB_BODY, flipped.as_str()),
        ("half of it", "/shop/hook", GITHUB_BODY, &GITHUB_SIGNATURE[..40]),
        ("the old form", "/shop/hook", GITHUB_BODY, "sha1=757107ea0eb2509fc211221cce984b8a37570b6d"),
        ("another path", "/shop/orders/7", GITHUB_BODY, GITHUB_SIGNATURE),
    ] {
        assert_eq!(deliver(path, body, signature).status, 401, "{why}");
    }
    assert_eq!(api.seen().len(), before, "nothing of it went upstream");
}

fn user(claims: &Value, secret: &str) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn claims(role: &str) -> Value {
    let now = SystemClock.now().secs();
    json!({
        "iss": "https://login.example.com", "aud": "api.example.com", "sub": "canary-anna", "role": role,
        "iat": now, "exp": now + 600,
    })
}

fn but(claims: &Value, name: &str, value: Value) -> Value {
    let mut changed = claims.clone();
    changed[name] = value;
    changed
}

#[test]
fn a_user_counts_only_with_a_good_token_of_his_own_beside_the_apps() {
    let api = Recorder::start();
    let house = house(&api);
    let app = house.token();
    let ask =
        |path: &str, jwt: &str| house.get(path, &[("Assay-Token", &app), ("Authorization", &format!("Bearer {jwt}"))]);
    let (staff, guest) = (claims("staff"), claims("guest"));
    let mark = house.gateway.out().mark();
    assert_eq!(ask("/shop/ledger", &user(&staff, SIGN_IN)).status, 200);
    let line = logged(&house, mark);
    assert_eq!((&line["rule"], &line["user_issuer"]), (&"staff".into(), &"sign-in".into()), "{line}");
    assert!(api.last().values("authorization").len() == 1, "the API checks it, too");
    assert_eq!(ask("/shop/mine/x", &user(&guest, SIGN_IN)).status, 200);

    let past = staff["iat"].as_i64().unwrap() - 7200;
    for (why, path, jwt) in [
        ("another role", "/shop/ledger", user(&guest, SIGN_IN)),
        ("another secret", "/shop/ledger", user(&staff, "canary-another-secret-0123456789abcdef")),
        ("another issuer", "/shop/ledger", user(&but(&staff, "iss", "https://evil.example".into()), SIGN_IN)),
        ("another API's", "/shop/ledger", user(&but(&staff, "aud", "other.example.com".into()), SIGN_IN)),
        ("over", "/shop/ledger", user(&but(&staff, "exp", past.into()), SIGN_IN)),
        ("for ever", "/shop/ledger", user(&but(&staff, "exp", (past + 1_000_000).into()), SIGN_IN)),
        ("no token", "/shop/mine/x", "nonsense".to_owned()),
        ("the app's own", "/shop/mine/x", app.clone()),
    ] {
        assert_eq!(ask(path, &jwt).status, 403, "{why}");
    }
    // Without the app's token a user is nobody.
    let alone = house.get("/shop/mine/x", &[("Authorization", &format!("Bearer {}", user(&staff, SIGN_IN)))]);
    assert_eq!(alone.status, 401);
    let log = house.gateway.out().text();
    assert!(
        !log.contains("canary-anna") && !log.contains(&user(&staff, SIGN_IN)),
        "who the user is stays out of the log"
    );
}

/// All that a client can tell refusals apart by, but the date, and the decision's id, which is returned beside it.
fn told(answer: &Answer, of: &str) -> (String, String) {
    let id = answer.json()[of]["id"].as_str().unwrap_or_else(|| panic!("no id: {}", answer.text())).to_owned();
    assert_eq!(answer.text().matches(&id).count(), 1);
    let headers: Vec<_> = answer.headers.iter().filter(|(name, _)| name != "date").collect();
    (format!("{} {headers:?} {}", answer.status, answer.text().replace(&id, "·")), id)
}

#[test]
fn a_refusal_in_the_apis_own_words_is_the_same_for_every_reason_but_its_decision() {
    let api = Recorder::start();
    let house = house(&api);
    let (app, failed) = (house.token(), Attester::patched().token(&house.service));
    let (signed, signature) = app.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    let with = |headers: &[(&str, &str)]| house.get("/shop/ledger", headers);
    let jwt = format!("Bearer {}", user(&claims("guest"), SIGN_IN));
    let bad_jwt = format!("Bearer {}", user(&claims("staff"), "canary-another-secret-0123456789abcdef"));
    let refused = [
        ("nonsense", with(&[("Assay-Token", "nonsense")])),
        ("forged", with(&[("Assay-Token", &forged)])),
        ("failed", with(&[("Assay-Token", &failed)])),
        ("two tokens", with(&[("Assay-Token", &app), ("Assay-Token", &app)])),
        ("no user", with(&[("Assay-Token", &app)])),
        ("another user", with(&[("Assay-Token", &app), ("Authorization", &jwt)])),
        ("a forged user", with(&[("Assay-Token", &app), ("Authorization", &bad_jwt)])),
        ("a partner beside", with(&[("Assay-Token", &failed), ("X-Partner-Key", PARTNER)])),
    ];
    let required = [
        ("nothing", with(&[])),
        ("another partner", with(&[("X-Partner-Key", "canary-nobody-0123456789abcdef")])),
        ("the partner", with(&[("X-Partner-Key", PARTNER)])),
        ("a user alone", with(&[("Authorization", &jwt)])),
        ("a forged user alone", with(&[("Authorization", &bad_jwt)])),
        ("a delivery", call(&house.public, "GET", "/shop/ledger", &[("X-Hub-Signature-256", GITHUB_SIGNATURE)], b"")),
    ];
    for (answers, status, of, code) in
        [(&refused[..], 403, "no", "refused"), (&required[..], 401, "error", "attestation_required")]
    {
        let mut ids = BTreeSet::new();
        let first = told(&answers[0].1, of).0;
        for (why, answer) in answers {
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{why}: {}", answer.text());
            assert_eq!(answer.header("x-api-version"), Some("7"), "{why}");
            assert_eq!(answer.header("content-type"), Some("application/vnd.shop+json"), "{why}");
            let (shape, id) = told(answer, of);
            assert_eq!(shape, first, "{why}");
            assert!(ids.insert(id.clone()), "each has a decision of its own");
            assert_eq!(house.log_line(0, |line| line["id"] == id.as_str())["status"], status, "{why}");
        }
    }
    // A route that says nothing has the usual words.
    assert_eq!(house.get("/own/x", &[]).header("content-type"), Some("application/problem+json"));
}
