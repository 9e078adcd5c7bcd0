//! `assay audit`: whether the log is whole.

use super::Folder;
use crate::devices::DEVICE;

#[test]
fn a_log_is_listed_vouched_for_and_a_forged_checkpoint_found() {
    let folder = Folder::begun();
    folder.here(&["device", "ban", DEVICE, "--reason", "r"], 0);
    let (listed, _) = folder.here(&["audit", "list"], 0);
    assert!(listed.contains("device.banned") && listed.contains("(local)"), "{listed}");
    let (checkpoint, _) = folder.here(&["audit", "checkpoint"], 0);
    std::fs::write(folder.at("kept"), &checkpoint).unwrap();
    let (said, _) = folder.here(&["audit", "verify", "--checkpoint", "kept"], 0);
    assert!(said.contains("intact") && said.contains("against 1 checkpoint\n"), "{said}");
    let logged = serde_json::json!({ "level": "INFO", "message": "audit checkpoint", "checkpoint": checkpoint.trim() });
    // A service's whole log: what says nothing of checkpoints is passed over, what was said before counts once.
    folder.here(&["device", "clear", DEVICE, "--reason", "r"], 0);
    let (later, _) = folder.here(&["audit", "checkpoint"], 0);
    let log = format!("listening: public 127.0.0.1:8443\n{{\"message\":\"attestation\"}}\n{logged}\n{logged}\n{later}");
    std::fs::write(folder.at("logged"), log).unwrap();
    assert!(folder.here(&["audit", "verify", "--checkpoint", "logged"], 0).0.contains("against 2 checkpoints"));
    let cut = format!("{later}{}", later.trim_end().strip_suffix('}').unwrap());
    std::fs::write(folder.at("cut"), cut).unwrap();
    assert!(folder.here(&["audit", "verify", "--checkpoint", "cut"], 2).1.contains("cut:2: no checkpoint"));
    assert!(folder.here(&["audit", "verify"], 0).1.contains("note: no checkpoint"));
    std::fs::write(folder.at("forged"), checkpoint.replace("\"count\":", "\"count\":1")).unwrap();
    let (said, _) = folder.here(&["audit", "verify", "--checkpoint", "forged"], 1);
    assert!(said.contains("NOT intact"), "{said}");
    for wrong in ["", "{}", "no json"] {
        std::fs::write(folder.at("wrong"), wrong).unwrap();
        folder.here(&["audit", "verify", "--checkpoint", "wrong"], 2);
    }
    folder.here(&["audit", "verify", "--checkpoint", "absent"], 2);
}
