//! Operators' orders: how soon they reach two gateways, where they show, what they outlive, and what they never do.

use std::time::{Duration, Instant};

use e2e::attester::Attester;
use e2e::command::assay;
use e2e::files::Files;
use e2e::house::{House, Plan as HousePlan};
use e2e::jwt;
use e2e::replicas::{Gateway, Plan, Replicas, VENDOR_KEY};
use e2e::upstream::Recorder;
use e2e::wait::until;
use e2e::wire::get;

/// Waits until both gateways answer nobody so; within five seconds of `since`.
fn both(gateways: &[Gateway; 2], path: &str, status: u16, since: Instant) {
    for gateway in gateways {
        until(&format!("{status} for {path}"), || (get(&gateway.public, path, &[]).status == status).then_some(()));
    }
    assert!(since.elapsed() < Duration::from_secs(5), "{status} for {path} after {:?}", since.elapsed());
}

fn shown(gateway: &Gateway) -> String {
    assay(&[&"status", &"--admin", &gateway.admin]).ends(0).out
}

#[test]
fn a_lockdown_reaches_both_gateways_in_five_seconds_shows_everywhere_and_outlives_restarts() {
    let Some(mut replicas) = Replicas::start(Plan::default()) else { return };
    let token = Attester::genuine().token(&replicas.services[0].at);
    both(&replicas.gateways, "/free/x", 200, Instant::now());

    // Neither without an end nor without a reason.
    replicas.afar(0, &["panic", "lockdown", "--route", "free", "--reason", "r"]).ends(2);
    replicas.afar(0, &["panic", "lockdown", "--route", "free", "--for", "10m"]).ends(2);
    until("both gateways to have told of themselves", || {
        let fleet = replicas.afar(1, &["fleet"]).ends(0).json();
        (fleet["gateways"].as_array()?.len() == 2).then_some(())
    });
    let given = Instant::now();
    let order = ["panic", "lockdown", "--route", "free", "--for", "10m", "--reason", "credential stuffing"];
    let given_as = replicas.afar(0, &order).ends(0).json();
    assert_eq!(given_as["order"]["number"], 1, "{given_as}");
    assert_eq!(given_as["routes_nowhere"], serde_json::json!([]), "{given_as}");
    both(&replicas.gateways, "/free/x", 401, given);

    for gateway in &replicas.gateways {
        assert_eq!(gateway.get_as(&token, "/free/x").status, 200, "genuine apps go on");
        let refused = get(&gateway.public, "/free/x", &[]);
        let line = gateway.log_of(&refused);
        assert_eq!((&line["panic"], &line["order"]), (&"lockdown".into(), &1.into()), "{line}");
        let other = gateway.log_of(&get(&gateway.public, "/own/x", &[]));
        assert!(other["panic"].is_null(), "another route: {other}");
        let shown = shown(gateway);
        assert!(shown.contains("PANIC LOCKDOWN on free") && shown.contains("credential stuffing"), "{shown}");
        assert!(shown.contains("MODE LOCKDOWN"), "{shown}");
    }
    until("the fleet to tell of it", || {
        let fleet = replicas.afar(1, &["fleet"]).ends(0).json();
        let gateways = fleet["gateways"].as_array().unwrap();
        gateways.iter().all(|gateway| gateway["orders"] == serde_json::json!([1])).then_some(())
    });
    let audit = replicas.afar(1, &["audit", "list"]).ends(0).out;
    for part in ["order.lockdown", "credential stuffing", "anna"] {
        assert!(audit.contains(part), "no {part}: {audit}");
    }

    // A service that was killed knows it still; gateways that start while there is none, too.
    replicas.kill_service(0);
    replicas.start_service(0);
    let list = replicas.afar(0, &["panic", "list"]).ends(0).json();
    assert_eq!((&list["items"][0]["number"], &list["items"][0]["in_force"]), (&1.into(), &true.into()), "{list}");
    for which in [0, 1] {
        replicas.kill_service(which);
    }
    replicas.restart_gateways();
    for gateway in &replicas.gateways {
        let refused = get(&gateway.public, "/free/x", &[]);
        assert_eq!(refused.status, 401, "from the first request on");
        assert_eq!(gateway.log_of(&refused)["panic"], "lockdown");
        assert!(shown(gateway).contains("PANIC LOCKDOWN on free"));
    }
    for which in [0, 1] {
        replicas.start_service(which);
    }
    replicas.until_fed();
    assert_eq!(get(&replicas.gateways[0].public, "/free/x", &[]).status, 401);
    let ended = Instant::now();
    replicas.afar(1, &["panic", "end", "1", "--reason", "the attack is over"]).ends(0);
    both(&replicas.gateways, "/free/x", 200, ended);
    let audit = replicas.afar(0, &["audit", "list"]).ends(0).out;
    assert!(audit.contains("order.end") && audit.contains("the attack is over"), "{audit}");
    replicas.afar(0, &["panic", "end", "1", "--reason", "again"]).ends(1);
    assert!(!shown(&replicas.gateways[0]).contains("PANIC"));
}

