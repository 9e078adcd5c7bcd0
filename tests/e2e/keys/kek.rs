//! `assay kek rotate` under a gateway that serves: no request fails, and killed at any moment the same command ends it.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use e2e::command::{assay, one_and_a_half, run, run_and_kill};
use e2e::files::Files;
use e2e::house::{House, KEY_NAME, put_key};
use e2e::programs;
use e2e::upstream::Recorder;
use e2e::wait::{StopAtEnd, until};
use e2e::wire;

use super::{PAID, uses};

const FIRST: &str = "sk_first_0123456789abcdef0123456789";
const SECOND: &str = "sk_second_0123456789abcdef012345678";

const ROUNDS: usize = 24;

fn rotate(house: &House) -> Command {
    let mut command = Command::new(programs::assay());
    command.args(["--json", "kek", "rotate", "-c"]).arg(house.config());
    command
}

/// Which key-encryption key the store is locked with.
fn locked_with(house: &House) -> String {
    let shown = assay(&[&"--json", &"kek", &"show", &"-c", &house.config()]).ends(0).json();
    shown["kek"]["id"].as_str().unwrap().to_owned()
}

/// The generation of the store that the gateway has.
fn taken(house: &House) -> Option<u64> {
    wire::get(&house.admin, "/keys", &[]).json()["store"]["generation"].as_u64()
}

#[test]
fn rotated_or_killed_at_it_the_store_opens_and_the_gateway_goes_on() {
    let api = Recorder::start();
    let mut house = House::together(Files::new(), &api.address, FIRST);
    let token = house.token();
    let (stop, served) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let load = scope.spawn(|| {
            let mut failed = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let answer = house.get_as(&token, PAID);
                served.fetch_add(1, Ordering::Relaxed);
                if answer.status != 200 {
                    failed.push(format!("{} {}", answer.status, answer.text()));
                }
            }
            failed
        });
        let first = locked_with(&house);
        let longest = one_and_a_half(&mut rotate(&house), b"");
        let second = locked_with(&house);
        assert_ne!(first, second);
        let (mut ended, mut killed) = (0, 0);
        for _ in 0..ROUNDS {
            if run_and_kill(&mut rotate(&house), b"", longest) {
                ended += 1;
            } else {
                killed += 1;
            }
            // Whatever was left, the gateway takes it or goes on with what it has: never nothing.
            let answer = house.reload();
            assert!([200, 409].contains(&answer.status), "{}", answer.text());
        }
        assert!(killed > 0 && ended > 0, "{killed} killed, {ended} not: nothing was tried");
        stop.store(true, Ordering::Relaxed);
        let failed = load.join().unwrap();
        assert!(failed.is_empty(), "{} of {}: {:?}", failed.len(), served.load(Ordering::Relaxed), failed.first());
    });

    // Killed once more, and this time the gateway itself has to start from what is left.
    for _ in 0..4 {
        let longest = one_and_a_half(&mut rotate(&house), b"");
        run_and_kill(&mut rotate(&house), b"", longest / 2);
        house.restart_gateway();
        until("a key set", || (house.get_as(&token, PAID).status == 200).then_some(()));
    }
    assert_eq!(run(&mut rotate(&house), b"").code, 0);
    let list = assay(&[&"--json", &"key", &"list", &"-c", &house.config()]).ends(0).json();
    until("the gateway to have it", || (taken(&house) == list["generation"].as_u64()).then_some(()));

    // And the gateway reads what is sealed under the newest.
    put_key(&house.files, KEY_NAME, &api.address, SECOND).ends(0);
    assay(&[&"key", &"rotate", &KEY_NAME, &"-c", &house.config()]).ends(0);
    uses(&house.admin, 2);
    assert_eq!(house.get_as(&token, PAID).status, 200);
    assert_eq!(api.last().values("x-api-key"), [SECOND]);
    assert!(api.seen().iter().all(|seen| [FIRST, SECOND].contains(&seen.values("x-api-key")[0])));
    let secrets = house.files.at("secrets");
    let left: Vec<_> = std::fs::read_dir(secrets).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_str().unwrap().contains("next")), "{left:?}");
}
