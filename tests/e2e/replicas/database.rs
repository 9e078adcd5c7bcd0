//! PostgreSQL stopped, silent, and back: no token, no ban and no build on a guess; tokens in hand don't need it; the
//! operator is told; and it heals by itself. And both services away while gateways start.

use e2e::attester::Attester;
use e2e::replicas::{Plan, Replicas};
use e2e::wait::until;
use e2e::wire::{self, Answer};
use test_servers::Postgres;

type Act = fn(&Postgres);

fn unavailable(answer: &Answer) -> bool {
    (answer.status, answer.code().as_str()) == (503, "unavailable")
}

#[test]
fn a_database_that_stops_or_says_nothing_stops_tokens_and_decisions_and_heals_and_tokens_in_hand_pass() {
    let Some(replicas) = Replicas::start(Plan { own_postgres: true, ..Plan::default() }) else { return };
    let postgres = replicas.postgres.as_ref().unwrap();
    let attester = Attester::genuine();
    let token = attester.token(&replicas.services[0].at);
    let admin_token = std::fs::read_to_string(replicas.files.at("secrets/anna.token")).unwrap();
    let bearer = format!("Bearer {}", admin_token.trim());
    let device = e2e::jwt::device(&token);

    let faults: [(&str, Act, Act); 2] =
        [("stopped", Postgres::stop, Postgres::restart), ("silent", Postgres::pause, Postgres::resume)];
    for (name, fault, repair) in faults {
        let open = attester.request(&replicas.services[0].at.challenge(), |_| ());
        fault(postgres);
        for service in &replicas.services {
            until(name, || unavailable(&service.at.post("/challenge", b"{}")).then_some(()));
            let answer = service.at.attest(&open);
            assert!(unavailable(&answer), "{name}: {} {}", answer.status, answer.text());
            let health = wire::get(&service.at.address, "/assay/v1/health", &[]);
            assert_eq!((health.status, &health.json()["store"]), (503, &"unreadable".into()), "{name}");
            assert_eq!(wire::get(&service.probe, "/readyz", &[]).status, 200, "{name}: another process would not help");
            // An operator is told whose fault it is, and that nothing was done.
            let answer = wire::get(&service.admin, "/admin/v1/devices", &[("Authorization", &bearer)]);
            assert!(unavailable(&answer), "{name}: {} {}", answer.status, answer.text());
        }
        let ran = replicas.afar(0, &["device", "ban", &device, "--reason", "r"]).ends(3);
        assert!(ran.err.contains("the database is away"), "{name}: {}", ran.err);
        let ran = replicas.here(&["device", "ban", &device, "--reason", "r"]).ends(3);
        assert!(!ran.err.contains("panicked") && ran.err.contains("database"), "{name}: {}", ran.err);
        for gateway in &replicas.gateways {
            assert_eq!(gateway.get_as(&token, "/own/x").status, 200, "{name}: gateways don't use it");
        }

        repair(postgres);
        for service in &replicas.services {
            until("a challenge", || (service.at.post("/challenge", b"{}").status == 200).then_some(()));
            until("the admin API", || {
                (wire::get(&service.admin, "/admin/v1/devices", &[("Authorization", &bearer)]).status == 200)
                    .then_some(())
            });
        }
        // The challenge was not spent on a fault of ours, and nobody was banned.
        let late = replicas.services[1].at.attest(&open);
        assert_eq!(late.status, 200, "{name}: {}", late.text());
        let new = attester.token(&replicas.services[1].at);
        for gateway in &replicas.gateways {
            assert_eq!(gateway.get_as(&new, "/own/x").status, 200, "{name}");
        }
        // Sightings are written in batches.
        let shown = until("the device to be written down", || {
            let shown = replicas.here(&["device", "show", &device]);
            (shown.code == 0).then_some(shown)
        });
        assert_eq!(shown.json()["state"], "normal", "{name}");
    }
    replicas.here(&["audit", "verify"]).ends(0);
}

#[test]
fn gateways_that_start_while_both_services_are_away_judge_nobody_and_heal() {
    let Some(mut replicas) = Replicas::start(Plan::default()) else { return };
    let token = Attester::genuine().token(&replicas.services[0].at);
    let banned = Attester::genuine().token(&replicas.services[0].at);
    replicas.here(&["device", "ban", &e2e::jwt::device(&banned), "--reason", "r"]).ends(0);
    replicas.kill_service(0);
    replicas.kill_service(1);
    // Gateways that have heard go on without them, bans included where they had heard of those.
    for gateway in &replicas.gateways {
        assert_eq!(gateway.get_as(&token, "/own/x").status, 200);
    }
    replicas.restart_gateways();
    for gateway in &replicas.gateways {
        for sent in [token.as_str(), banned.as_str(), "nonsense"] {
            let answer = gateway.get_as(sent, "/own/x");
            assert!(unavailable(&answer) && answer.header("retry-after").is_some(), "{}", answer.text());
            assert_eq!(gateway.log_of(&answer)["verdict"], "unverifiable");
        }
    }
    assert!(replicas.api.seen().iter().all(|seen| !seen.head.contains("nonsense")));
    // One by one they are back, and the ban with them: never a moment in which the banned device passes.
    for which in [0, 1] {
        replicas.start_service(which);
        let gateway = &replicas.gateways[which];
        until("the gateway to judge again", || match gateway.get_as(&banned, "/own/x").status {
            403 => Some(()),
            status => {
                assert_eq!(status, 503);
                None
            }
        });
        assert_eq!(gateway.get_as(&token, "/own/x").status, 200);
    }
}
