//! A kill at any moment leaves a database that opens, with everything in it that was acknowledged.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use attest_core::{measurement::Measurement, reference::Platform};
use attest_service::{Registry, registry::live_build};

use crate::{
    attester::Attester,
    world::{Folder, NOW},
};

const STATE: &str = "ASSAY_TEST_CRASH_STATE";

/// Not a test by itself: the process that is killed. It registers build after build and says so after each.
#[test]
fn child_that_registers_until_killed() {
    let Some(state) = std::env::var_os(STATE) else { return };
    let registry = Registry::open(state.as_ref()).unwrap();
    for number in 0_u32.. {
        let measurement = Measurement::from_bytes([7; 32]);
        let build = live_build("sample", &format!("9.{number}"), Platform::Linux, "", Some(measurement));
        registry.register_build(&build, NOW).unwrap();
        println!("registered 9.{number}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_the_service_starts() {
    let folder = Folder::new();
    folder.start().await.handle.shutdown().await;
    for acknowledged in [1, 7, 20] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_registers_until_killed", "--nocapture"])
            .env(STATE, folder.state())
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

        let builds = Registry::open(&folder.state()).unwrap().builds().unwrap();
        for version in said {
            assert!(builds.iter().any(|build| build.version == version), "{version} was acknowledged");
        }
    }
    let world = folder.start().await;
    Attester::genuine().attest(&world).await.token();
}
