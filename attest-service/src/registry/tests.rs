use tempfile::TempDir;

use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

fn registry() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(&folder.path().join("state")).unwrap();
    (folder, registry)
}

fn build(version: &str, measurement: u8) -> Build {
    live_build("shop", version, Platform::Linux, "", Some(Measurement::from_bytes([measurement; 32])))
}

#[test]
fn refuses_names_that_no_request_could_carry() {
    let (_folder, registry) = registry();
    for (app, version, label) in
        [("", "1", ""), ("a b", "1", ""), ("a", "", ""), ("a", "1", "é"), (&*"a".repeat(65), "1", "")]
    {
        let refused = registry.register_build(&live_build(app, version, Platform::Linux, label, None), NOW);
        assert!(matches!(refused, Err(RegistryError::NotAName { .. })), "{app:?} {version:?} {label:?}");
    }
    assert!(registry.builds().unwrap().is_empty());
}

#[test]
fn refuses_another_measurement_under_a_live_name_and_says_what_to_do() {
    let (_folder, registry) = registry();
    assert_eq!(registry.register_build(&build("1.0", 1), NOW).unwrap(), Registered::Added);
    assert_eq!(registry.register_build(&build("1.0", 1), NOW).unwrap(), Registered::Unchanged);
    let refused = registry.register_build(&build("1.0", 2), NOW).unwrap_err();
    assert!(refused.to_string().contains("retire the old one"), "{refused}");
    assert_eq!(registry.builds().unwrap(), [build("1.0", 1)]);
}

#[test]
fn a_retired_build_stays_and_can_come_back() {
    let (_folder, registry) = registry();
    registry.register_build(&build("1.0", 1), NOW).unwrap();
    assert_eq!(registry.retire("shop", "1.0", None, NOW).unwrap(), 1);
    assert!(matches!(registry.retire("shop", "1.0", None, NOW), Err(RegistryError::NothingToRetire { .. })));
    assert!(registry.builds().unwrap()[0].retired);
    assert_eq!(registry.register_build(&build("1.0", 2), NOW).unwrap(), Registered::Added);
    assert_eq!(registry.retire("shop", "1.0", Some(""), NOW).unwrap(), 1);
    assert_eq!(registry.register_build(&build("1.0", 1), NOW).unwrap(), Registered::Restored);
    let live: Vec<_> = registry.builds().unwrap().into_iter().filter(|build| !build.retired).collect();
    assert_eq!(live, [build("1.0", 1)]);
}

#[test]
fn two_open_registries_see_each_others_rows() {
    let (folder, first) = registry();
    let second = Registry::open(&folder.path().join("state")).unwrap();
    first.register_build(&build("1.0", 1), NOW).unwrap();
    second.register_build(&build("1.1", 2), NOW).unwrap();
    assert_eq!(first.builds().unwrap().len(), 2);
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = Registry::open(file.path()).unwrap_err().to_string();
    assert!(refused.contains(file.path().to_str().unwrap()), "{refused}");
}

#[test]
fn the_database_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, registry) = registry();
    registry.register_build(&build("1.0", 1), NOW).unwrap();
    for entry in std::fs::read_dir(folder.path().join("state")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}
