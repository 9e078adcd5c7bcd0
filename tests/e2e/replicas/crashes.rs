//! A service killed in the midst of its work takes nothing with it that it had acknowledged.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use attest_core::envelope::AttestRequest;
use e2e::attester::{Attester, Service};
use e2e::files::random;
use e2e::jwt;
use e2e::replicas::{Plan, Replicas};
use e2e::wait::{StopAtEnd, until};
use e2e::wire::{Answer, call, get};

/// What the service acknowledged before it was killed.
#[derive(Default)]
struct Acknowledged {
    /// Requests with the answers that they got.
    attested: Vec<(AttestRequest, Answer)>,
    /// Devices that were banned.
    banned: BTreeSet<String>,
}

/// Attests until told to stop; a service that is being killed may answer nothing.
fn keep_attesting(service: &Service, acknowledged: &Mutex<Acknowledged>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let request = Attester::genuine().request(&service.challenge(), |_| ());
            let answer = service.attest(&request);
            if answer.status == 200 {
                acknowledged.lock().unwrap().attested.push((request, answer));
            }
        }));
    }
}

/// Bans devices, by the admin API, until told to stop.
fn keep_banning(admin: &str, bearer: &str, acknowledged: &Mutex<Acknowledged>, stop: &AtomicBool) {
    let headers = [("Authorization", bearer), ("Content-Type", "application/json"), ("If-None-Match", "*")];
    while !stop.load(Ordering::Relaxed) {
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let device = attest_core::b64u::encode(&random::<16>());
            let body = br#"{"state":"banned","reason":"scraping"}"#;
            let answer = call(admin, "PUT", &format!("/admin/v1/devices/{device}/mark"), &headers, body);
            assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text());
            acknowledged.lock().unwrap().banned.insert(device);
        }));
    }
}

#[test]
fn a_service_killed_amid_attestations_loses_nothing_that_it_acknowledged() {
    let Some(mut replicas) = Replicas::start(Plan::default()) else { return };
    let admin_token = std::fs::read_to_string(replicas.files.at("secrets/anna.token")).unwrap();
    let bearer = format!("Bearer {}", admin_token.trim());
    let acknowledged = Mutex::new(Acknowledged::default());
    for _ in 0..3 {
        let stop = AtomicBool::new(false);
        let (service, admin) = (replicas.services[0].at.clone(), replicas.services[0].admin.clone());
        let before = acknowledged.lock().unwrap().banned.len();
        std::thread::scope(|threads| {
            let _stop = StopAtEnd(&stop);
            for _ in 0..3 {
                threads.spawn(|| keep_attesting(&service, &acknowledged, &stop));
            }
            threads.spawn(|| keep_banning(&admin, &bearer, &acknowledged, &stop));
            until("some work", || (acknowledged.lock().unwrap().banned.len() > before + 2).then_some(()));
            let moment = Duration::from_millis(u64::from(random::<1>()[0]));
            assert!(replicas.services[0].program.as_mut().unwrap().wait(moment).is_none(), "it ended by itself");
            replicas.kill_service(0);
        });
        replicas.start_service(0);
    }
    let Acknowledged { attested, banned } = acknowledged.into_inner().unwrap();
    assert!(attested.len() >= 6 && banned.len() >= 9, "{} attested, {} banned", attested.len(), banned.len());

    // Each token passes; each challenge is spent at both; each answer of the last half minute can be had again.
    let services = [&replicas.services[0].at, &replicas.services[1].at];
    for (number, (request, answer)) in attested.iter().enumerate() {
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        let gateway = &replicas.gateways[number % 2];
        assert_eq!(gateway.get_as(&token, "/own/x").status, 200);
        let again = services[(number + 1) % 2].attest(request);
        let lost = (again.status, again.code().as_str()) == (409, "challenge_spent");
        assert!(again.body == answer.body || lost, "{} {}", again.status, again.text());
        if number + 1 == attested.len() {
            assert_eq!(again.body, answer.body, "the last answer is not that old");
        }
    }
    // Each ban holds, at the service that was not killed, too, and the log of what was done is whole.
    for device in &banned {
        let path = format!("/admin/v1/devices/{device}");
        let shown = get(&replicas.services[1].admin, &path, &[("Authorization", &bearer)]);
        assert_eq!((shown.status, &shown.json()["state"]), (200, &"banned".into()), "{}", shown.text());
    }
    let report = replicas.here(&["audit", "verify"]).ends(0).json();
    assert_eq!(report["intact"], true, "{report:#}");
    let token = Attester::genuine().token(services[0]);
    assert!(!banned.contains(&jwt::device(&token)));
    assert_eq!(replicas.gateways[1].get_as(&token, "/own/x").status, 200);
}
