//! The same question has the same answer on the machine, and from afar at either service.

use e2e::attester::Attester;
use e2e::jwt;
use e2e::replicas::{Plan, Replicas};
use e2e::wait::until;
use e2e::wire;

#[test]
fn every_answer_is_the_same_here_and_from_afar_at_both_services() {
    let Some(replicas) = Replicas::start(Plan::default()) else { return };
    let device = jwt::device(&Attester::genuine().token(&replicas.services[0].at));
    until("the device to be written down", || (replicas.here(&["device", "show", &device]).code == 0).then_some(()));
    // Each change by another door.
    replicas.here(&["device", "ban", &device, "--for", "7d", "--reason", "scraping"]).ends(0);
    replicas.afar(0, &["keyset", "rotate", "--now", "--yes"]).ends(0);
    replicas.afar(1, &["revocation", "add", "app", "shop", "--reason", "leaked build machine"]).ends(0);
    replicas.afar(0, &["revocation", "lift", "app", "shop", "--reason", "mended"]).ends(0);
    replicas.afar(1, &["device", "enrol", &device, "--for", "1d", "--reason", "simulator"]).ends(0);

    let questions: [&[&str]; 12] = [
        &["app", "list"],
        &["app", "list", "--live", "--limit", "1"],
        &["app", "show", "shop"],
        &["device", "list"],
        &["device", "list", "--state", "banned"],
        &["device", "list", "--enrolled", "--app", "shop"],
        &["device", "show", &device],
        &["keyset", "list"],
        &["revocation", "list"],
        &["admin", "token", "list"],
        &["audit", "list", "--limit", "5"],
        &["audit", "verify"],
    ];
    for question in questions {
        let here = replicas.here(question).ends(0).json();
        for service in [0, 1] {
            assert_eq!(replicas.afar(service, question).ends(0).json(), here, "{question:?} at {service}");
        }
    }
    // And so is a no, its reason and its exit code.
    let nos: [&[&str]; 5] = [
        &["app", "show", "nothing"],
        &["app", "retire", "--name", "shop", "--version", "9.9"],
        &["device", "show", "AAAAAAAAAAAAAAAAAAAAAA"],
        &["device", "pass", &device, "--for", "31d", "--reason", "r"],
        &["revocation", "lift", "app", "shop", "--reason", "r"],
    ];
    for question in nos {
        let (here, afar) = (replicas.here(question), replicas.afar(1, question));
        assert_ne!(here.code, 0, "{question:?}");
        assert_eq!((afar.code, afar.json()), (here.code, here.json()), "{question:?}");
    }

    // The description is served where the API is; without a token nothing else is.
    let admin = &replicas.services[1].admin;
    let described = wire::get(admin, "/admin/v1/openapi.json", &[]);
    assert_eq!((described.status, &described.json()["openapi"]), (200, &"3.1.0".into()));
    for path in described.json()["paths"].as_object().unwrap().keys() {
        let answer = wire::get(admin, &path.replace(['{', '}'], ""), &[]);
        assert!([401, 405, 429].contains(&answer.status), "{path}: {}", answer.status);
    }
    assert_eq!(wire::get(&replicas.services[1].at.address, "/admin/v1/devices", &[]).status, 404, "not among the apps");
}
