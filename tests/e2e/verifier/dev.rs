//! Debug builds, simulators and CI: their tokens pass where the route says so, and nowhere else.

use std::collections::BTreeMap;

use e2e::attester::Attester;
use e2e::command::assay;
use e2e::files::Files;
use e2e::house::{House, Plan};
use e2e::jwt;
use e2e::upstream::Recorder;
use e2e::wait::until;
use e2e::wire::Answer;

const KEY: &str = "sk_live_0123456789abcdef";

fn house(apart: bool) -> (House, Recorder) {
    let api = Recorder::start();
    (House::build(Files::new(), &api.address, KEY, Plan { apart, ..Plan::default() }), api)
}

/// Refused like every token that does not pass, and the log says that it was one for tests.
#[track_caller]
fn is_refused_as_dev(house: &House, answer: &Answer) {
    assert_eq!((answer.status, answer.code()), (403, "refused".to_owned()));
    let line = house.log_of(answer);
    assert_eq!(
        (&line["verdict"], &line["reason"], &line["dev"]),
        (&"failed".into(), &"dev_token".into(), &true.into())
    );
}

#[test]
fn an_enrolled_debug_build_passes_where_the_route_allows_it_and_nowhere_else() {
    let (house, api) = house(false);
    // A build that nobody registered, as a developer starts it ten times a day.
    let simulator = Attester::patched();
    let before = simulator.token(&house.service);
    assert_eq!(house.get_as(&before, "/dev/x").status, 403);
    let device = jwt::device(&before);
    let enrolled =
        house.here(&["device", "enrol", &device, "--for", "30d", "--reason", "Anna, simulator"]).ends(0).json();
    assert!(enrolled["enrolled_until"].is_i64());
    let token = until("the enrolment to hold", || {
        let token = simulator.token(&house.service);
        (house.get_as(&token, "/dev/x").status == 200).then_some(token)
    });
    assert_eq!(jwt::device(&token), device);
    for path in ["/own/x", "/paid/v1/paid"] {
        is_refused_as_dev(&house, &house.get_as(&token, path));
    }
    assert!(api.seen().iter().all(|seen| !seen.line().contains("/paid") && !seen.line().contains("/own")));
    // It looks as any other token does, to whoever has it.
    let names = |token: &str| jwt::claims(token).as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((names(&token), token.len()), (names(&before), before.len()));
    // Genuine apps are not held up on that route, and an expired or foreign device is not let in by it.
    assert_eq!(house.get_as(&house.token(), "/dev/x").status, 200);
    assert_eq!(house.get_as(&Attester::patched().token(&house.service), "/dev/x").status, 403);

    assert_eq!(house.here(&["device", "list", "--enrolled"]).ends(0).json()["items"][0]["id"], device.as_str());
    house.here(&["device", "clear", &device, "--reason", "no longer needed"]).ends(0);
    until("the enrolment to be over", || {
        (house.get_as(&simulator.token(&house.service), "/dev/x").status == 403).then_some(())
    });
}

/// What a gateway answers to each test token on a route that takes them.
const VERDICTS: [(&str, u16); 9] = [
    ("attested", 200),
    ("failed", 403),
    ("expired", 401),
    ("not_yet_valid", 403),
    ("wrong_issuer", 403),
    ("wrong_audience", 403),
    ("unknown_key", 403),
    ("bad_signature", 403),
    ("malformed", 403),
];

#[test]
fn a_test_token_of_each_verdict_is_found_to_be_that_by_the_check_and_by_the_gateway() {
    let (house, _api) = house(false);
    let config = house.config();
    let mut tokens = BTreeMap::new();
    for (verdict, status) in VERDICTS {
        let issued = house.here(&["token", "issue", "--app", "shop", "--route", "dev", "--as", verdict]).ends(0).json();
        let token = issued["token"].as_str().unwrap().to_owned();
        let code = i32::from(verdict != "attested");
        let found =
            assay(&[&"--json", &"token", &"check", &token, &"--route", &"dev", &"-c", &config]).ends(code).json();
        assert_eq!(found["verdict"], verdict, "{found:#}");
        let answer = house.get_as(&token, "/dev/x");
        assert_eq!(answer.status, status, "{verdict}");
        if status != 200 {
            assert_eq!(house.log_of(&answer)["verdict"], verdict);
        }
        assert_ne!(house.get_as(&token, "/own/x").status, 200, "{verdict}");
        assert_ne!(house.get_as(&token, "/paid/v1/paid").status, 200, "{verdict}");
        tokens.insert(verdict, token);
    }
    // As a route without allow_dev sees it.
    let own =
        assay(&[&"--json", &"token", &"check", &tokens["attested"], &"--route", &"own", &"-c", &config]).ends(1).json();
    assert_eq!((&own["verdict"], &own["reason"]), (&"failed".into(), &"dev_token".into()));
    is_refused_as_dev(&house, &house.get_as(&tokens["attested"], "/own/x"));
    // What no token can bring about is said, not made up; and so is a route that would refuse it.
    for verdict in ["missing", "unverifiable", "revoked", "replayed", "binding_mismatch", "proof_invalid"] {
        house
            .here(&["token", "issue", "--app", "shop", "--route", "dev", "--as", verdict])
            .ends(2)
            .complains(&[verdict]);
    }
    house.here(&["token", "issue", "--app", "shop", "--route", "own"]).ends(1).complains(&["allow_dev"]);
    let log = house.here(&["audit", "list"]).ends(0).json();
    let issued = log["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == "token.issue");
    assert_eq!(issued.count(), VERDICTS.len(), "each one taken stands in the audit log");
}

#[test]
fn from_the_gateways_machine_a_test_token_is_had_through_the_admin_api() {
    let (house, _api) = house(true);
    let file = house.files.at("secrets/ci.token");
    let out = file.to_str().unwrap();
    house
        .here(&["admin", "token", "create", "ci", "--role", "operator", "--app", "shop", "--for", "1d", "--out", out])
        .ends(0);
    let url = format!("http://{}", house.service_admin());
    let issue = |route: &str, app: &str| {
        assay(&[
            &"--json",
            &"token",
            &"issue",
            &"--app",
            &app,
            &"--route",
            &route,
            &"--remote",
            &url,
            &"--token-file",
            &file,
            &"-c",
            &house.config(),
        ])
    };
    let issued = issue("dev", "shop").ends(0).json();
    let token = issued["token"].as_str().unwrap();
    assert_eq!(house.get_as(token, "/dev/x").status, 200);
    is_refused_as_dev(&house, &house.get_as(token, "/own/x"));
    let found =
        assay(&[&"--json", &"token", &"check", &token, &"--route", &"dev", &"-c", &house.config()]).ends(0).json();
    assert_eq!((&found["verdict"], &found["claims"]["app"]), (&"attested".into(), &"shop".into()));
    issue("own", "shop").ends(1).complains(&["allow_dev"]);
    // Its token is for one app.
    issue("dev", "other").ends(1);
}
