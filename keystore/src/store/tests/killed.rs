//! Killed by the system at every step of every change of a file, one child process for each.

use std::path::Path;
use std::process::Command;

use rustix::process::{Signal, getpid, kill_process};

use super::*;
use crate::atomic;
use crate::master_key::next_to;
use crate::pending::seal_to;

/// Told to the child by the parent alone: where, what, and at which step to die.
const PLACE: &str = "KEYSTORE_TEST_KILL_PLACE";
const CHANGE: &str = "KEYSTORE_TEST_KILL_CHANGE";
const STEP: &str = "KEYSTORE_TEST_KILL_STEP";

/// The files of a store whose key and memory stand beside it.
struct Files<'a>(&'a Path);

impl Files<'_> {
    fn store(&self) -> std::path::PathBuf {
        self.0.join("keys.sealed")
    }

    fn key(&self) -> std::path::PathBuf {
        self.0.join("kek.key")
    }

    fn memory(&self) -> GenerationMemory {
        GenerationMemory::file(self.0.join("generations.json"))
    }

    /// The key that the store is locked with now, as a gateway finds it.
    fn master(&self) -> MasterKey {
        let head = Keystore::head(&FileDocument::to_read(self.store())).unwrap();
        MasterKey::from_file_or_next(&self.key(), head.kek.id()).unwrap()
    }

    fn make(&self) {
        let master = MasterKey::create_file(&self.key(), &SystemRandom).unwrap();
        Keystore::create(&self.store(), &master, &self.memory(), &SystemRandom).unwrap();
        self.put("openai").unwrap();
    }

    fn edit(&self) -> Result<Editor, StoreError> {
        Keystore::edit(&self.store(), &self.master(), &self.memory())
    }

    fn open(&self) -> Result<Keystore, StoreError> {
        Keystore::open(&self.store(), &self.master(), &self.memory())
    }

    fn put(&self, name: &str) -> Result<(), StoreError> {
        let mut editor = self.edit()?;
        let secret = ApiKey::parse(format!("sk-{name}-0123456789abcdef").as_bytes()).unwrap();
        match editor.put(&name_of(name), &secret, Bounds::parse(&bounds("api.example.com")).unwrap(), &SystemRandom) {
            Err(StoreError::SameSecret { .. }) => return Ok(()),
            done => done?,
        };
        editor.commit(&self.memory()).map(drop)
    }

    fn append(&self) -> Result<(), StoreError> {
        let document = FileDocument::to_write(&self.store()).unwrap();
        let public = Keystore::head(&document)?.public_key;
        let secret = ApiKey::parse(b"sk-third-0123456789abcdef").unwrap();
        let record = seal_to(&public, &name_of("third"), &secret, Bounds::parse(&bounds("api.example.com")).unwrap());
        Keystore::append_pending(&document, record.unwrap())
    }

    fn rotate_kek(&self) -> Result<KekRotated, StoreError> {
        let document = FileDocument::to_write(&self.store()).unwrap();
        rotate_kek_in_place(Box::new(document), &self.key(), &self.memory(), &SystemRandom)
    }

    fn create_second(&self) -> Result<(), StoreError> {
        let second = self.0.join("second.sealed");
        match Keystore::create(&second, &self.master(), &self.memory(), &SystemRandom) {
            Err(StoreError::Exists { .. }) => Ok(()),
            done => done.map(drop),
        }
    }

    fn change(&self, what: &str) {
        match what {
            "put" => self.put("third").unwrap(),
            "append" => self.append().unwrap(),
            "kek" => drop(self.rotate_kek().unwrap()),
            "create" => self.create_second().unwrap(),
            other => panic!("{other}"),
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Not a test by itself: the child that makes one change and dies on the way.
#[test]
#[ignore = "run by the tests below"]
fn child_that_is_killed() {
    let told = |name| std::env::var(name).expect("set by the parent");
    let (place, fatal) = (told(PLACE), told(STEP).parse::<usize>().unwrap());
    let mut reached = 0;
    atomic::tests::on_step(move |_| {
        if reached == fatal {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
        reached += 1;
    });
    Files(Path::new(&place)).change(&told(CHANGE));
}

/// Kills a child at each step of a change, and has `then` look at what is left. How many steps there were.
fn kill_at_every_step(change: &str, then: impl Fn(&Files<'_>, usize)) -> usize {
    for step in 0.. {
        let directory = tempfile::tempdir().unwrap();
        let files = Files(directory.path());
        files.make();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::killed::child_that_is_killed", "--ignored", "--quiet"])
            .env(PLACE, directory.path())
            .env(CHANGE, change)
            .env(STEP, step.to_string())
            .output()
            .unwrap();
        if child.status.success() {
            return step;
        }
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&child.status),
            Some(9),
            "{change} at {step}: {child:?}"
        );
        then(&files, step);
    }
    0
}

#[test]
fn a_put_leaves_the_old_store_or_the_new_one() {
    let steps = kill_at_every_step("put", |files, step| {
        let store = files.open().unwrap();
        let is_new = store.key("third").is_some();
        assert_eq!(store.generation(), if is_new { 3 } else { 2 }, "{step}");
        assert!(store.key("openai").is_some());
        files.put("third").unwrap();
        files.put("fourth").unwrap();
        let store = files.open().unwrap();
        assert!(
            store.key("third").is_some() && store.key("fourth").is_some(),
            "{step}: the next writer is not hindered"
        );
        let left = [".generations.json.lock", ".keys.sealed.lock", "generations.json", "kek.key", "keys.sealed"];
        assert_eq!(files.names(), left, "{step}");
    });
    assert!(steps >= 16, "the store and the memory, eight steps each, and not {steps}");
}

#[test]
fn an_added_pending_record_is_there_or_it_is_not() {
    let steps = kill_at_every_step("append", |files, step| {
        let store = files.open().unwrap();
        assert_eq!((store.generation(), store.list().len()), (2, 1), "{step}");
        files.append().unwrap();
        let states: Vec<_> = files.open().unwrap().pending().iter().map(|info| info.state).collect();
        assert!(matches!(states.as_slice(), [PendingState::Waiting] | [PendingState::Waiting, PendingState::Waiting]));
    });
    assert!(steps >= 8, "{steps}");
}

#[test]
fn a_store_is_made_whole_or_not_at_all() {
    let steps = kill_at_every_step("create", |files, step| {
        files.create_second().unwrap();
        let second = Keystore::open(&files.0.join("second.sealed"), &files.master(), &files.memory()).unwrap();
        assert_eq!(second.generation(), 1, "{step}");
    });
    assert!(steps >= 8, "{steps}");
}

#[test]
fn a_rotation_of_the_key_encryption_key_is_ended_by_running_it_again() {
    let steps = kill_at_every_step("kek", |files, step| {
        let fingerprint = |store: &Keystore| store.key("openai").unwrap().fingerprint();
        // A gateway that starts now finds the right one of the two keys.
        let meanwhile = files.open().unwrap();
        let is_new = meanwhile.generation() == 3;
        let left = next_to(&files.key()).exists();
        let done = files.rotate_kek().unwrap();
        assert_eq!(done.resumed, left, "{step}");
        let key = MasterKey::from_file(&files.key()).unwrap();
        assert_eq!(key.id(), done.id, "{step}");
        let store = Keystore::open(&files.store(), &key, &files.memory()).unwrap();
        assert_eq!(fingerprint(&store), fingerprint(&meanwhile), "{step}");
        assert_eq!(store.generation(), if is_new && !left { 4 } else { 3 }, "{step}: replaced once, not twice");
        assert!(!next_to(&files.key()).exists());
        let hidden = files.names().into_iter().filter(|name| name.ends_with(".tmp")).collect::<Vec<_>>();
        assert!(hidden.is_empty(), "{step}: {hidden:?}");
    });
    assert!(steps >= 28, "the new key, the store, the memory, the rename, and not {steps}");
}
