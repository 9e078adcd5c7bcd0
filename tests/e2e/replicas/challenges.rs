//! One challenge, one appraisal, whichever of two services is asked; and a lost reply is had again at the other.

use std::collections::BTreeSet;
use std::sync::Barrier;

use attest_core::envelope::AttestRequest;
use e2e::attester::{Attester, Service};
use e2e::replicas::{Plan, Replicas};
use e2e::wire::{Answer, Connection, request};

const CLIENTS: usize = 64;

/// Sends every request at the same moment, each on a connection of its own, to the services in turn.
fn race(services: [&Service; 2], requests: &[AttestRequest]) -> Vec<Answer> {
    let start = Barrier::new(requests.len());
    std::thread::scope(|threads| {
        let clients: Vec<_> = requests
            .iter()
            .enumerate()
            .map(|(number, attest)| {
                let (service, start) = (services[number % 2], &start);
                threads.spawn(move || {
                    let mut connection = Connection::open(&service.address);
                    let body = attest.to_json().to_string();
                    let path = format!("{}/attest", service.path);
                    let bytes = request("POST", &path, &[("Content-Type", "application/json")], body.as_bytes());
                    start.wait();
                    connection.send(&bytes);
                    connection.answer().expect("an answer")
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

#[test]
fn of_64_that_race_at_two_services_one_gets_a_token_and_a_lost_reply_is_had_again_at_the_other() {
    let Some(replicas) = Replicas::start(Plan::default()) else { return };
    let [a, b] = [&replicas.services[0].at, &replicas.services[1].at];
    let attester = Attester::genuine();

    // Told by one, spent at the other, once.
    let challenge = a.challenge();
    let spent = attester.request(&challenge, |_| ());
    let first = b.attest(&spent);
    assert_eq!(first.status, 200, "{}", first.text());
    let again = attester.request(&challenge, |request| request.binding = Some([7; 32]));
    for service in [a, b] {
        let answer = service.attest(&again);
        assert_eq!((answer.status, answer.code()), (409, "challenge_spent".to_owned()));
        // The same request again is a reply that was lost: the same bytes, wherever.
        assert_eq!(service.attest(&spent).body, first.body);
    }

    for _ in 0..3 {
        // 64 different requests for one challenge.
        let challenge = b.challenge();
        let requests: Vec<_> = (0..CLIENTS)
            .map(|number| {
                attester.request(&challenge, |request| request.binding = Some([u8::try_from(number).unwrap(); 32]))
            })
            .collect();
        let answers = race([a, b], &requests);
        let passed = answers.iter().filter(|answer| answer.status == 200).count();
        let spent = answers.iter().filter(|answer| (answer.status, answer.code().as_str()) == (409, "challenge_spent"));
        assert_eq!((passed, spent.count()), (1, CLIENTS - 1), "{:?}", statuses(&answers));

        // The same request 64 times: a client that lost patience, not a replay.
        let request = attester.request(&a.challenge(), |_| ());
        let answers = race([a, b], &vec![request; CLIENTS]);
        let bodies: BTreeSet<_> = answers.iter().map(|answer| (answer.status, &answer.body)).collect();
        assert_eq!(bodies.len(), 1, "{:?}", statuses(&answers));
        assert_eq!(answers[0].status, 200);
        let token = answers[0].json()["token"].as_str().unwrap().to_owned();
        for gateway in &replicas.gateways {
            assert_eq!(gateway.get_as(&token, "/own/x").status, 200);
        }
    }
}

fn statuses(answers: &[Answer]) -> BTreeSet<(u16, String)> {
    answers.iter().map(|answer| (answer.status, answer.code())).collect()
}
