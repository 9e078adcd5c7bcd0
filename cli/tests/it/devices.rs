//! `assay device`: what is decided of devices.

use super::Folder;
use serde_json::{Value, json};

pub(crate) const DEVICE: &str = "AAECAwQFBgcICQoLDA0ODw";

#[test]
fn refuses_decisions_without_reason_end_or_sense() {
    let folder = Folder::begun();
    let device = |more: &[&str], code| folder.here(&[&["device"], more].concat(), code).1;
    device(&["ban", DEVICE], 2);
    device(&["pass", DEVICE, "--reason", "r"], 2);
    assert!(device(&["pass", DEVICE, "--for", "31d", "--reason", "r"], 2).contains("until"));
    assert!(device(&["enrol", DEVICE, "--for", "91d", "--reason", "r"], 2).contains("until"));
    assert!(device(&["ban", "short", "--reason", "r"], 2).contains("id"));
    assert!(device(&["ban", DEVICE, "--for", "5w", "--reason", "r"], 2).contains("30d"));
    assert!(device(&["clear", DEVICE, "--for", "1d", "--reason", "r"], 2).contains("--for"));
    device(&["show", DEVICE], 1);
    device(&["clear", DEVICE, "--reason", "r"], 1);
    assert!(device(&["forget", DEVICE], 2).contains("--yes"));
    assert!(folder.here(&["device", "list"], 0).0.starts_with("no device"));
}

#[test]
fn an_id_that_begins_with_a_hyphen_is_no_option() {
    let folder = Folder::begun();
    let id = "-AECAwQFBgcICQoLDA0ODw";
    folder.here(&["device", "ban", id, "--reason", "r"], 0);
    folder.here(&["device", "clear", "--reason", "r", id], 0);
    folder.here(&["device", "forget", "--yes", id], 0);
    folder.here(&["revocation", "add", "device", id, "--reason", "r"], 0);
    assert!(folder.here(&["keyset", "retire", "-nokidlikeit", "--yes"], 1).1.contains("no such key"));
    folder.here(&["device", "show", "--nope", id], 2);
}

#[test]
fn a_device_is_banned_shown_cleared_and_forgotten() {
    let folder = Folder::begun();
    let (said, _) = folder.here(&["device", "ban", DEVICE, "--for", "7d", "--reason", "scraping"], 0);
    assert!(said.contains("within seconds") && said.contains("in 7 days"), "{said}");
    let listed = folder.json(&["device", "list", "--state", "banned"], 0);
    assert_eq!(listed["items"][0]["id"], DEVICE);
    assert_eq!(folder.json(&["device", "list", "--state", "pass"], 0)["items"], json!([]));
    let (shown, _) = folder.here(&["device", "show", DEVICE], 0);
    assert!(shown.contains("banned") && shown.contains("scraping") && shown.contains("uid-"), "{shown}");
    assert!(folder.here(&["device", "forget", DEVICE, "--yes"], 1).1.contains("make it normal first"));
    folder.here(&["device", "fail", DEVICE, "--reason", "r"], 0);
    folder.here(&["device", "enrol", DEVICE, "--for", "1d", "--reason", "Anna"], 0);
    folder.here(&["device", "clear", DEVICE, "--reason", "solved"], 0);
    let device = folder.json(&["device", "show", DEVICE], 0);
    assert_eq!((&device["state"], &device["enrolled_until"]), (&json!("normal"), &Value::Null));
    folder.here(&["device", "forget", DEVICE, "--yes"], 0);
    folder.here(&["device", "show", DEVICE], 1);
    let passed = folder.json(&["device", "pass", DEVICE, "--for", "1h", "--reason", "support"], 0);
    assert_eq!(passed["state"], "forced_pass");
}
