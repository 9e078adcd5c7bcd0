//! A kill at any moment leaves a database that opens, with everything in it that was acknowledged.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use attest_core::{measurement::Measurement, random::SystemRandom, time::SystemClock};
use attest_store::{BuildFilter, Database, Opening, Page, Store};
use keystore::MasterKey;

use crate::{
    attester::Attester,
    world::{Folder, actor, sample},
};

const STATE: &str = "ASSAY_TEST_CRASH_STATE";

/// Not a test by itself: the process that is killed. It registers build after build and says so after each.
#[test]
fn child_that_registers_until_killed() {
    let Some(folder) = std::env::var_os(STATE) else { return };
    let store = open(folder.as_ref());
    for number in 0_u32.. {
        store.register(&actor(), &sample(&format!("9.{number}"), Measurement::from_bytes([7; 32]))).unwrap();
        println!("registered 9.{number}");
    }
}

fn open(folder: &std::path::Path) -> Store {
    let token = Folder::settings_in(folder).token;
    let master_path = folder.join("kek.key");
    Store::open(Opening {
        database: Database::sqlite(&folder.join("state")),
        master: MasterKey::from_file(&master_path).unwrap(),
        master_path,
        token: &token,
        keys_stale: std::time::Duration::from_secs(86_400),
        random: std::sync::Arc::new(SystemRandom),
        clock: std::sync::Arc::new(SystemClock),
        writer: "test".to_owned(),
    })
    .unwrap()
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_the_service_starts() {
    let folder = Folder::new();
    folder.start().await.handle.shutdown().await;
    for acknowledged in [1, 7, 20] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_registers_until_killed", "--nocapture"])
            .env(STATE, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said: Vec<String> = lines
            .map(Result::unwrap)
            .filter_map(|line| line.split_once("registered ").map(|(_, version)| version.to_owned()))
            .take(acknowledged)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(said.len(), acknowledged);

        let store = open(folder.path());
        for version in said {
            let filter = BuildFilter { version: Some(version.clone()), ..BuildFilter::default() };
            let builds = store.builds(&filter, Page::default()).unwrap();
            assert_eq!(builds.rows.len(), 1, "{version} was acknowledged");
        }
    }
    let world = folder.start().await;
    Attester::genuine().attest(&world).await.token();
}
