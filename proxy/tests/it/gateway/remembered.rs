//! What the gateway remembers of decisions: observations, records, a candidate's differences.

use policies::observations::Observations;
use policies::recording::Record;

use super::kit::{OWN_ROUTE, Parts, Rig, Token};

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_found_by_the_id_in_the_answer_and_tells_no_secret() {
    let rig = Rig::start(Parts { routes: OWN_ROUTE.to_owned(), ..Parts::default() }).await;
    let token = rig.issuer.issue(&Token { genuine: false, ..Token::default() });
    let refused = rig.get("own.test", "/v1/a?secret=canary", &[("assay-token", &token)]).await;
    assert_eq!(refused.status, 403);
    let id = refused.json()["decision"].as_str().unwrap().to_owned();
    let answer = rig.admin("GET", &format!("/decisions/{id}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let record = Record::parse(answer.text().as_bytes()).unwrap();
    assert_eq!((&*record.id, &*record.route, &*record.rule, &*record.path), (&*id, "own", "default", "/v1/a"));
    assert_eq!((record.verdict.as_str(), record.action.as_str()), ("failed", "block"));
    assert_eq!(record.network, "127.0.0.0/24");
    assert!(!answer.text().contains("canary") && !answer.text().contains(&token));
    let none = rig.admin("GET", "/decisions/00000000000000000000000000").await;
    assert_eq!((none.status, none.json()["code"].as_str()), (404, Some("decision_not_kept")));
}

#[tokio::test(flavor = "multi_thread")]
async fn observations_are_served_and_survive_a_restart() {
    let rig = Rig::start(Parts { routes: OWN_ROUTE.to_owned(), ..Parts::default() }).await;
    let token = rig.issuer.token();
    for _ in 0..3 {
        rig.get("own.test", "/v1/a", &[("assay-token", &token)]).await;
    }
    rig.get("own.test", "/v1/a", &[]).await;
    let of =
        async |rig: &Rig| Observations::from_json(rig.admin("GET", "/observations").await.text().as_bytes()).unwrap();
    let before = of(&rig).await;
    assert_eq!(before.routes().collect::<Vec<_>>(), ["own"]);
    let rig = rig.restart();
    assert_eq!(of(&rig).await, before);
    rig.get("own.test", "/v1/a", &[]).await;
    assert_ne!(of(&rig).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn sampled_records_reach_their_file_as_lines_that_can_be_replayed() {
    let rig = Rig::start(Parts {
        routes: OWN_ROUTE.to_owned(),
        top: "log: { record: { file: records.ndjson, share: 100% } }",
        ..Parts::default()
    })
    .await;
    let token = rig.issuer.token();
    for n in 0..5 {
        rig.get("own.test", &format!("/v1/{n}"), &[("assay-token", &token)]).await;
    }
    let path = rig.folder.path().join("records.ndjson");
    let lines = || std::fs::read_to_string(&path).unwrap();
    rig.until("written", async || lines().lines().count() == 5).await;
    let records: Vec<Record> = lines().lines().map(|line| Record::parse(line.as_bytes()).unwrap()).collect();
    assert!(records.iter().all(|record| record.rule == "genuine" && record.device == records[0].device));
    assert!(records[0].device.is_some());
    assert_eq!(rig.metric("assay_records_dropped", &[]).await, 0.0);
    assert_eq!(rig.admin("GET", "/status").await.json()["records"]["file"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_changes_no_answer_and_its_differences_are_counted_by_rule_and_device() {
    let candidate = "    candidate:\n      default: block\n      rules: [{ name: newest, when: { verdict: attested, app_version: { min: \"9.0\" } }, then: allow }]\n";
    let rig = Rig::start(Parts { routes: format!("{OWN_ROUTE}{candidate}"), ..Parts::default() }).await;
    for device in 0..20_u8 {
        let token = rig.issuer.issue(&Token { device: [device; 16], ..Token::default() });
        assert_eq!(rig.get("own.test", "/v1/a", &[("assay-token", &token)]).await.status, 200);
        assert_eq!(rig.get("own.test", "/v1/b", &[("assay-token", &token)]).await.status, 200);
    }
    // Both refuse this one.
    assert_eq!(rig.get("own.test", "/v1/a", &[]).await.status, 401);
    let status = rig.admin("GET", "/status").await.json();
    let told = &status["routes"][0]["candidate"];
    assert_eq!(told["asked"], 41);
    let [difference] = &told["differences"].as_array().unwrap()[..] else { panic!("{told}") };
    assert_eq!((&difference["rule"], &difference["action"]), (&"genuine".into(), &"allow".into()));
    assert_eq!((&difference["candidate_rule"], &difference["candidate_action"]), (&"default".into(), &"block".into()));
    assert_eq!(difference["requests"], 40);
    assert!((19..=21).contains(&difference["devices"].as_u64().unwrap()), "{told}");
    let labels = ["rule=\"genuine\"", "candidate_rule=\"default\"", "candidate_action=\"block\""];
    assert_eq!(rig.metric("assay_candidate_differences_total", &labels).await, 40.0);
    // Another candidate begins anew; the same one goes on.
    rig.edit(|text| format!("{text}# nothing\n"));
    rig.gateway.reload().await.unwrap();
    assert_eq!(rig.admin("GET", "/status").await.json()["routes"][0]["candidate"]["asked"], 41);
    rig.edit(|text| text.replace("9.0", "3.0"));
    rig.gateway.reload().await.unwrap();
    assert_eq!(rig.admin("GET", "/status").await.json()["routes"][0]["candidate"]["asked"], 0);
}
