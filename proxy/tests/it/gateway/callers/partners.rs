//! Partners: a bearer of which the configuration has the hash, and another issuer's JWT.

use attest_core::time::Clock;
use serde_json::json;

use super::super::kit::{CANARY, Parts, Rig};
use super::{IDP, jwt, sha256_hex};

const ACME: &str = "acme-0123456789abcdef0123456789abcdef";
const NEXT: &str = "acme-next-89abcdef0123456789abcdef01";

/// Partners on `/orders/**`, apps everywhere, everybody on `/open/**`; a route with a key where partners have none.
const ROUTES: &str = r#"
  api:
    match: { host: api.test, path: "/**" }
    upstream: api
    callers: [acme, globex]
    policy:
      default: block
      rules:
        - { name: genuine, when: { verdict: attested }, then: allow }
        - { name: acme, when: { verdict: missing, caller: acme, path: "/orders/**" }, then: allow }
        - { name: globex, when: { verdict: missing, caller: [globex], path: "/jwt/**" }, then: allow }
        - { name: open, when: { verdict: any, path: "/open/**" }, then: deprioritize }
"#;

const KEYED: &str = r#"
  paid:
    match: { host: paid.test, path: "/paid/**" }
    rewrite: { strip: /paid }
    upstream: api
    key: vendor
    danger_inject_unattested: true
    callers: [acme]
    operations: [{ call: "GET /v1/**" }]
    policy:
      default: block
      rules:
        - { name: genuine, when: { verdict: attested }, then: allow }
        - { name: acme, when: { verdict: missing, caller: acme }, then: { allow: { limits: [{ requests: 100, per: route, window: 1m }] } } }
"#;

const TOP: &str = r#"
issuers: { idp: { profile: jwt, keys: { secret_file: idp.secret, encoding: raw, algorithm: HS256 }, issuer: "https://idp.test", audience: api.test, max_lifetime: 1h } }
callers:
  acme: { bearer: { sha256_file: acme.sha256, from: [bearer, X-Partner-Key] } }
  globex: { jwt: { issuer: idp, subject: [svc-globex], claims: { scope: orders } } }
"#;

