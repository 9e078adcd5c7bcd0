//! The user behind an app: a JWT of the API's own sign-in beside the app's token.

use attest_core::time::Clock;
use serde_json::{Value, json};

use super::super::kit::{Answer, CANARY, Parts, Rig};
use super::{IDP, jwt};

const TOP: &str = r#"
issuers: { idp: { profile: jwt, keys: { secret_file: idp.secret, encoding: raw, algorithm: HS256 }, issuer: "https://idp.test", audience: api.test, max_lifetime: 1h } }
"#;

const ROUTES: &str = r#"
  me:
    match: { host: me.test, path: "/**" }
    upstream: api
    user: { issuer: idp, required: true }
    policy:
      default: block
      rules: [{ name: genuine, when: { verdict: attested }, then: allow }]
      refusals:
        refused: { body: '{"error":"{code}"}', content_type: application/json }
  each:
    match: { host: each.test, path: "/**" }
    upstream: api
    user: { issuer: idp }
    policy:
      default: block
      rules:
        - { name: users, when: { verdict: attested, user: { present: true } }, then: { allow: { limits: [{ requests: 1, per: user, window: 1h }] } } }
  free:
    match: { host: free.test, path: "/**" }
    upstream: api
    user: { issuer: idp, from: [User-Token] }
    policy:
      default: block
      rules:
        - { name: admins, when: { verdict: attested, user: { claims: { role: admin } } }, then: allow }
        - { name: anyone, when: { verdict: attested, path: "/open/**" }, then: allow }
  paid:
    match: { host: paid.test, path: "/paid/**" }
    rewrite: { strip: /paid }
    upstream: api
    key: vendor
    user: { issuer: idp, from: [User-Token] }
    operations: [{ call: "GET /v1/**" }]
    policy:
      default: block
      rules: [{ name: users, when: { verdict: attested, user: { present: true } }, then: allow }]
"#;

async fn rig() -> Rig {
    let files = vec![("idp.secret", IDP.to_vec())];
    Rig::start(Parts { top: TOP, routes: ROUTES.to_owned(), files, ..Parts::default() }).await
}

