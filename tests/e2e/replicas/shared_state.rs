//! Redis slow, dead, and back with nothing in it: no token is issued on a guess, limits do what each route says, and all
//! of it heals by itself.

use attest_core::envelope::AttestRequest;
use e2e::attester::{Attester, Service};
use e2e::replicas::{Plan, Replicas};
use e2e::wait::until;
use e2e::wire::{self, Answer};

use super::limits::passed;

/// An answer that says: our fault, come again.
#[track_caller]
fn is_unavailable(answer: &Answer) {
    assert_eq!((answer.status, answer.code()), (503, "unavailable".to_owned()), "{}", answer.text());
    let seconds: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=60).contains(&seconds));
}

/// Neither service takes a challenge, nor, as soon as it has noticed, gives one; neither says anything of the app.
fn nothing_is_issued(replicas: &Replicas, open: &AttestRequest) {
    for service in [&replicas.services[0].at, &replicas.services[1].at] {
        is_unavailable(&service.attest(open));
        until("no more challenges", || (service.post("/challenge", b"{}").status != 200).then_some(()));
        is_unavailable(&service.post("/challenge", b"{}"));
        is_unavailable(&service.attest(open));
        let health = wire::get(&service.address, "/assay/v1/health", &[]);
        assert_eq!((health.status, &health.json()["shared_state"]), (503, &"away".into()));
    }
}

/// A token, as soon as the service issues again; until then it says that the fault is its own.
fn heals(service: &Service, attester: &Attester) -> String {
    until("a token", || {
        let challenge = service.post("/challenge", b"{}");
        if challenge.status != 200 {
            is_unavailable(&challenge);
            return None;
        }
        let challenge = challenge.json()["challenge"].as_str().unwrap().to_owned();
        let challenge = attest_core::b64u::decode(challenge.as_bytes(), 256).unwrap();
        let answer = service.attest(&attester.request(&challenge, |_| ()));
        if answer.status != 200 {
            is_unavailable(&answer);
            return None;
        }
        Some(answer.json()["token"].as_str().unwrap().to_owned())
    })
}

/// Tokens in hand pass; limits are counted by each gateway or refused, as the route says, and the log tells.
fn limits_without_it(replicas: &Replicas, token: &str, address: &str) {
    let [a, b] = &replicas.gateways;
    for gateway in [a, b] {
        until("the fault to be noticed", || (gateway.metric("assay_shared_state_up") == Some(0.0)).then_some(()));
        assert_eq!(gateway.get_as(token, "/own/x").status, 200, "no limit, no need of the shared state");
        for path in ["/strict/x", "/v1/x"] {
            let refused = gateway.get_from(address, token, path);
            is_unavailable(&refused);
            assert_eq!(gateway.log_of(&refused)["shared_state_down"], true);
        }
        let alone = passed([gateway, gateway], address, token, "/counted/x", 16);
        assert!((10..16).contains(&alone), "counted by this one alone: {alone}");
        let metrics = wire::get(&gateway.admin, "/metrics", &[]).text();
        assert!(metrics.contains("assay_limits_counted_locally_total"), "{metrics}");
    }
}

#[test]
fn a_slow_or_dead_redis_stops_tokens_and_is_counted_around_or_refused_and_heals_with_nothing_old_accepted() {
    let Some(replicas) = Replicas::start(Plan::default()) else { return };
    let [a, b] = [&replicas.services[0].at, &replicas.services[1].at];
    let attester = Attester::genuine();
    let token = attester.token(a);

    // Slow: connections stand, nothing answers.
    let open = attester.request(&a.challenge(), |_| ());
    replicas.redis.pause();
    nothing_is_issued(&replicas, &open);
    limits_without_it(&replicas, &token, "198.51.100.1");
    replicas.redis.resume();
    for service in [a, b] {
        heals(service, &attester);
    }
    // Whether what was sent into the silence was done after all nobody can tell: the request from before gets its answer,
    // or hears that its challenge is spent or that an answer may be on its way. Never a verdict on the app.
    let late = b.attest(&open);
    let known = [(200, ""), (409, "challenge_spent"), (503, "unavailable")];
    assert!(known.contains(&(late.status, late.code().as_str())), "{} {}", late.status, late.text());

    // Dead, and back with nothing in it: what was open and what was spent are both over.
    let (open, spent) = (attester.request(&a.challenge(), |_| ()), attester.request(&b.challenge(), |_| ()));
    assert_eq!(a.attest(&spent).status, 200);
    replicas.redis.kill();
    nothing_is_issued(&replicas, &open);
    limits_without_it(&replicas, &token, "198.51.100.2");
    replicas.redis.restart();
    for service in [a, b] {
        heals(service, &attester);
    }
    for service in [a, b] {
        for old in [&open, &spent] {
            let answer = service.attest(old);
            assert_eq!((answer.status, answer.code()), (410, "challenge_expired".to_owned()), "{}", answer.text());
        }
    }
    // And one limit again.
    let [one, other] = &replicas.gateways;
    for gateway in [one, other] {
        until("the shared state to be back", || (gateway.metric("assay_shared_state_up") == Some(1.0)).then_some(()));
        until("limits to be refused no more", || {
            (gateway.get_from("198.51.100.3", &token, "/strict/x").status == 200).then_some(())
        });
    }
    let together = passed([one, other], "198.51.100.4", &token, "/counted/x", 16);
    assert!((10..16).contains(&together), "{together}");
}
