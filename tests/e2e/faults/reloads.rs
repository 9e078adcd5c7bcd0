//! A new configuration while requests run: taken whole or not at all, and no request notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use e2e::command::assay;
use e2e::files::Files;
use e2e::house::{House, SampleApi};
use e2e::upstream::Recorder;
use e2e::wait::until;
use e2e::wire::{Connection, request};
use rustix::process::Signal;

const KEY: &str = "sk_live_0123456789abcdef";

#[test]
fn good_and_bad_configurations_alternating_under_load_fail_no_request() {
    let files = Files::new();
    let api = SampleApi::start(&files);
    let (address, key) = (api.address.clone(), api.key.clone());
    let house = House::together(files, &address, &key);
    let token = house.token();
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..3)
        .map(|worker| {
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            let (public, token) = (house.public.clone(), token.clone());
            std::thread::spawn(move || {
                let mut connection = Connection::open(&public);
                let mut failed = Vec::new();
                let mut round = 0;
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    // One worker keeps its connection, the others open a new one now and then.
                    if worker > 0 && round % 20 == 0 {
                        connection = Connection::open(&public);
                    }
                    connection.send(&request("GET", "/paid/v1/paid", &[("Assay-Token", &token)], b""));
                    match connection.answer() {
                        Some(answer) if answer.status == 200 => {
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                        other => {
                            failed.push(format!("{other:?}"));
                            connection = Connection::open(&public);
                        }
                    }
                }
                failed
            })
        })
        .collect();
    let good = house.yaml();
    let bads = [
        good.replacen("default: block", "default: permit", 1),
        good.replacen("key: vendor", "key: absent", 1),
        good[..good.len() / 2].to_owned(),
        good.replace(&address, "127.0.0.1:9"),
        good.replacen("upstream: own", "upstream: gone", 1),
    ];
    for round in 0..50 {
        let before = served.load(Ordering::Relaxed);
        if round % 2 == 0 {
            house.files.write("gateway.yaml", &bads[round / 2 % bads.len()]);
            let answer = house.reload();
            assert_eq!((answer.status, &answer.json()["ok"]), (409, &false.into()), "round {round}: {}", answer.text());
        } else {
            // Something real changes each time.
            house.files.write("gateway.yaml", format!("{good}# round {round}\n"));
            let answer = house.reload();
            assert_eq!((answer.status, &answer.json()["ok"]), (200, &true.into()), "round {round}: {}", answer.text());
        }
        until("requests in between", || (served.load(Ordering::Relaxed) > before + 5).then_some(()));
    }
    stop.store(true, Ordering::Relaxed);
    let failed: Vec<_> = load.into_iter().flat_map(|one| one.join().unwrap()).collect();
    assert!(failed.is_empty(), "{} of {} failed: {:?}", failed.len(), served.load(Ordering::Relaxed), failed.first());
    assert!(house.status()["generation"].as_u64().unwrap() >= 26);
}

#[test]
fn a_damaged_key_store_is_refused_and_the_gateway_goes_on_with_the_key_it_has() {
    let api = Recorder::start();
    let house = House::together(Files::new(), &api.address, KEY);
    let token = house.token();
    let sealed = house.files.at("keys.sealed");
    let good = std::fs::read(&sealed).unwrap();
    let before = house.status();
    let mut flipped = good.clone();
    flipped[good.len() * 2 / 3] ^= 1;
    for (damage, bytes) in [("cut", &good[..good.len() / 2]), ("empty", &[][..]), ("flipped", &flipped)] {
        std::fs::write(&sealed, bytes).unwrap();
        let answer = house.reload();
        assert_eq!(answer.status, 409, "{damage}");
        assert!(answer.text().contains("keys.sealed"), "{damage}: {}", answer.text());
        let now = house.status();
        assert_eq!((&now["generation"], &now["last_reload"]["ok"]), (&before["generation"], &false.into()), "{damage}");
        assert_eq!(house.get_as(&token, "/paid/v1/paid").status, 200, "{damage}");
        assert_eq!(api.last().values("x-api-key"), [KEY], "{damage}");
    }
    let metrics = e2e::wire::get(&house.admin, "/metrics", &[]).text();
    assert!(metrics.contains("assay_config_last_reload_ok 0"), "{metrics}");
    std::fs::write(&sealed, &good).unwrap();
    assert_eq!(house.reload().status, 200);
}

#[test]
fn a_configuration_that_sends_the_key_elsewhere_is_refused_at_reload_and_at_start() {
    let (api, thief) = (Recorder::start(), Recorder::start());
    let house = House::together(Files::new(), &api.address, KEY);
    let token = house.token();
    let good = house.yaml();
    let moves = [
        ("another host", good.replacen(&api.address, &thief.address, 1)),
        ("another path", good.replacen("GET /v1/**", "GET /v2/**", 1)),
        ("another method", good.replacen("GET /v1/**", "DELETE /v1/**", 1)),
        ("a whole API", good.replacen("GET /v1/**", "GET /**", 1)),
    ];
    for (what, moved) in moves {
        assert_ne!(moved, good, "{what}");
        house.files.write("gateway.yaml", &moved);
        let answer = house.reload();
        assert_eq!(answer.status, 409, "{what}: {}", answer.text());
        for part in ["vendor", "gateway.yaml"] {
            assert!(answer.text().contains(part), "{what}: {}", answer.text());
        }
        assert_eq!(house.get_as(&token, "/paid/v1/paid").status, 200, "{what}");
        assay(&[&"check", &"-c", &house.config()]).ends(1).complains(&["vendor"]);
        // A machine that keeps no configuration that ran: with one, the start goes on with that.
        let elsewhere = moved.replacen("dir: gateway-state", "dir: another-state", 1);
        let config = house.files.write("elsewhere.yaml", elsewhere);
        assay(&[&"run", &"-c", &config]).ends(1).complains(&["vendor", "elsewhere.yaml"]);
    }
    assert!(thief.seen().is_empty());
    assert!(api.seen().iter().all(|seen| seen.values("x-api-key") == [KEY]));
}

#[test]
fn hangup_reloads_once_and_saving_a_policy_does_too() {
    let api = Recorder::start();
    let house = House::together(Files::new(), &api.address, KEY);
    let generation = || house.status()["generation"].as_u64().unwrap();
    let first = generation();
    house.gateway.signal(Signal::HUP);
    until("the reload", || (generation() > first).then_some(()));
    assert_eq!(house.get("/free/x", &[]).status, 200);
    // Each reload tells one line; what was asked for twice would be told twice.
    let told = || house.gateway.err().text().matches("the configuration was taken").count();
    until("its line", || (told() > 0).then_some(()));
    // A file that changed, with nobody asking.
    house.files.write("gateway.yaml", house.yaml().replace("then: deprioritize", "then: block"));
    until("the policy to change", || (house.get("/free/x", &[]).status == 401).then_some(()));
    // The line comes after the change that it tells.
    until("the second line", || (told() > 1).then_some(()));
    assert_eq!((generation() - first, told()), (2, 2), "{}", house.gateway.err().text());
}