fn parts(routes: String) -> Parts {
    let hashes = format!("{}\n{}\n", sha256_hex(ACME.as_bytes()), sha256_hex(NEXT.as_bytes()));
    let files = vec![("acme.sha256", hashes.into_bytes()), ("idp.secret", IDP.to_vec())];
    Parts { top: TOP, routes, files, ..Parts::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_credential_is_as_good_as_none_and_a_right_one_goes_no_further_than_its_rule() {
    let rig = Rig::start(parts(ROUTES.to_owned())).await;
    let hash = sha256_hex(ACME.as_bytes());
    let bearer = |token: &str| format!("Bearer {token}");
    let (wrong, right, hashed) = (bearer("acme-0123456789abcdef0123456789abcdeF"), bearer(ACME), bearer(&hash));
    let none = rig.get("api.test", "/orders/1", &[]).await;
    assert_eq!((none.status, none.json()["code"].as_str().unwrap()), (401, "attestation_required"));
    for sent in [
        &[("authorization", wrong.as_str())][..],
        &[("authorization", &hashed)],
        &[("authorization", &right), ("x-partner-key", ACME)],
        &[("x-partner-key", ACME), ("x-partner-key", ACME)],
        &[("x-assay-caller", "acme")],
    ] {
        let answer = rig.get("api.test", "/orders/1", sent).await;
        assert_eq!((answer.status, answer.body.len()), (401, none.body.len()), "{sent:?}");
    }
    // Proven, and still not let in where no rule lets it in.
    assert_eq!(rig.get("api.test", "/other", &[("authorization", &right)]).await.status, 401);
    assert!(rig.api.seen().is_empty());
    let line = rig.logged(|line| line["caller"] == "acme" && line["path"] == "/other").await;
    assert_eq!(
        (&line["caller_by"], &line["verdict"], &line["action"]),
        (&json!("bearer"), &json!("missing"), &json!("block"))
    );
    rig.logged(|line| line["no_caller"] == "bearer_unknown").await;
    rig.logged(|line| line["no_caller"] == "several_credentials").await;
    for secret in [ACME, &wrong[7..], &hash] {
        assert!(!rig.log_text().contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_is_let_in_by_name_with_the_old_and_the_new_token_which_stay_here() {
    let rig = Rig::start(parts(ROUTES.to_owned())).await;
    for token in [ACME, NEXT] {
        let sent = format!("bearer {token}");
        assert_eq!(rig.get("api.test", "/orders/1", &[("authorization", &sent)]).await.status, 200);
        let seen = rig.api.last().headers;
        assert_eq!(
            (&seen["x-assay-caller"], &seen["x-assay-verdict"]),
            (&"acme".parse().unwrap(), &"missing".parse().unwrap())
        );
        assert!(!seen.contains_key("authorization"), "{seen:?}");
        assert_eq!(rig.get("api.test", "/orders/1", &[("x-partner-key", token)]).await.status, 200);
        assert!(!rig.api.last().headers.contains_key("x-partner-key"));
    }
    // An app's own `Authorization` is the API's business; a partner's own header is nobody's.
    let app = [
        ("assay-token", rig.issuer.token()),
        ("authorization", "Bearer session".to_owned()),
        ("x_partner_key", NEXT.to_owned()),
    ];
    let app: Vec<_> = app.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(rig.get("api.test", "/orders/1", &app).await.status, 200);
    let seen = rig.api.last().headers;
    assert_eq!(seen["authorization"], "Bearer session");
    assert!(!seen.contains_key("x_partner_key") && !seen.contains_key("x-assay-caller"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_that_is_taken_out_of_its_file_lets_nobody_in() {
    let rig = Rig::start(parts(ROUTES.to_owned())).await;
    let ask = async |token| rig.get("api.test", "/orders/1", &[("x-partner-key", token)]).await.status;
    assert_eq!((ask(ACME).await, ask(NEXT).await), (200, 200));
    std::fs::write(rig.folder.path().join("acme.sha256"), sha256_hex(NEXT.as_bytes())).unwrap();
    rig.gateway.reload().await.unwrap();
    assert_eq!((ask(ACME).await, ask(NEXT).await), (401, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_s_jwt_counts_with_its_issuer_audience_time_subject_and_claims() {
    let rig = Rig::start(parts(ROUTES.to_owned())).await;
    let now = rig.issuer.clock.now().secs();
    let good = json!({ "iss": "https://idp.test", "aud": "api.test", "sub": "svc-globex", "scope": ["orders"], "exp": now + 300 });
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let ask = async |secret: &[u8], claims: &serde_json::Value| {
        let sent = format!("Bearer {}", jwt(secret, claims));
        rig.get("api.test", "/jwt/1", &[("authorization", &sent)]).await.status
    };
    for claims in [
        with("iss", json!("https://other.test")),
        with("aud", json!("other.test")),
        with("aud", json!(null)),
        with("exp", json!(now - 60)),
        with("exp", json!(now + 7_200)),
        with("sub", json!("svc-other")),
        with("scope", json!("orders all")),
    ] {
        assert_eq!(ask(IDP, &claims).await, 401, "{claims}");
    }
    assert_eq!(ask(b"another secret of quite some length", &good).await, 401);
    assert!(rig.api.seen().is_empty());
    assert_eq!(ask(IDP, &good).await, 200);
    let seen = rig.api.last().headers;
    assert_eq!(seen["x-assay-caller"], "globex");
    assert!(!seen.contains_key("authorization"));
    // It is no app's token, whoever takes it for one.
    let token = jwt(IDP, &good);
    assert_eq!(rig.get("api.test", "/orders/1", &[("assay-token", &token)]).await.status, 403);
    // And an app's token is nobody's JWT.
    let app = format!("Bearer {}", rig.issuer.token());
    assert_eq!(rig.get("api.test", "/jwt/1", &[("authorization", &app)]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proven_caller_has_a_key_only_where_the_route_says_that_it_needs_no_app() {
    let rig = Rig::start(parts(KEYED.to_owned())).await;
    let (sent, token) = ([("x-partner-key", ACME)], rig.issuer.token());
    assert_eq!(rig.get("paid.test", "/paid/v1/items", &sent).await.status, 200);
    let seen = rig.api.last().headers;
    assert_eq!(seen["x-api-key"], CANARY);
    assert!(!seen.contains_key("x-partner-key") && !seen.contains_key("x-assay-caller"), "{seen:?}");
    // Without the word, the rule is an error; without the rule, a caller is nobody there.
    rig.edit(|text| text.replace("    danger_inject_unattested: true\n", ""));
    let report = rig.gateway.reload().await.unwrap_err();
    assert!(report.contains("rule `acme` would give the key of route `paid`"), "{report}");
    rig.edit(|text| text.lines().filter(|line| !line.contains("name: acme")).map(|line| format!("{line}\n")).collect());
    rig.gateway.reload().await.unwrap();
    let before = rig.api.seen().len();
    assert_eq!(rig.get("paid.test", "/paid/v1/items", &sent).await.status, 401);
    assert_eq!(rig.api.seen().len(), before);
    assert_eq!(rig.get("paid.test", "/paid/v1/items", &[("assay-token", &token)]).await.status, 200);
}
