use std::os::unix::fs::{MetadataExt, PermissionsExt};

use settings::load;

use super::*;

const TEXT: &str = r#"assay: 1
listeners: { public: { address: 127.0.0.1:0 } }
state: { dir: state }
attestation:
  serve: { host: attest.test, path: /assay/v1, unlock: { file: service.key } }
  token: { issuer: "https://test.example/assay", audience: api.test }
  apps: { shop: { linux: { require: [measurement] } } }
upstreams:
  api: { url: "http://127.0.0.1:9", danger_plaintext_loopback: true, private_addresses: [127.0.0.0/8] }
routes:
  own: { match: { host: own.test, path: "/**" }, upstream: api, policy: policy.yaml }
"#;

const SECRET: &[u8; 32] = b"\x01a service's unlock key, 32 byte";

struct World {
    folder: tempfile::TempDir,
    kept: LastGood,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("service.key"), SECRET).unwrap();
        std::fs::set_permissions(folder.path().join("service.key"), PermissionsExt::from_mode(0o600)).unwrap();
        let kept = LastGood::of(&folder.path().join("state"));
        Self { folder, kept }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("assay.yaml")
    }

    fn write(&self, rule: &str) {
        let policy =
            format!("default: block\nrules: [{{ name: {rule}, when: {{ verdict: attested }}, then: allow }}]\n");
        std::fs::write(self.folder.path().join("policy.yaml"), policy).unwrap();
        std::fs::write(self.path(), TEXT).unwrap();
    }

    fn keep(&self, rule: &str, secs: i64) -> bool {
        self.write(rule);
        let settings = load(&self.path(), &Overrides::default()).unwrap_or_else(|why| panic!("{why}")).settings;
        self.kept.keep(&settings.bundle, UnixTime::from_secs(secs)).unwrap()
    }

    fn resumed(&self) -> Option<(String, i64)> {
        let overrides = Overrides::default();
        let resumed = self.kept.resume(&self.path(), &overrides).next()?;
        let rule = resumed.settings.routes[0].policy.rule_names().next().unwrap().to_owned();
        Some((rule, resumed.taken.secs()))
    }
}

#[test]
fn nothing_kept_is_nothing_to_start_with() {
    assert!(World::new().resumed().is_none());
}

#[test]
fn the_newest_is_used_whatever_the_files_say_now_and_five_are_kept() {
    let world = World::new();
    for n in 0..8 {
        assert!(world.keep(&format!("rule-{n}"), n));
    }
    assert!(!world.keep("rule-7", 99), "the same again is not written again");
    let numbers: Vec<u64> = world.kept.kept().iter().map(|kept| kept.number).collect();
    assert_eq!(numbers, [8, 7, 6, 5, 4]);
    std::fs::remove_file(world.path()).unwrap();
    std::fs::remove_file(world.folder.path().join("policy.yaml")).unwrap();
    assert_eq!(world.resumed(), Some(("rule-7".to_owned(), 7)));
}

#[test]
fn files_are_their_owners_alone_and_hold_no_secret() {
    let world = World::new();
    world.keep("a", 1);
    let path = &world.kept.kept()[0].path;
    assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    let bytes = std::fs::read(path).unwrap();
    assert!(!bytes.windows(32).any(|window| window == SECRET), "the key of the service");
}

#[test]
fn what_is_damaged_or_others_may_write_is_passed_over() {
    let world = World::new();
    for n in 0..4 {
        world.keep(&format!("rule-{n}"), n);
    }
    let kept = world.kept.kept();
    // Cut off, changed in one bit, and writable by others: the fourth is left.
    let bytes = std::fs::read(&kept[0].path).unwrap();
    std::fs::write(&kept[0].path, &bytes[..bytes.len() / 2]).unwrap();
    let mut bytes = std::fs::read(&kept[1].path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&kept[1].path, bytes).unwrap();
    std::fs::set_permissions(&kept[2].path, PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(world.resumed(), Some(("rule-0".to_owned(), 0)));
    // What is no generation at all is not looked at.
    std::fs::write(world.folder.path().join("state/generations/notes.txt"), "x").unwrap();
    assert_eq!(world.kept.kept().len(), 4);
}

#[test]
fn a_write_that_was_killed_leaves_those_before_it() {
    let world = World::new();
    world.keep("a", 1);
    let newest = world.kept.kept()[0].path.clone();
    // What a kill leaves before the rename: part of a file under a name of its own.
    std::fs::write(newest.with_file_name(".0000000000002-2000.bundle.4711"), b"assaycfg half").unwrap();
    assert_eq!(world.resumed(), Some(("a".to_owned(), 1)));
    assert!(world.keep("b", 2));
    assert_eq!(world.resumed(), Some(("b".to_owned(), 2)));
}

#[test]
fn a_folder_that_can_t_be_written_is_told_and_harms_nothing() {
    let world = World::new();
    world.keep("a", 1);
    world.write("b");
    let settings = load(&world.path(), &Overrides::default()).unwrap().settings;
    let folder = world.folder.path().join("state/generations");
    // A file in the place of the folder: not even root can write into that.
    std::fs::rename(&folder, world.folder.path().join("aside")).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    assert!(world.kept.keep(&settings.bundle, UnixTime::from_secs(2)).is_err());
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(world.folder.path().join("aside"), &folder).unwrap();
    assert_eq!(world.resumed(), Some(("a".to_owned(), 1)));
}
