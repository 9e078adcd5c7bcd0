//! A kill at any moment loses the last sightings and nothing else.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use attest_core::appraisal::DeviceState::Banned;
use attest_store::{BuildFilter, Page};

use crate::world::{World, admin, device, each_engine, mark, registration, seen};

const URL: &str = "ASSAY_TEST_CRASH_URL";
const FOLDER: &str = "ASSAY_TEST_CRASH_FOLDER";

/// Not a test by itself: the process that is killed. It changes and sees, and says each thing when it was acknowledged.
#[test]
fn child_that_works_until_killed() {
    let (Some(folder), url) = (std::env::var_os(FOLDER), std::env::var(URL).ok()) else { return };
    let world = World::again(folder.as_ref(), url);
    let store = world.open();
    let live = store.live().unwrap();
    let mut out = std::io::stdout().lock();
    for number in 0_u32.. {
        store.register(&admin(), &registration("shop", &format!("1.{number}"))).unwrap();
        let id = device(u8::try_from(number % 200).unwrap() + 1);
        mark(&store, &id, Banned).unwrap();
        assert!(store.advance_counter(&device(0), number.checked_sub(1).map(|n| n + 1), number + 1).unwrap());
        for _ in 0..50 {
            live.seen(seen(device(255), true));
        }
        writeln!(out, "\ndone {number}").unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_which_loses_the_last_batch_of_sightings_at_most() {
    each_engine(|world| {
        drop(world.open());
        let mut last = None;
        for acknowledged in [1_usize, 5, 25] {
            // Counters and builds of the round before are in the way of the next child.
            if last.is_some() {
                world.sql("DELETE FROM builds");
                world.sql("DELETE FROM devices");
                world.sql("UPDATE counters SET value = 0 WHERE name = 'device_rows'");
            }
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "crash::child_that_works_until_killed", "--nocapture"])
                .env(FOLDER, world.folder.path())
                .envs(world.url().map(|url| (URL, url)))
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
            let said: Vec<u32> = lines
                .filter_map(|line| line.strip_prefix("done ").map(|number| number.parse().unwrap()))
                .take(acknowledged)
                .collect();
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(said.len(), acknowledged);
            let done = *said.last().unwrap();
            last = Some(done);

            let store = world.open();
            let builds = store.builds(&BuildFilter::default(), Page::first(500)).unwrap().rows;
            for number in &said {
                assert!(builds.iter().any(|row| row.build.version == format!("1.{number}")), "build {number}");
                let id = device(u8::try_from(number % 200).unwrap() + 1);
                assert_eq!(store.device(&id).unwrap().unwrap().state, Banned, "the ban {number}");
            }
            let counter = store.device(&device(0)).unwrap().unwrap().counter.unwrap();
            assert!(counter > done, "the counter stands at {counter} after {done}");
            assert_eq!(store.verify_audit(&[]).unwrap().problems, [], "every change with its entry, none without");
            let seen = store.device(&device(255)).unwrap().map_or(0, |row| row.passed);
            // Each change flushes what was seen before it: at most the last batch, here of 50, is lost.
            assert!(seen >= 50 * i64::from(done), "{seen} of the first {done} batches");
            let sent = 50 * i64::from(counter);
            assert!(seen <= sent, "{seen} of {sent}: nothing is counted that did not happen");
        }
    });
}
