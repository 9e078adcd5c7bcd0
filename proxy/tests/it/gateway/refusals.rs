//! Refusals in the API's own words: the same for a whole group, to the last byte but for the decision's id.

use super::kit::{Answer, Issuer, Parts, Rig, Token};

const ROUTES: &str = r#"
  own:
    match: { host: own.test, path: "/**" }
    upstream: api
    policy:
      default: block
      rules:
        - { name: once, when: { verdict: attested, path: "/limited" }, then: { allow: { limits: [{ requests: 1, per: device, window: 1h }] } } }
        - { name: genuine, when: { verdict: attested }, then: allow }
      refusals:
        required: { body: '{"code":"{code}","id":"{decision}","please":"update the app"}', content_type: application/json }
        refused: { body_file: refused.html, content_type: text/html; charset=utf-8, headers: { X-Api-Version: "7" } }
        limited: { body: 'slower, please', content_type: text/plain }
  plain:
    match: { host: plain.test, path: "/**" }
    upstream: api
    policy: { default: block, rules: [{ name: genuine, when: { verdict: attested }, then: allow }] }
"#;

const PAGE: &str = "<p>No. Ask us about {decision} ({code}).</p>\n";

async fn rig() -> Rig {
    let files = vec![("refused.html", PAGE.as_bytes().to_vec())];
    Rig::start(Parts { routes: ROUTES.to_owned(), files, public: ", h2c: true", ..Parts::default() }).await
}

/// Bad tokens, each for another reason that needs a key to be known.
async fn bad_tokens(rig: &Rig) -> Vec<String> {
    let of = |token: Token| rig.issuer.issue(&token);
    let banned = [9; 16];
    rig.issuer.ban(banned);
    let tokens = vec![
        of(Token { genuine: false, ..Token::default() }),
        of(Token { secret: Some([77; 32]), ..Token::default() }),
        of(Token { audience: "other.test", ..Token::default() }),
        of(Token { issuer: "https://other.test", ..Token::default() }),
        of(Token { life: 86_400, ..Token::default() }),
        of(Token { dev: true, ..Token::default() }),
        of(Token { device: banned, ..Token::default() }),
        Issuer::new().issue(&Token { secret: Some([78; 32]), ..Token::default() }),
        "nonsense".to_owned(),
    ];
    let last = of(Token { device: banned, ..Token::default() });
    rig.until("the ban is known", async || rig.get("own.test", "/x", &[("assay-token", &last)]).await.status == 403)
        .await;
    tokens
}

/// All that a client sees, the decision's id blotted out.
fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let id = decision(&answer.text());
    let blot = |text: &str| text.replace(&id, &"#".repeat(id.len()));
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (answer.status, headers, blot(&answer.text()))
}

/// The id: 26 letters and digits in a row.
fn decision(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| word.len() == 26).map(str::to_owned).next().unwrap_or("no id".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reason_to_refuse_looks_the_same_with_our_words_and_with_the_api_s() {
    let rig = rig().await;
    let tokens = bad_tokens(&rig).await;
    for host in ["own.test", "plain.test"] {
        let mut alike = Vec::new();
        for token in &tokens {
            let answer = rig.get(host, "/x", &[("assay-token", token)]).await;
            assert_eq!(answer.status, 403, "{}", answer.text());
            assert_ne!(decision(&answer.text()), "no id");
            alike.push(seen(&answer));
        }
        assert!(alike.windows(2).all(|two| two[0] == two[1]), "{alike:#?}");
    }
    let answer = rig.get("own.test", "/x", &[("assay-token", "nonsense")]).await;
    assert_eq!(seen(&answer).2, PAGE.replace("{decision}", &"#".repeat(26)).replace("{code}", "refused"));
    assert_eq!(
        (answer.header("content-type"), answer.header("x-api-version")),
        (Some("text/html; charset=utf-8"), Some("7"))
    );
    rig.logged(|line| line["id"] == decision(&answer.text()).as_str()).await;
    let plain = rig.get("plain.test", "/x", &[("assay-token", "nonsense")]).await;
    assert_eq!((plain.json()["code"].as_str(), plain.header("x-api-version")), (Some("refused"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_of_the_protocol_go_by_stays() {
    let rig = rig().await;
    let none = rig.get("own.test", "/x", &[]).await;
    assert_eq!((none.status, none.header("www-authenticate")), (401, Some("Assay")));
    assert_eq!(
        (none.json()["code"].as_str(), none.json()["please"].as_str()),
        (Some("attestation_required"), Some("update the app"))
    );
    let head = rig.ask("HEAD", "own.test", "/x", &[], b"").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (401, none.header("content-length"), 0));
    let token = rig.issuer.token();
    assert_eq!(rig.get("own.test", "/limited", &[("assay-token", &token)]).await.status, 200);
    let limited = rig.get("own.test", "/limited", &[("assay-token", &token)]).await;
    assert_eq!((limited.status, limited.text().as_str()), (429, "slower, please"));
    assert!(limited.header("retry-after").is_some() && limited.header("ratelimit").is_some());
    let grpc = rig.ask("POST", "own.test", "/x", &[("content-type", "application/grpc")], b"").await;
    assert_eq!((grpc.status, grpc.header("grpc-status"), grpc.body.len()), (200, Some("16"), 0));
}
