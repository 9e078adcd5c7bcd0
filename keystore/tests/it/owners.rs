//! A key's file that belongs to root and a group, changed by somebody of that group.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use attest_core::random::SystemRandom;
use keystore::document::FileDocument;
use keystore::master_key::next_to;
use keystore::store::rotate_kek_in_place;

use crate::Place;

const DIRECTORY: &str = "KEYSTORE_TEST_DIRECTORY";
/// A user and a group that own nothing else.
const SOMEBODY: u32 = 12345;

/// Not a test by itself: somebody who is not root.
#[test]
#[ignore = "run by a_new_key_that_nobody_may_read_as_the_old_one_is_refused_before_the_store_changes"]
fn child_rotates() {
    let directory = std::env::var_os(DIRECTORY).expect("set by the parent");
    let place = Place::in_directory(Path::new(&directory));
    let document = Box::new(FileDocument::to_write(&place.store).unwrap());
    match rotate_kek_in_place(document, &place.key, &place.memory(), &SystemRandom) {
        Ok(_) => println!("said: rotated"),
        Err(error) => println!("said: {error}"),
    }
}

#[test]
fn a_new_key_that_nobody_may_read_as_the_old_one_is_refused_before_the_store_changes() {
    let directory = tempfile::tempdir().unwrap();
    if std::fs::metadata(directory.path()).unwrap().uid() != 0 {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let place = Place::in_directory(directory.path());
    place.create();
    place.put("openai", "sk-first-0123456789abcdef");
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        chown(entry.unwrap().path(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    }
    chown(directory.path(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    // As Kubernetes mounts a secret: root's, and one group may read it. Somebody's own file may not be open so.
    chown(&place.key, Some(0), Some(SOMEBODY)).unwrap();
    std::fs::set_permissions(&place.key, PermissionsExt::from_mode(0o640)).unwrap();
    let before = place.open();

    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owners::child_rotates", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .uid(SOMEBODY)
        .gid(SOMEBODY)
        .output()
        .unwrap();
    let said = String::from_utf8(child.stdout).unwrap();
    assert!(said.contains("said: ") && said.contains("chmod 600"), "{said}");
    assert!(!next_to(&place.key).exists());
    assert_eq!((place.open().generation(), place.open().kek()), (before.generation(), before.kek()));
}
