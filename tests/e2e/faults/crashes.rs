//! `kill -9` at any moment leaves a database and a key store that open again, with all in them that was acknowledged.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::attester::{Attester, Service};
use e2e::command::{assay, one_and_a_half, run, run_and_kill};
use e2e::files::{Files, random};
use e2e::house::{House, put_key};
use e2e::programs;
use e2e::upstream::Recorder;
use e2e::wait::until;
use e2e::wire::get;
use rustix::process::Signal;

const ROUNDS: u32 = 40;

const SECRET: &[u8] = b"a-key-of-more-than-16-bytes";

#[test]
fn a_killed_registration_leaves_a_database_that_opens_with_all_that_was_acknowledged() {
    let files = Files::new();
    assay(&[&"init", &files.at("gw"), &"--dev"]).ends(0);
    let config = files.at("gw/assay.yaml");
    let register = |version: &str| {
        let mut command = Command::new(programs::assay());
        command.args(["app", "register"]).arg(programs::sample_api());
        command.args(["--name", "shop", "--version", version, "-c"]).arg(&config);
        command
    };
    let longest = one_and_a_half(&mut register("1.first"), b"");
    let (mut acknowledged, mut killed) = (BTreeSet::new(), 0);
    for round in 0..ROUNDS {
        let version = format!("1.{round}");
        if run_and_kill(&mut register(&version), b"", longest) {
            acknowledged.insert(version);
        } else {
            killed += 1;
        }
        if round % 8 == 7 {
            let list = assay(&[&"--json", &"app", &"list", &"-c", &config]).ends(0).json();
            let builds = list["builds"].as_array().unwrap();
            let listed: BTreeSet<_> =
                builds.iter().map(|build| build["version"].as_str().unwrap().to_owned()).collect();
            assert!(listed.is_superset(&acknowledged), "{acknowledged:?} but {listed:?}");
            assert!(
                builds.iter().all(|build| build["measurement"].as_str().is_some_and(|m| m.len() == 71)),
                "{list:#}"
            );
        }
    }
    assert!(killed > 0 && !acknowledged.is_empty(), "{killed} killed, {} not: nothing was tried", acknowledged.len());
    assay(&[&"app", &"register", &programs::sample_api(), &"--name", &"shop", &"--version", &"2.0", &"-c", &config])
        .ends(0);
}

#[test]
fn a_killed_key_put_leaves_a_store_that_opens_with_all_that_was_acknowledged() {
    let files = Files::new();
    assay(&[&"init", &files.at("gw"), &"--dev"]).ends(0);
    let config = files.at("gw/assay.yaml");
    let names = |store: &serde_json::Value| -> BTreeSet<String> {
        store["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
    };
    let put = |name: &str| {
        let mut command = Command::new(programs::assay());
        command.args(["key", "put", name, "--to", "https://maps.example.com", "--path", "/**", "-c"]).arg(&config);
        command
    };
    let longest = one_and_a_half(&mut put("key-first"), SECRET);
    let (mut acknowledged, mut killed) = (BTreeSet::new(), 0);
    for round in 0..ROUNDS {
        let name = format!("key-{round}");
        if run_and_kill(&mut put(&name), SECRET, longest) {
            acknowledged.insert(name);
        } else {
            killed += 1;
        }
        if round % 8 == 7 {
            let listed = names(&assay(&[&"--json", &"key", &"list", &"-c", &config]).ends(0).json());
            assert!(listed.is_superset(&acknowledged), "{acknowledged:?} but {listed:?}");
        }
    }
    assert!(killed > 0 && !acknowledged.is_empty(), "{killed} killed, {} not: nothing was tried", acknowledged.len());
    // Neither a lock nor half a file stands in the way of the next, and a gateway takes the store.
    assert_eq!(run(&mut put("last"), SECRET).code, 0);
    assay(&[&"check", &"-c", &config]).ends(0);
    let left: Vec<_> =
        files.all().into_iter().map(|(path, _)| path).filter(|path| path.to_str().unwrap().ends_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Registers builds and puts keys until told to stop; what was acknowledged.
fn keep_administrating(files: &Files, round: usize, stop: &AtomicBool) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut versions, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (version, key) = (format!("2.{round}.{number}"), format!("key-{round}-{number}"));
        let build = programs::sample_api();
        let service = files.at("service.yaml");
        if assay(&[&"app", &"register", &build, &"--name", &"shop", &"--version", &version, &"-c", &service]).code == 0
        {
            versions.insert(version);
        }
        if put_key(files, &key, "127.0.0.1:9", "sk_live_0123456789abcdef").code == 0 {
            keys.insert(key);
        }
    }
    (versions, keys)
}

/// Attests and calls, whatever comes of it.
fn keep_calling(service: &Service, public: &str, token: &str, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let _ = std::panic::catch_unwind(|| {
            let _ = Attester::genuine().token(service);
            let _ = get(public, "/paid/v1/paid", &[("Assay-Token", token)]);
        });
    }
}

#[test]
fn killed_services_and_gateways_come_back_with_all_that_was_acknowledged() {
    let api = Recorder::start();
    let mut house = House::apart(Files::new(), &api.address, "sk_live_0123456789abcdef");
    let token = house.token();
    let (mut versions, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..4 {
        let stop = AtomicBool::new(false);
        let (service, public) = (house.service.clone(), house.public.clone());
        std::thread::scope(|threads| {
            let files = &house.files;
            let admin = threads.spawn(|| keep_administrating(files, round, &stop));
            let app = threads.spawn(|| keep_calling(&service, &public, &token, &stop));
            let moment = Duration::from_millis(u64::from(random::<1>()[0]));
            assert!(house.service_program.as_mut().unwrap().wait(moment).is_none(), "the service ended by itself");
            house.service_program.take().unwrap().kill();
            house.gateway.signal(Signal::KILL);
            stop.store(true, Ordering::Relaxed);
            app.join().unwrap();
            let (more_versions, more_keys) = admin.join().unwrap();
            versions.extend(more_versions);
            keys.extend(more_keys);
        });
        house.start_service();
        house.restart_gateway();
        until("the key set", || house.status()["key_set"]["number"].is_u64().then_some(()));
        assert_eq!(house.get_as(&token, "/paid/v1/paid").status, 200, "round {round}: a token from before");
        assert_eq!(house.get_as(&house.token(), "/paid/v1/paid").status, 200, "round {round}: a new one");
    }
    let listed = |words: [&str; 2], config: &str, list: &str, member: &str| -> BTreeSet<String> {
        let answer = assay(&[&"--json", &words[0], &words[1], &"-c", &house.files.at(config)]).ends(0).json();
        answer[list].as_array().unwrap().iter().map(|row| row[member].as_str().unwrap().to_owned()).collect()
    };
    assert!(!versions.is_empty() && !keys.is_empty());
    assert!(listed(["app", "list"], "service.yaml", "builds", "version").is_superset(&versions));
    assert!(listed(["key", "list"], "gateway.yaml", "keys", "name").is_superset(&keys));
}
