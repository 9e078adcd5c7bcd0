//! What an operator decides at one service holds at both, and at both gateways within five seconds, tokens in hand
//! included.

use std::time::{Duration, Instant};

use e2e::attester::Attester;
use e2e::jwt;
use e2e::programs;
use e2e::replicas::{Plan, Replicas};
use e2e::wait::until;

/// How soon a decision holds for tokens that are out there.
const SOON: Duration = Duration::from_secs(5);

/// Waits until a token passes at neither gateway, and says how long that took since `decided`. Until then it must pass.
fn until_refused(replicas: &Replicas, token: &str, decided: Instant) -> Duration {
    for gateway in &replicas.gateways {
        let refused = until("the refusal of a token in hand", || {
            let answer = gateway.get_as(token, "/own/x");
            (answer.status != 200).then_some(answer)
        });
        assert_eq!((refused.status, refused.code()), (403, "refused".to_owned()));
        assert_eq!(gateway.log_of(&refused)["verdict"], "revoked");
    }
    decided.elapsed()
}

/// Whether an attestation at each service gives a token that both gateways find to be `verdict`.
fn attests_as(replicas: &Replicas, attester: &Attester, version: &str, verdict: &str) {
    for service in &replicas.services {
        let answer = service
            .at
            .attest(&attester.request(&service.at.challenge(), |request| version.clone_into(&mut request.version)));
        let token = answer.json()["token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned();
        for gateway in &replicas.gateways {
            let answer = gateway.get_as(&token, "/own/x");
            match verdict {
                "attested" => assert_eq!(answer.status, 200, "{}", gateway.log_of(&answer)),
                _ => {
                    assert_eq!(answer.status, 403);
                    assert_eq!(gateway.log_of(&answer)["verdict"], verdict);
                }
            }
        }
    }
}

#[test]
fn a_ban_or_a_retired_build_at_one_service_holds_at_both_and_at_both_gateways_within_five_seconds() {
    let Some(replicas) = Replicas::start(Plan::default()) else { return };
    let app = programs::sample_app();
    let register = ["app", "register", app.to_str().unwrap(), "--name", "shop", "--version", "1.1"];
    replicas.afar(1, &register).ends(0);
    let (here, afar, other) = (Attester::genuine(), Attester::genuine(), Attester::genuine());
    let newer = |attester: &Attester| {
        let service = &replicas.services[0].at;
        let answer =
            service.attest(&attester.request(&service.challenge(), |request| "1.1".clone_into(&mut request.version)));
        answer.json()["token"].as_str().unwrap().to_owned()
    };
    // Registered through the one, known to the other within a second.
    until("the build to be vouched for", || {
        (replicas.gateways[1].get_as(&newer(&other), "/own/x").status == 200).then_some(())
    });
    let banned_here = here.token(&replicas.services[0].at);
    let banned_afar = afar.token(&replicas.services[1].at);
    let retired = newer(&other);
    for token in [&banned_here, &banned_afar, &retired] {
        for gateway in &replicas.gateways {
            assert_eq!(gateway.get_as(token, "/own/x").status, 200);
        }
    }

    // One after the other, so that each has its own clock.
    replicas.here(&["device", "ban", &jwt::device(&banned_here), "--reason", "scraping"]).ends(0);
    let took = until_refused(&replicas, &banned_here, Instant::now());
    assert!(took < SOON, "a ban on the machine took {took:?}");
    replicas.afar(1, &["device", "ban", &jwt::device(&banned_afar), "--reason", "scraping"]).ends(0);
    let took = until_refused(&replicas, &banned_afar, Instant::now());
    assert!(took < SOON, "a ban from afar took {took:?}");
    replicas.here(&["app", "retire", "--name", "shop", "--version", "1.1"]).ends(0);
    let took = until_refused(&replicas, &retired, Instant::now());
    assert!(took < SOON, "retiring a build took {took:?}");

    // What comes next fails at both, and looks no different to the app; whoever was not meant is not hit.
    attests_as(&replicas, &here, "1.0", "failed");
    attests_as(&replicas, &afar, "1.0", "failed");
    attests_as(&replicas, &other, "1.1", "failed");
    attests_as(&replicas, &other, "1.0", "attested");

    // Taken back: the next token passes, and the old one again.
    replicas.afar(0, &["device", "clear", &jwt::device(&banned_here), "--reason", "solved"]).ends(0);
    until("the ban to be lifted", || {
        let token = here.token(&replicas.services[1].at);
        replicas.gateways.iter().all(|gateway| gateway.get_as(&token, "/own/x").status == 200).then_some(())
    });
}
