//! One byte of the program text, changed on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use attest_client::measure;
use attest_core::measurement::plan;

use super::{APP, line, run};

/// Where the licence's first byte lies.
pub(crate) struct Place {
    /// In the file.
    pub(crate) offset: usize,
    /// In memory, from the program's base.
    pub(crate) address: u64,
}

/// The one place in an executable segment that holds the licence; there is no other in the measured image.
pub(crate) fn licence_place(file: &[u8]) -> Place {
    const PF_X: u32 = 1;
    let marker = 0x4153_5341_594C_4943_u64.to_le_bytes();
    let plan = plan(file).unwrap();
    let mut found = Vec::new();
    for segment in plan.segments() {
        let start = usize::try_from(segment.offset).unwrap();
        let bytes = &file[start..start + usize::try_from(segment.size).unwrap()];
        for at in bytes.windows(8).enumerate().filter(|(_, window)| *window == marker).map(|(at, _)| at) {
            assert_ne!(segment.flags & PF_X, 0, "the licence is not in program text");
            found.push(Place { offset: start + at, address: segment.vaddr + at as u64 });
        }
    }
    assert_eq!(found.len(), 1, "exactly one place holds the licence");
    found.pop().unwrap()
}

#[test]
fn the_licence_is_whole_in_the_app_as_built() {
    let output = run(APP, &["--check-licence"]);
    assert!(output.status.success());
    assert_eq!(line(&output), serde_json::json!({ "licence": true }));
}

#[test]
fn one_changed_byte_of_text_leaves_the_app_running_and_changes_its_measurement() {
    let mut file = fs::read(APP).unwrap();
    let place = licence_place(&file);
    file[place.offset] ^= 1;
    let folder = tempfile::tempdir().unwrap();
    let patched = folder.path().join("patched-app");
    fs::write(&patched, &file).unwrap();
    fs::set_permissions(&patched, fs::Permissions::from_mode(0o755)).unwrap();

    let output = run(&patched, &["--check-licence"]);
    assert_eq!((output.status.code(), line(&output)), (Some(1), serde_json::json!({ "licence": false })));

    let output = run(&patched, &["--measure"]);
    assert!(output.status.success());
    let measurement = line(&output)["measurement"].clone();
    assert_eq!(measurement, measure::file(&patched).unwrap().to_text());
    assert_ne!(measurement, measure::file(APP).unwrap().to_text());
}
