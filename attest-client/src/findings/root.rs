//! A rooted device. In: files of the system and the process's user. Out: findings.
//! Only Android has devices to root: on a Linux server uid 0 and `su` are how it is meant to be. Can't see: a root that
//! hides its files from this app, which is what Magisk's deny list is for.

use super::{Around, Finding};
use crate::procfs::field;

const SU_PROGRAMS: [&str; 8] = [
    "/system/bin/su",
    "/system/xbin/su",
    "/system/sbin/su",
    "/system_ext/bin/su",
    "/vendor/bin/su",
    "/data/adb/magisk",
    "/data/adb/ksud",
    "/sbin/magisk",
];
const BUILD_PROPERTIES: &str = "/system/build.prop";

pub(super) fn look(around: &Around) -> Vec<Finding> {
    if !around.is_android {
        return Vec::new();
    }
    let properties = around.text(BUILD_PROPERTIES);
    let tags = properties.lines().find_map(|line| line.strip_prefix("ro.build.tags="));
    let status = around.process.text("status").unwrap_or_default();
    [
        (tags.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == "test-keys")), Finding::TestKeys),
        (SU_PROGRAMS.iter().any(|path| around.has(path)), Finding::Su),
        (is_superuser(&status), Finding::RootUser),
    ]
    .into_iter()
    .filter_map(|(is, finding)| is.then_some(finding))
    .collect()
}

/// `Uid: real effective saved filesystem`; the effective one decides.
fn is_superuser(status: &str) -> bool {
    field(status, "Uid").and_then(|ids| ids.split_ascii_whitespace().nth(1)).is_some_and(|uid| uid == "0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::Process;

    #[test]
    fn the_effective_user_decides() {
        assert!(is_superuser("Uid:\t1000\t0\t0\t0\n"));
        assert!(!is_superuser("Uid:\t0\t1000\t1000\t1000\n"));
    }

    #[test]
    fn a_rooted_device_is_found_and_a_server_is_not_a_device() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [("system/bin/su", ""), ("system/build.prop", "ro.build.tags=test-keys\n")] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let around = |is_android| Around { process: Process::current(), root: folder.path().into(), is_android };
        let found = look(&around(true));
        assert!(found.starts_with(&[Finding::TestKeys, Finding::Su]), "{found:?}");
        assert_eq!(look(&around(false)), []);
    }
}