fn claims(rig: &Rig, more: Value) -> Value {
    let now = rig.issuer.clock.now().secs();
    let mut claims = json!({ "iss": "https://idp.test", "aud": "api.test", "sub": "u-1", "exp": now + 300 });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

async fn me(rig: &Rig, app: &str, user: Option<&str>) -> Answer {
    let user = user.map(|user| format!("Bearer {user}"));
    let mut headers = vec![("assay-token", app)];
    headers.extend(user.iter().map(|user| ("authorization", user.as_str())));
    rig.get("me.test", "/me", &headers).await
}

fn code(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    (answer.status, body.get("code").or(body.get("error")).unwrap().as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_user_nobody_gets_through() {
    let rig = rig().await;
    let app = rig.issuer.token();
    let now = rig.issuer.clock.now().secs();
    let required = (401, "user_required".to_owned());
    let none = me(&rig, &app, None).await;
    assert_eq!((code(&none), none.header("www-authenticate")), (required.clone(), Some("Bearer")));
    let expired = me(&rig, &app, Some(&jwt(IDP, &claims(&rig, json!({ "exp": now - 60 }))))).await;
    assert_eq!((code(&expired), expired.header("www-authenticate")), (required, Some("Bearer")));
    let mut alike = Vec::new();
    for user in [
        jwt(IDP, &claims(&rig, json!({ "aud": "other.test" }))),
        jwt(IDP, &claims(&rig, json!({ "iss": "https://other.test" }))),
        jwt(IDP, &claims(&rig, json!({ "sub": "" }))),
        jwt(IDP, &claims(&rig, json!({ "nbf": now + 120 }))),
        jwt(b"another secret of quite some length", &claims(&rig, json!({}))),
        "opaque".to_owned(),
        app.clone(),
    ] {
        let answer = me(&rig, &app, Some(&user)).await;
        assert_eq!(code(&answer), (403, "refused".to_owned()), "{user}");
        alike.push(answer);
    }
    // An app that is refused is told so, whoever its user is, and in the same words.
    let user = jwt(IDP, &claims(&rig, json!({})));
    alike.push(me(&rig, "nonsense", Some(&user)).await);
    let shown: Vec<_> = alike.iter().map(|answer| (answer.status, &answer.body, sorted(answer))).collect();
    assert!(shown.windows(2).all(|two| two[0] == two[1]), "{shown:#?}");
    let no_app = rig.get("me.test", "/me", &[("authorization", &format!("Bearer {user}"))]).await;
    assert_eq!(code(&no_app), (401, "attestation_required".to_owned()));
    assert!(rig.api.seen().is_empty());
    let line = rig.logged(|line| line["no_user"] == "aud_differs").await;
    assert_eq!((&line["action"], &line["verdict"]), (&json!("no_user"), &json!("attested")));
    assert!(!rig.log_text().contains(&user));
}

fn sorted(answer: &Answer) -> Vec<(String, String)> {
    let skip = ["date"];
    let mut all: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !skip.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_goes_on_as_the_client_sent_him_until_his_time_is_over() {
    let rig = rig().await;
    let user = jwt(IDP, &claims(&rig, json!({})));
    for _ in 0..3 {
        let app = rig.issuer.token();
        assert_eq!(me(&rig, &app, Some(&user)).await.status, 200);
        assert_eq!(rig.api.last().headers["authorization"], format!("Bearer {user}"));
    }
    let line = rig.logged(|line| line["user_issuer"] == "idp").await;
    assert!(!line.to_string().contains("u-1"), "{line}");
    rig.issuer.clock.advance(std::time::Duration::from_secs(400));
    let app = rig.issuer.token();
    assert_eq!(me(&rig, &app, Some(&user)).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_ask_for_users_where_they_are_not_required() {
    let rig = rig().await;
    let app = rig.issuer.token();
    let ask = async |path: &str, user: Option<&str>| {
        let mut headers = vec![("assay-token", app.as_str())];
        headers.extend(user.map(|user| ("user-token", user)));
        rig.get("free.test", path, &headers).await.status
    };
    let (admin, other) =
        (jwt(IDP, &claims(&rig, json!({ "role": "admin" }))), jwt(IDP, &claims(&rig, json!({ "role": "reader" }))));
    let forged = jwt(b"another secret of quite some length", &claims(&rig, json!({ "role": "admin" })));
    assert_eq!((ask("/a", None).await, ask("/a", Some(&other)).await, ask("/a", Some(&forged)).await), (403, 403, 403));
    assert_eq!(ask("/a", Some(&admin)).await, 200);
    assert_eq!((ask("/open/a", None).await, ask("/open/a", Some(&forged)).await), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_per_user_counts_the_proven_one_whatever_token_names_him() {
    let rig = rig().await;
    let app = rig.issuer.token();
    let ask = async |sub: &str, n: u32| {
        let user = format!("Bearer {}", jwt(IDP, &claims(&rig, json!({ "sub": sub, "n": n }))));
        rig.get("each.test", "/a", &[("assay-token", &app), ("authorization", &user)]).await.status
    };
    assert_eq!((ask("u-1", 1).await, ask("u-1", 2).await, ask("u-2", 1).await), (200, 429, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_s_token_does_not_go_where_our_key_goes() {
    let rig = rig().await;
    let (app, user) = (rig.issuer.token(), jwt(IDP, &claims(&rig, json!({}))));
    let sent = [("assay-token", app.as_str()), ("user-token", user.as_str())];
    assert_eq!(rig.get("paid.test", "/paid/v1/items", &sent).await.status, 200);
    let seen = rig.api.last().headers;
    assert_eq!(seen["x-api-key"], CANARY);
    assert!(!seen.contains_key("user-token"), "{seen:?}");
    assert_eq!(rig.get("paid.test", "/paid/v1/items", &sent[..1]).await.status, 403);
}
