//! A writer killed by the system, at whatever instruction it happens to be.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use keystore::{KeyName, Keystore};

use crate::Place;

/// Where the child finds the store. Set by the parent alone.
const DIRECTORY: &str = "KEYSTORE_TEST_DIRECTORY";

/// Not a test by itself: the child process that writes until it is killed, one line for each generation it wrote.
#[test]
#[ignore = "run by killed_at_any_moment_the_store_opens_with_a_whole_generation"]
fn child_writes_until_it_is_killed() {
    let directory = std::env::var_os(DIRECTORY).expect("set by the parent");
    let place = Place::in_directory(Path::new(&directory));
    let name = KeyName::parse("openai").unwrap();
    loop {
        place.put("openai", &format!("sk-generation-{}-0123456789abcdef", place.open().generation()));
        println!("wrote {}", place.open().generation());
        let mut editor = Keystore::edit(&place.store, &place.master(), &place.memory()).unwrap();
        editor.rotate(&name).unwrap();
        println!("wrote {}", editor.commit(&place.memory()).unwrap().generation());
    }
}

#[test]
fn killed_at_any_moment_the_store_opens_with_a_whole_generation() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::in_directory(directory.path());
    place.create();
    place.put("openai", "sk-first-0123456789abcdef");
    for kill_after in 1..=12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::child_writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told = lines.filter_map(|line| line.strip_prefix("wrote ")?.parse::<u64>().ok()).take(kill_after).last();
        child.kill().unwrap();
        child.wait().unwrap();

        let store = place.open();
        assert!(store.generation() >= told.expect("the child wrote"), "a generation that was told is lost");
        assert!(store.key("openai").is_some());
        // The lock died with its holder, and so did nothing that a next writer needs.
        let mut editor = Keystore::edit(&place.store, &place.master(), &place.memory()).unwrap();
        let _ = editor.rotate(&KeyName::parse("openai").unwrap());
        editor.commit(&place.memory()).unwrap();
        assert_eq!(place.open().generation(), store.generation() + 1);
    }
}
