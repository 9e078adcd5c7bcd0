//! The attestation service is away: tokens in hand pass, offline; new ones can't be had, and the app is told which fault
//! it is. A gateway that never had a key set says that the fault is its own.

use e2e::attester::Attester;
use e2e::command::assay;
use e2e::files::Files;
use e2e::house::{House, Plan};
use e2e::upstream::Recorder;
use e2e::wait::until;
use e2e::wire;

const KEY: &str = "sk_live_0123456789abcdef";

#[test]
fn tokens_in_hand_pass_past_their_end_while_the_service_is_away_and_only_where_the_route_says_so() {
    let api = Recorder::start();
    let mut house =
        House::build(Files::new(), &api.address, KEY, Plan { apart: true, token_seconds: 2, ..Plan::default() });
    let (token, patched) = (house.token(), Attester::patched().token(&house.service));
    house.kill_service();
    assert_eq!(house.get_as(&token, "/paid/v1/paid").status, 200);
    // `own` names no accept_expired: there the end is the end, leeway included.
    until("the token's end", || (house.get_as(&token, "/own/x").status == 401).then_some(()));
    // That the service is away is known after a few fetches that failed.
    until("the outage to be noticed", || (house.get_as(&token, "/paid/v1/paid").status == 200).then_some(()));
    let line = house.log_line(0, |line| line["accepted_expired"] == true);
    assert_eq!((&line["route"], &line["verdict"]), (&"paid".into(), &"attested".into()));
    // What is known against an app outranks what is merely stale.
    let failed = house.get_as(&patched, "/paid/v1/paid");
    assert_eq!((&house.log_of(&failed)["verdict"], failed.status), (&"failed".into(), 401));

    let app = house.run_app(&["/paid/v1/paid"], &[]);
    assert_ne!(app.code, 0);
    assert_eq!(
        wire::get(&house.probe, "/readyz", &[]).status,
        200,
        "what is away elsewhere is no reason to be replaced"
    );

    house.start_service();
    house.run_app(&["/paid/v1/paid"], &[]).ends(0);
    until("the old token to be refused", || (house.get_as(&token, "/paid/v1/paid").status == 401).then_some(()));
}

#[test]
fn without_a_key_set_the_fault_is_ours_and_the_answer_says_so() {
    let api = Recorder::start();
    let mut house = House::apart(Files::new(), &api.address, KEY);
    let token = house.token();
    house.kill_service();
    house.restart_gateway();
    let answer = house.get_as(&token, "/paid/v1/paid");
    assert_eq!((answer.status, answer.code()), (503, "unavailable".to_owned()));
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    assert_eq!(house.log_of(&answer)["verdict"], "unverifiable");
    // It does not depend on what the client sent.
    let nonsense = house.get_as("nonsense", "/paid/v1/paid");
    assert_eq!((nonsense.status, nonsense.code()), (503, "unavailable".to_owned()));
    assert!(api.seen().is_empty());
    assert_eq!(wire::get(&house.probe, "/livez", &[]).status, 200);

    house.start_service();
    until("the key set", || (house.get_as(&token, "/paid/v1/paid").status == 200).then_some(()));
}

#[test]
fn another_services_key_sets_are_not_taken() {
    let api = Recorder::start();
    let mut house = House::apart(Files::new(), &api.address, KEY);
    let token = house.token();
    // Somebody else at its address, with a state of its own and so with another feed key.
    house.kill_service();
    let pinned = std::fs::read_to_string(house.files.at("service-state/feed.pub")).unwrap();
    std::fs::remove_dir_all(house.files.at("service-state")).unwrap();
    house.start_service();
    let other = std::fs::read_to_string(house.files.at("service-state/feed.pub")).unwrap();
    assert_ne!(pinned, other);
    house.files.write("service-state/feed.pub", &pinned);
    let stranger = Attester::genuine().token(&house.service);
    until("a refused fetch", || house.status()["key_set"]["problem"].is_string().then_some(()));
    assert_eq!(house.get_as(&stranger, "/paid/v1/paid").status, 403);
    assert_eq!(house.get_as(&token, "/paid/v1/paid").status, 200, "the one in hand is good still");
    // The command that fetches as a gateway does refuses it, too.
    let ran = assay(&[&"token", &"check", &token, &"--route", &"paid", &"-c", &house.config()]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(!ran.out.contains("attested"), "{ran:?}");
}
