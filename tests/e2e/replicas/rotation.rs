//! The signing key changes while both gateways are busy, and nobody notices.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::attester::{Attester, Service};
use e2e::jwt;
use e2e::replicas::{Gateway, Plan, Replicas};
use e2e::wait::{StopAtEnd, until};
use e2e::wire::{self, Connection, request};

/// Calls one gateway without a pause, with every token there is in turn, on one connection; what was not a 200.
fn keep_calling(gateway: &Gateway, tokens: &Mutex<Vec<String>>, done: &AtomicUsize, stop: &AtomicBool) -> Vec<String> {
    let mut connection = Connection::open(&gateway.public);
    let mut refused = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let token = {
            let tokens = tokens.lock().unwrap();
            tokens[number % tokens.len()].clone()
        };
        connection.send(&request("GET", "/own/x", &[("Assay-Token", &token)], b""));
        let answer = connection.answer().expect("the gateway hung up");
        if answer.status != 200 {
            refused.push(format!("{} {} kid {}", answer.status, answer.text(), jwt::kid(&token)));
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    refused
}

#[test]
fn a_key_rotated_at_once_under_load_has_no_request_refused() {
    let Some(replicas) = Replicas::start(Plan::default()) else { return };
    let [a, b] = [&replicas.services[0].at, &replicas.services[1].at];
    let before = Attester::genuine().token(a);
    let tokens = Mutex::new(vec![before.clone(), Attester::genuine().token(b)]);
    let (done, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let refused = std::thread::scope(|threads| {
        let working = StopAtEnd(&stop);
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let (gateway, tokens, done, stop) = (&replicas.gateways[number % 2], &tokens, &done, &stop);
                threads.spawn(move || keep_calling(gateway, tokens, done, stop))
            })
            .collect();
        let so_many_more = |more: usize| {
            let aim = done.load(Ordering::Relaxed) + more;
            until("requests to go through", || (done.load(Ordering::Relaxed) >= aim).then_some(()));
        };
        so_many_more(100);
        let rotation = replicas.here(&["keyset", "rotate", "--now", "--yes"]).ends(0).json();
        assert_eq!(rotation["from"], jwt::kid(&before).as_str());
        for service in [a, b] {
            // Each signs with the new key within a moment, and its tokens pass everywhere from the first on.
            let token = until("a token of the new key", || {
                let token = Attester::genuine().token(service);
                tokens.lock().unwrap().push(token.clone());
                (jwt::kid(&token) != jwt::kid(&before)).then_some(token)
            });
            assert_eq!(rotation["to"], jwt::kid(&token).as_str());
        }
        so_many_more(400);
        drop(working);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(refused, [""; 0], "of {}", done.into_inner());
    let keys = replicas.here(&["keyset", "list"]).ends(0).json();
    let state = |state: &str| {
        let keys = keys["items"][0]["keys"].as_array().unwrap();
        keys.iter().filter(|key| key["state"] == state).count()
    };
    assert_eq!([state("next"), state("active"), state("retiring")], [1, 1, 1], "{keys:#}");
}

#[test]
fn a_gateway_that_has_not_heard_of_a_key_asks_once_and_takes_its_first_token() {
    // Key sets are fetched once an hour: what is learnt here is learnt by asking.
    let Some(replicas) = Replicas::start(Plan { refresh: "1h", ..Plan::default() }) else { return };
    let number = |gateway: &Gateway| gateway.status()["key_set"]["number"].as_u64().unwrap();
    let before = [number(&replicas.gateways[0]), number(&replicas.gateways[1])];
    // The first is the one that was published as next; the second is one that no gateway can know.
    replicas.here(&["keyset", "rotate", "--now", "--yes"]).ends(0);
    let rotation = replicas.afar(1, &["keyset", "rotate", "--now", "--yes"]).ends(0).json();
    let service = &replicas.services[1].at;
    let token = until("a token of the new key", || {
        let token = Attester::genuine().token(service);
        (rotation["to"] == jwt::kid(&token).as_str()).then_some(token)
    });
    assert_eq!(before, [number(&replicas.gateways[0]), number(&replicas.gateways[1])], "nothing was fetched meanwhile");
    // The other service takes the change over from the database within a second.
    let published = |service: &Service| {
        wire::get(&service.address, "/assay/v1/health", &[]).json()["key_set_number"].as_u64().unwrap()
    };
    until("both services to publish it", || (published(&replicas.services[0].at) == published(service)).then_some(()));
    for (gateway, before) in replicas.gateways.iter().zip(before) {
        let answer = gateway.get_as(&token, "/own/x");
        assert_eq!(answer.status, 200, "{}", gateway.log_of(&answer));
        assert!(number(gateway) > before);
    }
}

#[test]
fn a_key_that_leaked_is_refused_at_both_gateways_within_five_seconds_and_the_next_passes_at_once() {
    let Some(replicas) = Replicas::start(Plan::default()) else { return };
    let old = Attester::genuine().token(&replicas.services[0].at);
    let next = replicas.afar(1, &["keyset", "retire", &jwt::kid(&old), "--yes"]).ends(0).json()["rotation"].clone();
    let retired = Instant::now();
    for service in &replicas.services {
        let token = until("a token of the next key", || {
            let token = Attester::genuine().token(&service.at);
            (jwt::kid(&token) != jwt::kid(&old)).then_some(token)
        });
        assert_eq!(next["to"], jwt::kid(&token).as_str());
        for gateway in &replicas.gateways {
            assert_eq!(gateway.get_as(&token, "/own/x").status, 200, "it was published before it signed");
        }
    }
    for gateway in &replicas.gateways {
        let refused = until("the leaked key to be refused", || {
            let answer = gateway.get_as(&old, "/own/x");
            (answer.status != 200).then_some(answer)
        });
        // By the revocation, or because the key is gone from the set by now: whichever came first.
        let line = gateway.log_of(&refused);
        assert!(refused.status == 403 && ["revoked", "unknown_key"].iter().any(|v| line["verdict"] == *v), "{line}");
    }
    assert!(retired.elapsed() < Duration::from_secs(5), "it took {:?}", retired.elapsed());
    // Its secret is gone, so nothing signs with it again; the service that did not hear of it by itself neither.
    for service in &replicas.services {
        assert_ne!(jwt::kid(&Attester::genuine().token(&service.at)), jwt::kid(&old));
    }
}
