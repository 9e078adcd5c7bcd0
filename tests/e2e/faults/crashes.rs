//! `kill -9` at any moment leaves a database and a key store that open again, with all in them that was acknowledged.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use e2e::command::{assay, assay_fed};
use e2e::files::{Files, random};
use e2e::house::House;
use e2e::process::Program;
use e2e::programs;
use e2e::upstream::Recorder;

/// Runs a command and kills it after a random part of `longest`; whether it had ended well before.
fn run_and_kill(command: &mut Command, input: &[u8], longest: Duration) -> bool {
    let mut program = Program::start(command);
    program.feed(input);
    let moment = longest * u32::from(random::<1>()[0]) / 255;
    let ended = program.wait(moment);
    program.kill();
    ended.is_some_and(|status| status.success())
}

const ROUNDS: usize = 40;

/// A command takes some ten milliseconds here; killed anywhere in there, and sometimes not at all.
const LONGEST: Duration = Duration::from_millis(40);

#[test]
fn a_killed_registration_leaves_a_database_that_opens_with_all_that_was_acknowledged() {
    let files = Files::new();
    assay(&[&"init", &files.at("gw"), &"--dev"]).ends(0);
    let config = files.at("gw/assay.yaml");
    let (mut acknowledged, mut killed) = (BTreeSet::new(), 0);
    for round in 0..ROUNDS {
        let version = format!("1.{round}");
        let mut command = Command::new(programs::assay());
        command
            .args(["app", "register"])
            .arg(programs::sample_api())
            .args(["--name", "shop", "--version", &version, "-c"])
            .arg(&config);
        if run_and_kill(&mut command, b"", LONGEST) {
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
    assert!(killed > 0, "nothing was killed in {ROUNDS} rounds");
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
    let (mut acknowledged, mut killed) = (BTreeSet::new(), 0);
    for round in 0..ROUNDS {
        let name = format!("key-{round}");
        let mut command = Command::new(programs::assay());
        command.args(["key", "put", &name, "--to", "https://maps.example.com", "--path", "/**", "-c"]).arg(&config);
        if run_and_kill(&mut command, b"a-key-of-more-than-16-bytes", LONGEST) {
            acknowledged.insert(name);
        } else {
            killed += 1;
        }
        if round % 8 == 7 {
            let listed = names(&assay(&[&"--json", &"key", &"list", &"-c", &config]).ends(0).json());
            assert!(listed.is_superset(&acknowledged), "{acknowledged:?} but {listed:?}");
        }
    }
    assert!(killed > 0, "nothing was killed in {ROUNDS} rounds");
    // Neither a lock nor half a file stands in the way of the next, and a gateway takes the store.
    let put = [
        &"key" as &dyn AsRef<std::ffi::OsStr>,
        &"put",
        &"last",
        &"--to",
        &"https://maps.example.com",
        &"--path",
        &"/**",
        &"-c",
        &config,
    ];
    assay_fed(&put, b"a-key-of-more-than-16-bytes").ends(0);
    assay(&[&"check", &"-c", &config]).ends(0);
    let left: Vec<_> =
        files.all().into_iter().map(|(path, _)| path).filter(|path| path.to_str().unwrap().ends_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn killed_services_and_gateways_come_back_and_tokens_outlive_them() {
    let api = Recorder::start();
    let mut house = House::apart(Files::new(), &api.address, "sk_live_0123456789abcdef");
    let token = house.token();
    for round in 0..4 {
        // In the midst of attestations and requests.
        let busy: Vec<_> = (0..3)
            .map(|_| {
                let (service, token, public) = (house.service.clone(), token.clone(), house.public.clone());
                std::thread::spawn(move || {
                    let _ = std::panic::catch_unwind(|| {
                        for _ in 0..20 {
                            let _ = e2e::attester::Attester::genuine().token(&service);
                            let _ = e2e::wire::get(&public, "/paid/v1/paid", &[("Assay-Token", &token)]);
                        }
                    });
                })
            })
            .collect();
        let moment = Duration::from_millis(u64::from(random::<1>()[0]));
        assert!(house.service_program.as_mut().unwrap().wait(moment).is_none(), "the service ended by itself");
        house.kill_service();
        house.restart_gateway();
        house.start_service();
        busy.into_iter().for_each(|one| one.join().unwrap());
        e2e::wait::until("the key set", || house.status()["key_set"]["number"].is_u64().then_some(()));
        assert_eq!(house.get_as(&token, "/paid/v1/paid").status, 200, "round {round}: a token from before");
        assert_eq!(house.get_as(&house.token(), "/paid/v1/paid").status, 200, "round {round}: a new one");
    }
    let list = assay(&[&"--json", &"app", &"list", &"-c", &house.files.at("service.yaml")]).ends(0).json();
    assert_eq!(list["builds"].as_array().map(Vec::len), Some(1));
}