#[test]
fn monitor_lets_everybody_through_and_nobody_to_a_key() {
    let Some(replicas) = Replicas::start(Plan::default()) else { return };
    let token = Attester::genuine().token(&replicas.services[0].at);
    let failed = Attester::patched().token(&replicas.services[0].at);
    let given = Instant::now();
    replicas
        .afar(0, &["panic", "monitor", "--route", "own", "--route", "paid", "--for", "10m", "--reason", "a bad rule"])
        .ends(0);
    both(&replicas.gateways, "/own/x", 200, given);
    let keys = || replicas.api.seen().iter().filter(|seen| seen.head.contains(VENDOR_KEY)).count();
    for gateway in &replicas.gateways {
        assert_eq!(gateway.get_as(&failed, "/own/x").status, 200);
        let line = gateway.program.out().after(0, |line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            (line["panic"] == "monitor").then_some(line)
        });
        let line = line.unwrap();
        assert_eq!((&line["would"], &line["status"]), (&"block".into(), &200.into()), "{line}");
        assert_eq!(get(&gateway.public, "/v1/x", &[]).status, 401);
        assert_eq!(gateway.get_as(&failed, "/v1/x").status, 403);
        assert_eq!(gateway.get_as("nonsense", "/v1/x").status, 403);
        assert_eq!(keys(), 0, "nobody who is not attested");
        assert!(replicas.api.seen().iter().all(|seen| !seen.line().contains("/v1/x")), "not even without the key");
    }
    // Who is attested has it as ever.
    assert_eq!(replicas.gateways[0].get_as(&token, "/v1/x").status, 200);
    assert_eq!(keys(), 1);
}

#[test]
fn extended_tokens_live_on_until_the_order_ends_and_never_beyond_a_revocation() {
    let api = Recorder::start();
    let plan = HousePlan { apart: true, token_seconds: 2, ..HousePlan::default() };
    let house = House::build(Files::new(), &api.address, "sk_live_0123456789abcdef", plan);
    let (kept, banned, failed) = (house.token(), house.token(), Attester::patched().token(&house.service));
    let status = |token: &str| house.get_as(token, "/own/x").status;
    assert_eq!((status(&kept), status(&banned)), (200, 200));
    until("their end", || (status(&kept) == 401 && status(&banned) == 401).then_some(()));
    let given = Instant::now();
    house
        .here(&["panic", "extend-tokens", "--all", "--by", "1h", "--for", "1h", "--reason", "moving the database"])
        .ends(0);
    until("longer lives", || (status(&kept) == 200 && status(&banned) == 200).then_some(()));
    assert!(given.elapsed() < Duration::from_secs(5), "{:?}", given.elapsed());
    assert_ne!(status(&failed), 200, "a failed app does not pass by living longer");
    let shown = house.shown();
    assert!(shown.contains("PANIC EXTEND TOKENS on all routes") && shown.contains("moving the database"), "{shown}");
    let line = house.log_line(0, |line| line["accepted_expired"] == true);
    assert_eq!(
        (&line["panic"], &line["order"], &line["status"]),
        (&"extend_tokens".into(), &1.into(), &200.into()),
        "{line}"
    );

    house.here(&["device", "ban", &jwt::device(&banned), "--reason", "scraping"]).ends(0);
    // 401 and not 403: its `exp` has passed, so fetching another token is what its sender is told to do.
    until("the ban", || (status(&banned) == 401).then_some(()));
    let line = house.log_line(0, |line| line["verdict"] == "revoked");
    assert_eq!((&line["panic"], &line["status"]), (&"extend_tokens".into(), &401.into()), "{line}");
    assert_eq!(status(&kept), 200, "nobody else");
    house.here(&["panic", "end", "1", "--reason", "moved"]).ends(0);
    until("the end of the order", || (status(&kept) == 401).then_some(()));
}
