//! Servers that fail while apps attest without a pause: a genuine app gets a token that passes, or hears that the fault is
//! ours. Never a token that fails, never an answer outside the table, never silence.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::attester::{Attester, Service};
use e2e::jwt;
use e2e::replicas::{Gateway, Plan, Replicas};
use e2e::wait::{StopAtEnd, until};
use e2e::wire::Answer;
use test_servers::{Postgres, Redis};

/// What happened, counted by step, status and code.
type Counted = Mutex<BTreeMap<(&'static str, u16, String), usize>>;

/// What may be said while servers come and go: a challenge may be over after a restart of Redis, and a claim on it may
/// have been lost with a connection; the SDK takes another.
const ALLOWED: [(u16, &str); 4] =
    [(200, ""), (409, "challenge_spent"), (410, "challenge_expired"), (503, "unavailable")];

/// How long any answer may take: each question to Redis has half a second here, and the database is not asked.
const AT_MOST: Duration = Duration::from_secs(5);

fn keep_attesting(service: &Service, gateway: &Gateway, counted: &Counted, passed: &AtomicUsize, stop: &AtomicBool) {
    let attester = Attester::genuine();
    let count = |step, answer: &Answer| {
        let key = (step, answer.status, answer.code());
        *counted.lock().unwrap().entry(key).or_default() += 1;
        answer.status == 200
    };
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let challenge = service.post("/challenge", b"{}");
        assert!(began.elapsed() < AT_MOST, "a challenge took {:?}", began.elapsed());
        if !count("challenge", &challenge) {
            continue;
        }
        let challenge = challenge.json()["challenge"].as_str().unwrap().to_owned();
        let challenge = attest_core::b64u::decode(challenge.as_bytes(), 256).unwrap();
        let answer = service.attest(&attester.request(&challenge, |_| ()));
        assert!(began.elapsed() < AT_MOST, "an answer took {:?}", began.elapsed());
        if count("attest", &answer) {
            let token = answer.json()["token"].as_str().unwrap().to_owned();
            let seen = gateway.get_as(&token, "/own/x");
            assert_eq!(seen.status, 200, "a genuine app's token: {}", gateway.log_of(&seen));
            passed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn whatever_fails_under_load_no_genuine_app_is_told_that_it_failed() {
    let Some(replicas) = Replicas::start(Plan { own_postgres: true, ..Plan::default() }) else { return };
    let (postgres, redis) = (replicas.postgres.as_ref().unwrap(), &replicas.redis);
    let counted = Counted::default();
    let (passed, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|threads| {
        let _stop = StopAtEnd(&stop);
        for number in 0..4 {
            let (service, gateway) = (&replicas.services[number % 2].at, &replicas.gateways[number / 2]);
            let (counted, passed, stop) = (&counted, &passed, &stop);
            threads.spawn(move || keep_attesting(service, gateway, counted, passed, stop));
        }
        let more_pass = |why: &str| {
            let aim = passed.load(Ordering::Relaxed) + 40;
            until(why, || (passed.load(Ordering::Relaxed) >= aim).then_some(()));
        };
        let faulty = |why: &str| {
            let number = || -> usize {
                let counted = counted.lock().unwrap();
                counted.iter().filter(|((_, status, _), _)| *status == 503).map(|(_, number)| number).sum()
            };
            let before = number();
            until(why, || (number() > before + 4).then_some(()));
        };
        more_pass("the first tokens");
        Postgres::restart(postgres);
        more_pass("tokens after PostgreSQL was restarted");
        Redis::restart(redis);
        more_pass("tokens after Redis was restarted");
        Postgres::pause(postgres);
        faulty("the silence of PostgreSQL to be noticed");
        Postgres::resume(postgres);
        more_pass("tokens after PostgreSQL was silent");
        Redis::pause(redis);
        faulty("the silence of Redis to be noticed");
        Redis::resume(redis);
        more_pass("tokens after Redis was silent");
    });
    let counted = counted.into_inner().unwrap();
    let other: Vec<_> =
        counted.keys().filter(|(_, status, code)| !ALLOWED.contains(&(*status, code.as_str()))).collect();
    assert!(other.is_empty(), "{counted:#?}");
    // And what an operator decides now holds, as ever.
    let token = Attester::genuine().token(&replicas.services[1].at);
    replicas.afar(0, &["device", "ban", &jwt::device(&token), "--reason", "r"]).ends(0);
    for gateway in &replicas.gateways {
        until("the ban", || (gateway.get_as(&token, "/own/x").status == 403).then_some(()));
    }
    // Also of devices that attest for the first time while it is decided.
    for _ in 0..10 {
        let token = Attester::genuine().token(&replicas.services[1].at);
        replicas.afar(0, &["device", "ban", &jwt::device(&token), "--reason", "r"]).ends(0);
    }
    replicas.here(&["audit", "verify"]).ends(0);
}
